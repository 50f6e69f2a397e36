//! Who works at the sample company. The names are made up, syllable by syllable, and belong to nobody.

use dealog_domain::{Command, Patch, team, user};
use dealog_events::{Actor, Invalid, StreamId, TeamId, Timestamp, UserId, user::Role};

use super::{
    Sample, Step,
    calendar::{Calendar, minutes_later},
};

/// Name, team, how much likelier than usual the person wins (in percent points), and how long the person's deals take (in
/// percent of the usual).
const SELLERS: [(&str, usize, i32, u32); 8] = [
    ("Ansa Birk", 0, 8, 90),
    ("Bero Calt", 0, -3, 105),
    ("Civa Dorm", 0, 4, 95),
    ("Delo Esk", 1, -8, 120),
    ("Erla Fonn", 1, 0, 100),
    ("Fuli Grend", 1, 2, 85),
    ("Gemo Hulm", 2, 10, 110),
    ("Hisa Istek", 2, -1, 100),
];
const MANAGER: &str = "Imra Jolt";
const ANALYST: &str = "Jole Kint";
const TEAMS: [&str; 3] = ["North", "South", "Key accounts"];

/// The seller who leaves, and the day.
const LEAVER: usize = 4;
const LEAVER_GOES_DAY: u32 = 455;
/// For how long before that nobody gives this seller a deal any more.
const LEAVER_SPARED_DAYS: u32 = 21;

/// The seller who goes over to another team, which one, and the day.
const CHANGER: usize = 2;
const CHANGER_TEAM: usize = 2;
const CHANGER_DAY: u32 = 380;

/// The day on which the analyst, let in to look around, gets the role for the work.
const ANALYST_DAY: u32 = 45;

const NINE: u32 = 9 * 3_600;

/// Someone who sells.
pub(super) struct Seller {
    pub(super) id: UserId,
    pub(super) win_points: i32,
    pub(super) pace_percent: u32,
}

/// Everyone.
pub(super) struct People {
    pub(super) sellers: Vec<Seller>,
    pub(super) manager: UserId,
    analyst: UserId,
    /// Who leaves.
    pub(super) leaver: UserId,
    /// From when on the leaver's deals are handed over.
    pub(super) hand_over: Timestamp,
}

impl People {
    pub(super) fn new(sample: &Sample, calendar: &Calendar) -> Self {
        let id = |name: &str| UserId(sample.id(&format!("user:{name}")));
        let seller = |&(name, _, win_points, pace_percent): &(&str, usize, i32, u32)| Seller {
            id: id(name),
            win_points,
            pace_percent,
        };
        let leaver = SELLERS.get(LEAVER).map_or("", |seller| seller.0);
        Self {
            sellers: SELLERS.iter().map(seller).collect(),
            manager: id(MANAGER),
            analyst: id(ANALYST),
            leaver: id(leaver),
            hand_over: calendar.at(calendar.day(LEAVER_GOES_DAY), NINE),
        }
    }

    /// Those who may get a deal at `time`.
    pub(super) fn takers(&self, time: Timestamp) -> Vec<&Seller> {
        let spared = time >= days_before(self.hand_over, LEAVER_SPARED_DAYS);
        self.sellers.iter().filter(|seller| !spared || seller.id != self.leaver).collect()
    }

    /// How they come, change and go. The first of them are let in at `founded`, a minute each.
    pub(super) fn steps(&self, sample: &Sample, calendar: &Calendar, founded: Timestamp) -> Result<Vec<Step>, Invalid> {
        let mut minutes = 0..;
        let mut next = || minutes_later(founded, minutes.next().unwrap_or(0));
        let sellers = || SELLERS.iter().zip(&self.sellers);
        let mut steps = vec![
            invite(sample, MANAGER, self.manager, Role::Manager, next())?,
            invite(sample, ANALYST, self.analyst, Role::Auditor, next())?,
        ];
        for ((name, ..), seller) in sellers() {
            steps.push(invite(sample, name, seller.id, Role::Seller, next())?);
        }
        for (index, name) in TEAMS.iter().enumerate() {
            let form = team::Command::Form(team::Form { name: name.parse()? });
            steps.push(self.of_team(sample, index, "form", next(), form));
            for (_, seller) in sellers().filter(|((_, team, ..), _)| *team == index) {
                let name = format!("add:{}", seller.id);
                steps.push(self.of_team(sample, index, &name, next(), team::Command::AddMember(seller.id)));
            }
        }
        steps.extend(self.later_steps(sample, calendar));
        Ok(steps)
    }

    fn later_steps(&self, sample: &Sample, calendar: &Calendar) -> Vec<Step> {
        let day = |index| calendar.at(calendar.day(index), NINE);
        let of_user = |id: UserId, name: &str, now, command| {
            let name = format!("user:{id}:{name}");
            sample.step(name, Actor::User(self.manager), now, StreamId::User(id), Command::User(command))
        };
        let role =
            user::Command::Change(user::Change { roles: Patch::Set(Role::Analyst.into()), ..user::Change::default() });
        let mut steps = vec![of_user(self.analyst, "role", day(ANALYST_DAY), role)];

        if let (Some((_, from, ..)), Some(changer)) = (SELLERS.get(CHANGER), self.sellers.get(CHANGER)) {
            let (leave, join) = (team::Command::RemoveMember(changer.id), team::Command::AddMember(changer.id));
            steps.push(self.of_team(sample, *from, "leave", day(CHANGER_DAY), leave));
            steps.push(self.of_team(sample, CHANGER_TEAM, "join", minutes_later(day(CHANGER_DAY), 5), join));
        }
        if let Some((_, team, ..)) = SELLERS.get(LEAVER) {
            // The deals are handed over in the morning.
            let gone = minutes_later(self.hand_over, 8 * 60 + 30);
            steps.push(self.of_team(sample, *team, "part", gone, team::Command::RemoveMember(self.leaver)));
            steps.push(of_user(self.leaver, "go", minutes_later(gone, 5), user::Command::Deactivate));
        }
        steps
    }

    fn of_team(&self, sample: &Sample, index: usize, name: &str, now: Timestamp, command: team::Command) -> Step {
        let stream = StreamId::Team(TeamId(sample.id(&format!("team:{index}"))));
        let name = format!("team:{index}:{name}");
        sample.step(name, Actor::User(self.manager), now, stream, Command::Team(command))
    }
}

fn days_before(time: Timestamp, days: u32) -> Timestamp {
    time.saturating_add_micros(-i64::from(days) * 86_400_000_000)
}

fn invite(sample: &Sample, name: &str, id: UserId, role: Role, now: Timestamp) -> Result<Step, Invalid> {
    let email = format!("{}@example.com", name.to_lowercase().replace(' ', "."));
    let invite = user::Invite { name: name.parse()?, email: Some(email.parse()?), roles: role.into() };
    let command = Command::User(user::Command::Invite(invite));
    Ok(sample.step(format!("user:{id}:invite"), Actor::Local, now, StreamId::User(id), command))
}
