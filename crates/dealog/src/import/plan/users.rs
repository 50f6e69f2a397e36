//! Users, their managers and their teams.

use std::collections::{HashMap, HashSet};

use dealog_domain::{Command, team, user};
use dealog_events::{StreamId, TeamId, Title, UserId, user::Role};

use super::{Bad, ImportError, Item, Place, Planner, Row, Seen};
use crate::import::{
    mapping::Users,
    values::{needed, optional},
};

/// The users that deals may name, and their teams.
#[derive(Debug, Default)]
pub(super) struct Planned {
    /// By the source's id.
    pub(super) known: HashMap<String, UserId>,
    pub(super) invited: Vec<Item>,
    pub(super) teams: Vec<Item>,
}

/// A row before it is known who manages whom.
struct Person {
    id: String,
    invite: user::Invite,
    manager: Option<(String, Title)>,
    team: Option<(String, Title)>,
    place: Place,
}

impl Planner<'_> {
    pub(super) fn users(&mut self) -> Result<Planned, ImportError> {
        let Some(users) = self.mapping.users.as_ref() else { return Ok(Planned::default()) };
        let columns = [&users.id, &users.name].into_iter().chain(&users.email).chain(&users.manager);
        let columns = columns.chain(users.team.iter().map(|team| &team.id)).map(String::as_str);
        let columns = columns.chain(users.team.iter().flat_map(|team| team.name.columns()));
        let table = self.table(&users.file, &users.aliases, columns)?;
        let mut people = Vec::new();
        let mut seen = Seen::default();
        self.each_row(&table, |_, row| {
            let id = seen.id(row, &users.id)?.to_owned();
            people.push(person(users, row, id, row.place())?);
            Ok(())
        })?;
        let mut planned = Planned::default();
        self.invite(&mut planned, &people);
        self.form_teams(&mut planned, &people);
        Ok(planned)
    }

    /// Managers come before those they manage. One who has a row of their own is called and reached as it says.
    fn invite(&self, planned: &mut Planned, people: &[Person]) {
        let managers: HashSet<&str> =
            people.iter().filter_map(|person| person.manager.as_ref()).map(|(id, _)| id.as_str()).collect();
        let rows: HashSet<&str> = people.iter().map(|person| person.id.as_str()).collect();
        for person in people {
            if let Some((id, name)) = &person.manager
                && !rows.contains(id.as_str())
                && !planned.known.contains_key(id)
            {
                let invite = user::Invite { name: name.clone(), email: None, roles: Role::Manager.into() };
                self.invite_one(planned, id, invite, person.place);
            }
            let mut invite = person.invite.clone();
            if managers.contains(person.id.as_str()) {
                invite.roles = Role::Manager.into();
            }
            self.invite_one(planned, &person.id, invite, person.place);
        }
    }

    fn invite_one(&self, planned: &mut Planned, id: &str, invite: user::Invite, place: Place) {
        let user = UserId(self.ids.of("user", id));
        let content = (invite.name.clone(), invite.email.clone(), invite.roles.clone());
        let command = Command::User(user::Command::Invite(invite));
        let key = format!("user.invite:{id}");
        let step = self.step((StreamId::User(user), command), (&key, &content), self.reading.since(), Some(place));
        planned.invited.push(Item::new(vec![step]));
        planned.known.insert(id.to_owned(), user);
    }

    fn form_teams(&self, planned: &mut Planned, people: &[Person]) {
        let since = self.reading.since();
        let mut places: HashMap<&str, usize> = HashMap::new();
        for person in people {
            let Some((id, name)) = &person.team else { continue };
            let team = TeamId(self.ids.of("team", id));
            let step = |command, key: &str| {
                self.step((StreamId::Team(team), Command::Team(command)), (key, &""), since, Some(person.place))
            };
            let index = *places.entry(id).or_insert_with(|| {
                let form = step(team::Command::Form(team::Form { name: name.clone() }), &format!("team.form:{id}"));
                planned.teams.push(Item::new(vec![form]));
                planned.teams.len() - 1
            });
            let (Some(item), Some(user)) = (planned.teams.get_mut(index), planned.known.get(&person.id)) else {
                continue;
            };
            item.steps.push(step(team::Command::AddMember(*user), &format!("team.add:{user}:{id}")));
        }
    }
}

fn person(users: &Users, row: &Row<'_>, id: String, place: Place) -> Result<Person, Bad> {
    let invite = user::Invite {
        name: needed(row, &users.name)?,
        email: optional(row, users.email.as_ref())?,
        roles: users.role.into(),
    };
    let name: Option<Title> = optional(row, users.manager.as_ref())?;
    let manager = users.manager.as_ref().zip(name).map(|(column, name)| (row.cell(column).to_owned(), name));
    let team = match users.team.as_ref().and_then(|team| Some((team, row.filled(&team.id)?))) {
        Some((team, id)) => {
            let name = team.name.fill(row).as_deref().unwrap_or(id).parse();
            Some((id.to_owned(), name.map_err(|error| Bad::cell(row, &team.id, error))?))
        }
        None => None,
    };
    Ok(Person { id, invite, manager, team, place })
}
