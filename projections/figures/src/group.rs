//! Groups: the same figures for each owner, team, month and so on by itself.
//!
//! What a figure counts is a [`Tally`]. Each deal is added to the tally of all and, if the question asks for groups, to that of its
//! group: no figure of the total is put together from those of groups, nor the other way round.

use std::{cmp::Reverse, str::FromStr};

use chrono::NaiveDate;
use dealog_events::Slug;
use rustc_hash::FxHashMap;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    calendar::{Calendar, Interval},
    definitions::{Cut, History},
    filter::field_of_deals,
    image::Value,
    names::Name,
    question::{By, Grouping, Unanswerable},
    resolved::Resolved,
    step::{State, Status, field as field_after},
    walk::DealAt,
};

/// What is counted of a group of deals.
pub(crate) trait Tally: Default {
    /// How many deals, or how much else, made it: the largest groups are given by name.
    fn size(&self) -> i64;

    /// Adds another group to this one.
    fn merge(&mut self, other: Self);
}

/// How many deals were added, where one may be added several times in a row.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Deals {
    count: i64,
    /// The number of the last of them.
    last: Option<u32>,
}

impl Deals {
    pub(crate) fn add(&mut self, at: &DealAt<'_>) {
        if self.last != Some(at.number) {
            self.count += 1;
            self.last = Some(at.number);
        }
    }

    pub(crate) fn count(self) -> i64 {
        self.count
    }

    /// Adds other deals to these.
    pub(crate) fn merge(&mut self, other: Self) {
        self.count += other.count;
    }
}

/// A part of what makes a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Part {
    None,
    Name(Name),
    Teams(u32),
    From(NaiveDate),
}

/// What makes a group: as many parts as are grouped by.
pub(crate) type Key = [Part; 2];

/// What is grouped by, looked up.
#[derive(Default)]
pub(crate) struct Keys {
    by: Vec<(By, Of)>,
    groups_max: usize,
}

/// How the part of a deal is found.
enum Of {
    Owner,
    Teams,
    Source,
    Campaign,
    Customer,
    Pipeline,
    /// By the stage's name, the first stage of its slug, in whatever pipeline.
    Stage(Vec<Name>),
    Reason,
    Competitor,
    Field(Option<Name>),
    Time(Interval, Calendar),
}

/// The time by which a deal or an event is grouped.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Time {
    /// An instant.
    At(i64),
    /// A day, or none.
    Day(Option<NaiveDate>),
}

impl Keys {
    pub(crate) fn new(grouping: &Grouping, resolved: &Resolved<'_>) -> Result<Self, Unanswerable> {
        let refused = |message: String| Err(Unanswerable::field("by", message));
        if grouping.by.len() > 2 {
            return refused("by takes one or two, such as team,month".into());
        }
        let mut by = Vec::new();
        for wanted in &grouping.by {
            if by.iter().any(|(found, _)| found == wanted) {
                return refused(format!("by names {} twice: name it once", wanted.name()));
            }
            by.push((wanted.clone(), Of::new(wanted, resolved)?));
        }
        Ok(Self { by, groups_max: grouping.groups_max })
    }

    /// The group of a deal as it was, by its time.
    pub(crate) fn of(&self, resolved: &Resolved<'_>, at: &DealAt<'_>, time: Time) -> Key {
        let mut key = [Part::None; 2];
        for (part, (_, of)) in key.iter_mut().zip(&self.by) {
            *part = of.part(resolved, at, time);
        }
        key
    }
}

impl Of {
    fn new(by: &By, resolved: &Resolved<'_>) -> Result<Self, Unanswerable> {
        Ok(match by {
            By::Owner => Self::Owner,
            By::Team => Self::Teams,
            By::Source => Self::Source,
            By::Campaign => Self::Campaign,
            By::Customer => Self::Customer,
            By::Pipeline => Self::Pipeline,
            By::Stage => {
                let mut first = FxHashMap::default();
                let stages = resolved.image.stages.iter();
                Self::Stage(stages.map(|(name, (_, slug))| *first.entry(slug).or_insert(name)).collect())
            }
            By::LossReason => Self::Reason,
            By::Competitor => Self::Competitor,
            By::Field(field) => {
                field_of_deals(resolved, field).map_err(|message| Unanswerable::field("by", message))?;
                Self::Field(resolved.image.fields.find(field))
            }
            By::Time(interval) => {
                let oldest = resolved.image.oldest().unwrap_or(resolved.cut.at);
                Self::Time(*interval, Calendar::of(*interval, resolved.zone, oldest, resolved.cut.at))
            }
        })
    }

    fn part(&self, resolved: &Resolved<'_>, deal: &DealAt<'_>, time: Time) -> Part {
        let DealAt { state, last, at, .. } = *deal;
        let name = |name: Option<Name>| name.map_or(Part::None, Part::Name);
        match self {
            Self::Owner => name(state.owner),
            Self::Teams => match resolved.teams.as_ref().map_or(0, |teams| teams.of(state.owner, at)) {
                0 => Part::None,
                set => Part::Teams(set),
            },
            Self::Source => name(state.source),
            Self::Campaign => name(state.campaign),
            Self::Customer => name(state.customer),
            Self::Pipeline => {
                let id = resolved.image.stages.value(state.stage).map(|(pipeline, _)| pipeline);
                name(id.and_then(|id| resolved.image.pipelines.find(id)))
            }
            Self::Stage(first) => name(first.get(state.stage.index()).copied()),
            Self::Reason => name(last.loss.map(|loss| loss.reason)),
            Self::Competitor => name(last.loss.and_then(|loss| loss.competitor)),
            Self::Field(field) => name(
                field.and_then(|field| field_after(&deal.steps(resolved.image), last.status != Status::Open, field)),
            ),
            Self::Time(interval, calendar) => match time {
                Time::At(at) => Part::From(calendar.first_day(at)),
                Time::Day(day) => day.map_or(Part::None, |day| Part::From(interval.first_day(day))),
            },
        }
    }
}

impl By {
    /// As it is written in questions and answers.
    pub fn name(&self) -> String {
        match self {
            Self::Owner => "owner".into(),
            Self::Team => "team".into(),
            Self::Source => "source".into(),
            Self::Campaign => "campaign".into(),
            Self::Customer => "customer".into(),
            Self::Pipeline => "pipeline".into(),
            Self::Stage => "stage".into(),
            Self::LossReason => "loss_reason".into(),
            Self::Competitor => "competitor".into(),
            Self::Field(field) => format!("fields.{field}"),
            Self::Time(interval) => interval.word().into(),
        }
    }
}

impl By {
    /// All but custom fields.
    const PLAIN: [Self; 13] = [
        Self::Owner,
        Self::Team,
        Self::Source,
        Self::Campaign,
        Self::Customer,
        Self::Pipeline,
        Self::Stage,
        Self::LossReason,
        Self::Competitor,
        Self::Time(Interval::Week),
        Self::Time(Interval::Month),
        Self::Time(Interval::Quarter),
        Self::Time(Interval::Year),
    ];

    /// Everything that figures can be grouped by, as it is written.
    pub fn names() -> Vec<String> {
        Self::PLAIN.iter().map(Self::name).chain(["fields.NAME".to_owned()]).collect()
    }
}

impl FromStr for By {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        if let Some(field) = name.strip_prefix("fields.") {
            return field.parse().map(Self::Field).map_err(|error: dealog_events::Invalid| error.to_string());
        }
        Self::PLAIN
            .into_iter()
            .find(|by| by.name() == name)
            .ok_or_else(|| format!("figures are not grouped by `{name}`, but by {}", Self::names().join(", ")))
    }
}

/// The tallies of all deals, and of each group of them.
#[derive(Clone, Default)]
pub(crate) struct Groups<T> {
    pub(crate) total: T,
    by: FxHashMap<Key, T>,
}

impl<T: Tally> Groups<T> {
    /// Adds a deal, or an event of one, to the total and to its group.
    pub(crate) fn add(&mut self, resolved: &Resolved<'_>, at: &DealAt<'_>, time: Time, add: impl Fn(&mut T)) {
        add(&mut self.total);
        if !resolved.keys.by.is_empty() {
            add(self.by.entry(resolved.keys.of(resolved, at, time)).or_default());
        }
    }

    /// Adds other deals to these.
    pub(crate) fn merge(&mut self, other: Self) {
        self.total.merge(other.total);
        for (key, tally) in other.by {
            self.by.entry(key).or_default().merge(tally);
        }
    }

    /// The figures of the total, of the largest groups in the order of their names, and of all other groups together.
    pub(crate) fn figures<F>(
        self,
        resolved: &Resolved<'_>,
        mut figures: impl FnMut(T) -> Result<F, Unanswerable>,
    ) -> Result<Grouped<F>, Unanswerable> {
        let keys = &resolved.keys;
        let mut found: Vec<(Vec<GroupKey>, T)> =
            self.by.into_iter().map(|(key, tally)| (keys.named(resolved, key), tally)).collect();
        found.sort_by(|(one, first), (other, second)| {
            (Reverse(first.size()), one).cmp(&(Reverse(second.size()), other))
        });
        let others = found.split_off(keys.groups_max.min(found.len()));
        found.sort_by(|(one, _), (other, _)| one.cmp(other));
        let groups = found.into_iter().map(|(key, tally)| Ok(Group { key, figures: figures(tally)? }));
        let groups = groups.collect::<Result<_, _>>()?;
        let count = others.len();
        let others = others.into_iter().map(|(_, tally)| tally).reduce(|mut all, one| {
            all.merge(one);
            all
        });
        let others = others.map(|tally| Ok(Others { count, figures: figures(tally)? })).transpose()?;
        Ok(Grouped { figures: figures(self.total)?, groups, others })
    }
}

/// Figures, and those of groups where groups are asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Grouped<F> {
    /// All deals asked about.
    #[serde(flatten)]
    pub figures: F,
    /// The groups with the most deals, by name.
    pub groups: Vec<Group<F>>,
    /// All other groups together; null where there are none.
    pub others: Option<Others<F>>,
}

/// The figures of one group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Group<F> {
    /// What its deals have in common, in the order asked for.
    pub key: Vec<GroupKey>,
    /// Its figures.
    #[serde(flatten)]
    pub figures: F,
}

/// The figures of the groups that are not given by themselves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Others<F> {
    /// How many groups they are.
    pub count: usize,
    /// Their figures.
    #[serde(flatten)]
    pub figures: F,
}

/// A part of what makes a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct GroupKey {
    /// What it is: `owner`, `month`, `fields.region`.
    pub by: String,
    /// The id, the source itself, the interval such as `2026-03`, or the value of a field; the ids of teams with commas between
    /// them. Null for deals that have none.
    pub id: Option<String>,
    /// What it is called at the instant asked about. Null where it has no name.
    pub name: Option<String>,
}

/// By name, then by id; what has none comes last.
impl Ord for GroupKey {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let rank = |key: &Self| (key.name.is_none(), key.name.clone(), key.id.is_none(), key.id.clone());
        rank(self).cmp(&rank(other))
    }
}

impl PartialOrd for GroupKey {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Keys {
    fn named(&self, resolved: &Resolved<'_>, key: Key) -> Vec<GroupKey> {
        let part = |((by, of), part): (&(By, Of), Part)| {
            let (id, name) = of.named(resolved, part);
            GroupKey { by: by.name(), id, name }
        };
        self.by.iter().zip(key).map(part).collect()
    }
}

impl Of {
    /// The id of a part, and what it is called.
    fn named(&self, resolved: &Resolved<'_>, part: Part) -> (Option<String>, Option<String>) {
        let image = resolved.image;
        let same = |text: String| (Some(text.clone()), Some(text));
        match (part, self) {
            (Part::None, _) => (None, None),
            (Part::From(first), Self::Time(interval, _)) => same(interval.name(first)),
            (Part::From(first), _) => same(first.to_string()),
            (Part::Teams(set), _) => {
                let teams = resolved.teams.as_ref().and_then(|teams| teams.sets.get(set as usize));
                let named = |team: &Name| {
                    let id = image.teams.value(*team).map(ToString::to_string).unwrap_or_default();
                    (called(&image.team_names, *team, resolved.cut), id)
                };
                let mut named: Vec<_> = teams.into_iter().flatten().map(named).collect();
                named.sort_unstable();
                let (names, ids): (Vec<_>, Vec<_>) = named.into_iter().unzip();
                let names: Option<Vec<String>> = names.into_iter().collect();
                (Some(ids.join(",")), names.map(|names| names.join(" + ")))
            }
            (Part::Name(name), Self::Owner) => {
                (text(image.users.value(name)), called(&image.user_names, name, resolved.cut))
            }
            (Part::Name(name), Self::Customer) => {
                (text(image.customers.value(name)), called(&image.customer_names, name, resolved.cut))
            }
            // Nothing says yet what a campaign is called.
            (Part::Name(name), Self::Campaign) => (text(image.campaigns.value(name)), None),
            (Part::Name(name), Self::Source) => same(text(image.sources.value(name)).unwrap_or_default()),
            (Part::Name(name), Self::Competitor) => same(text(image.competitors.value(name)).unwrap_or_default()),
            (Part::Name(name), Self::Pipeline) => {
                let id = image.pipelines.value(name);
                let found = resolved.pipelines.iter().find(|pipeline| Some(&pipeline.id) == id);
                (text(id), found.map(|pipeline| pipeline.name.clone()))
            }
            (Part::Name(name), Self::Stage(_)) => {
                let mut stages = resolved.pipelines.iter().flat_map(|pipeline| &pipeline.stages);
                let slug: Option<&Slug> = image.stages.value(name).map(|(_, slug)| slug);
                (text(slug), stages.find(|stage| Some(&stage.slug) == slug).map(|stage| stage.name.clone()))
            }
            (Part::Name(name), Self::Reason) => {
                let slug = image.reasons.value(name);
                let settings = image.settings.at(resolved.cut);
                let mut reasons = settings.into_iter().flat_map(|settings| &settings.loss_reasons);
                let found = reasons.find(|reason| Some(&reason.slug) == slug);
                (text(slug), found.map(|reason| reason.name.to_string()))
            }
            (Part::Name(name), _) => match image.values.value(name) {
                Some(Value::Number(number)) => same(number.to_string()),
                Some(Value::Day(day)) => same(day.to_string()),
                Some(Value::YesNo(yes)) => same(yes.to_string()),
                Some(Value::Choice(option)) => same(option.clone()),
                None => (None, None),
            },
        }
    }
}

fn text<T: std::fmt::Display>(value: Option<&T>) -> Option<String> {
    value.map(ToString::to_string)
}

fn called(names: &[History<String>], name: Name, cut: Cut) -> Option<String> {
    names.get(name.index()).and_then(|history| history.at(cut)).cloned()
}

/// When a deal counts: an open one by the day on which it is expected to close, a closed one by when it closed.
pub(crate) fn time_of(state: &State) -> Time {
    state.closed_at().map_or(Time::Day(state.expected_close), Time::At)
}
