//! A user: a person who works with Dealog.

use dealog_events::{
    Email, Event, Personal, StreamId, Title, UserId,
    user::{Deactivated, Invited, Reactivated, Renamed, Role, Roles, RolesChanged, UserEvent},
};
use serde::Deserialize;

use crate::{
    Details, Facts, Kind, Patch, Standing,
    aggregates::Aggregate,
    facts::{Found, Rule},
};

/// A user as they stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// What they are called.
    pub name: Personal<Title>,
    /// What they may do.
    pub roles: Roles,
    /// Whether they may do anything.
    pub active: bool,
}

/// What can be asked of a user.
#[derive(Debug, Clone)]
pub enum Command {
    /// Let them in.
    Invite(Invite),
    /// Call them something else, or let them do something else.
    Change(Change),
    /// Let them do nothing any more.
    Deactivate,
    /// Let them do again what their roles say.
    Reactivate,
}

/// A user to let in.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = InviteUser))]
#[serde(deny_unknown_fields)]
pub struct Invite {
    /// What the person is called.
    pub name: Title,
    /// Where mail reaches the person.
    pub email: Option<Email>,
    /// What the person may do: one role or several.
    pub roles: Roles,
}

/// What to change about a user; what is absent stays as it is.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = ChangeUser))]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// What the person is called.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Title>))]
    pub name: Patch<Title>,
    /// What the person may do: all roles.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Roles>))]
    pub roles: Patch<Roles>,
}

/// Why a command about a user was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// A user who may do nothing any more.
    #[error("user {user} has been deactivated")]
    Inactive {
        /// The field that names the user.
        field: &'static str,
        /// The user.
        user: UserId,
    },
    /// A user who works no deals.
    #[error("user {user} works no deals; name one who is a seller or a manager")]
    WorksNoDeals {
        /// The field that names the user.
        field: &'static str,
        /// The user.
        user: UserId,
    },
    /// Nobody gives themselves another role.
    #[error("nobody changes their own role or deactivates themselves: ask another admin")]
    OwnRole,
}

impl Rejection {
    pub(crate) fn details(&self) -> Details {
        match self {
            Self::Inactive { field, .. } => Details::new(Kind::Invalid, "inactive_user").field(*field),
            Self::WorksNoDeals { field, .. } => Details::new(Kind::Invalid, "works_no_deals").field(*field),
            Self::OwnRole => Details::new(Kind::Forbidden, "own_role").field("roles"),
        }
    }
}

impl Found<UserId> {
    /// A rejection if the user does not exist or has been deactivated.
    pub(crate) fn active(&self, field: &'static str) -> Result<(), crate::Rejection> {
        if self.existing(field)?.active {
            return Ok(());
        }
        Err(Rejection::Inactive { field, user: self.id() }.into())
    }

    /// A rejection if the user cannot own deals.
    pub(crate) fn works_deals(&self, field: &'static str) -> Result<(), crate::Rejection> {
        self.active(field)?;
        let roles = &self.existing(field)?.roles;
        if roles.has(Role::Seller) || roles.has(Role::Manager) {
            return Ok(());
        }
        Err(Rejection::WorksNoDeals { field, user: self.id() }.into())
    }
}

impl Aggregate for Option<User> {
    type Command = Command;
    type Event = UserEvent;

    fn begins_stream(command: &Command) -> bool {
        match command {
            Command::Invite(_) => true,
            Command::Change(_) | Command::Deactivate | Command::Reactivate => false,
        }
    }

    fn rule<'a>(&'a self, _: Standing, command: &'a Command) -> Rule<'a> {
        match command {
            Command::Invite(command) => Rule::alone(move |facts| {
                facts.not_begun(self.as_ref())?;
                Ok(invite(facts.stream(), command))
            }),
            Command::Change(command) => Rule::alone(move |facts| change(facts, facts.begun(self.as_ref())?, command)),
            Command::Deactivate => Rule::alone(move |facts| {
                if !facts.begun(self.as_ref())?.active {
                    return Ok(Vec::new());
                }
                check_access(facts)?;
                Ok(vec![Deactivated {}.into()])
            }),
            Command::Reactivate => Rule::alone(move |facts| {
                let active = facts.begun(self.as_ref())?.active;
                Ok(if active { Vec::new() } else { vec![Reactivated {}.into()] })
            }),
        }
    }

    fn evolve(self, event: &UserEvent) -> Self {
        if let UserEvent::Invited(event) = event {
            return Some(User { name: event.name.clone(), roles: event.roles.clone(), active: true });
        }
        let mut user = self?;
        match event {
            UserEvent::Invited(_) => {}
            UserEvent::Renamed(event) => user.name = event.to.clone(),
            UserEvent::RolesChanged(event) => user.roles = event.to.clone(),
            UserEvent::Deactivated(_) => user.active = false,
            UserEvent::Reactivated(_) => user.active = true,
        }
        Some(user)
    }
}

fn invite(about: StreamId, command: &Invite) -> Vec<Event> {
    let Invite { name, email, roles } = command.clone();
    let name = Personal::new(about, name);
    let email = email.map(|email| Personal::new(about, email));
    vec![Invited { name, email, roles }.into()]
}

fn change(facts: &Facts, user: &User, command: &Change) -> Result<Vec<Event>, crate::Rejection> {
    let mut events: Vec<Event> = Vec::new();
    if let Some(name) = command.name.given("name")? {
        let to = Personal::new(facts.stream(), name.clone());
        if to != user.name {
            events.push(Renamed { from: user.name.clone(), to }.into());
        }
    }
    if let Some(to) = command.roles.given("roles")?.filter(|to| **to != user.roles) {
        check_access(facts)?;
        events.push(RolesChanged { from: user.roles.clone(), to: to.clone() }.into());
    }
    Ok(events)
}

/// Refuses a change of the caller's own role or access, which somebody else must make.
fn check_access(facts: &Facts) -> Result<(), Rejection> {
    match facts.standing().own_role_of {
        Some(user) if facts.stream() == StreamId::User(user) => Err(Rejection::OwnRole),
        _ => Ok(()),
    }
}
