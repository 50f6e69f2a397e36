//! Deals: where a row says that a deal stands, and by what steps it came there.

use std::collections::HashMap;

use dealog_domain::{Command, deal};
use dealog_events::{CustomerId, DealId, Label, Money, Slug, StreamId, Timestamp, Title, UserId};
use serde::Serialize;

use super::{Bad, CheckedRows, ImportError, Item, Place, Planner, Row, Seen, Step};
use crate::import::{
    mapping::{self, Amount, Day, Lost, Standing, Won},
    template::Template,
    values::optional,
};

/// A file of deals whose rows were checked.
pub(super) struct Deals<'m> {
    mapping: &'m mapping::Deals,
    references: References,
    pub(super) rows: CheckedRows,
}

/// What the columns of a deal refer to, by the ids that the source uses.
struct References {
    users: HashMap<String, UserId>,
    customers: HashMap<String, CustomerId>,
    amounts: HashMap<String, Money>,
}

/// A row that is being made into steps.
struct Draft<'a> {
    planner: &'a Planner<'a>,
    deals: &'a mapping::Deals,
    references: &'a References,
    row: &'a Row<'a>,
    id: &'a str,
    place: Place,
    steps: Vec<Step>,
}

/// A stage that a deal entered, or the end that it came to.
#[derive(Clone, Copy)]
struct Passed<'a> {
    at: Timestamp,
    /// The column that says so; none where the mapping stands in for it.
    column: Option<&'a str>,
}

impl<'m> Planner<'m> {
    /// Checks the deals, and counts the steps of their rows.
    pub(super) fn deals(
        &mut self,
        users: HashMap<String, UserId>,
        customers: HashMap<String, CustomerId>,
        steps: &mut u64,
    ) -> Result<Deals<'m>, ImportError> {
        let mapping = &self.mapping.deals;
        let lookup = mapping.amount.as_ref().and_then(|amount| self.mapping.lookups.get(amount.lookup.as_ref()?));
        let amounts = lookup.map(|lookup| self.lookup(lookup)).transpose()?.unwrap_or_default();
        let references = References { users, customers, amounts };
        let table = self.table(&mapping.file, &mapping.aliases, columns(mapping))?;
        let mut seen = Seen::default();
        let skipped = self.each_row(&table, |planner, row| {
            seen.id(row, &mapping.id)?;
            *steps += item(planner, mapping, &references, row)?.len();
            Ok(())
        })?;
        Ok(Deals { mapping, references, rows: CheckedRows { table, skipped } })
    }
}

impl Deals<'_> {
    pub(super) fn item(&self, planner: &Planner<'_>, row: &Row<'_>) -> Result<Item, Bad> {
        item(planner, self.mapping, &self.references, row)
    }
}

fn item(planner: &Planner<'_>, deals: &mapping::Deals, references: &References, row: &Row<'_>) -> Result<Item, Bad> {
    let (id, place) = (row.cell(&deals.id), row.place());
    Draft { planner, deals, references, row, id, place, steps: Vec::new() }.finish()
}

fn columns(deals: &mapping::Deals) -> impl Iterator<Item = &str> {
    let closing = deals.stage.values.values().flat_map(|standing| {
        let won = standing.won.iter().flat_map(|won| [Some(&won.date), won.amount.as_ref()]);
        won.chain(standing.lost.iter().flat_map(|lost| [Some(&lost.date), lost.reason_column.as_ref()])).flatten()
    });
    [&deals.id, &deals.stage.column]
        .into_iter()
        .chain([&deals.owner, &deals.customer, &deals.expected_close, &deals.source].into_iter().flatten())
        .chain(deals.amount.iter().map(|amount| &amount.column))
        .chain(deals.entered.values())
        .chain(deals.fields.iter().map(|field| &field.column))
        .chain(closing)
        .map(String::as_str)
        .chain(deals.title.iter().flat_map(Template::columns))
}

impl<'a> Draft<'a> {
    fn finish(mut self) -> Result<Item, Bad> {
        let column = &self.deals.stage.column;
        let values = &self.deals.stage.values;
        let standing = values.get(self.row.cell(column)).ok_or_else(|| {
            let known: Vec<&str> = values.keys().map(String::as_str).collect();
            Bad::cell(self.row, column, format!("deals.stage.values of the mapping has only: {}", known.join(", ")))
        })?;
        let closed = self.closed(standing)?;
        let path = self.path(standing, closed)?;
        if let (Some(closed), Some((_, last))) = (closed, path.last()) {
            self.check_order(*last, closed)?;
        }
        self.enter(&path)?;
        match (&standing.won, &standing.lost, closed) {
            (Some(won), _, Some(closed)) => self.win(won, closed.at)?,
            (None, Some(lost), Some(closed)) => self.lose(lost, closed.at)?,
            _ => {
                let not_taken = Some(self.planner.ids.command(&self.close_key()));
                return Ok(Item { steps: self.steps, not_taken });
            }
        }
        Ok(Item::new(self.steps))
    }

    fn push(&mut self, command: deal::Command, (key, content): (&str, &impl Serialize), at: Timestamp) {
        let stream = StreamId::Deal(DealId(self.planner.ids.of("deal", self.id)));
        let step = self.planner.step((stream, Command::Deal(command)), (key, content), at, Some(self.place));
        self.steps.push(step);
    }

    /// When the deal was closed.
    fn closed(&self, standing: &'a Standing) -> Result<Option<Passed<'a>>, Bad> {
        let (column, day) = match (&standing.won, &standing.lost) {
            (Some(won), _) => (&won.date, won.date_if_empty),
            (None, Some(lost)) => (&lost.date, lost.date_if_empty),
            (None, None) => return Ok(None),
        };
        match self.planner.reading.time(self.row, column)? {
            Some(at) => Ok(Some(Passed { at, column: Some(column) })),
            None => self.stand_in(column, day, "date_if_empty beside the date of closing").map(Some),
        }
    }

    /// The stages that the deal went through up to the one it is in, in the order of the pipeline. Each deal begins in the
    /// first one, so that a stage is entered by the same step whatever else a newer file knows; from there it passed over
    /// those without a date, and entered its own by all means.
    fn path(&self, standing: &Standing, closed: Option<Passed<'a>>) -> Result<Vec<(&'a Slug, Passed<'a>)>, Bad> {
        let stages = || self.planner.mapping.pipeline.stages.iter().map(|stage| &stage.slug);
        let mut path: Vec<(&'a Slug, Passed<'a>)> = Vec::new();
        for stage in stages() {
            let own = *stage == standing.stage;
            let column = self.deals.entered.get(stage).map(String::as_str);
            let dated = match column {
                Some(column) => {
                    self.planner.reading.time(self.row, column)?.map(|at| Passed { at, column: Some(column) })
                }
                None => None,
            };
            let passed = match dated {
                None if own => Some(self.undated(column, closed)?),
                dated => dated,
            };
            if let Some(passed) = passed {
                path.last().map_or(Ok(()), |(_, before)| self.check_order(*before, passed))?;
                path.push((stage, passed));
            }
            if own {
                break;
            }
        }
        if let (Some(first), Some((stage, passed))) = (stages().next(), path.first().copied())
            && first != stage
        {
            path.insert(0, (first, passed));
        }
        Ok(path)
    }

    /// The deal's own stage, where the file does not say when it was entered: at the latest when the deal was closed.
    fn undated(&self, column: Option<&str>, closed: Option<Passed<'a>>) -> Result<Passed<'a>, Bad> {
        if let Some(closed) = closed {
            return Ok(closed);
        }
        let column = column.unwrap_or(&self.deals.stage.column);
        self.stand_in(column, self.deals.date_if_empty, "deals.date_if_empty")
    }

    /// The date that the mapping gives to rows without one.
    fn stand_in(&self, column: &str, day: Option<Day>, key: &str) -> Result<Passed<'a>, Bad> {
        let Some(Day(day)) = day else {
            return Err(Bad::empty(self.row, column, &format!("the mapping has no {key}")));
        };
        let at = self.planner.reading.day_start(day);
        self.planner.reading.check(at).map_err(|reason| {
            let (column, value) = (Some(column.to_owned()), day.to_string());
            Bad { column, value, reason: format!("it stands in for an empty one, and {reason}") }
        })?;
        Ok(Passed { at, column: None })
    }

    fn check_order(&self, before: Passed<'_>, after: Passed<'_>) -> Result<(), Bad> {
        if before.at <= after.at {
            return Ok(());
        }
        let told = |passed: Passed<'_>| match passed.column {
            Some(column) => format!("{column}, {}", self.row.raw(column)),
            None => format!("the date for rows without one, {}", passed.at),
        };
        if let Some(column) = after.column {
            return Err(Bad::cell(self.row, column, format!("it lies before {}", told(before))));
        }
        let column = before.column.unwrap_or(&self.deals.stage.column);
        Err(Bad::cell(self.row, column, format!("it lies after {}", told(after))))
    }

    fn enter(&mut self, path: &[(&Slug, Passed<'_>)]) -> Result<(), Bad> {
        let Some(((stage, begun), later)) = path.split_first() else { return Ok(()) };
        let create = self.create(stage)?;
        // Not the date: a deal that an earlier file had none for is still the same deal when a newer one knows it.
        let content = (&create.title, create.customer, create.owner, create.amount);
        let content = serde_json::json!([content, create.expected_close, &create.source, &create.fields]);
        let key = format!("deal.create:{}", self.id);
        self.push(deal::Command::Create(create), (&key, &content), begun.at);
        for (stage, passed) in later {
            let key = format!("deal.enter.{stage}:{}", self.id);
            let told = passed.column.map(|_| passed.at);
            let enter = deal::Move { stage: Slug::clone(stage), reason: None };
            self.push(deal::Command::Move(enter), (&key, &told), passed.at);
        }
        Ok(())
    }

    fn create(&self, stage: &Slug) -> Result<deal::Create, Bad> {
        let Self { planner, deals, references, row, .. } = *self;
        let expected_close = match &deals.expected_close {
            Some(column) => planner.reading.day(row, column)?,
            None => None,
        };
        let amount = match &deals.amount {
            Some(Amount { column, lookup: None }) => planner.reading.amount(row, column)?,
            Some(Amount { column, lookup: Some(lookup) }) => {
                refer(row, Some(column), &references.amounts, &format!("lookups.{lookup}"))?
            }
            None => None,
        };
        Ok(deal::Create {
            title: title(deals, row)?,
            pipeline: planner.ids.pipeline(),
            stage: Some(stage.clone()),
            customer: refer(row, deals.customer.as_ref(), &references.customers, "customers")?,
            owner: refer(row, deals.owner.as_ref(), &references.users, "users")?,
            amount,
            expected_close,
            source: optional::<Label>(row, deals.source.as_ref())?,
            campaign: None,
            fields: planner.fields(&deals.fields, row)?,
        })
    }

    /// One key for both outcomes: a deal closes once, and where a newer file tells another outcome the report says so.
    fn close_key(&self) -> String {
        format!("deal.close:{}", self.id)
    }

    fn win(&mut self, won: &Won, at: Timestamp) -> Result<(), Bad> {
        let amount = match &won.amount {
            Some(column) => {
                let amount = self.planner.reading.amount(self.row, column)?;
                Some(amount.ok_or_else(|| Bad::empty(self.row, column, "a won deal needs its amount"))?)
            }
            None => None,
        };
        let command = deal::Command::Win(deal::Win { amount, ..deal::Win::default() });
        self.push(command, (&self.close_key(), &("won", at, amount)), at);
        Ok(())
    }

    fn lose(&mut self, lost: &Lost, at: Timestamp) -> Result<(), Bad> {
        let told = lost.reason_column.as_ref().and_then(|column| Some((column, self.row.filled(column)?)));
        let reason = match told {
            Some((column, reason)) => lost.reasons.get(reason).ok_or_else(|| {
                let known: Vec<&str> = lost.reasons.keys().map(String::as_str).collect();
                Bad::cell(self.row, column, format!("lost.reasons of the mapping has only: {}", known.join(", ")))
            })?,
            None => &lost.reason,
        };
        let command =
            deal::Lose { reason: reason.into(), closed_at: None, competitor: None, duplicate_of: None, note: None };
        self.push(deal::Command::Lose(command), (&self.close_key(), &("lost", at, reason)), at);
        Ok(())
    }
}

fn title(deals: &mapping::Deals, row: &Row<'_>) -> Result<Title, Bad> {
    let columns: Vec<&str> = deals.title.iter().flat_map(Template::columns).collect();
    let column = columns.iter().find(|column| row.filled(column).is_none()).or(columns.first());
    let column = column.copied().unwrap_or(&deals.id);
    let Some(text) = deals.title.iter().find_map(|template| template.fill(row)) else {
        return Err(Bad::empty(row, column, "no title can be made without it"));
    };
    text.parse().map_err(|error| Bad {
        column: Some(column.to_owned()),
        value: text.clone(),
        reason: format!("{error}"),
    })
}

/// What a cell refers to; none where it is empty.
fn refer<T: Copy>(
    row: &Row<'_>,
    column: Option<&String>,
    known: &HashMap<String, T>,
    section: &str,
) -> Result<Option<T>, Bad> {
    let Some((column, id)) = column.and_then(|column| Some((column, row.filled(column)?))) else { return Ok(None) };
    known.get(id).copied().map(Some).ok_or_else(|| {
        let reason = format!(
            "it is not in the file of [{section}]; where it is only spelt otherwise, add it to deals.aliases.{column}"
        );
        Bad::cell(row, column, reason)
    })
}
