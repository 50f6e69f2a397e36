//! Which deals and events a question is about.

use std::{hash::Hash, str::FromStr as _};

use chrono::NaiveDate;
use dealog_events::{
    Slug, Timestamp, parse_day,
    settings::{FieldDefinition, FieldKind, FieldOwner},
};
use rust_decimal::Decimal;

use crate::{
    image::{Image, Value},
    names::{Name, Names},
    question::{AmountRange, FieldFilter, Filter, Grouping, Question, Range, Unanswerable},
    resolved::{Resolved, listed},
    step::{State, Status, field as field_after},
    walk::DealAt,
};

/// Filters with what they name looked up.
#[derive(Default)]
pub(crate) struct Passes {
    /// Whether there are any.
    filters: bool,
    stages: Wanted,
    owners: Wanted,
    customers: Wanted,
    sources: Wanted,
    campaigns: Wanted,
    teams: Vec<Name>,
    created: Instants,
    expected: Range<NaiveDate>,
    amount: AmountRange,
    // What follows is always the deal's at the instant asked about.
    reasons: Wanted,
    competitors: Wanted,
    closed: Instants,
    stale: Option<bool>,
    overdue: Option<bool>,
    fields: Vec<(Option<Name>, Wanted)>,
}

/// Names that are meant; all, unless any is named.
#[derive(Default)]
struct Wanted {
    /// By name, from 1; at 0 whether none is meant too.
    names: Option<Vec<bool>>,
}

impl Wanted {
    fn has(&self, name: Option<Name>) -> bool {
        let Some(names) = &self.names else { return true };
        names.get(name.map_or(0, |name| name.index() + 1)) == Some(&true)
    }

    /// Those of `values`, each of which must be known.
    fn any_of<T: Hash + Eq + Clone + std::fmt::Display>(
        field: &'static str,
        values: impl IntoIterator<Item = Option<T>>,
        known: &Names<T>,
    ) -> Result<Self, Unanswerable> {
        let mut names = None;
        for value in values {
            let index = match value {
                None => 0,
                Some(value) => match known.find(&value) {
                    Some(name) => name.index() + 1,
                    None => return Err(Unanswerable::field(field, format!("`{value}` is not known"))),
                },
            };
            let names = names.get_or_insert_with(|| vec![false; known.len() + 1]);
            if let Some(wanted) = names.get_mut(index) {
                *wanted = true;
            }
        }
        Ok(Self { names })
    }
}

/// A stretch of time in microseconds.
#[derive(Default, Clone, Copy)]
struct Instants {
    from: Option<i64>,
    to: Option<i64>,
}

impl Instants {
    fn new(field: &'static str, range: &Range, resolved: &Resolved<'_>) -> Result<Self, Unanswerable> {
        let micros = |when: Option<dealog_events::When>| when.map(|when| when.start(resolved.zone).micros());
        let (from, to) = (micros(range.from), micros(range.to));
        in_order(field, from.as_ref(), to.as_ref())?;
        Ok(Self { from, to })
    }

    fn has(self, at: i64) -> bool {
        self.from.is_none_or(|from| at >= from) && self.to.is_none_or(|to| at < to)
    }

    fn is_all(self) -> bool {
        self.from.is_none() && self.to.is_none()
    }
}

fn in_order<T: PartialOrd>(field: &'static str, from: Option<&T>, to: Option<&T>) -> Result<(), Unanswerable> {
    match (from, to) {
        (Some(from), Some(to)) if from > to => {
            Err(Unanswerable::field(field, "the range ends before it begins: exchange its ends"))
        }
        _ => Ok(()),
    }
}

/// Refuses a filter that names something that is not known, or contradicts itself.
pub fn check_filter(image: &Image, filter: Filter, now: Timestamp) -> Result<(), Unanswerable> {
    let question = Question { now, as_of: None, known_at: None, filter, grouping: Grouping::default() };
    Resolved::new(image, &question).map(drop)
}

impl Passes {
    pub(crate) fn new(filter: &Filter, resolved: &Resolved<'_>) -> Result<Self, Unanswerable> {
        let image = resolved.image;
        in_order("amount_to", filter.amount.from.as_ref(), filter.amount.to.as_ref())?;
        in_order("expected_to", filter.expected.from.as_ref(), filter.expected.to.as_ref())?;
        let fields = filter.fields.iter().map(|field| field_filter(field, resolved));
        Ok(Self {
            filters: *filter != Filter { pipelines: filter.pipelines.clone(), ..Filter::default() },
            stages: stages(&filter.stages, resolved)?,
            owners: Wanted::any_of("owner", filter.owners.iter().copied(), &image.users)?,
            customers: Wanted::any_of("customer", filter.customers.iter().copied().map(Some), &image.customers)?,
            sources: Wanted::any_of("source", filter.sources.iter().cloned().map(Some), &image.sources)?,
            campaigns: Wanted::any_of("campaign", filter.campaigns.iter().copied().map(Some), &image.campaigns)?,
            teams: filter
                .teams
                .iter()
                .map(|id| {
                    let unknown = || Unanswerable::field("team", format!("there is no team {id}"));
                    image.teams.find(id).ok_or_else(unknown)
                })
                .collect::<Result<_, _>>()?,
            created: Instants::new("created_to", &filter.created, resolved)?,
            expected: filter.expected,
            amount: filter.amount,
            reasons: Wanted::any_of("loss_reason", filter.loss_reasons.iter().cloned().map(Some), &image.reasons)
                .or_else(|unknown| reasons(&filter.loss_reasons, resolved).ok_or(unknown))?,
            competitors: Wanted::any_of(
                "competitor",
                filter.competitors.iter().cloned().map(Some),
                &image.competitors,
            )?,
            closed: Instants::new("closed_to", &filter.closed, resolved)?,
            stale: filter.stale,
            overdue: filter.overdue,
            fields: fields.collect::<Result<_, _>>()?,
        })
    }

    /// Whether a deal passes as it was at the instant asked about.
    pub(crate) fn deal(&self, resolved: &Resolved<'_>, at: &DealAt<'_>) -> bool {
        if !self.filters {
            return true;
        }
        self.event(resolved, at) && self.now(resolved, at)
    }

    /// Whether an event passes, by what its deal was then.
    pub(crate) fn event(&self, resolved: &Resolved<'_>, &DealAt { created_at, state, at, .. }: &DealAt<'_>) -> bool {
        if !self.filters {
            return true;
        }
        self.stages.has(Some(state.stage))
            && self.owners.has(state.owner)
            && self.customers.has(state.customer)
            && self.sources.has(state.source)
            && self.campaigns.has(state.campaign)
            && self.created.has(created_at)
            && self.is_expected(state)
            && self.is_worth(state, resolved)
            && self.is_in_a_team(state, at, resolved)
    }

    /// Whether a deal passes those filters that always mean the instant asked about.
    pub(crate) fn now(&self, resolved: &Resolved<'_>, at: &DealAt<'_>) -> bool {
        if !self.filters {
            return true;
        }
        let state = at.state;
        let open = state.status == Status::Open;
        let stale = || resolved.stage(state.stage).is_some_and(|stage| state.is_stale(stage, resolved.cut.at));
        self.reasons.has(state.loss.map(|loss| loss.reason))
            && self.competitors.has(state.loss.and_then(|loss| loss.competitor))
            && (self.closed.is_all() || state.closed_at().is_some_and(|at| self.closed.has(at)))
            && self.stale.is_none_or(|wanted| wanted == stale())
            && self.overdue.is_none_or(|wanted| wanted == state.is_overdue(resolved.today))
            && self.fields.iter().all(|(field, wanted)| {
                wanted.has(field.and_then(|field| field_after(&at.steps(resolved.image), !open, field)))
            })
    }

    fn is_expected(&self, state: &State) -> bool {
        let Range { from, to } = self.expected;
        if from.is_none() && to.is_none() {
            return true;
        }
        state.expected_close.is_some_and(|day| from.is_none_or(|from| day >= from) && to.is_none_or(|to| day < to))
    }

    fn is_worth(&self, state: &State, resolved: &Resolved<'_>) -> bool {
        let AmountRange { from, to } = self.amount;
        if from.is_none() && to.is_none() {
            return true;
        }
        let Some(amount) = state.amount else { return false };
        let minor = resolved.minor(amount);
        from.is_none_or(|from| minor >= from) && to.is_none_or(|to| minor <= to)
    }

    fn is_in_a_team(&self, state: &State, at: i64, resolved: &Resolved<'_>) -> bool {
        if self.teams.is_empty() {
            return true;
        }
        resolved.teams.as_ref().is_some_and(|teams| teams.has_any(teams.of(state.owner, at), &self.teams))
    }
}

/// Stages of these names, of any pipeline.
fn stages(slugs: &[Slug], resolved: &Resolved<'_>) -> Result<Wanted, Unanswerable> {
    if slugs.is_empty() {
        return Ok(Wanted::default());
    }
    let stages = || resolved.pipelines.iter().flat_map(|pipeline| &pipeline.stages);
    let mut names = vec![false; resolved.image.stages.len() + 1];
    for slug in slugs {
        let mut found = false;
        for stage in stages().filter(|stage| stage.slug == *slug) {
            found = true;
            if let Some(wanted) = names.get_mut(stage.stage.index() + 1) {
                *wanted = true;
            }
        }
        if !found {
            let known = listed(stages().map(|stage| &stage.slug));
            return Err(Unanswerable::field("stage", format!("there is no stage `{slug}`; there are {known}")));
        }
    }
    Ok(Wanted { names: Some(names) })
}

/// Reasons of the company's list by which no deal may ever have been lost.
fn reasons(slugs: &[Slug], resolved: &Resolved<'_>) -> Option<Wanted> {
    let listed = &resolved.image.settings.last()?.loss_reasons;
    let mut names = vec![false; resolved.image.reasons.len() + 1];
    for slug in slugs {
        match resolved.image.reasons.find(slug) {
            Some(name) => *names.get_mut(name.index() + 1)? = true,
            None if listed.iter().any(|reason| reason.slug == *slug) => {}
            None => return None,
        }
    }
    Some(Wanted { names: Some(names) })
}

/// The definition of a custom field of deals.
pub(crate) fn field_of_deals<'i>(resolved: &Resolved<'i>, slug: &Slug) -> Result<&'i FieldDefinition, String> {
    let settings = resolved.image.settings.last();
    let fields =
        || settings.into_iter().flat_map(|settings| &settings.fields).filter(|field| field.of == FieldOwner::Deal);
    fields().find(|field| field.slug == *slug).ok_or_else(|| match listed(fields().map(|field| &field.slug)) {
        none if none.is_empty() => format!("deals have no field `{slug}`: the company's settings define none"),
        known => format!("deals have no field `{slug}`; there are {known}"),
    })
}

fn field_filter(filter: &FieldFilter, resolved: &Resolved<'_>) -> Result<(Option<Name>, Wanted), Unanswerable> {
    let refused = |message: String| Unanswerable::field(format!("fields.{}", filter.field), message);
    let definition = field_of_deals(resolved, &filter.field).map_err(refused)?;
    let parsed = |text: &String| parse(definition, text).map_err(&refused);
    let values = filter.values.iter().map(parsed).collect::<Result<Vec<Value>, _>>()?;
    let from = filter.from.as_ref().map(parsed).transpose()?;
    let to = filter.to.as_ref().map(parsed).transpose()?;
    let image = resolved.image;
    let mut names = vec![false; image.values.len() + 1];
    for (name, value) in image.values.iter() {
        let wanted = (values.is_empty() || values.contains(value))
            && from.as_ref().is_none_or(|from| is_at_most(from, value))
            && to.as_ref().is_none_or(|to| is_at_most(value, to) && !(matches!(to, Value::Day(_)) && value == to));
        if let Some(entry) = names.get_mut(name.index() + 1) {
            *entry = wanted;
        }
    }
    // A field that no deal has ever had has no name: then no deal passes.
    Ok((image.fields.find(&filter.field), Wanted { names: Some(names) }))
}

fn is_at_most(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one <= other,
        (Value::Day(one), Value::Day(other)) => one <= other,
        _ => false,
    }
}

/// What a text means as a value of a field.
pub(crate) fn parse(definition: &FieldDefinition, text: &str) -> Result<Value, String> {
    let expected = |what: &str| format!("`{text}` is not {what}");
    match definition.kind {
        FieldKind::Text => Err("figures know no fields of text, but of numbers, days, yes or no, and choices".into()),
        FieldKind::Integer | FieldKind::Decimal => {
            let number = Decimal::from_str(text).map_err(|_| expected("a number such as 12.50"))?;
            Ok(Value::Number(number.normalize()))
        }
        FieldKind::Boolean => match text {
            "true" => Ok(Value::YesNo(true)),
            "false" => Ok(Value::YesNo(false)),
            _ => Err(expected("true or false")),
        },
        FieldKind::Date => parse_day(text).map(Value::Day).map_err(|error| error.to_string()),
        FieldKind::Choice if definition.options.iter().any(|option| option.as_str() == text) => {
            Ok(Value::Choice(text.to_owned()))
        }
        FieldKind::Choice => {
            let options: Vec<&str> = definition.options.iter().map(dealog_events::Label::as_str).collect();
            Err(format!("`{text}` is not one of its options: {}", options.join(", ")))
        }
    }
}
