//! From rows to commands, before anything is sent.
//!
//! The plan follows from the files and the mapping alone, never from what is in the log: that is what gives every run the
//! same chunks, the same order and the same keys.

mod customers;
mod deals;
mod users;

use std::{
    collections::{HashMap, hash_map::Entry},
    path::Path,
};

use dealog_commands::{Meta, Request, command_id, fingerprint};
use dealog_domain::{Command, Occurred, pipeline};
use dealog_events::{Actor, CommandId, Fields, Money, PipelineId, StreamId, Timestamp};
use serde::Serialize;
use uuid::Uuid;

use super::{
    ImportError,
    mapping::{Aliases, Field, Lookup, Mapping, Pipeline},
    report::{Place, Report},
    rows::{FileId, Row, Table},
    values::{Bad, Reading},
};

/// The namespace of sources. Part of what makes an import recognise what an earlier one did.
const SOURCES: Uuid = Uuid::from_u128(0x1d0f_93a7_6c1e_4b52_8f2b_a4f6_0f3c_95e8);

/// All that is to be sent, and what was found wrong while it was read.
pub(super) struct Plan {
    pub(super) ids: Ids,
    /// One after another: what a phase refers to, an earlier one has begun.
    pub(super) phases: Vec<Vec<Item>>,
    pub(super) report: Report,
}

/// The steps of one stream, each needing the one before it.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) steps: Vec<Step>,
    /// A step that an earlier import may have taken and that this row says was not.
    pub(super) not_taken: Option<CommandId>,
}

impl Item {
    fn new(steps: Vec<Step>) -> Self {
        Self { steps, not_taken: None }
    }
}

/// A command, and the row that asks for it; none where all rows need it.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) request: Request,
    pub(super) place: Option<Place>,
}

/// Ids that derive from the source's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ids {
    source: Uuid,
}

impl Ids {
    fn new(source: &str) -> Self {
        Self { source: Uuid::new_v5(&SOURCES, source.as_bytes()) }
    }

    fn actor(self) -> Actor {
        Actor::Import(self.source)
    }

    fn of(self, kind: &str, id: &str) -> Uuid {
        Uuid::new_v5(&self.source, format!("{kind}:{id}").as_bytes())
    }

    /// The one pipeline of a source.
    fn pipeline(self) -> PipelineId {
        PipelineId(self.of("pipeline", ""))
    }

    /// The id of the command that is recognised by `key`.
    fn command(self, key: &str) -> CommandId {
        command_id(self.actor(), key)
    }

    /// A command that is recognised by `key`. `content` is what the row says about it: where it differs from what an
    /// earlier import was told under the same key, the report says so.
    pub(super) fn meta(self, key: &str, content: &impl Serialize, at: Timestamp) -> Meta {
        // Texts, ids and numbers always have a JSON form.
        let content = serde_json::to_vec(content).unwrap_or_default();
        let meta = Meta::keyed(self.actor(), key);
        Meta { fingerprint: fingerprint(&[key.as_bytes(), &content]), ..meta }.occurred(Occurred::AtOrAfterLast(at))
    }
}

/// What the parts of a plan have in common.
struct Planner<'m> {
    mapping: &'m Mapping,
    folder: &'m Path,
    reading: Reading<'m>,
    ids: Ids,
    report: Report,
}

impl Plan {
    pub(super) fn read(mapping: &Mapping, folder: &Path, now: Timestamp) -> Result<Self, ImportError> {
        let mut planner = Planner {
            mapping,
            folder,
            reading: Reading::new(&mapping.source, &mapping.format, now),
            ids: Ids::new(mapping.source.name.as_str()),
            report: Report::default(),
        };
        let pipeline = vec![planner.pipeline()];
        let users = planner.users()?;
        let customers = planner.customers()?;
        let deals = planner.deals(&users.known, &customers.known)?;
        let phases = vec![pipeline, users.invited, users.teams, customers.registered, deals];
        Ok(Self { ids: planner.ids, phases, report: planner.report })
    }
}

impl<'m> Planner<'m> {
    fn table<'a>(
        &mut self,
        file: &str,
        aliases: &'a Aliases,
        needed: impl IntoIterator<Item = &'a str>,
    ) -> Result<Table, ImportError> {
        let id = self.report.begin(file);
        let table = Table::read(self.folder, (id, file), &self.mapping.format, aliases, needed)?;
        self.report.read(id, table.len());
        for (line, reason) in &table.broken {
            self.report.skip(Place { file: id, line: *line }, None, "", reason);
        }
        Ok(table)
    }

    /// Goes through the rows of a table; what is bad about one is reported, and the others go on.
    fn each_row(&mut self, table: &Table, mut take: impl FnMut(&Self, &Row<'_>) -> Result<(), Bad>) {
        for row in table.rows() {
            if let Err(bad) = take(self, &row) {
                self.report.skip(place(table.file, &row), bad.column, &bad.value, &bad.reason);
            }
        }
    }

    fn step(
        &self,
        (stream, command): (StreamId, Command),
        (key, content): (&str, &impl Serialize),
        at: Timestamp,
        place: Option<Place>,
    ) -> Step {
        Step { request: Request { stream, command, meta: self.ids.meta(key, content, at) }, place }
    }

    fn fields(&self, mapped: &[Field], row: &Row<'_>) -> Result<Fields, Bad> {
        let mut fields = Fields::new();
        for field in mapped {
            if let Some(value) = self.reading.field(row, field)? {
                fields.insert(field.slug.clone(), value);
            }
        }
        Ok(fields)
    }

    fn pipeline(&self) -> Item {
        let Pipeline { name, stages, skipping_allowed } = self.mapping.pipeline.clone();
        let content = (name.clone(), stages.clone(), skipping_allowed);
        let command = Command::Pipeline(pipeline::Command::Define(pipeline::Define { name, stages, skipping_allowed }));
        let stream = StreamId::Pipeline(self.ids.pipeline());
        Item::new(vec![self.step((stream, command), ("pipeline.define", &content), self.reading.since(), None)])
    }

    fn lookup(&mut self, lookup: &'m Lookup) -> Result<HashMap<String, Money>, ImportError> {
        let table = self.table(&lookup.file, &lookup.aliases, [lookup.key.as_str(), lookup.amount.as_str()])?;
        self.report.look_up(table.file);
        let mut amounts = HashMap::new();
        let mut seen = Seen::default();
        self.each_row(&table, |planner, row| {
            let key = seen.id(row, &lookup.key)?;
            let amount = planner.reading.amount(row, &lookup.amount)?;
            let amount = amount.ok_or_else(|| Bad::empty(row, &lookup.amount, "an amount is looked up here"))?;
            amounts.insert(key, amount);
            Ok(())
        });
        Ok(amounts)
    }
}

fn place(file: FileId, row: &Row<'_>) -> Place {
    Place { file, line: row.line }
}

/// The ids of a file's rows: each row has one of its own.
#[derive(Debug, Default)]
struct Seen(HashMap<String, u64>);

impl Seen {
    fn id(&mut self, row: &Row<'_>, column: &str) -> Result<String, Bad> {
        let id = row.filled(column).ok_or_else(|| Bad::empty(row, column, "each row needs an id of its own"))?;
        match self.0.entry(id.to_owned()) {
            Entry::Vacant(free) => {
                free.insert(row.line);
                Ok(id.to_owned())
            }
            Entry::Occupied(first) => {
                let reason = format!("line {} has the same, and each row needs an id of its own", first.get());
                Err(Bad::cell(row, column, reason))
            }
        }
    }
}
