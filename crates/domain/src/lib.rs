//! The rules. What a command may do, given what has happened so far: [`decide`]. What has happened so far, given the
//! events: [`evolve`]. One module for each aggregate.
//!
//! Everything here is pure: no async, no clock, no randomness, no I/O. What a rule needs to know besides its own stream
//! (a pipeline, the settings, whether a customer exists, what time it is) it is given as [`Facts`]; which streams those
//! are, [`reads`] says beforehand. The pattern is Jérémie Chassaing's decider.

pub mod customer;
pub mod deal;
mod facts;
mod fields;
mod patch;
pub mod pipeline;
mod rejection;
pub mod settings;
mod standing;
pub mod team;
mod time;
pub mod user;

use std::collections::BTreeSet;

use dealog_events::{Category, Event, StreamId};

pub use facts::Facts;
pub use patch::Patch;
pub use rejection::{Kind, Rejection};
pub use standing::Standing;
pub use time::{Occurred, occurred_at};

/// What is known of a stream: `None` where it has no event yet.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "one variant for each aggregate, each documented in its module")]
pub enum State {
    Deal(Option<deal::Deal>),
    Pipeline(Option<pipeline::Pipeline>),
    Customer(Option<customer::Customer>),
    User(Option<user::User>),
    Team(Option<team::Team>),
    Settings(settings::Settings),
}

impl State {
    /// Before the first event of a stream of this category.
    pub fn empty(category: Category) -> Self {
        match category {
            Category::Deal => Self::Deal(None),
            Category::Pipeline => Self::Pipeline(None),
            Category::Customer => Self::Customer(None),
            Category::User => Self::User(None),
            Category::Team => Self::Team(None),
            Category::Settings => Self::Settings(settings::Settings::default()),
        }
    }
}

/// What someone asks for.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "one variant for each aggregate, each documented in its module")]
pub enum Command {
    Deal(deal::Command),
    Pipeline(pipeline::Command),
    Customer(customer::Command),
    User(user::Command),
    Team(team::Command),
    Settings(settings::Command),
}

impl Command {
    /// Whether it begins a stream. Such a command can be decided without reading the stream first: the append checks
    /// that there is none.
    pub fn begins_stream(&self) -> bool {
        matches!(
            self,
            Self::Deal(deal::Command::Create(_))
                | Self::Pipeline(pipeline::Command::Define(_))
                | Self::Customer(customer::Command::Register(_))
                | Self::User(user::Command::Invite(_))
                | Self::Team(team::Command::Form(_))
        )
    }
}

/// The streams besides its own whose state `command` must be decided on. The decision holds as long as none of them has
/// grown.
pub fn reads(state: &State, command: &Command) -> BTreeSet<StreamId> {
    match (state, command) {
        (State::Deal(deal), Command::Deal(command)) => deal::reads(deal.as_ref(), command),
        (_, Command::Pipeline(command)) => pipeline::reads(command),
        (_, Command::Customer(command)) => customer::reads(command),
        (_, Command::Team(command)) => team::reads(command),
        _ => BTreeSet::new(),
    }
}

/// The events that `command` leads to; none where all is already as it asks.
pub fn decide(state: &State, facts: &Facts, command: &Command) -> Result<Vec<Event>, Rejection> {
    match (state, command) {
        (State::Deal(state), Command::Deal(command)) => deal::decide(state.as_ref(), facts, command),
        (State::Pipeline(state), Command::Pipeline(command)) => pipeline::decide(state.as_ref(), facts, command),
        (State::Customer(state), Command::Customer(command)) => customer::decide(state.as_ref(), facts, command),
        (State::User(state), Command::User(command)) => user::decide(state.as_ref(), facts, command),
        (State::Team(state), Command::Team(command)) => team::decide(state.as_ref(), facts, command),
        (State::Settings(state), Command::Settings(command)) => settings::decide(state, command),
        _ => Err(Rejection::WrongStream(facts.stream())),
    }
}

/// The state after one more event. Total: an event that does not fit its stream leaves the state as it is, since only
/// [`decide`] guards what gets into the log.
#[must_use]
pub fn evolve(state: State, event: &Event) -> State {
    match (state, event) {
        (State::Deal(state), Event::Deal(event)) => State::Deal(deal::evolve(state, event)),
        (State::Pipeline(state), Event::Pipeline(event)) => State::Pipeline(pipeline::evolve(state, event)),
        (State::Customer(state), Event::Customer(event)) => State::Customer(customer::evolve(state, event)),
        (State::User(state), Event::User(event)) => State::User(user::evolve(state, event)),
        (State::Team(state), Event::Team(event)) => State::Team(team::evolve(state, event)),
        (State::Settings(state), Event::Settings(event)) => State::Settings(settings::evolve(state, event)),
        (state, _) => state,
    }
}
