//! A team: users whose figures are taken together.

use std::collections::BTreeSet;

use dealog_events::{
    Event, Title, UserId,
    team::{Formed, MemberAdded, MemberRemoved, Renamed, TeamEvent},
};
use serde::Deserialize;

use crate::{
    Common, Details, Patch, Standing,
    aggregates::Aggregate,
    facts::{Found, Rule},
};

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
    /// Change its name.
    Change(Change),
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

/// What to change about a team; what is absent stays as it is.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = ChangeTeam))]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// What it is called.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Title>))]
    pub name: Patch<Title>,
}

/// A team is refused nothing but for a reason in [`Common`](crate::Common), or for its members' sake.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {}

impl Rejection {
    pub(crate) fn details(&self) -> Details {
        match *self {}
    }
}

impl Aggregate for Option<Team> {
    type Command = Command;
    type Event = TeamEvent;

    fn begins_stream(command: &Command) -> bool {
        match command {
            Command::Form(_) => true,
            Command::Change(_) | Command::AddMember(_) | Command::RemoveMember(_) => false,
        }
    }

    fn rule<'a>(&'a self, _: Standing, command: &'a Command) -> Rule<'a> {
        match command {
            Command::Form(form) => Rule::alone(move |facts| {
                facts.not_begun(self.as_ref())?;
                Ok(vec![Formed { name: form.name.clone() }.into()])
            }),
            Command::Change(command) => Rule::alone(move |facts| {
                let team = facts.begun(self.as_ref())?;
                let name = command.name.given("name")?.filter(|to| **to != team.name);
                Ok(name.map(|to| Renamed { from: team.name.clone(), to: to.clone() }.into()).into_iter().collect())
            }),
            Command::AddMember(user) => {
                Rule::reading(*user, move |facts, user| add_member(facts.begun(self.as_ref())?, &user))
            }
            Command::RemoveMember(user) => Rule::alone(move |facts| {
                if !facts.begun(self.as_ref())?.members.contains(user) {
                    return Ok(Vec::new());
                }
                Ok(vec![MemberRemoved { user: *user }.into()])
            }),
        }
    }

    fn evolve(self, event: &TeamEvent) -> Self {
        if let TeamEvent::Formed(event) = event {
            return Some(Team { name: event.name.clone(), members: BTreeSet::new() });
        }
        let mut team = self?;
        match event {
            TeamEvent::Formed(_) => {}
            TeamEvent::Renamed(event) => team.name = event.to.clone(),
            TeamEvent::MemberAdded(event) => drop(team.members.insert(event.user)),
            TeamEvent::MemberRemoved(event) => drop(team.members.remove(&event.user)),
        }
        Some(team)
    }
}

fn add_member(team: &Team, user: &Found<UserId>) -> Result<Vec<Event>, crate::Rejection> {
    if team.members.contains(&user.id()) {
        return Ok(Vec::new());
    }
    if team.members.len() >= MEMBERS_MAX {
        return Err(Common::Limit { field: "user", what: "members of a team", max: MEMBERS_MAX }.into());
    }
    user.active("user")?;
    Ok(vec![MemberAdded { user: user.id() }.into()])
}
