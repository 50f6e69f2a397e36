//! A team: users whose figures are taken together.

use std::collections::BTreeSet;

use dealog_events::{
    Event, StreamId, Title, UserId,
    team::{Formed, MemberAdded, MemberRemoved, TeamEvent},
};
use serde::Deserialize;

use crate::{Facts, Rejection};

/// Members that a team may have.
pub const MEMBERS_MAX: usize = 1_000;

/// A team as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Team {
    /// What it is called.
    pub name: Title,
    /// Who is in it.
    pub members: BTreeSet<UserId>,
}

/// What can be asked of a team.
#[derive(Debug, Clone)]
pub enum Command {
    /// Set it up.
    Form(Form),
    /// Take someone in.
    AddMember(UserId),
    /// Let someone go.
    RemoveMember(UserId),
}

/// A team to set up.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = FormTeam))]
#[serde(deny_unknown_fields)]
pub struct Form {
    /// What it is called.
    pub name: Title,
}

pub(crate) fn reads(command: &Command) -> BTreeSet<StreamId> {
    match command {
        Command::AddMember(user) => [StreamId::User(*user)].into(),
        Command::Form(_) | Command::RemoveMember(_) => BTreeSet::new(),
    }
}

pub(crate) fn decide(state: Option<&Team>, facts: &Facts, command: &Command) -> Result<Vec<Event>, Rejection> {
    match (state, command) {
        (None, Command::Form(form)) => Ok(vec![Formed { name: form.name.clone() }.into()]),
        (Some(_), Command::Form(_)) => Err(Rejection::AlreadyExists(facts.stream())),
        (None, _) => Err(Rejection::NotFound(facts.stream())),
        (Some(team), Command::AddMember(user)) if !team.members.contains(user) => {
            if team.members.len() >= MEMBERS_MAX {
                return Err(Rejection::Limit { field: "user", what: "members of a team", max: MEMBERS_MAX });
            }
            facts.active_user("user", *user)?;
            Ok(vec![MemberAdded { user: *user }.into()])
        }
        (Some(team), Command::RemoveMember(user)) if team.members.contains(user) => {
            Ok(vec![MemberRemoved { user: *user }.into()])
        }
        (Some(_), Command::AddMember(_) | Command::RemoveMember(_)) => Ok(Vec::new()),
    }
}

pub(crate) fn evolve(state: Option<Team>, event: &TeamEvent) -> Option<Team> {
    if let TeamEvent::Formed(event) = event {
        return Some(Team { name: event.name.clone(), members: BTreeSet::new() });
    }
    let mut team = state?;
    match event {
        TeamEvent::Formed(_) => {}
        TeamEvent::MemberAdded(event) => drop(team.members.insert(event.user)),
        TeamEvent::MemberRemoved(event) => drop(team.members.remove(&event.user)),
    }
    Some(team)
}
