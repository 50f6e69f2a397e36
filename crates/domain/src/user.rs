//! A user: a person who works with Dealog.

use dealog_events::{
    Email, Event, Personal, Title,
    user::{Deactivated, Invited, Role, RoleChanged, UserEvent},
};
use serde::Deserialize;

use crate::{Facts, Rejection};

/// A user as they stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// What they may do.
    pub role: Role,
    /// Whether they may do anything.
    pub active: bool,
}

/// What can be asked of a user.
#[derive(Debug, Clone)]
pub enum Command {
    /// Let them in.
    Invite(Invite),
    /// Let them do something else.
    ChangeRole(ChangeRole),
    /// Let them do nothing any more.
    Deactivate,
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
    /// What the person may do.
    pub role: Role,
}

/// Another role for a user.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ChangeRole {
    /// What the person may do.
    pub role: Role,
}

pub(crate) fn decide(state: Option<&User>, facts: &Facts, command: &Command) -> Result<Vec<Event>, Rejection> {
    match (state, command) {
        (None, Command::Invite(Invite { name, email, role })) => {
            let about = facts.stream();
            let name = Personal::new(about, name.clone());
            let email = email.clone().map(|email| Personal::new(about, email));
            Ok(vec![Invited { name, email, role: *role }.into()])
        }
        (Some(_), Command::Invite(_)) => Err(Rejection::AlreadyExists(facts.stream())),
        (None, _) => Err(Rejection::NotFound(facts.stream())),
        (Some(user), Command::ChangeRole(change)) if user.role != change.role => {
            facts.may_change_access()?;
            Ok(vec![RoleChanged { from: user.role, to: change.role }.into()])
        }
        (Some(user), Command::Deactivate) if user.active => {
            facts.may_change_access()?;
            Ok(vec![Deactivated {}.into()])
        }
        (Some(_), Command::ChangeRole(_) | Command::Deactivate) => Ok(Vec::new()),
    }
}

pub(crate) fn evolve(state: Option<User>, event: &UserEvent) -> Option<User> {
    match event {
        UserEvent::Invited(event) => Some(User { role: event.role, active: true }),
        UserEvent::RoleChanged(event) => state.map(|user| User { role: event.to, ..user }),
        UserEvent::Deactivated(_) => state.map(|user| User { active: false, ..user }),
    }
}
