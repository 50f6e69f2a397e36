//! A pipeline: the stages that deals go through.

use std::collections::{BTreeSet, HashSet};

use dealog_events::{
    Event, Probability, Slug, StreamId, Title,
    pipeline::{
        Archived, Defined, ForecastCategory, PipelineEvent, RequiredField, Stage, StageAdded, StageRetired,
        StageRevised, StagesReordered,
    },
    settings::FieldOwner,
};
use serde::Deserialize;

use crate::{Facts, Patch, Rejection, settings::Settings};

/// Stages that a pipeline may have, the retired ones among them.
pub const STAGES_MAX: usize = 50;

/// A pipeline as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pipeline {
    /// What people call it.
    pub name: Title,
    /// All stages in order; the retired ones keep their place.
    pub stages: Vec<Placed>,
    /// Whether a deal may skip stages on its way forward.
    pub skipping_allowed: bool,
    /// Whether it takes no more deals.
    pub archived: bool,
}

/// A stage in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// The stage.
    pub stage: Stage,
    /// Whether nothing enters it any more.
    pub retired: bool,
}

impl Pipeline {
    /// The stages that a deal can enter, in order.
    pub fn open_stages(&self) -> impl Iterator<Item = &Stage> {
        self.stages.iter().filter(|placed| !placed.retired).map(|placed| &placed.stage)
    }

    /// A stage that a deal can enter.
    pub(crate) fn open_stage(&self, slug: &Slug) -> Result<&Stage, Rejection> {
        self.open_stages().find(|stage| stage.slug == *slug).ok_or_else(|| Rejection::StageNotOpen {
            stage: slug.clone(),
            allowed: self.open_stages().map(|stage| stage.slug.clone()).collect(),
        })
    }

    /// Refuses a way forward from `from` to `to` that passes over a stage that could be entered, where skipping is not
    /// allowed. Back is always allowed.
    pub(crate) fn check_skipping(&self, from: &Slug, to: &Slug) -> Result<(), Rejection> {
        if self.skipping_allowed {
            return Ok(());
        }
        let mut ahead = self.stages.iter().skip_while(|placed| placed.stage.slug != *from).skip(1);
        if !ahead.clone().any(|placed| placed.stage.slug == *to) {
            return Ok(());
        }
        match ahead.find(|placed| !placed.retired) {
            Some(next) if next.stage.slug != *to => {
                Err(Rejection::SkipsStages { from: from.clone(), next: next.stage.slug.clone() })
            }
            _ => Ok(()),
        }
    }

    fn slugs(&self) -> Vec<Slug> {
        self.stages.iter().map(|placed| placed.stage.slug.clone()).collect()
    }

    fn stage(&self, slug: &Slug) -> Result<&Placed, Rejection> {
        self.stages
            .iter()
            .find(|placed| placed.stage.slug == *slug)
            .ok_or_else(|| Rejection::StageNotOpen { stage: slug.clone(), allowed: self.slugs() })
    }
}

/// What can be asked of a pipeline.
#[derive(Debug, Clone)]
pub enum Command {
    /// Set it up.
    Define(Define),
    /// Add a stage.
    AddStage(AddStage),
    /// Describe a stage anew.
    ReviseStage(Slug, ReviseStage),
    /// Let nothing enter a stage any more.
    RetireStage(Slug),
    /// Put the stages into another order.
    Reorder(Reorder),
    /// Take no more deals.
    Archive,
}

/// A pipeline to set up.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = DefinePipeline))]
#[serde(deny_unknown_fields)]
pub struct Define {
    /// What people call it.
    pub name: Title,
    /// Its stages in order, 1 to 50.
    pub stages: Vec<Stage>,
    /// Whether a deal may skip stages on its way forward; true if absent.
    #[serde(default = "allowed")]
    pub skipping_allowed: bool,
}

fn allowed() -> bool {
    true
}

/// A stage to add.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AddStage {
    /// The stage.
    pub stage: Stage,
    /// The stage that it follows; the last one if absent.
    pub after: Option<Slug>,
}

/// What to change about a stage; what is absent stays as it is.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ReviseStage {
    /// What people call it.
    pub name: Option<Title>,
    /// The chance of a deal in it.
    pub probability: Option<Probability>,
    /// After how many days a deal in it is stale; null for never.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u16>))]
    pub stale_after_days: Patch<u16>,
    /// What a deal must have to enter it.
    pub required_fields: Option<Vec<RequiredField>>,
    /// The forecast category of a deal in it.
    pub forecast_category: Option<ForecastCategory>,
}

/// Another order of the stages.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Reorder {
    /// Every stage once, the retired ones too.
    pub stages: Vec<Slug>,
}

pub(crate) fn reads(command: &Command) -> BTreeSet<StreamId> {
    match command {
        Command::Define(_) | Command::AddStage(_) | Command::ReviseStage(..) => [StreamId::Settings].into(),
        Command::RetireStage(_) | Command::Reorder(_) | Command::Archive => BTreeSet::new(),
    }
}

pub(crate) fn decide(state: Option<&Pipeline>, facts: &Facts, command: &Command) -> Result<Vec<Event>, Rejection> {
    let pipeline = match (state, command) {
        (None, Command::Define(define)) => return self::define(facts, define),
        (Some(_), Command::Define(_)) => return Err(Rejection::AlreadyExists(facts.stream())),
        (None, _) => return Err(Rejection::NotFound(facts.stream())),
        (Some(pipeline), _) => pipeline,
    };
    match command {
        Command::Define(_) => Ok(Vec::new()),
        Command::AddStage(add) => add_stage(pipeline, facts, add),
        Command::ReviseStage(slug, revise) => revise_stage(pipeline, facts, slug, revise),
        Command::RetireStage(slug) => retire_stage(pipeline, slug),
        Command::Reorder(reorder) => self::reorder(pipeline, reorder),
        Command::Archive if pipeline.archived => Ok(Vec::new()),
        Command::Archive => Ok(vec![Archived {}.into()]),
    }
}

fn define(facts: &Facts, define: &Define) -> Result<Vec<Event>, Rejection> {
    if define.stages.is_empty() {
        return Err(Rejection::NoStageLeft);
    }
    check_stage_count(define.stages.len())?;
    let mut seen = HashSet::new();
    for stage in &define.stages {
        if !seen.insert(&stage.slug) {
            return Err(Rejection::SlugTaken { field: "stages", slug: stage.slug.clone() });
        }
        check_required(facts.settings(), &stage.required_fields)?;
    }
    let Define { name, stages, skipping_allowed } = define.clone();
    Ok(vec![Defined { name, stages, skipping_allowed }.into()])
}

fn add_stage(pipeline: &Pipeline, facts: &Facts, add: &AddStage) -> Result<Vec<Event>, Rejection> {
    check_stage_count(pipeline.stages.len() + 1)?;
    if pipeline.stages.iter().any(|placed| placed.stage.slug == add.stage.slug) {
        return Err(Rejection::SlugTaken { field: "stage", slug: add.stage.slug.clone() });
    }
    check_required(facts.settings(), &add.stage.required_fields)?;
    let after = match &add.after {
        Some(after) => Some(pipeline.stage(after)?.stage.slug.clone()),
        None => pipeline.stages.last().map(|placed| placed.stage.slug.clone()),
    };
    Ok(vec![StageAdded { stage: add.stage.clone(), after }.into()])
}

fn revise_stage(
    pipeline: &Pipeline,
    facts: &Facts,
    slug: &Slug,
    revise: &ReviseStage,
) -> Result<Vec<Event>, Rejection> {
    let from = pipeline.stage(slug)?.stage.clone();
    let mut to = from.clone();
    if let Some(name) = &revise.name {
        to.name = name.clone();
    }
    if let Some(probability) = revise.probability {
        to.probability = probability;
    }
    if let Some(days) = revise.stale_after_days.change(from.stale_after_days.as_ref()) {
        to.stale_after_days = days;
    }
    if let Some(required) = &revise.required_fields {
        check_required(facts.settings(), required)?;
        to.required_fields.clone_from(required);
    }
    if let Some(category) = revise.forecast_category {
        to.forecast_category = category;
    }
    if from == to {
        return Ok(Vec::new());
    }
    Ok(vec![StageRevised { from, to }.into()])
}

fn retire_stage(pipeline: &Pipeline, slug: &Slug) -> Result<Vec<Event>, Rejection> {
    if pipeline.stage(slug)?.retired {
        return Ok(Vec::new());
    }
    if pipeline.open_stages().count() == 1 {
        return Err(Rejection::NoStageLeft);
    }
    Ok(vec![StageRetired { stage: slug.clone() }.into()])
}

fn reorder(pipeline: &Pipeline, reorder: &Reorder) -> Result<Vec<Event>, Rejection> {
    let from = pipeline.slugs();
    let as_set = |slugs: &[Slug]| slugs.iter().cloned().collect::<BTreeSet<_>>();
    if reorder.stages.len() != from.len() || as_set(&reorder.stages) != as_set(&from) {
        return Err(Rejection::NotAnOrder { stages: from });
    }
    if reorder.stages == from {
        return Ok(Vec::new());
    }
    Ok(vec![StagesReordered { from, to: reorder.stages.clone() }.into()])
}

fn check_stage_count(count: usize) -> Result<(), Rejection> {
    if count > STAGES_MAX {
        return Err(Rejection::Limit { field: "stages", what: "stages of a pipeline", max: STAGES_MAX });
    }
    Ok(())
}

/// A stage may only require fields that exist: nothing could ever fill another.
fn check_required(settings: &Settings, required: &[RequiredField]) -> Result<(), Rejection> {
    for field in required {
        let RequiredField::Custom(slug) = field else { continue };
        let of_deals = || settings.fields.iter().filter(|field| field.of == FieldOwner::Deal);
        if !of_deals().any(|field| field.slug == *slug) {
            let allowed = of_deals().map(|field| field.slug.clone()).collect();
            return Err(Rejection::UnknownField { field: slug.clone(), allowed });
        }
    }
    Ok(())
}

pub(crate) fn evolve(state: Option<Pipeline>, event: &PipelineEvent) -> Option<Pipeline> {
    if let PipelineEvent::Defined(event) = event {
        let stages = event.stages.iter().map(|stage| Placed { stage: stage.clone(), retired: false }).collect();
        return Some(Pipeline {
            name: event.name.clone(),
            stages,
            skipping_allowed: event.skipping_allowed,
            archived: false,
        });
    }
    let mut pipeline = state?;
    let stages = &mut pipeline.stages;
    let place = |stages: &[Placed], slug: &Slug| stages.iter().position(|placed| placed.stage.slug == *slug);
    match event {
        PipelineEvent::Defined(_) => {}
        PipelineEvent::StageAdded(event) => {
            let at = event.after.as_ref().and_then(|after| place(stages, after)).map_or(0, |index| index + 1);
            stages.insert(at, Placed { stage: event.stage.clone(), retired: false });
        }
        PipelineEvent::StageRevised(event) => {
            if let Some(placed) = stages.iter_mut().find(|placed| placed.stage.slug == event.to.slug) {
                placed.stage = event.to.clone();
            }
        }
        PipelineEvent::StageRetired(event) => {
            if let Some(placed) = stages.iter_mut().find(|placed| placed.stage.slug == event.stage) {
                placed.retired = true;
            }
        }
        PipelineEvent::StagesReordered(event) => {
            stages.sort_by_key(|placed| event.to.iter().position(|slug| *slug == placed.stage.slug));
        }
        PipelineEvent::Archived(_) => pipeline.archived = true,
    }
    Some(pipeline)
}
