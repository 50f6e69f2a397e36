//! The columns of a board: the open deals of one pipeline by stage. Their cards are rows of a read model.

use dealog_events::{PipelineId, Slug};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    Image, Question, Unanswerable,
    by_stage::ByStage,
    pipeline::{Open, StageTotals},
    resolved::Resolved,
    shapes::Seen,
    step::Status,
};

/// The columns of one pipeline's board.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Columns {
    /// What the figures speak of.
    #[serde(flatten)]
    pub seen: Seen,
    /// Which pipeline.
    pub pipeline: PipelineId,
    /// What it is called.
    pub name: String,
    /// Its stages in order.
    pub columns: Vec<Column>,
}

impl AsRef<Seen> for Columns {
    fn as_ref(&self) -> &Seen {
        &self.seen
    }
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Column {
    /// The stage.
    pub stage: Slug,
    /// What it is called.
    pub name: String,
    /// Its deals.
    #[serde(flatten)]
    pub totals: StageTotals,
}

/// The columns of the board of the question's pipeline, or of the only one there is.
pub fn columns(image: &Image, question: &Question) -> Result<Columns, Unanswerable> {
    let resolved = Resolved::new(image, question)?;
    let mut wanted = resolved.pipelines.iter().filter(|pipeline| pipeline.wanted);
    let (Some(pipeline), None) = (wanted.next(), wanted.next()) else {
        let message = "a board shows one pipeline: name one";
        return Err(Unanswerable::field("pipeline", message));
    };
    let mut stages = ByStage::<Open>::default();
    resolved.deals(|at| {
        if let (Status::Open, Some(stage)) = (at.state.status, resolved.wanted_stage(at.state.stage)) {
            stages.at(at.state.stage).add(&resolved, at.state, stage);
        }
    });
    let mut columns = Vec::with_capacity(pipeline.stages.len());
    for stage in &pipeline.stages {
        let totals = stages.take(stage.stage).totals(&resolved)?;
        columns.push(Column { stage: stage.slug.clone(), name: stage.name.clone(), totals });
    }
    resolved.check_currencies()?;
    Ok(Columns { seen: resolved.seen(), pipeline: pipeline.id, name: pipeline.name.clone(), columns })
}
