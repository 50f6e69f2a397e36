//! A customer: to whom something is sold.

use std::collections::{BTreeMap, BTreeSet};

use dealog_events::{
    Event, FieldValue, Fields, Label, Slug, StreamId, Title,
    customer::{CustomerEvent, FieldSet, Registered, Renamed},
    settings::FieldOwner,
};
use serde::Deserialize;

use crate::{Facts, Patch, Rejection, fields};

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
    pub name: Option<Title>,
    /// The company's own fields; null empties one.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub fields: BTreeMap<Slug, Patch<FieldValue>>,
}

pub(crate) fn reads(command: &Command) -> BTreeSet<StreamId> {
    let uses_fields = match command {
        Command::Register(register) => !register.fields.is_empty(),
        Command::Change(change) => !change.fields.is_empty(),
    };
    if uses_fields { [StreamId::Settings].into() } else { BTreeSet::new() }
}

pub(crate) fn decide(state: Option<&Customer>, facts: &Facts, command: &Command) -> Result<Vec<Event>, Rejection> {
    match (state, command) {
        (None, Command::Register(register)) => self::register(facts, register),
        (Some(_), Command::Register(_)) => Err(Rejection::AlreadyExists(facts.stream())),
        (None, Command::Change(_)) => Err(Rejection::NotFound(facts.stream())),
        (Some(customer), Command::Change(change)) => self::change(customer, facts, change),
    }
}

fn register(facts: &Facts, register: &Register) -> Result<Vec<Event>, Rejection> {
    for (field, value) in &register.fields {
        fields::check(facts.settings(), FieldOwner::Customer, field, value)?;
    }
    let Register { kind: CustomerKind::Organisation, name, sector, fields } = register.clone();
    Ok(vec![Registered::Organisation { name, sector, fields }.into()])
}

fn change(customer: &Customer, facts: &Facts, change: &Change) -> Result<Vec<Event>, Rejection> {
    let mut events: Vec<Event> = Vec::new();
    if let Some(to) = change.name.as_ref().filter(|to| **to != customer.name) {
        events.push(Renamed { from: customer.name.clone(), to: to.clone() }.into());
    }
    for (field, patch) in &change.fields {
        let from = customer.fields.get(field).cloned();
        if let Patch::Set(value) = patch {
            fields::check(facts.settings(), FieldOwner::Customer, field, value)?;
        }
        if let Some(to) = patch.change(from.as_ref()) {
            events.push(FieldSet { field: field.clone(), from, to }.into());
        }
    }
    Ok(events)
}

pub(crate) fn evolve(state: Option<Customer>, event: &CustomerEvent) -> Option<Customer> {
    if let CustomerEvent::Registered(Registered::Organisation { name, fields, .. }) = event {
        return Some(Customer { name: name.clone(), fields: fields.clone() });
    }
    let mut customer = state?;
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
