//! A customer: to whom something is sold.

use std::collections::BTreeMap;

use dealog_events::{
    Event, FieldValue, Fields, Label, Slug, Title,
    customer::{CustomerEvent, FieldSet, Registered, Renamed},
    settings::FieldOwner,
};
use serde::Deserialize;

use crate::{
    Details, Patch, Standing,
    aggregates::Aggregate,
    facts::Rule,
    fields::{self, Filled},
};

/// A customer as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Customer {
    /// What it is called.
    pub name: Title,
    /// The company's own fields.
    pub fields: Fields,
}

/// What can be asked of a customer.
#[derive(Debug, Clone)]
pub enum Command {
    /// Make it known.
    Register(Register),
    /// Change some of what is known.
    Change(Change),
}

/// What a customer is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum CustomerKind {
    /// A company, an authority, an association.
    #[default]
    Organisation,
}

/// A customer to make known.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = RegisterCustomer))]
#[serde(deny_unknown_fields)]
pub struct Register {
    /// What it is.
    #[serde(default)]
    pub kind: CustomerKind,
    /// What it is called.
    pub name: Title,
    /// The trade it is in.
    pub sector: Option<Label>,
    /// The company's own fields.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = BTreeMap<String, FieldValue>))]
    pub fields: Fields,
}

/// What to change about a customer; what is absent stays as it is.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = ChangeCustomer))]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// What it is called.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Title>))]
    pub name: Patch<Title>,
    /// The company's own fields; null empties one.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub fields: BTreeMap<Slug, Patch<FieldValue>>,
}

/// A customer is refused nothing but for a reason in [`Common`](crate::Common).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {}

impl Rejection {
    pub(crate) fn details(&self) -> Details {
        match *self {}
    }
}

impl Aggregate for Option<Customer> {
    type Command = Command;
    type Event = CustomerEvent;

    fn begins_stream(command: &Command) -> bool {
        match command {
            Command::Register(_) => true,
            Command::Change(_) => false,
        }
    }

    fn rule<'a>(&'a self, _: Standing, command: &'a Command) -> Rule<'a> {
        match command {
            Command::Register(command) => Rule::reading(fields::filled(&command.fields), move |facts, fields| {
                facts.not_begun(self.as_ref())?;
                register(command, fields)
            }),
            Command::Change(command) => Rule::reading(fields::filled(&command.fields), move |facts, fields| {
                change(facts.begun(self.as_ref())?, command, fields)
            }),
        }
    }

    fn evolve(self, event: &CustomerEvent) -> Self {
        if let CustomerEvent::Registered(Registered::Organisation { name, fields, .. }) = event {
            return Some(Customer { name: name.clone(), fields: fields.clone() });
        }
        let mut customer = self?;
        match event {
            CustomerEvent::Registered(_) => {}
            CustomerEvent::Renamed(event) => customer.name = event.to.clone(),
            CustomerEvent::FieldSet(event) => match &event.to {
                Some(value) => drop(customer.fields.insert(event.field.clone(), value.clone())),
                None => drop(customer.fields.remove(&event.field)),
            },
        }
        Some(customer)
    }
}

fn register(command: &Register, fields: Filled<FieldValue>) -> Result<Vec<Event>, crate::Rejection> {
    if let Some((fields, settings)) = fields {
        for (field, value) in fields {
            fields::check(&settings, FieldOwner::Customer, field, value)?;
        }
    }
    let Register { kind: CustomerKind::Organisation, name, sector, fields } = command.clone();
    Ok(vec![Registered::Organisation { name, sector, fields }.into()])
}

fn change(
    customer: &Customer,
    command: &Change,
    fields: Filled<Patch<FieldValue>>,
) -> Result<Vec<Event>, crate::Rejection> {
    let mut events: Vec<Event> = Vec::new();
    if let Some(to) = command.name.given("name")?.filter(|to| **to != customer.name) {
        events.push(Renamed { from: customer.name.clone(), to: to.clone() }.into());
    }
    if let Some((fields, settings)) = fields {
        for (field, from, to) in fields::changed(&settings, FieldOwner::Customer, &customer.fields, fields)? {
            events.push(FieldSet { field, from, to }.into());
        }
    }
    Ok(events)
}
