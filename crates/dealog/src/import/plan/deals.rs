//! Deals: where a row says that a deal stands, and by what steps it came there.

use std::collections::HashMap;

use dealog_domain::{Command, deal};
use dealog_events::{CustomerId, DealId, Label, Money, Slug, StreamId, Timestamp, Title, UserId};
use serde::Serialize;

use super::{Bad, ImportError, Item, Place, Planner, Row, Seen, Step, place};
use crate::import::{
    mapping::{Amount, Day, Deals, Lost, Standing, Won},
    values::optional,
};

/// What the columns of a deal refer to, by the ids that the source uses.
struct References<'a> {
    users: &'a HashMap<String, UserId>,
    customers: &'a HashMap<String, CustomerId>,
    amounts: HashMap<String, Money>,
}

/// A deal whose steps are being put together.
struct Draft<'a> {
    planner: &'a Planner<'a>,
    row: &'a Row<'a>,
    id: &'a str,
    place: Place,
    steps: Vec<Step>,
}

/// A stage that a deal entered.
struct Entry<'a> {
    stage: &'a Slug,
    at: Timestamp,
    column: Option<&'a str>,
}

impl Planner<'_> {
    pub(super) fn deals(
        &mut self,
        users: &HashMap<String, UserId>,
        customers: &HashMap<String, CustomerId>,
    ) -> Result<Vec<Item>, ImportError> {
        let deals = &self.mapping.deals;
        let lookup = deals.amount.as_ref().and_then(|amount| self.mapping.lookups.get(amount.lookup.as_ref()?));
        let amounts = lookup.map(|lookup| self.lookup(lookup)).transpose()?.unwrap_or_default();
        let references = References { users, customers, amounts };
        let table = self.table(&deals.file, &deals.aliases, columns(deals))?;
        let (mut items, mut seen) = (Vec::new(), Seen::default());
        self.each_row(&table, |planner, row| {
            let id = seen.id(row, &deals.id)?;
            let draft = Draft { planner, row, id: &id, place: place(table.file, row), steps: Vec::new() };
            items.push(draft.finish(deals, &references)?);
            Ok(())
        });
        Ok(items)
    }
}

fn columns(deals: &Deals) -> impl Iterator<Item = &str> {
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
        .chain(deals.title.iter().flat_map(super::super::template::Template::columns))
}

impl Draft<'_> {
    fn finish(mut self, deals: &Deals, references: &References<'_>) -> Result<Item, Bad> {
        let column = &deals.stage.column;
        let standing = deals.stage.values.get(self.row.cell(column)).ok_or_else(|| {
            let known: Vec<&str> = deals.stage.values.keys().map(String::as_str).collect();
            Bad::cell(self.row, column, format!("deals.stage.values of the mapping has only: {}", known.join(", ")))
        })?;
        let closed = self.closed_at(standing)?;
        let path = self.path(deals, standing, closed)?;
        self.enter(deals, references, &path)?;
        let last = path.last().map(|entry| (entry.at, entry.column));
        if let (Some((closed, column)), Some((entered, before))) = (closed, last)
            && closed < entered
        {
            return Err(backwards(self.row, column, before));
        }
        match (&standing.won, &standing.lost, closed) {
            (Some(won), _, Some((at, _))) => self.win(won, at)?,
            (_, Some(lost), Some((at, _))) => self.lose(lost, at)?,
            _ => {
                // The same key as a close has; the rest of the command does not matter.
                let not_taken = Some(self.planner.ids.meta(&self.close_key(), &"", self.planner.reading.since()));
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

    /// The stages that the deal went through up to the one it is in, in the order of the pipeline. A stage without a date
    /// was passed over; the one it is in was entered by all means.
    fn path<'d>(
        &self,
        deals: &'d Deals,
        standing: &'d Standing,
        closed: Option<(Timestamp, &'d str)>,
    ) -> Result<Vec<Entry<'d>>, Bad> {
        let mut path: Vec<Entry<'d>> = Vec::new();
        for stage in self.planner.mapping.pipeline.stages.iter().map(|stage| &stage.slug) {
            let own = *stage == standing.stage;
            let column = deals.entered.get(stage).map(String::as_str);
            let at = match column {
                Some(column) => self.planner.reading.time(self.row, column)?,
                None => None,
            };
            let entry = match (at, own) {
                (Some(at), _) => Some(Entry { stage: &standing.stage, at, column }),
                (None, true) => Some(self.undated(deals, standing, closed, column)?),
                (None, false) => None,
            };
            let slug = if own { &standing.stage } else { deals.entered.get_key_value(stage).map_or(&standing.stage, |(slug, _)| slug) };
            if let Some(entry) = entry {
                if let Some(before) = path.last().filter(|before| entry.at < before.at) {
                    return Err(backwards(self.row, entry.column.unwrap_or(&deals.stage.column), before.column));
                }
                path.push(Entry { stage: slug, ..entry });
            }
            if own {
                break;
            }
        }
        Ok(path)
    }

    /// The deal's own stage, where the file does not say when it was entered: at the latest when the deal was closed.
    fn undated<'d>(
        &self,
        deals: &'d Deals,
        standing: &'d Standing,
        closed: Option<(Timestamp, &'d str)>,
        column: Option<&'d str>,
    ) -> Result<Entry<'d>, Bad> {
        let asked = column.unwrap_or(&deals.stage.column);
        let at = match closed {
            Some((closed, _)) => closed,
            None => self.stand_in(asked, deals.date_if_empty, "deals.date_if_empty")?,
        };
        Ok(Entry { stage: &standing.stage, at, column })
    }

    /// The date that the mapping gives to rows without one.
    fn stand_in(&self, column: &str, day: Option<Day>, key: &str) -> Result<Timestamp, Bad> {
        let Some(Day(day)) = day else {
            return Err(Bad::empty(self.row, column, &format!("the mapping has no {key} for rows without a date")));
        };
        let at = self.planner.reading.day_start(day);
        self.planner.reading.check(at).map_err(|reason| Bad {
            column: Some(column.to_owned()),
            value: day.to_string(),
            reason: format!("{key}: {reason}"),
        })?;
        Ok(at)
    }

    /// When the deal was closed, and the column that says so.
    fn closed_at<'d>(&self, standing: &'d Standing) -> Result<Option<(Timestamp, &'d str)>, Bad> {
        let (column, stand_in) = match (&standing.won, &standing.lost) {
            (Some(won), _) => (&won.date, won.date_if_empty),
            (None, Some(lost)) => (&lost.date, lost.date_if_empty),
            (None, None) => return Ok(None),
        };
        let at = match self.planner.reading.time(self.row, column)? {
            Some(at) => at,
            None => self.stand_in(column, stand_in, "date_if_empty beside the date of closing")?,
        };
        Ok(Some((at, column)))
    }

    fn enter(&mut self, deals: &Deals, references: &References<'_>, path: &[Entry<'_>]) -> Result<(), Bad> {
        let Some((first, later)) = path.split_first() else { return Ok(()) };
        let create = self.create(deals, references, first.stage)?;
        let content = (&create.title, create.customer, create.owner, create.amount);
        let content = (content, create.expected_close, &create.source, &create.fields);
        // Neither the date nor the stage: a deal that was first seen with a stand-in for its date, or without the earlier
        // stages, is the same deal when a newer file knows better.
        let content = serde_json::to_string(&content).unwrap_or_default();
        let key = format!("deal.create:{}", self.id);
        self.push(deal::Command::Create(create), (&key, &content), first.at);
        for entry in later {
            let key = format!("deal.enter.{}:{}", entry.stage, self.id);
            let command = deal::Command::Move(deal::Move { stage: entry.stage.clone(), reason: None });
            self.push(command, (&key, &""), entry.at);
        }
        Ok(())
    }

    fn create(&self, deals: &Deals, references: &References<'_>, stage: &Slug) -> Result<deal::Create, Bad> {
        let row = self.row;
        let source: Option<Label> = optional(row, deals.source.as_ref())?;
        let expected_close = match &deals.expected_close {
            Some(column) => self.planner.reading.day(row, column)?,
            None => None,
        };
        Ok(deal::Create {
            title: title(deals, row)?,
            pipeline: self.planner.ids.pipeline(),
            stage: Some(stage.clone()),
            customer: refer(row, deals.customer.as_ref(), references.customers, "customers")?,
            owner: refer(row, deals.owner.as_ref(), references.users, "users")?,
            amount: self.amount(deals.amount.as_ref(), references)?,
            expected_close,
            source,
            campaign: None,
            fields: self.planner.fields(&deals.fields, row)?,
        })
    }

    fn amount(&self, amount: Option<&Amount>, references: &References<'_>) -> Result<Option<Money>, Bad> {
        match amount {
            Some(Amount { column, lookup: None }) => self.planner.reading.amount(self.row, column),
            Some(Amount { column, lookup: Some(lookup) }) => {
                refer(self.row, Some(column), &references.amounts, &format!("lookups.{lookup}"))
            }
            None => Ok(None),
        }
    }

    /// One key for both outcomes: a deal closes once, and a file that tells another outcome later is told so.
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
        let command = deal::Command::Win(deal::Win { amount, contract: None });
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
        let lose = deal::Lose { reason: reason.clone(), competitor: None, duplicate_of: None, note: None };
        self.push(deal::Command::Lose(lose), (&self.close_key(), &("lost", at, reason)), at);
        Ok(())
    }
}

fn title(deals: &Deals, row: &Row<'_>) -> Result<Title, Bad> {
    let columns = deals.title.iter().flat_map(super::super::template::Template::columns);
    let column = columns.clone().find(|column| row.filled(column).is_none()).or(columns.clone().next());
    let column = column.unwrap_or(&deals.id);
    let Some(text) = deals.title.iter().find_map(|template| template.fill(row)) else {
        return Err(Bad::empty(row, column, "no title can be made without it"));
    };
    text.parse().map_err(|error| Bad { column: Some(column.to_owned()), value: text.clone(), reason: format!("{error}") })
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

fn backwards(row: &Row<'_>, column: &str, before: Option<&str>) -> Bad {
    let before = before.map_or_else(|| "an earlier step".into(), |before| format!("{before}, {}", row.raw(before)));
    Bad::cell(row, column, format!("it lies before {before}"))
}
