//! What a rule is told about the world outside its own stream, and how it says what it needs to be told.
//!
//! A rule declares what it reads as a value of ids, such as `(create.pipeline, create.customer)`, and is given the states in
//! the same shape. That is its only way to the state of another stream: the states and the rules are opened in this module
//! alone. So a rule that looks at a stream it has not declared does not compile.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use dealog_events::{Actor, CommandId, Event, Position, StreamId, Timestamp};

use crate::{Command, Common, Rejection, Standing, State, aggregates};

const DAY_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

/// The streams besides its own whose state `command`, of a caller who stands here, must be decided on. The decision holds as
/// long as none of them has grown.
pub fn reads(state: &State, standing: Standing, command: &Command) -> BTreeSet<StreamId> {
    aggregates::rule(state, standing, command).streams
}

/// Whether `command` must be decided on the [history](Facts::with_history) of its own stream, too.
pub fn reads_history(state: &State, standing: Standing, command: &Command) -> bool {
    aggregates::rule(state, standing, command).history
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
    occurred_at: Timestamp,
    backdate_days_max: u32,
    standing: Standing,
    states: States,
    history: Arc<[Recorded]>,
}

/// An event of the command's own stream, as the log has it.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Its place in the log.
    pub position: Position,
    /// The command that it came of.
    pub command: CommandId,
    /// Who caused it.
    pub actor: Actor,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
}

/// States by stream. Rules see `Facts` but never this: what they have declared is picked out for them.
#[derive(Debug, Clone, Default)]
pub(crate) struct States(HashMap<StreamId, Arc<State>>);

impl Facts {
    /// Facts for a command on `stream` at `now` of a caller who may do everything, without the state of another stream.
    pub fn new(stream: StreamId, now: Timestamp) -> Self {
        Self {
            stream,
            now,
            occurred_at: now,
            backdate_days_max: u32::MAX,
            standing: Standing::FULL,
            states: States::default(),
            history: Arc::default(),
        }
    }

    /// The same for what occurred at this instant.
    #[must_use]
    pub fn occurring(self, occurred_at: Timestamp) -> Self {
        Self { occurred_at, ..self }
    }

    /// The same where it takes a permission to reach back more than so many days.
    #[must_use]
    pub fn reaching_back(self, backdate_days_max: u32) -> Self {
        Self { backdate_days_max, ..self }
    }

    /// The same with all events of the command's own stream.
    #[must_use]
    pub fn with_history(self, history: Arc<[Recorded]>) -> Self {
        Self { history, ..self }
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

    /// When the events of this command occur.
    pub(crate) fn occurred_at(&self) -> Timestamp {
        self.occurred_at
    }

    /// All events of the command's own stream, for a rule that [asks for them](Rule::with_history).
    pub(crate) fn history(&self) -> &[Recorded] {
        &self.history
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

    /// Refuses an instant, sent in `field`, that lies further back than this caller may reach.
    pub fn may_backdate(&self, field: &'static str, time: Timestamp) -> Result<(), Rejection> {
        let back = i64::from(self.backdate_days_max).saturating_mul(DAY_MICROS);
        let earliest = self.now.saturating_add_micros(-back);
        if time < earliest && !self.standing.backdates {
            return Err(Common::Backdated { field, time, earliest }.into());
        }
        Ok(())
    }
}

/// A rule with the streams that it reads.
pub(crate) struct Rule<'a> {
    streams: BTreeSet<StreamId>,
    history: bool,
    decide: Box<dyn FnOnce(&Facts) -> Decision + 'a>,
}

/// The events that a command leads to, none if all is already as it asks; or why not.
pub(crate) type Decision = Result<Vec<Event>, Rejection>;

impl<'a> Rule<'a> {
    /// A rule that reads no stream besides its own.
    pub(crate) fn alone(decide: impl FnOnce(&Facts) -> Decision + 'a) -> Self {
        Self { streams: BTreeSet::new(), history: false, decide: Box::new(decide) }
    }

    /// A rule that is given what it reads.
    pub(crate) fn reading<R: Reads + 'a>(reads: R, decide: impl FnOnce(&Facts, R::Found) -> Decision + 'a) -> Self {
        let mut streams = BTreeSet::new();
        reads.name(&mut streams);
        Self { streams, history: false, decide: Box::new(move |facts| decide(facts, reads.find(&facts.states))) }
    }

    /// The same, which reads all events of its own stream, too, where this holds. Few rules do: a state says enough for most.
    pub(crate) fn with_history(self, history: bool) -> Self {
        Self { history, ..self }
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

/// A rule that reads nothing besides its own stream.
impl Reads for () {
    type Found = ();

    fn name(&self, _: &mut BTreeSet<StreamId>) {}

    fn find(self, _: &States) {}
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
tuple!(a: A, b: B, c: C);
tuple!(a: A, b: B, c: C, d: D);
tuple!(a: A, b: B, c: C, d: D, e: E);
