//! The one path of all commands.

use std::sync::Arc;

use dealog_domain::{Facts, State, decide, occurred_at, reads};
use dealog_events::{Event, StreamId, Timestamp, Version};
use dealog_store::{Append, AppendError, Appended, EventStore, NewEvent};
use futures_util::future::BoxFuture;

use crate::{
    Clock, CommandError, Limits, Outcome, Request,
    state::{Known, States},
};

/// Carries out commands. Cheap to clone; one for each process.
#[derive(Clone)]
pub struct Commands {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<dyn EventStore>,
    states: States,
    clock: Clock,
    limits: Limits,
}

/// Where the states that a command is decided on come from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    /// Memory, where it has them.
    Cache,
    /// The log, always.
    Log,
}

/// A command that has been decided once.
enum Attempt {
    /// It has its answer.
    Answered(Result<Outcome, CommandError>),
    /// Its events are on their way into the log, or that there are none.
    Sent { append: BoxFuture<'static, Result<Appended, AppendError>>, before: Known, events: Vec<Event>, at: Timestamp },
}

impl Commands {
    /// Handlers that append to `store`.
    pub fn new(store: Arc<dyn EventStore>, clock: Clock, limits: Limits) -> Self {
        let states = States::new(Arc::clone(&store), limits.cached_streams_max);
        Self { inner: Arc::new(Inner { store, states, clock, limits }) }
    }

    /// The log they append to.
    pub fn store(&self) -> &Arc<dyn EventStore> {
        &self.inner.store
    }

    /// The instant, by the clock that commands are decided with.
    pub fn now(&self) -> Timestamp {
        (self.inner.clock)()
    }

    /// The state of a stream, as the log has it now.
    pub async fn state(&self, stream: StreamId) -> Result<Arc<State>, CommandError> {
        Ok(self.inner.states.read(stream).await?.state)
    }

    /// Carries out one command.
    pub async fn execute(&self, request: &Request) -> Result<Outcome, CommandError> {
        let attempt = self.inner.attempt(request, Source::Cache).await;
        let outcome = self.inner.settle(request, attempt).await;
        count(&outcome);
        outcome
    }

    /// Carries out commands for different streams, appending them in the order given: the same commands on the same log
    /// give the same positions. All are queued before the first is waited for, so they share commits.
    pub async fn execute_in_order(&self, requests: &[Request]) -> Vec<Result<Outcome, CommandError>> {
        let mut attempts = Vec::with_capacity(requests.len());
        for request in requests {
            attempts.push(self.inner.attempt(request, Source::Cache).await);
        }
        let mut outcomes = Vec::with_capacity(requests.len());
        for (request, attempt) in requests.iter().zip(attempts) {
            outcomes.push(self.inner.settle(request, attempt).await);
        }
        outcomes
    }
}

impl Inner {
    /// Waits for the append, and decides again as long as others get in between.
    async fn settle(&self, request: &Request, mut attempt: Attempt) -> Result<Outcome, CommandError> {
        let mut attempts = 1;
        loop {
            match self.answer(attempt).await {
                Err(CommandError::Append(AppendError::Conflict { .. })) if attempts < self.limits.attempts_max => {
                    attempts += 1;
                    attempt = self.attempt(request, Source::Log).await;
                }
                Err(CommandError::Append(AppendError::Conflict { .. })) => {
                    return Err(CommandError::Contended { stream: request.stream, attempts });
                }
                answer => return answer,
            }
        }
    }

    async fn answer(&self, attempt: Attempt) -> Result<Outcome, CommandError> {
        let (append, before, events, at) = match attempt {
            Attempt::Answered(answer) => return answer,
            Attempt::Sent { append, before, events, at } => (append, before, events, at),
        };
        let appended = append.await.map_err(CommandError::Append)?;
        // What was looked up may have been decided elsewhere, on a state that this process has never seen.
        if !events.is_empty() && !appended.replayed && !appended.looked_up {
            self.states.keep(&before.after(&events, at, appended.version));
        }
        Ok(outcome(appended))
    }

    /// Decides a command once. Accepted, its events are queued, or that there are none; refused on what the log says, it is
    /// answered.
    async fn attempt(&self, request: &Request, source: Source) -> Attempt {
        let mut decided = self.decide(request, source).await;
        // What was decided on memory may be out of date; only an append would have found that out.
        let refused = matches!(&decided, Err(error) if error.is_decided_on_a_state());
        if refused && source == Source::Cache {
            decided = self.decide(request, Source::Log).await;
        }
        match decided {
            Ok(sent) => sent,
            Err(error) => Attempt::Answered(self.remembered_or(request, error).await),
        }
    }

    async fn decide(&self, request: &Request, source: Source) -> Result<Attempt, CommandError> {
        let before = match source {
            // A new stream is most likely new indeed, and the append checks it.
            Source::Cache if request.command.begins_stream() => {
                self.states.cached(request.stream).unwrap_or_else(|| Known::nothing(request.stream))
            }
            _ => self.known(request.stream, source).await?,
        };
        check_precondition(request, &before)?;

        let now = request.meta.now.unwrap_or_else(|| (self.clock)());
        // What another server with a clock ahead of this one has appended to the stream does not lie in the future.
        let now = before.last.map_or(now, |last| last.max(now));
        let mut facts = Facts::new(request.stream, now).of(request.meta.standing);
        let mut unchanged = Vec::new();
        for stream in reads(&before.state, &request.command) {
            let known = self.known(stream, source).await?;
            unchanged.push((stream, known.version));
            facts = facts.with(stream, known.state);
        }

        let events = decide(&before.state, &facts, &request.command)?;
        let at = if events.is_empty() {
            now
        } else {
            let at = occurred_at(request.meta.occurred, before.last, now)?;
            facts.may_backdate(at, self.limits.backdate_days_max)?;
            self.check_room(request, &before, events.len() as u64)?;
            at
        };
        let append = self.store.append(Append {
            actor: request.meta.actor,
            command_id: request.meta.command_id,
            fingerprint: request.meta.fingerprint,
            correlation_id: request.meta.correlation_id,
            causation_id: request.meta.causation_id,
            now,
            stream: request.stream,
            expected: before.version,
            unchanged,
            events: events.iter().map(|event| written(event, at)).collect::<Result<_, _>>()?,
        });
        Ok(Attempt::Sent { append, before, events, at })
    }

    /// Refuses events that a stream has no room for, or none for this caller. It is as sound as any rule: the append is refused
    /// where the stream has grown meanwhile.
    fn check_room(&self, request: &Request, before: &Known, events: u64) -> Result<(), CommandError> {
        let (stream, version, max) = (request.stream, before.version, self.limits.stream_events_max);
        let after = version.0.saturating_add(events);
        let reserved = max.saturating_mul(self.limits.stream_reserved_percent.min(100)) / 100;
        // What appends nothing needs no room.
        if events == 0 {
            return Ok(());
        }
        if after > max {
            return Err(CommandError::StreamFull { stream, version, max });
        }
        if after > max - reserved && !request.meta.standing.uses_reserve {
            return Err(CommandError::StreamReserved { stream, version, max, reserved });
        }
        Ok(())
    }

    async fn known(&self, stream: StreamId, source: Source) -> Result<Known, CommandError> {
        match source {
            Source::Cache => match self.states.cached(stream) {
                Some(known) => Ok(known),
                None => self.states.read(stream).await,
            },
            Source::Log => self.states.read(stream).await,
        }
    }

    /// The first outcome of a command that had been carried out before: what it would lead to now is no answer to a retry.
    /// Otherwise the error.
    async fn remembered_or(&self, request: &Request, error: CommandError) -> Result<Outcome, CommandError> {
        let id = request.meta.command_id;
        if let Some(remembered) = self.store.remembered(&[id]).await?.first() {
            if remembered.fingerprint != request.meta.fingerprint {
                return Err(CommandError::Append(AppendError::FingerprintMismatch(id)));
            }
            return Ok(outcome(remembered.outcome));
        }
        Err(error)
    }
}

fn count(outcome: &Result<Outcome, CommandError>) {
    let outcome = match outcome {
        Ok(Outcome { replayed: true, .. }) => "replayed",
        Ok(Outcome { events: 0, .. }) => "without_effect",
        Ok(_) => "accepted",
        Err(CommandError::Rejected(_)) => "rejected",
        Err(CommandError::Precondition { .. }) => "stale",
        Err(CommandError::Contended { .. }) => "contended",
        Err(CommandError::Append(AppendError::Overloaded)) => "overloaded",
        Err(
            CommandError::StreamFull { .. }
            | CommandError::StreamReserved { .. }
            | CommandError::Append(AppendError::FingerprintMismatch(_) | AppendError::Limit { .. }),
        ) => "refused",
        Err(_) => "failed",
    };
    metrics::counter!("dealog_commands_total", "outcome" => outcome).increment(1);
}

fn check_precondition(request: &Request, before: &Known) -> Result<(), CommandError> {
    // A command for a stream that should be there and is not has a better answer than its version.
    let may_begin = request.command.begins_stream() || request.stream == StreamId::Settings;
    match &request.meta.if_match {
        Some(seen) if !seen.contains(&before.version) && (before.version != Version::ZERO || may_begin) => {
            Err(CommandError::Precondition { stream: request.stream, found: before.version })
        }
        _ => Ok(()),
    }
}

fn written(event: &Event, at: Timestamp) -> Result<NewEvent, CommandError> {
    let (event_type, schema) = event.event_type();
    let data = event.to_json().map_err(|error| CommandError::Unwritable(error.to_string()))?;
    Ok(NewEvent { event_type, schema, occurred_at: at, data })
}

fn outcome(appended: Appended) -> Outcome {
    Outcome {
        stream: appended.stream,
        version: appended.version,
        position: appended.position,
        events: appended.events,
        replayed: appended.replayed,
    }
}
