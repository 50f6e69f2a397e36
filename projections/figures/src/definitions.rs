//! What a company defines, with all that it ever was: pipelines, teams, names and settings. Figures look things up here as they
//! were at the instant asked about, and were known at the position asked about.

use dealog_events::{
    Currency, PipelineId, Probability, Slug, TeamId, TimeZone,
    pipeline::{ForecastCategory, PipelineEvent, Stage},
    settings::{FieldDefinition, LossReason, SettingsEvent},
    team::TeamEvent,
};

use serde::{Deserialize, Serialize};

use crate::{
    names::{Name, Names},
    step::Step,
};

/// Where a question stops: an instant in microseconds, and a position. Both are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cut {
    /// Only what had happened by then.
    pub(crate) at: i64,
    /// Only what had been recorded by then.
    pub(crate) position: u32,
}

impl Cut {
    pub(crate) fn has(self, at: i64, position: u32) -> bool {
        at <= self.at && position <= self.position
    }

    /// The steps of a deal that had happened by then.
    pub(crate) fn of(self, steps: &[Step]) -> &[Step] {
        let happened = steps.partition_point(|step| self.has(step.at, step.position));
        steps.get(..happened).unwrap_or_default()
    }
}

/// Everything that one thing ever was, in the order of its stream.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct History<T>(Vec<(i64, u32, T)>);

impl<T> Default for History<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> History<T> {
    pub(crate) fn push(&mut self, at: i64, position: u32, value: T) {
        self.0.push((at, position, value));
    }

    /// What it is now.
    pub(crate) fn last(&self) -> Option<&T> {
        self.0.last().map(|(_, _, value)| value)
    }

    /// What it was. Before it was defined, its first definition counts, as soon as that is known.
    pub(crate) fn at(&self, cut: Cut) -> Option<&T> {
        let (_, first_position, first) = self.0.first()?;
        let begun = self.0.partition_point(|(at, position, _)| cut.has(*at, *position));
        let last = begun.checked_sub(1).and_then(|index| self.0.get(index)).map(|(_, _, value)| value);
        last.or((*first_position <= cut.position).then_some(first))
    }

    /// All that was known of it, each from when on.
    pub(crate) fn known(&self, position: u32) -> impl Iterator<Item = (i64, &T)> {
        let known = self.0.iter().take_while(move |(_, found, _)| *found <= position);
        known.map(|(at, _, value)| (*at, value))
    }

    /// All that it was to become after an instant, as far as it was known.
    pub(crate) fn later(&self, cut: Cut) -> impl Iterator<Item = &T> {
        let known = self.0.iter().filter(move |(_, position, _)| *position <= cut.position);
        known.filter(move |(at, ..)| *at > cut.at).map(|(_, _, value)| value)
    }

    /// Whether it never changed in what `of` tells.
    pub(crate) fn is_constant<K: PartialEq>(&self, of: impl Fn(&T) -> K) -> bool {
        let mut values = self.0.iter().map(|(_, _, value)| of(value));
        let first = values.next();
        values.all(|value| Some(&value) == first.as_ref())
    }
}

/// A pipeline as it was defined.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Pipeline {
    pub(crate) name: String,
    /// In order.
    pub(crate) stages: Vec<StageDefinition>,
    /// Whether it takes no more deals.
    pub(crate) archived: bool,
}

/// A stage as it was defined.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StageDefinition {
    pub(crate) stage: Name,
    pub(crate) slug: Slug,
    pub(crate) name: String,
    pub(crate) probability: Probability,
    pub(crate) stale_after_days: Option<u16>,
    pub(crate) category: ForecastCategory,
    pub(crate) retired: bool,
}

impl StageDefinition {
    fn new(stage: Name, defined: &Stage) -> Self {
        Self {
            stage,
            slug: defined.slug.clone(),
            name: defined.name.to_string(),
            probability: defined.probability,
            stale_after_days: defined.stale_after_days,
            category: defined.forecast_category,
            retired: false,
        }
    }
}

/// The stages of all pipelines: a slug belongs to its pipeline alone.
pub(crate) type Stages = Names<(PipelineId, Slug)>;

impl Pipeline {
    /// A pipeline after an event, given what it was before.
    pub(crate) fn after(
        before: Option<&Self>,
        id: PipelineId,
        event: &PipelineEvent,
        stages: &mut Stages,
    ) -> Result<Self, &'static str> {
        let mut define = |stage: &Stage| StageDefinition::new(stages.name(&(id, stage.slug.clone())), stage);
        if let PipelineEvent::Defined(event) = event {
            let stages = event.stages.iter().map(define).collect();
            return Ok(Self { name: event.name.to_string(), stages, archived: false });
        }
        let mut pipeline = before.cloned().ok_or("the pipeline was never defined")?;
        match event {
            PipelineEvent::Defined(_) => {}
            PipelineEvent::Archived(_) => pipeline.archived = true,
            PipelineEvent::Unarchived(_) => pipeline.archived = false,
            PipelineEvent::Renamed(event) => pipeline.name = event.to.to_string(),
            PipelineEvent::StageAdded(event) => {
                let place = match &event.after {
                    None => 0,
                    Some(slug) => pipeline.place(slug)? + 1,
                };
                pipeline.stages.insert(place, define(&event.stage));
            }
            PipelineEvent::StageRevised(event) => {
                let stage = pipeline.stage(&event.to.slug)?;
                *stage = StageDefinition { retired: stage.retired, ..define(&event.to) };
            }
            PipelineEvent::StageRetired(event) => pipeline.stage(&event.stage)?.retired = true,
            PipelineEvent::StageReinstated(event) => pipeline.stage(&event.stage)?.retired = false,
            PipelineEvent::StagesReordered(event) => {
                let place = |stage: &StageDefinition| event.to.iter().position(|slug| *slug == stage.slug);
                pipeline.stages.sort_by_key(place);
            }
        }
        Ok(pipeline)
    }

    fn place(&self, slug: &Slug) -> Result<usize, &'static str> {
        self.stages.iter().position(|stage| stage.slug == *slug).ok_or("the pipeline has no such stage")
    }

    fn stage(&mut self, slug: &Slug) -> Result<&mut StageDefinition, &'static str> {
        let place = self.place(slug)?;
        self.stages.get_mut(place).ok_or("the pipeline has no such stage")
    }
}

/// That a user was in a team, from an event on and up to another.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Membership {
    pub(crate) team: Name,
    joined: (i64, u32),
    left: Option<(i64, u32)>,
}

/// Who was in which team.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Memberships {
    /// By the user's name.
    of: Vec<Vec<Membership>>,
}

impl Memberships {
    pub(crate) fn apply(&mut self, team: Name, event: &TeamEvent, user: Name, at: i64, position: u32) {
        if self.of.len() <= user.index() {
            self.of.resize_with(user.index() + 1, Vec::new);
        }
        let Some(memberships) = self.of.get_mut(user.index()) else { return };
        match event {
            TeamEvent::Formed(_) | TeamEvent::Renamed(_) => {}
            TeamEvent::MemberAdded(_) => memberships.push(Membership { team, joined: (at, position), left: None }),
            TeamEvent::MemberRemoved(_) => {
                let live = memberships.iter_mut().rev().find(|found| found.team == team && found.left.is_none());
                if let Some(membership) = live {
                    membership.left = Some((at, position));
                }
            }
        }
    }

    /// The teams that a user was in; for one who had joined none yet, the first that they join, as soon as that is known. Sorted.
    pub(crate) fn teams(&self, user: Name, cut: Cut) -> Vec<Name> {
        let Some(memberships) = self.of.get(user.index()) else { return Vec::new() };
        let known = || memberships.iter().filter(|found| found.joined.1 <= cut.position);
        let has = |(at, position): (i64, u32)| cut.has(at, position);
        let joined = || known().filter(|found| has(found.joined));
        let mut teams: Vec<Name> =
            joined().filter(|found| !found.left.is_some_and(has)).map(|found| found.team).collect();
        if joined().next().is_none() {
            teams.extend(known().min_by_key(|found| found.joined).map(|found| found.team));
        }
        teams.sort_unstable();
        teams.dedup();
        teams
    }

    /// The instants at which a user's teams changed: between two of them, they did not.
    pub(crate) fn changes_of(&self, user: Name) -> Vec<i64> {
        let of = |membership: &Membership| [Some(membership.joined.0), membership.left.map(|(at, _)| at)];
        let mut changes: Vec<i64> = self.of.get(user.index()).into_iter().flatten().flat_map(of).flatten().collect();
        changes.sort_unstable();
        changes.dedup();
        changes
    }
}

/// What a company set for itself.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub(crate) currency: Option<Currency>,
    pub(crate) zone: Option<TimeZone>,
    pub(crate) loss_reasons: Vec<LossReason>,
    pub(crate) fields: Vec<FieldDefinition>,
}

impl Settings {
    pub(crate) fn after(before: Option<&Self>, event: &SettingsEvent) -> Self {
        let mut settings = before.cloned().unwrap_or_default();
        match event {
            SettingsEvent::ReportingCurrencySet(event) => settings.currency = Some(event.to),
            SettingsEvent::TimeZoneSet(event) => settings.zone = Some(event.to),
            SettingsEvent::LossReasonsSet(event) => settings.loss_reasons.clone_from(&event.to),
            SettingsEvent::FieldsDefined(event) => settings.fields.clone_from(&event.to),
        }
        settings
    }
}

/// The teams by their ids.
pub(crate) type Teams = Names<TeamId>;
