//! Customers.

use std::collections::HashMap;

use dealog_domain::{Command, customer};
use dealog_events::{CustomerId, Label, StreamId, Title};

use super::{Bad, CheckedRows, ImportError, Item, Planner, Row, Seen};
use crate::import::{
    mapping,
    values::{needed, optional},
};

/// A file of customers whose rows were checked.
pub(super) struct Customers<'m> {
    mapping: &'m mapping::Customers,
    pub(super) rows: CheckedRows,
}

/// The customers that deals may name, by the source's id.
type Known = HashMap<String, CustomerId>;

impl<'m> Planner<'m> {
    /// Checks the customers, and counts the steps of their rows.
    pub(super) fn customers(&mut self, steps: &mut u64) -> Result<(Option<Customers<'m>>, Known), ImportError> {
        let Some(mapping) = self.mapping.customers.as_ref() else { return Ok((None, Known::new())) };
        let columns = [&mapping.id, &mapping.name].into_iter().chain(&mapping.sector);
        let columns = columns.chain(mapping.fields.iter().map(|field| &field.column)).map(String::as_str);
        let table = self.table(&mapping.file, &mapping.aliases, columns)?;
        let (mut known, mut seen) = (Known::new(), Seen::default());
        let skipped = self.each_row(&table, |planner, row| {
            let id = seen.id(row, &mapping.id)?;
            *steps += register(planner, mapping, row)?.len();
            known.insert(id.to_owned(), CustomerId(planner.ids.of("customer", id)));
            Ok(())
        })?;
        Ok((Some(Customers { mapping, rows: CheckedRows { table, skipped } }), known))
    }
}

impl Customers<'_> {
    pub(super) fn item(&self, planner: &Planner<'_>, row: &Row<'_>) -> Result<Item, Bad> {
        register(planner, self.mapping, row)
    }
}

fn register(planner: &Planner<'_>, mapping: &mapping::Customers, row: &Row<'_>) -> Result<Item, Bad> {
    let id = row.cell(&mapping.id);
    let name = needed(row, &mapping.name)?;
    let sector: Option<Label> = optional(row, mapping.sector.as_ref())?;
    let fields = planner.fields(&mapping.fields, row)?;
    let content = (Title::clone(&name), sector.clone(), fields.clone());
    let kind = customer::CustomerKind::Organisation;
    let command = customer::Command::Register(customer::Register { kind, name, sector, fields });
    let stream = StreamId::Customer(CustomerId(planner.ids.of("customer", id)));
    let key = format!("customer.register:{id}");
    let place = row.place();
    let step =
        planner.step((stream, Command::Customer(command)), (&key, &content), planner.reading.since(), Some(place));
    Ok(Item::new(vec![step]))
}
