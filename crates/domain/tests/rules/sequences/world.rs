//! A small company to which things happen one after the other.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};

use dealog_domain::{
    Command, Facts, Occurred, Recorded, Rejection, Standing, State, customer, deal, decide, evolve, occurred_at,
    pipeline, reads, reads_history, settings, team, user,
};
use dealog_events::{Actor, CommandId, Event, Position, StreamId, Timestamp, deal::DealEvent, interpret};
use uuid::Uuid;

use super::{tally::Tally, tape::Tape, wish, witness::Witness};
use crate::support;

/// The states of all streams that have begun, when each last grew, and what the witness has seen.
#[derive(Clone)]
pub(super) struct World {
    states: HashMap<StreamId, Arc<State>>,
    last: HashMap<StreamId, Timestamp>,
    /// All events of each stream.
    history: HashMap<StreamId, Vec<Recorded>>,
    /// The state of each stream before its last command.
    before: HashMap<StreamId, State>,
    position: u64,
    now: Timestamp,
    witness: Witness,
    /// What was asked so far, to tell when something is wrong.
    asked: Vec<(StreamId, Command)>,
}

/// Companies to begin with: one at work, one that has set nothing, one with nothing at all.
static BEGINNINGS: LazyLock<[World; 3]> = LazyLock::new(|| {
    let nothing = World {
        states: HashMap::new(),
        last: HashMap::new(),
        history: HashMap::new(),
        before: HashMap::new(),
        position: 0,
        now: support::now(),
        witness: Witness::default(),
        asked: Vec::new(),
    };
    let grown = |wishes: Vec<(StreamId, Command)>| {
        let mut world = nothing.clone();
        for (stream, command) in wishes {
            world.carry_out(stream, command, Occurred::Now, Standing::FULL, &mut Tally::default()).unwrap();
        }
        world
    };
    [grown(wish::company()), grown(wish::company_without_settings()), nothing.clone()]
});

impl World {
    /// Mostly a company at work.
    pub(super) fn begin(choice: u8) -> Self {
        let index = match choice {
            0..=215 => 0,
            216..=235 => 1,
            _ => 2,
        };
        BEGINNINGS[index].clone()
    }

    /// The state of a stream that has begun.
    pub(super) fn state(&self, stream: StreamId) -> Option<&State> {
        self.states.get(&stream).map(AsRef::as_ref)
    }

    /// The commands that events of a stream came of, the last one first.
    pub(super) fn commands(&self, stream: StreamId) -> Vec<CommandId> {
        let mut commands: Vec<CommandId> =
            self.history.get(&stream).into_iter().flatten().map(|recorded| recorded.command).collect();
        commands.dedup();
        commands.reverse();
        commands
    }

    /// The instant.
    pub(super) fn now(&self) -> Timestamp {
        self.now
    }

    /// Some time passes, and someone asks for something.
    pub(super) fn ask(&mut self, tape: &mut Tape<'_>, tally: &mut Tally) -> Result<(), String> {
        self.now = self.now.saturating_add_micros(i64::from(tape.byte()) * 1_000_000);
        let (stream, command) = wish::next(self, tape);
        let occurred = wish::occurred(self.now, self.last.get(&stream).copied(), tape);
        let standing = wish::standing(tape);
        self.carry_out(stream, command, occurred, standing, tally).map_err(|wrong| {
            let asked: Vec<_> = self.asked.iter().map(|(stream, command)| format!("  {stream}: {command:?}")).collect();
            format!("{wrong}\nafter these commands, the last of which did it:\n{}", asked.join("\n"))
        })
    }

    fn carry_out(
        &mut self,
        stream: StreamId,
        command: Command,
        occurred: Occurred,
        standing: Standing,
        tally: &mut Tally,
    ) -> Result<(), String> {
        let state = self.states.get(&stream).map_or_else(|| State::empty(stream.category()), |state| (**state).clone());
        let (decision, time) = self.decide(stream, &state, &command, occurred, standing);
        tally.count(&decision);
        let outcome = match decision {
            Ok(events) if !events.is_empty() => {
                self.witness.stands(standing, stream, &events, time < self.now)?;
                self.happen(stream, state, &command, &events, (time, standing))
            }
            _ => Ok(()),
        };
        self.asked.push((stream, command));
        outcome
    }

    /// Decides twice on the same: pure rules answer the same.
    fn decide(
        &self,
        stream: StreamId,
        state: &State,
        command: &Command,
        occurred: Occurred,
        standing: Standing,
    ) -> (Result<Vec<Event>, Rejection>, Timestamp) {
        let time = match occurred_at(occurred, self.last.get(&stream).copied(), self.now) {
            Ok(time) => time,
            Err(rejection) => return (Err(rejection), self.now),
        };
        let facts = self.facts(stream, state, standing, command).occurring(time).reaching_back(0);
        if let Err(rejection) = facts.may_backdate("occurred_at", time) {
            return (Err(rejection), time);
        }
        let decision = decide(state, &facts, command);
        assert_eq!(decision, decide(state, &facts, command), "decided otherwise the second time");
        (decision, time)
    }

    /// What the rule is told: the streams that it said it reads, and no other.
    fn facts(&self, stream: StreamId, state: &State, standing: Standing, command: &Command) -> Facts {
        let history = self.history.get(&stream).filter(|_| reads_history(state, standing, command));
        let history = history.map_or_else(Arc::default, |history| Arc::from(history.as_slice()));
        let facts = Facts::new(stream, self.now).of(standing).with_history(history);
        reads(state, standing, command).into_iter().fold(facts, |facts, read| {
            let known = self.states.get(&read).cloned();
            facts.with(read, known.unwrap_or_else(|| Arc::new(State::empty(read.category()))))
        })
    }

    fn happen(
        &mut self,
        stream: StreamId,
        mut state: State,
        command: &Command,
        events: &[Event],
        (time, standing): (Timestamp, Standing),
    ) -> Result<(), String> {
        let before = state.clone();
        self.witness.begins(stream, standing);
        let id = CommandId(Uuid::from_u128(self.position.into()));
        for event in events {
            survives_json(event)?;
            self.witness.see(stream, event, time).map_err(|wrong| format!("{wrong}: {event:?}"))?;
            state = evolve(state, event);
            self.position += 1;
            self.history.entry(stream).or_default().push(Recorded {
                position: Position(self.position),
                command: id,
                actor: standing.own_deals_of.map_or(Actor::Local, Actor::User),
                at: time,
                event: event.clone(),
            });
        }
        self.witness.ends(stream, events)?;
        self.time_passes(stream, time)?;
        // A sequence with an undo comes to the same as one without what was undone.
        let undone = events.iter().any(|event| matches!(event, Event::Deal(DealEvent::Undone(_))));
        if undone && self.before.get(&stream) != Some(&state) {
            return Err(format!("undone, it is {state:?}, and it was {:?}", self.before.get(&stream)));
        }
        self.before.insert(stream, before);

        let again = self.facts(stream, &state, Standing::FULL, command).occurring(time);
        let again = decide(&state, &again, command);
        match again {
            Ok(more) if !more.is_empty() => return Err(format!("asked again, it happened again: {more:?}")),
            Ok(_) if !asks_for_a_state(command) => return Err("what can happen once was not refused twice".into()),
            Err(rejection) if asks_for_a_state(command) => {
                return Err(format!("asked again, it was refused: {rejection}"));
            }
            _ => {}
        }
        self.states.insert(stream, Arc::new(state));
        Ok(())
    }

    fn time_passes(&mut self, stream: StreamId, time: Timestamp) -> Result<(), String> {
        let last = self.last.insert(stream, time);
        if last.is_some_and(|last| time < last) {
            return Err(format!("{time} is before the last event of {stream}"));
        }
        if time > self.now && last != Some(time) {
            return Err(format!("{time} has not come yet"));
        }
        Ok(())
    }
}

/// What is written is what is read.
fn survives_json(event: &Event) -> Result<(), String> {
    let (name, schema) = event.event_type();
    let json = event.to_json().map_err(|error| format!("{event:?} has no JSON: {error}"))?;
    let object = json.clone().try_into().map_err(|error| format!("{event:?} was written as {json}: {error}"))?;
    match interpret(name, schema, &object) {
        Ok(read) if read == *event => Ok(()),
        other => Err(format!("{event:?} was written as {json} and read as {other:?}")),
    }
}

/// Whether a command says how something should be, so that asking again finds it so; the others say what should happen.
fn asks_for_a_state(command: &Command) -> bool {
    match command {
        Command::Deal(command) => {
            matches!(command, deal::Command::Move(_) | deal::Command::Change(_) | deal::Command::CorrectClosing(_))
        }
        Command::Pipeline(command) => !matches!(command, pipeline::Command::Define(_) | pipeline::Command::AddStage(_)),
        Command::Customer(command) => matches!(command, customer::Command::Change(_)),
        Command::User(command) => !matches!(command, user::Command::Invite(_)),
        Command::Team(command) => !matches!(command, team::Command::Form(_)),
        Command::Settings(settings::Command::Change(_)) => true,
    }
}
