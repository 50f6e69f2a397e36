//! Pipelines with their stages: the list, and one of them.

use std::collections::HashMap;

use dealog_events::{PipelineId, Version, pipeline::Stage};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    MODEL,
    tables::{PipelineRow, StageRow},
};
use crate::{
    ProjectionError,
    models::{
        Found, Lists, Named, Seeing,
        snapshot::Snapshot,
        statement::Statement,
        stored::{json, parse, probability, version, word},
    },
};

/// A pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Pipeline)]
pub struct Pipeline {
    /// Its id.
    pub id: PipelineId,
    /// The version of its stream: its `ETag`.
    pub version: Version,
    /// What it is called.
    pub name: String,
    /// Whether deals may skip stages on their way forward.
    pub skipping_allowed: bool,
    /// Whether it takes no more deals.
    pub archived: bool,
    /// Its stages in order.
    pub stages: Vec<PipelineStage>,
}

/// A stage of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PipelineStage {
    /// What it is.
    #[serde(flatten)]
    pub stage: Stage,
    /// Whether nothing enters it any more.
    pub retired: bool,
}

const PIPELINES: &str = "SELECT p.* FROM pipelines p WHERE :in_force ORDER BY p.created_position";

const STAGES: &str = "SELECT s.* FROM stages s WHERE :in_force ORDER BY s.pipeline, s.ordinal";

const PIPELINE: &str = "SELECT p.* FROM pipelines p WHERE p.pipeline = :pipeline AND :in_force";

const STAGES_OF_PIPELINE: &str =
    "SELECT s.* FROM stages s WHERE s.pipeline = :pipeline AND :in_force ORDER BY s.ordinal";

impl Lists {
    /// All pipelines, oldest first.
    pub async fn pipelines(&self, seeing: &Seeing) -> Result<Named<Pipeline>, ProjectionError> {
        let mut snapshot = self.snapshot(&[MODEL], seeing).await?;
        let rows = Statement::new(PIPELINES).part("in_force", seeing.in_force("p"));
        let rows: Vec<PipelineRow> = rows.fetch_all(&mut snapshot.db).await?;
        let stages = Statement::new(STAGES).part("in_force", seeing.in_force("s"));
        let mut of_pipelines: HashMap<String, Vec<StageRow>> = HashMap::new();
        for stage in stages.fetch_all::<StageRow>(&mut snapshot.db).await? {
            of_pipelines.entry(stage.pipeline.clone()).or_default().push(stage);
        }
        let mut items = Vec::with_capacity(rows.len());
        for row in rows {
            let stages = of_pipelines.remove(&row.pipeline).unwrap_or_default();
            items.push(pipeline(Definition { row, stages })?);
        }
        Ok(Named { position: snapshot.position, items, next: None })
    }

    /// A pipeline.
    pub async fn pipeline(&self, id: PipelineId, seeing: &Seeing) -> Result<Found<Pipeline>, ProjectionError> {
        let mut snapshot = self.snapshot(&[MODEL], seeing).await?;
        let item = definition(&mut snapshot, id, seeing).await?.map(pipeline).transpose()?;
        Ok(Found { position: snapshot.position, item })
    }
}

/// A pipeline as it was defined.
#[derive(Debug, Clone)]
struct Definition {
    row: PipelineRow,
    /// In order.
    stages: Vec<StageRow>,
}

/// How a pipeline was defined.
async fn definition(
    snapshot: &mut Snapshot<'_>,
    id: PipelineId,
    seeing: &Seeing,
) -> Result<Option<Definition>, ProjectionError> {
    let pipeline = Statement::new(PIPELINE).value("pipeline", id.to_string()).part("in_force", seeing.in_force("p"));
    let Some(row) = pipeline.fetch_one::<PipelineRow>(&mut snapshot.db).await? else { return Ok(None) };
    let stages = Statement::new(STAGES_OF_PIPELINE)
        .value("pipeline", row.pipeline.clone())
        .part("in_force", seeing.in_force("s"));
    let stages = stages.fetch_all(&mut snapshot.db).await?;
    Ok(Some(Definition { row, stages }))
}

fn pipeline(Definition { row, stages }: Definition) -> Result<Pipeline, ProjectionError> {
    Ok(Pipeline {
        id: parse(&row.pipeline)?,
        version: version(row.version),
        name: row.name,
        skipping_allowed: row.skipping_allowed == 1,
        archived: row.archived == 1,
        stages: stages.iter().map(stage).collect::<Result<_, _>>()?,
    })
}

fn stage(row: &StageRow) -> Result<PipelineStage, ProjectionError> {
    Ok(PipelineStage {
        stage: Stage {
            slug: parse(&row.stage)?,
            name: parse(&row.name)?,
            probability: probability(row.probability)?,
            stale_after_days: row.stale_after_days.and_then(|days| u16::try_from(days).ok()),
            required_fields: json(&row.required_fields)?,
            forecast_category: word(&row.forecast_category)?,
        },
        retired: row.retired == 1,
    })
}
