//! A user: a person who works with Dealog.

use dealog_events::{
    Email, Event, Personal, StreamId, Title, UserId,
    user::{Deactivated, Invited, Role, RoleChanged, UserEvent},
};
use serde::Deserialize;

use crate::{
    Details, Facts, Kind, Standing,
    aggregates::Aggregate,
    facts::{Found, Rule},
};

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
    /// Nobody gives themselves another role.
    #[error("nobody changes their own role or deactivates themselves: ask another admin")]
    OwnRole,
}

impl Rejection {
    pub(crate) fn details(&self) -> Details {
        match self {
            Self::Inactive { field, .. } => Details::new(Kind::Invalid, "inactive_user").field(*field),
            Self::OwnRole => Details::new(Kind::Forbidden, "own_role").field("role"),
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
}

impl Aggregate for Option<User> {
    type Command = Command;
    type Event = UserEvent;

    fn begins_stream(command: &Command) -> bool {
        match command {
            Command::Invite(_) => true,
            Command::ChangeRole(_) | Command::Deactivate => false,
        }
    }

    fn rule<'a>(&'a self, _: Standing, command: &'a Command) -> Rule<'a> {
        match command {
            Command::Invite(command) => Rule::alone(move |facts| {
                facts.not_begun(self.as_ref())?;
                Ok(invite(facts.stream(), command))
            }),
            Command::ChangeRole(command) => Rule::alone(move |facts| {
                let user = facts.begun(self.as_ref())?;
                if user.role == command.role {
                    return Ok(Vec::new());
                }
                check_access(facts)?;
                Ok(vec![RoleChanged { from: user.role, to: command.role }.into()])
            }),
            Command::Deactivate => Rule::alone(move |facts| {
                if !facts.begun(self.as_ref())?.active {
                    return Ok(Vec::new());
                }
                check_access(facts)?;
                Ok(vec![Deactivated {}.into()])
            }),
        }
    }

    fn evolve(self, event: &UserEvent) -> Self {
        match event {
            UserEvent::Invited(event) => Some(User { role: event.role, active: true }),
            UserEvent::RoleChanged(event) => self.map(|user| User { role: event.to, ..user }),
            UserEvent::Deactivated(_) => self.map(|user| User { active: false, ..user }),
        }
    }
}

fn invite(about: StreamId, command: &Invite) -> Vec<Event> {
    let Invite { name, email, role } = command.clone();
    let name = Personal::new(about, name);
    let email = email.map(|email| Personal::new(about, email));
    vec![Invited { name, email, role }.into()]
}

/// Refuses a change of the caller's own role or access, which somebody else must make.
fn check_access(facts: &Facts) -> Result<(), Rejection> {
    match facts.standing().own_role_of {
        Some(user) if facts.stream() == StreamId::User(user) => Err(Rejection::OwnRole),
        _ => Ok(()),
    }
}
