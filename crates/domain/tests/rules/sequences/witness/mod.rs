//! Someone who sees only events, and knows what must never happen. Plain records and plain checks, written from the
//! rules in words: nothing here calls the code that decides.

mod company;
mod deal;

use std::{collections::HashMap, fmt::Debug};

use dealog_domain::Standing;
use dealog_events::{CustomerId, DealId, Event, PipelineId, StreamId, TeamId, Timestamp, UserId, deal::DealEvent};

use self::{
    company::{CustomerSeen, PipelineSeen, SettingsSeen, TeamSeen, UserSeen},
    deal::DealSeen,
};

/// What has been seen so far.
#[derive(Clone, Default)]
pub(super) struct Witness {
    deals: HashMap<DealId, DealSeen>,
    pipelines: HashMap<PipelineId, PipelineSeen>,
    customers: HashMap<CustomerId, CustomerSeen>,
    users: HashMap<UserId, UserSeen>,
    teams: HashMap<TeamId, TeamSeen>,
    settings: SettingsSeen,
    /// As each deal was before the command under way, and before the one before it.
    before: HashMap<DealId, [Option<DealSeen>; 2]>,
    /// The seller who asked for the last command on each deal; none where it was somebody else.
    last_by: HashMap<DealId, Option<UserId>>,
}

/// Nothing, or what is wrong.
type Seen = Result<(), String>;

impl Witness {
    /// Someone who stands here has done this, and says that it happened in the past; says if they might not.
    pub(super) fn stands(&self, standing: Standing, stream: StreamId, events: &[Event], past: bool) -> Seen {
        ensure(!past || standing.backdates, || format!("{stream} was backdated"))?;
        let own = standing.own_role_of.map(StreamId::User) == Some(stream);
        let access = |event: &Event| ["user.roles_changed", "user.deactivated"].contains(&event.event_type().0);
        ensure(!own || !events.iter().any(access), || format!("{stream} changed their own access"))?;
        let StreamId::Deal(id) = stream else { return Ok(()) };
        let closed = self.deals.get(&id).is_some_and(DealSeen::is_closed);
        let undoes = matches!(events.first(), Some(Event::Deal(DealEvent::Undone(_))));
        // A seller may take back an own slip.
        let own_slip =
            undoes && standing.own_deals_of.is_some() && self.last_by.get(&id) == Some(&standing.own_deals_of);
        ensure(!closed || standing.changes_closed_deals || own_slip, || format!("{stream} is closed and was changed"))?;
        let Some(seller) = standing.own_deals_of else { return Ok(()) };
        let owner = match (self.deals.get(&id), events.first()) {
            (Some(deal), _) => deal.owner(),
            (None, Some(Event::Deal(DealEvent::Created(event)))) => event.owner,
            (None, _) => None,
        };
        ensure(owner == Some(seller), || format!("a seller worked {stream}, which is {owner:?}'s"))
    }

    /// A command on a stream leads to events, which come next.
    pub(super) fn begins(&mut self, stream: StreamId, standing: Standing) {
        let StreamId::Deal(id) = stream else { return };
        let [last, _] = self.before.remove(&id).unwrap_or_default();
        self.before.insert(id, [self.deals.get(&id).cloned(), last]);
        self.last_by.insert(id, standing.own_deals_of);
    }

    /// These were all events of the command.
    pub(super) fn ends(&mut self, stream: StreamId, events: &[Event]) -> Seen {
        let StreamId::Deal(id) = stream else { return Ok(()) };
        let undone = events.iter().any(|event| matches!(event, Event::Deal(DealEvent::Undone(_))));
        self.ends_deal(id, undone)
    }

    /// One more event; says what is wrong with it.
    pub(super) fn see(&mut self, stream: StreamId, event: &Event, at: Timestamp) -> Seen {
        let name = event.event_type().0;
        let prefix = stream.to_string();
        let prefix = prefix.split('-').next().unwrap_or_default();
        ensure(name.split('.').next() == Some(prefix), || format!("{name} in {stream}"))?;
        match (stream, event) {
            (StreamId::Deal(id), Event::Deal(event)) => self.see_deal(id, event, at),
            (StreamId::Pipeline(id), Event::Pipeline(event)) => self.see_pipeline(id, event),
            (StreamId::Customer(id), Event::Customer(event)) => self.see_customer(id, event),
            (StreamId::User(id), Event::User(event)) => self.see_user(id, event),
            (StreamId::Team(id), Event::Team(event)) => self.see_team(id, event),
            (StreamId::Settings, Event::Settings(event)) => self.see_settings(event),
            _ => Err(format!("an event of another category in {stream}")),
        }
    }
}

fn ensure(fine: bool, wrong: impl FnOnce() -> String) -> Seen {
    if fine { Ok(()) } else { Err(wrong()) }
}

/// A change starts where the last one ended, and it changes something.
fn change<T: PartialEq + Clone + Debug>(present: &mut T, from: &T, to: &T) -> Seen {
    ensure(present == from, || format!("`from` is {from:?}, and it was {present:?}"))?;
    ensure(from != to, || format!("a change from {from:?} to the same"))?;
    present.clone_from(to);
    Ok(())
}
