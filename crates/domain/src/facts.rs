//! What a rule is told about the world outside its own stream, and how it says what it needs to be told.
//!
//! A rule declares what it reads as a value of ids, such as `(create.pipeline, create.customer)`, and is given the states in
//! the same shape. That is its only way to the state of another stream: the states and the rules are opened in this module
//! alone. So a rule that looks at a stream it has not declared does not compile.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use dealog_events::{Event, StreamId, Timestamp};

use crate::{Command, Common, Rejection, Standing, State, aggregates};

const DAY_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

/// The streams besides its own whose state `command`, of a caller who stands here, must be decided on. The decision holds as
/// long as none of them has grown.
pub fn reads(state: &State, standing: Standing, command: &Command) -> BTreeSet<StreamId> {
    aggregates::rule(state, standing, command).streams
}

/// The events that `command` leads to; none where all is already as it asks.
pub fn decide(state: &State, facts: &Facts, command: &Command) -> Result<Vec<Event>, Rejection> {
    (aggregates::rule(state, facts.standing, command).decide)(facts)
}

/// The stream that a command is for, the instant, and the states of the streams that its rule [reads](crate::reads).
#[derive(Debug, Clone)]
pub struct Facts {
    stream: StreamId,
    now: Timestamp,
    standing: Standing,
    states: States,
}

/// States by stream. Rules see `Facts` but never this: what they have declared is picked out for them.
#[derive(Debug, Clone, Default)]
pub(crate) struct States(HashMap<StreamId, Arc<State>>);

impl Facts {
    /// Facts for a command on `stream` at `now` of a caller who may do everything, without the state of another stream.
    pub fn new(stream: StreamId, now: Timestamp) -> Self {
        Self { stream, now, standing: Standing::FULL, states: States::default() }
    }

    /// Adds the state of another stream. A stream without a state counts as one without events.
    #[must_use]
    pub fn with(mut self, stream: StreamId, state: Arc<State>) -> Self {
        self.states.0.insert(stream, state);
        self
    }

    /// The same for a caller who stands here.
    #[must_use]
    pub fn of(self, standing: Standing) -> Self {
        Self { standing, ..self }
    }

    /// The stream that the command is for.
    pub fn stream(&self) -> StreamId {
        self.stream
    }

    /// The instant of deciding.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// What the caller may do where not everybody may.
    pub(crate) fn standing(&self) -> Standing {
        self.standing
    }

    /// The state of the command's own stream, or a rejection if the stream has not begun.
    pub(crate) fn begun<T>(&self, state: Option<T>) -> Result<T, Rejection> {
        state.ok_or_else(|| Common::NotFound(self.stream).into())
    }

    /// Refuses to begin the command's own stream if it has begun.
    pub(crate) fn not_begun<T>(&self, state: Option<&T>) -> Result<(), Rejection> {
        match state {
            None => Ok(()),
            Some(_) => Err(Common::AlreadyExists(self.stream).into()),
        }
    }

    /// Refuses an instant that lies more than `days_max` days back, to a caller who may not reach back further.
    pub fn may_backdate(&self, occurred_at: Timestamp, days_max: u32) -> Result<(), Rejection> {
        let earliest = self.now.saturating_add_micros(-i64::from(days_max).saturating_mul(DAY_MICROS));
        if occurred_at < earliest && !self.standing.backdates {
            return Err(Common::Backdated { occurred_at, earliest }.into());
        }
        Ok(())
    }
}

/// A rule with the streams that it reads.
pub(crate) struct Rule<'a> {
    streams: BTreeSet<StreamId>,
    decide: Box<dyn FnOnce(&Facts) -> Decision + 'a>,
}

/// The events that a command leads to, none if all is already as it asks; or why not.
pub(crate) type Decision = Result<Vec<Event>, Rejection>;

impl<'a> Rule<'a> {
    /// A rule that reads no stream besides its own.
    pub(crate) fn alone(decide: impl FnOnce(&Facts) -> Decision + 'a) -> Self {
        Self { streams: BTreeSet::new(), decide: Box::new(decide) }
    }

    /// A rule that is given what it reads.
    pub(crate) fn reading<R: Reads + 'a>(reads: R, decide: impl FnOnce(&Facts, R::Found) -> Decision + 'a) -> Self {
        let mut streams = BTreeSet::new();
        reads.name(&mut streams);
        Self { streams, decide: Box::new(move |facts| decide(facts, reads.find(&facts.states))) }
    }

    /// Refuses a command of one aggregate for a stream of another.
    pub(crate) fn wrong_stream() -> Self {
        Self::alone(|facts| Err(Common::WrongStream(facts.stream).into()))
    }
}

/// A declaration of streams that a rule reads: an id, or several in a tuple, each perhaps only on a condition.
pub(crate) trait Reads {
    /// What the rule is given for it, in the same shape.
    type Found;

    /// Adds the streams that it names.
    fn name(&self, streams: &mut BTreeSet<StreamId>);

    /// Their states.
    fn find(self, states: &States) -> Self::Found;
}

/// The id by which a rule names a stream that it reads.
pub(crate) trait Id: Copy + Into<StreamId> {
    /// The state of such a stream.
    type State;

    /// That state, if it is one.
    fn of(state: &State) -> Option<&Self::State>;
}

impl<I: Id> Reads for I {
    type Found = Found<I>;

    fn name(&self, streams: &mut BTreeSet<StreamId>) {
        streams.insert((*self).into());
    }

    fn find(self, states: &States) -> Found<I> {
        let stream: StreamId = self.into();
        Found { id: self, state: states.0.get(&stream).cloned() }
    }
}

/// A stream that a rule has named.
pub(crate) struct Found<I> {
    id: I,
    state: Option<Arc<State>>,
}

impl<I: Id> Found<I> {
    /// The id that names it.
    pub(crate) fn id(&self) -> I {
        self.id
    }

    /// Its state, unless nothing is known of it.
    pub(crate) fn state(&self) -> Option<&I::State> {
        self.state.as_deref().and_then(I::of)
    }
}

impl<T, I: Id<State = Option<T>>> Found<I> {
    /// Its state; or a rejection if there is nothing by the id that the command has in `field`.
    pub(crate) fn existing(&self, field: &'static str) -> Result<&T, Rejection> {
        let state = self.state().and_then(Option::as_ref);
        state.ok_or_else(|| Common::UnknownReference { field, stream: self.id.into() }.into())
    }
}

impl<R: Reads> Reads for Option<R> {
    type Found = Option<R::Found>;

    fn name(&self, streams: &mut BTreeSet<StreamId>) {
        if let Some(reads) = self {
            reads.name(streams);
        }
    }

    fn find(self, states: &States) -> Self::Found {
        self.map(|reads| reads.find(states))
    }
}

/// A part of the command that a rule reads other streams for. It keeps company with these, so that the rule gets both or
/// neither.
pub(crate) struct For<T>(pub(crate) T);

impl<T> Reads for For<T> {
    type Found = T;

    fn name(&self, _: &mut BTreeSet<StreamId>) {}

    fn find(self, _: &States) -> T {
        self.0
    }
}

macro_rules! tuple {
    ($($reads:ident: $Type:ident),+) => {
        impl<$($Type: Reads),+> Reads for ($($Type),+) {
            type Found = ($($Type::Found),+);

            fn name(&self, streams: &mut BTreeSet<StreamId>) {
                let ($($reads),+) = self;
                $($reads.name(streams);)+
            }

            fn find(self, states: &States) -> Self::Found {
                let ($($reads),+) = self;
                ($($reads.find(states)),+)
            }
        }
    };
}

tuple!(a: A, b: B);
tuple!(a: A, b: B, c: C, d: D);
tuple!(a: A, b: B, c: C, d: D, e: E);
