//! The one path of all commands: load, decide, append.

use std::sync::Arc;

use dealog_domain::{Facts, Recorded, State, decide, occurred_at, reads, reads_history};
use dealog_events::{Event, StreamId, Timestamp, Version};
use dealog_store::{Append, AppendError, Appended, EventStore, NewEvent};
use futures_util::future::BoxFuture;

use crate::{
    Clock, CommandError, Limits, Outcome, Request,
    state::{Loaded, States},
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

/// Where the states that a command is decided on are loaded from.
#[derive(Clone, Copy)]
enum Source {
    /// Memory, where it has them.
    Cache,
    /// The log, always.
    Log,
}

/// What a command is decided on.
struct Basis {
    /// Its own stream.
    own: Loaded,
    /// The streams that its rule reads.
    read: Vec<Loaded>,
    /// All events of its own stream, where its rule reads them.
    history: Arc<[Recorded]>,
}

/// What was decided.
struct Decided {
    /// None if all is already as the command asks.
    events: Vec<Event>,
    /// When they occurred.
    at: Timestamp,
    /// The instant of deciding.
    now: Timestamp,
}

/// A command whose events, or that there are none, are on their way into the log.
struct Appending {
    appended: BoxFuture<'static, Result<Appended, AppendError>>,
    before: Loaded,
    events: Vec<Event>,
    at: Timestamp,
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
        let appending = self.inner.begin(request).await;
        let outcome = self.inner.finish(request, appending).await;
        count(&outcome);
        outcome
    }

    /// Carries out commands for different streams, appending them in the order given: the same commands on the same log
    /// give the same positions. All are queued before the first is waited for, so they share commits.
    pub async fn execute_in_order(&self, requests: &[Request]) -> Vec<Result<Outcome, CommandError>> {
        let mut begun = Vec::with_capacity(requests.len());
        for request in requests {
            begun.push(self.inner.begin(request).await);
        }
        let mut outcomes = Vec::with_capacity(requests.len());
        for (request, appending) in requests.iter().zip(begun) {
            outcomes.push(self.inner.finish(request, appending).await);
        }
        outcomes
    }
}

impl Inner {
    /// The path of every command. It ends once the append is queued, so that those that follow can share its commit.
    async fn load_decide_append(&self, request: &Request, source: Source) -> Result<Appending, CommandError> {
        let basis = self.load(request, source).await?;
        let decided = self.decide(request, &basis)?;
        self.append(request, basis, decided)
    }

    /// Takes a command down the path, again on the log if it was refused on states from memory.
    async fn begin(&self, request: &Request) -> Result<Appending, CommandError> {
        match self.load_decide_append(request, Source::Cache).await {
            // What was decided on memory may be out of date; only an append would have found that out.
            Err(error) if error.is_decided_on_a_state() => self.load_decide_append(request, Source::Log).await,
            appending => appending,
        }
    }

    /// Waits for the append, and takes the command down the path again as long as others append in between.
    async fn finish(
        &self,
        request: &Request,
        mut appending: Result<Appending, CommandError>,
    ) -> Result<Outcome, CommandError> {
        let mut attempts = 1;
        loop {
            let appended = match appending {
                Ok(appending) => self.appended(appending).await,
                Err(error) => return self.remembered_or(request, error).await,
            };
            match appended {
                Err(AppendError::Conflict { .. }) if attempts < self.limits.attempts_max => attempts += 1,
                Err(AppendError::Conflict { .. }) => {
                    return Err(CommandError::Contended { stream: request.stream, attempts });
                }
                appended => return appended.map(|appended| outcome(request, appended)).map_err(CommandError::Append),
            }
            appending = self.load_decide_append(request, Source::Log).await;
        }
    }

    async fn load(&self, request: &Request, source: Source) -> Result<Basis, CommandError> {
        let own = match source {
            // A new stream is most likely new indeed, and the append checks it.
            Source::Cache if request.command.begins_stream() => {
                self.states.cached(request.stream).unwrap_or_else(|| Loaded::nothing(request.stream))
            }
            _ => self.load_stream(request.stream, source).await?,
        };
        let (standing, command) = (request.meta.standing, &request.command);
        let mut read = Vec::new();
        for stream in reads(&own.state, standing, command) {
            read.push(self.load_stream(stream, source).await?);
        }
        let history = if reads_history(&own.state, standing, command) {
            self.states.history(&own).await?
        } else {
            Arc::default()
        };
        Ok(Basis { own, read, history })
    }

    async fn load_stream(&self, stream: StreamId, source: Source) -> Result<Loaded, CommandError> {
        let cached = match source {
            Source::Cache => self.states.cached(stream),
            Source::Log => None,
        };
        match cached {
            Some(loaded) => Ok(loaded),
            None => self.states.read(stream).await,
        }
    }

    fn decide(&self, request: &Request, Basis { own, read, history }: &Basis) -> Result<Decided, CommandError> {
        check_precondition(request, own)?;
        let now = request.meta.now.unwrap_or_else(|| (self.clock)());
        // What another server with a clock ahead of this one has appended to the stream does not lie in the future.
        let now = own.last.map_or(now, |last| last.max(now));
        let at = occurred_at(request.meta.occurred, own.last, now);
        let facts = Facts::new(request.stream, now)
            .of(request.meta.standing)
            .occurring(*at.as_ref().unwrap_or(&now))
            .reaching_back(self.limits.backdate_days_max)
            .with_history(Arc::clone(history));
        let facts = read.iter().fold(facts, |facts, read| facts.with(read.stream, Arc::clone(&read.state)));

        let events = decide(&own.state, &facts, &request.command)?;
        if events.is_empty() {
            return Ok(Decided { events, at: now, now });
        }
        let at = at?;
        facts.may_backdate("occurred_at", at)?;
        self.check_room(request, own.version, events.len() as u64)?;
        Ok(Decided { events, at, now })
    }

    /// Queues the append, without events if there is nothing to do.
    fn append(&self, request: &Request, basis: Basis, decided: Decided) -> Result<Appending, CommandError> {
        let (Basis { own: before, read, .. }, Decided { events, at, now }) = (basis, decided);
        let appended = self.store.append(Append {
            command_id: request.meta.command_id,
            fingerprint: request.meta.fingerprint,
            cause: request.meta.cause,
            now,
            stream: request.stream,
            expected: before.version,
            unchanged: read.iter().map(|read| (read.stream, read.version)).collect(),
            events: events.iter().map(|event| written(event, at)).collect::<Result<_, _>>()?,
        });
        Ok(Appending { appended, before, events, at })
    }

    async fn appended(&self, appending: Appending) -> Result<Appended, AppendError> {
        let Appending { appended, before, events, at } = appending;
        let appended = appended.await?;
        // What was looked up may have been decided elsewhere, on a state that this process has never seen.
        if !events.is_empty() && !appended.replayed && !appended.looked_up {
            self.states.keep(&before.after(&events, at, appended.version));
        }
        Ok(appended)
    }

    /// Refuses events that a stream has no room for, or none for this caller. It is as sound as any rule: the append is refused
    /// where the stream has grown meanwhile.
    fn check_room(&self, request: &Request, version: Version, events: u64) -> Result<(), CommandError> {
        let (stream, max) = (request.stream, self.limits.stream_events_max);
        let after = version.0.saturating_add(events);
        let reserved = max.saturating_mul(self.limits.stream_reserved_percent.min(100)) / 100;
        if after > max {
            return Err(CommandError::StreamFull { stream, version, max });
        }
        if after > max - reserved && !request.meta.standing.uses_reserve {
            return Err(CommandError::StreamReserved { stream, version, max, reserved });
        }
        Ok(())
    }

    /// The first outcome of a command that had been carried out before: what it would lead to now is no answer to a retry.
    /// Otherwise the error.
    async fn remembered_or(&self, request: &Request, error: CommandError) -> Result<Outcome, CommandError> {
        let id = request.meta.command_id;
        if let Some(remembered) = self.store.remembered(&[id]).await?.first() {
            if remembered.fingerprint != request.meta.fingerprint {
                return Err(CommandError::Append(AppendError::FingerprintMismatch(id)));
            }
            return Ok(outcome(request, remembered.outcome));
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

fn check_precondition(request: &Request, own: &Loaded) -> Result<(), CommandError> {
    // A command for a stream that should be there and is not has a better answer than its version. The only stream of its
    // kind is always there.
    let may_begin = request.command.begins_stream() || request.stream.id().is_none();
    match &request.meta.if_match {
        Some(seen) if !seen.contains(&own.version) && (own.version != Version::ZERO || may_begin) => {
            Err(CommandError::Precondition { stream: request.stream, found: own.version })
        }
        _ => Ok(()),
    }
}

fn written(event: &Event, at: Timestamp) -> Result<NewEvent, CommandError> {
    let (event_type, schema) = event.event_type();
    let data = event.to_json().map_err(|error| CommandError::Unwritable(error.to_string()))?;
    Ok(NewEvent { event_type, schema, occurred_at: at, data })
}

fn outcome(request: &Request, appended: Appended) -> Outcome {
    Outcome {
        stream: appended.stream,
        version: appended.version,
        position: appended.position,
        command_id: request.meta.command_id,
        events: appended.events,
        replayed: appended.replayed,
    }
}
