//! Customers.

use std::collections::HashMap;

use dealog_domain::{Command, customer};
use dealog_events::{CustomerId, Label, StreamId, Title};

use super::{Bad, ImportError, Item, Planner, Row, Seen, Step, place};
use crate::import::{
    mapping::Customers,
    rows::FileId,
    values::{needed, optional},
};

/// The customers that deals may name.
#[derive(Debug, Default)]
pub(super) struct Planned {
    /// By the source's id.
    pub(super) known: HashMap<String, CustomerId>,
    pub(super) registered: Vec<Item>,
}

impl Planner<'_> {
    pub(super) fn customers(&mut self) -> Result<Planned, ImportError> {
        let mut planned = Planned::default();
        let Some(customers) = self.mapping.customers.as_ref() else { return Ok(planned) };
        let columns = [&customers.id, &customers.name].into_iter().chain(&customers.sector);
        let columns = columns.chain(customers.fields.iter().map(|field| &field.column)).map(String::as_str);
        let table = self.table(&customers.file, &customers.aliases, columns)?;
        let mut seen = Seen::default();
        self.each_row(&table, |planner, row| {
            let id = seen.id(row, &customers.id)?;
            let customer = CustomerId(planner.ids.of("customer", &id));
            let step = planner.register(customers, row, (table.file, customer, &id))?;
            planned.registered.push(Item::new(vec![step]));
            planned.known.insert(id, customer);
            Ok(())
        });
        Ok(planned)
    }

    fn register(
        &self,
        customers: &Customers,
        row: &Row<'_>,
        (file, customer, id): (FileId, CustomerId, &str),
    ) -> Result<Step, Bad> {
        let name = needed(row, &customers.name)?;
        let sector: Option<Label> = optional(row, customers.sector.as_ref())?;
        let fields = self.fields(&customers.fields, row)?;
        let content = (Title::clone(&name), sector.clone(), fields.clone());
        let kind = customer::CustomerKind::Organisation;
        let register = customer::Register { kind, name, sector, fields };
        let command = Command::Customer(customer::Command::Register(register));
        let (stream, key) = (StreamId::Customer(customer), format!("customer.register:{id}"));
        Ok(self.step((stream, command), (&key, &content), self.reading.since(), Some(place(file, row))))
    }
}
