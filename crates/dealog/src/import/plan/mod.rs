//! From rows to commands, before anything is sent.
//!
//! The plan follows from the files and the mapping alone, never from what is in the log: that is what gives every run the
//! same chunks, the same order and the same keys. Files of customers and deals may be long, so their rows are read twice: once to
//! check them, and again to make their commands as these are sent. The plan holds none of those commands.

mod customers;
mod deals;
mod users;

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    iter,
    path::Path,
};

use dealog_commands::{Meta, Request, command_id, fingerprint};
use dealog_domain::{Command, Occurred, pipeline};
use dealog_events::{Actor, CommandId, Fields, Money, PipelineId, StreamId, Timestamp};
use serde::Serialize;
use uuid::Uuid;

use self::{customers::Customers, deals::Deals};
use super::{
    ImportError,
    mapping::{Aliases, Field, Lookup, Mapping, Pipeline},
    report::{Place, Report},
    rows::{Found, Row, Table},
    values::{Bad, Reading},
};

/// The namespace of sources. Part of what makes an import recognise what an earlier one did.
const SOURCES: Uuid = Uuid::from_u128(0x1d0f_93a7_6c1e_4b52_8f2b_a4f6_0f3c_95e8);

/// Everything to send, part by part. A part refers only to streams that an earlier part began.
pub(super) struct Plan<'m> {
    planner: Planner<'m>,
    /// The pipeline, users and teams.
    few: [Vec<Item>; 3],
    customers: Option<Customers<'m>>,
    deals: Deals<'m>,
    /// How many commands.
    pub(super) steps: u64,
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

    fn len(&self) -> u64 {
        self.steps.len() as u64
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

impl<'m> Plan<'m> {
    /// Reads all files. Returns the plan and a report of what is wrong in them.
    pub(super) fn read(mapping: &'m Mapping, folder: &'m Path, now: Timestamp) -> Result<(Self, Report), ImportError> {
        let mut planner = Planner {
            mapping,
            folder,
            reading: Reading::new(&mapping.source, &mapping.format, now),
            ids: Ids::new(mapping.source.name.as_str()),
            report: Report::default(),
        };
        let pipeline = vec![planner.pipeline()];
        let users = planner.users()?;
        let mut steps = [&pipeline, &users.invited, &users.teams].into_iter().flatten().map(Item::len).sum();
        let (customers, known) = planner.customers(&mut steps)?;
        let deals = planner.deals(users.known, known, &mut steps)?;
        let report = std::mem::take(&mut planner.report);
        Ok((Self { planner, few: [pipeline, users.invited, users.teams], customers, deals, steps }, report))
    }

    pub(super) fn ids(&self) -> Ids {
        self.planner.ids
    }

    /// What is to be sent before the rows of customers and deals.
    pub(super) fn few(&mut self) -> [Vec<Item>; 3] {
        std::mem::take(&mut self.few)
    }

    /// The customers, in the order of the file.
    pub(super) fn customers(&self) -> Result<impl Iterator<Item = Result<Item, ImportError>>, ImportError> {
        let items = self
            .customers
            .as_ref()
            .map(|customers| self.planner.items(&customers.rows, |planner, row| customers.item(planner, row)));
        Ok(items.transpose()?.into_iter().flatten())
    }

    /// The deals, in the order of the file.
    pub(super) fn deals(&self) -> Result<impl Iterator<Item = Result<Item, ImportError>>, ImportError> {
        self.planner.items(&self.deals.rows, |planner, row| self.deals.item(planner, row))
    }
}

/// The rows of a file that were checked.
struct CheckedRows {
    table: Table,
    /// The numbers of the rows that are left out.
    skipped: HashSet<u64>,
}

impl<'m> Planner<'m> {
    fn table<'a>(
        &mut self,
        file: &str,
        aliases: &'a Aliases,
        needed: impl IntoIterator<Item = &'a str>,
    ) -> Result<Table, ImportError> {
        let id = self.report.begin(file);
        Table::open(self.folder, (id, file), &self.mapping.format, aliases, needed)
    }

    /// Visits each row of a table. Reports bad rows and goes on with the others. Returns the numbers of the rows that are left out.
    fn each_row(
        &mut self,
        table: &Table,
        mut take: impl FnMut(&Self, &Row<'_>) -> Result<(), Bad>,
    ) -> Result<HashSet<u64>, ImportError> {
        let (mut read, mut skipped) = (0, HashSet::new());
        for found in table.rows()? {
            let found = found?;
            read += 1;
            let place = Place { file: table.file, line: found.line };
            let bad = match found.row(table).map(|row| take(self, &row)) {
                Ok(Ok(())) => continue,
                Ok(Err(bad)) => bad,
                Err(reason) => Bad { column: None, value: String::new(), reason: reason.to_owned() },
            };
            self.report.skip(place, bad.column, &bad.value, &bad.reason);
            skipped.insert(found.number);
        }
        self.report.read(table.file, read);
        Ok(skipped)
    }

    /// The items that the rows of a checked file produce.
    fn items<'p>(
        &'p self,
        CheckedRows { table, skipped }: &'p CheckedRows,
        make: impl Fn(&Self, &Row<'_>) -> Result<Item, Bad> + 'p,
    ) -> Result<impl Iterator<Item = Result<Item, ImportError>> + 'p, ImportError> {
        let changed = || ImportError::Changed { file: table.name.clone() };
        let item = move |found: Result<Found, ImportError>| {
            let found = found?;
            let row = found.row(table).map_err(|_| changed())?;
            make(self, &row).map_err(|_| changed())
        };
        table.check_unchanged()?;
        let rows = table.rows()?.filter(|found| !found.as_ref().is_ok_and(|found| skipped.contains(&found.number)));
        let at_end = iter::once_with(|| table.check_unchanged().err()).flatten().map(Err);
        Ok(rows.map(item).chain(at_end))
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
            amounts.insert(key.to_owned(), amount);
            Ok(())
        })?;
        Ok(amounts)
    }
}

impl Row<'_> {
    fn place(&self) -> Place {
        Place { file: self.file(), line: self.line }
    }
}

/// The ids of a file's rows, which must be unique. It maps a digest of each id to the line that has it.
#[derive(Debug, Default)]
struct Seen(HashMap<Uuid, u64>);

impl Seen {
    fn id<'t>(&mut self, row: &Row<'t>, column: &str) -> Result<&'t str, Bad> {
        let id = row.filled(column).ok_or_else(|| Bad::empty(row, column, "each row needs an id of its own"))?;
        match self.0.entry(Uuid::new_v5(&SOURCES, id.as_bytes())) {
            Entry::Vacant(free) => {
                free.insert(row.line);
                Ok(id)
            }
            Entry::Occupied(first) => {
                let reason = format!("line {} has the same, and each row needs an id of its own", first.get());
                Err(Bad::cell(row, column, reason))
            }
        }
    }
}
