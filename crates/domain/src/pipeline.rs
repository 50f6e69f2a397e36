//! A pipeline: the stages that deals go through.

use std::collections::{BTreeSet, HashSet};

use dealog_events::{
    Event, Probability, Slug, Title,
    pipeline::{
        Archived, Defined, ForecastCategory, PipelineEvent, Renamed, RequiredField, Stage, StageAdded, StageReinstated,
        StageRetired, StageRevised, StagesReordered, Unarchived,
    },
    settings::FieldOwner,
};
use serde::Deserialize;

use crate::{
    Common, Details, Kind, Patch, Standing,
    aggregates::Aggregate,
    facts::Rule,
    rejection::list,
    settings::{Settings, TheSettings},
};

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

    /// The stages that a deal passes on its way into `to`, this one included: forward from a stage those that follow it, and
    /// otherwise all from the first on. Back, there is none but the one that it enters.
    pub(crate) fn passed(&self, from: Option<&Slug>, to: &Slug) -> impl Iterator<Item = &Stage> {
        let place = |slug: &Slug| self.stages.iter().position(|placed| placed.stage.slug == *slug);
        let last = place(to);
        let first = match (from.and_then(place), last) {
            (Some(from), Some(last)) if from < last => from + 1,
            (Some(_), Some(last)) => last,
            _ => 0,
        };
        let passed = self.stages.iter().take(last.map_or(0, |last| last + 1)).skip(first);
        passed.filter(|placed| !placed.retired).map(|placed| &placed.stage)
    }

    /// A stage of this name, retired or not.
    pub(crate) fn stage_of(&self, slug: &Slug) -> Option<&Stage> {
        self.stages.iter().find(|placed| placed.stage.slug == *slug).map(|placed| &placed.stage)
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
    /// Let deals enter a retired stage again.
    ReinstateStage(Slug),
    /// Put the stages into another order.
    Reorder(Reorder),
    /// Change its name.
    Change(Change),
    /// Take no more deals.
    Archive,
    /// Take deals again.
    Unarchive,
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
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Title>))]
    pub name: Patch<Title>,
    /// The chance of a deal in it.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Probability>))]
    pub probability: Patch<Probability>,
    /// After how many days a deal in it is stale; null for never.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u16>))]
    pub stale_after_days: Patch<u16>,
    /// What a deal must have to enter it.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Vec<RequiredField>>))]
    pub required_fields: Patch<Vec<RequiredField>>,
    /// The forecast category of a deal in it.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<ForecastCategory>))]
    pub forecast_category: Patch<ForecastCategory>,
}

/// What to change about a pipeline; what is absent stays as it is.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = ChangePipeline))]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// What people call it.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Title>))]
    pub name: Patch<Title>,
}

/// Another order of the stages.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Reorder {
    /// Every stage once, the retired ones too.
    pub stages: Vec<Slug>,
}

/// Why a command about a pipeline or its stages was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// No such stage in that pipeline.
    #[error("`{stage}` is not a stage of this pipeline that a deal can enter; these are: {}", list(allowed))]
    StageNotOpen {
        /// What was asked for.
        stage: Slug,
        /// The stages that can be entered.
        allowed: Vec<Slug>,
    },
    /// The pipeline forbids to skip stages.
    #[error("this pipeline allows no skipping: from `{from}` forward only to `{next}`")]
    SkipsStages {
        /// Where the deal stands.
        from: Slug,
        /// The next stage that can be entered.
        next: Slug,
    },
    /// The pipeline takes no more deals.
    #[error("the pipeline is archived and takes no more deals")]
    Archived,
    /// A pipeline that no deal could enter.
    #[error("a pipeline needs at least one stage that deals can enter")]
    NoStageLeft,
    /// An order that leaves out, repeats or invents stages.
    #[error("the order must name each stage once; the stages are: {}", list(stages))]
    NotAnOrder {
        /// All stages.
        stages: Vec<Slug>,
    },
}

impl Rejection {
    pub(crate) fn details(&self) -> Details {
        match self {
            Self::StageNotOpen { allowed, .. } => {
                Details::new(Kind::Invalid, "stage_not_open").field("stage").allowed(allowed)
            }
            Self::SkipsStages { next, .. } => {
                Details::new(Kind::Conflict, "skips_stages").field("stage").allowed(&[next])
            }
            Self::Archived => Details::new(Kind::Conflict, "pipeline_archived").field("pipeline"),
            Self::NoStageLeft => Details::new(Kind::Conflict, "no_stage_left").field("stages"),
            Self::NotAnOrder { stages } => Details::new(Kind::Invalid, "not_an_order").field("stages").allowed(stages),
        }
    }
}

impl Aggregate for Option<Pipeline> {
    type Command = Command;
    type Event = PipelineEvent;

    fn begins_stream(command: &Command) -> bool {
        match command {
            Command::Define(_) => true,
            Command::AddStage(_)
            | Command::ReviseStage(..)
            | Command::RetireStage(_)
            | Command::ReinstateStage(_)
            | Command::Reorder(_)
            | Command::Change(_)
            | Command::Archive
            | Command::Unarchive => false,
        }
    }

    fn rule<'a>(&'a self, _: Standing, command: &'a Command) -> Rule<'a> {
        match command {
            Command::Define(command) => Rule::reading(TheSettings, move |facts, settings| {
                facts.not_begun(self.as_ref())?;
                define(&settings, command)
            }),
            Command::AddStage(command) => Rule::reading(TheSettings, move |facts, settings| {
                add_stage(facts.begun(self.as_ref())?, &settings, command)
            }),
            Command::ReviseStage(stage, command) => Rule::reading(TheSettings, move |facts, settings| {
                revise_stage(facts.begun(self.as_ref())?, &settings, stage, command)
            }),
            Command::RetireStage(stage) => Rule::alone(move |facts| retire_stage(facts.begun(self.as_ref())?, stage)),
            Command::ReinstateStage(stage) => {
                Rule::alone(move |facts| reinstate_stage(facts.begun(self.as_ref())?, stage))
            }
            Command::Change(command) => Rule::alone(move |facts| {
                let pipeline = facts.begun(self.as_ref())?;
                let name = command.name.given("name")?.filter(|to| **to != pipeline.name);
                Ok(name.map(|to| Renamed { from: pipeline.name.clone(), to: to.clone() }.into()).into_iter().collect())
            }),
            Command::Reorder(command) => Rule::alone(move |facts| reorder(facts.begun(self.as_ref())?, command)),
            Command::Archive => Rule::alone(move |facts| {
                let archived = facts.begun(self.as_ref())?.archived;
                Ok(if archived { Vec::new() } else { vec![Archived {}.into()] })
            }),
            Command::Unarchive => Rule::alone(move |facts| {
                let archived = facts.begun(self.as_ref())?.archived;
                Ok(if archived { vec![Unarchived {}.into()] } else { Vec::new() })
            }),
        }
    }

    fn evolve(self, event: &PipelineEvent) -> Self {
        if let PipelineEvent::Defined(event) = event {
            let stages = event.stages.iter().map(|stage| Placed { stage: stage.clone(), retired: false }).collect();
            return Some(Pipeline {
                name: event.name.clone(),
                stages,
                skipping_allowed: event.skipping_allowed,
                archived: false,
            });
        }
        let mut pipeline = self?;
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
            PipelineEvent::StageRetired(StageRetired { stage })
            | PipelineEvent::StageReinstated(StageReinstated { stage }) => {
                if let Some(placed) = stages.iter_mut().find(|placed| placed.stage.slug == *stage) {
                    placed.retired = matches!(event, PipelineEvent::StageRetired(_));
                }
            }
            PipelineEvent::StagesReordered(event) => {
                stages.sort_by_key(|placed| event.to.iter().position(|slug| *slug == placed.stage.slug));
            }
            PipelineEvent::Renamed(event) => pipeline.name = event.to.clone(),
            PipelineEvent::Archived(_) => pipeline.archived = true,
            PipelineEvent::Unarchived(_) => pipeline.archived = false,
        }
        Some(pipeline)
    }
}

fn define(settings: &Settings, define: &Define) -> Result<Vec<Event>, crate::Rejection> {
    if define.stages.is_empty() {
        return Err(Rejection::NoStageLeft.into());
    }
    check_stage_count(define.stages.len())?;
    let mut seen = HashSet::new();
    for stage in &define.stages {
        if !seen.insert(&stage.slug) {
            return Err(Common::SlugTaken { field: "stages", slug: stage.slug.clone() }.into());
        }
        check_required(settings, &stage.required_fields)?;
    }
    let Define { name, stages, skipping_allowed } = define.clone();
    Ok(vec![Defined { name, stages, skipping_allowed }.into()])
}

fn add_stage(pipeline: &Pipeline, settings: &Settings, add: &AddStage) -> Result<Vec<Event>, crate::Rejection> {
    check_stage_count(pipeline.stages.len() + 1)?;
    if pipeline.stages.iter().any(|placed| placed.stage.slug == add.stage.slug) {
        return Err(Common::SlugTaken { field: "stage", slug: add.stage.slug.clone() }.into());
    }
    check_required(settings, &add.stage.required_fields)?;
    let after = match &add.after {
        Some(after) => Some(pipeline.stage(after)?.stage.slug.clone()),
        None => pipeline.stages.last().map(|placed| placed.stage.slug.clone()),
    };
    Ok(vec![StageAdded { stage: add.stage.clone(), after }.into()])
}

fn revise_stage(
    pipeline: &Pipeline,
    settings: &Settings,
    slug: &Slug,
    revise: &ReviseStage,
) -> Result<Vec<Event>, crate::Rejection> {
    let from = pipeline.stage(slug)?.stage.clone();
    let mut to = from.clone();
    if let Some(name) = revise.name.given("name")? {
        to.name = name.clone();
    }
    if let Some(probability) = revise.probability.given("probability")? {
        to.probability = *probability;
    }
    if let Some(days) = revise.stale_after_days.change(from.stale_after_days.as_ref()) {
        to.stale_after_days = days;
    }
    if let Some(required) = revise.required_fields.given("required_fields")? {
        let added: Vec<RequiredField> =
            required.iter().filter(|field| !from.required_fields.contains(field)).cloned().collect();
        check_required(settings, &added)?;
        to.required_fields.clone_from(required);
    }
    if let Some(category) = revise.forecast_category.given("forecast_category")? {
        to.forecast_category = *category;
    }
    if from == to {
        return Ok(Vec::new());
    }
    Ok(vec![StageRevised { from, to }.into()])
}

fn retire_stage(pipeline: &Pipeline, slug: &Slug) -> Result<Vec<Event>, crate::Rejection> {
    if pipeline.stage(slug)?.retired {
        return Ok(Vec::new());
    }
    if pipeline.open_stages().count() == 1 {
        return Err(Rejection::NoStageLeft.into());
    }
    Ok(vec![StageRetired { stage: slug.clone() }.into()])
}

fn reinstate_stage(pipeline: &Pipeline, slug: &Slug) -> Result<Vec<Event>, crate::Rejection> {
    let retired = pipeline.stage(slug)?.retired;
    Ok(if retired { vec![StageReinstated { stage: slug.clone() }.into()] } else { Vec::new() })
}

fn reorder(pipeline: &Pipeline, reorder: &Reorder) -> Result<Vec<Event>, crate::Rejection> {
    let from = pipeline.slugs();
    let as_set = |slugs: &[Slug]| slugs.iter().cloned().collect::<BTreeSet<_>>();
    if reorder.stages.len() != from.len() || as_set(&reorder.stages) != as_set(&from) {
        return Err(Rejection::NotAnOrder { stages: from }.into());
    }
    if reorder.stages == from {
        return Ok(Vec::new());
    }
    Ok(vec![StagesReordered { from, to: reorder.stages.clone() }.into()])
}

fn check_stage_count(count: usize) -> Result<(), Common> {
    if count > STAGES_MAX {
        return Err(Common::Limit { field: "stages", what: "stages of a pipeline", max: STAGES_MAX });
    }
    Ok(())
}

/// A stage may only require fields that exist: nothing could ever fill another.
fn check_required(settings: &Settings, required: &[RequiredField]) -> Result<(), Common> {
    for field in required {
        let RequiredField::Custom(slug) = field else { continue };
        let of_deals = || settings.fields.iter().filter(|field| field.of == FieldOwner::Deal);
        if !of_deals().any(|field| field.slug == *slug) {
            let allowed = of_deals().map(|field| field.slug.clone()).collect();
            return Err(Common::UnknownField { field: slug.clone(), allowed });
        }
    }
    Ok(())
}
