//! Following: what all followers have in common.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use dealog_events::{Category, Cursor, Envelope, Position, ReadError};
use dealog_store::{EventStore, supervised, supervised::said};
use futures_util::FutureExt as _;
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{sleep, timeout},
};

use crate::{
    Follower, Status, Trouble, Turn, check,
    page::{self, at},
};

/// Named limits of a follower.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Events that are handled together.
    pub batch_events_max: usize,
    /// How long it sleeps when nobody wakes it: another process may have appended.
    pub poll_interval: Duration,
    /// How long it waits after something was away.
    pub retry_interval: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            batch_events_max: 2_000,
            poll_interval: Duration::from_millis(200),
            retry_interval: Duration::from_secs(1),
        }
    }
}

/// Follows the log until `stop` changes, or until the follower cannot go on for good; then its status says why. Gives the
/// follower back.
pub async fn follow<F: Follower>(
    store: Arc<dyn EventStore>,
    follower: F,
    limits: Limits,
    status: watch::Sender<Status>,
    mut stop: watch::Receiver<bool>,
) -> F {
    let mut following = Following::new(store, follower, limits, status);
    tokio::select! {
        _ = stop.wait_for(|stop| *stop) => {}
        () = following.go_on() => {}
    }
    following.follower.rest().await;
    following.follower
}

/// Handles what there is, as far as its turns let it go, and gives the position reached. Where another follower leads, that is
/// how far that one has come.
pub async fn advance<F: Follower>(
    store: &Arc<dyn EventStore>,
    follower: &mut F,
    limits: Limits,
    status: &watch::Sender<Status>,
) -> Result<Position, Trouble> {
    let mut following = Following::new(Arc::clone(store), follower, limits, status.clone());
    loop {
        if let Step::AtEnd(position) | Step::Waits(position) = following.step().await? {
            return Ok(position);
        }
    }
}

/// Handles everything up to the end of the log as it is found, and gives the position reached. Where another follower leads, it
/// waits for that one.
pub async fn catch_up<F: Follower>(
    store: &Arc<dyn EventStore>,
    follower: &mut F,
    limits: Limits,
    status: &watch::Sender<Status>,
) -> Result<Position, Trouble> {
    let head = store.head().await?.position;
    let mut following = Following::new(Arc::clone(store), follower, limits, status.clone());
    loop {
        match following.step().await? {
            Step::Handled(position) | Step::AtEnd(position) | Step::Waits(position) if position >= head => {
                return Ok(position);
            }
            Step::Handled(_) => {}
            Step::AtEnd(_) | Step::Waits(_) => sleep(limits.poll_interval).await,
        }
    }
}

#[async_trait::async_trait]
impl<F: Follower> Follower for &mut F {
    type Item = F::Item;

    fn name(&self) -> &'static str {
        F::name(self)
    }

    fn reads(&self) -> &'static [Category] {
        F::reads(self)
    }

    fn has_more(&self) -> bool {
        F::has_more(self)
    }

    fn prepare(event: Envelope) -> Result<Self::Item, ReadError> {
        F::prepare(event)
    }

    async fn turn(&mut self) -> Result<Turn, Trouble> {
        F::turn(self).await
    }

    async fn handle(&mut self, items: Vec<Self::Item>, reached: Cursor) -> Result<(), Trouble> {
        F::handle(self, items, reached).await
    }

    async fn begin_again(&mut self, found: &crate::OtherHistory) -> Result<(), Trouble> {
        F::begin_again(self, found).await
    }

    async fn stopped(&mut self, at: Position, reason: &str) -> Result<(), Trouble> {
        F::stopped(self, at, reason).await
    }

    async fn rest(&mut self) {
        F::rest(self).await;
    }
}

/// A follower on its way.
struct Following<F: Follower> {
    store: Arc<dyn EventStore>,
    follower: F,
    limits: Limits,
    status: watch::Sender<Status>,
    /// The last cursor that was checked against the log, or that was reached from such a one.
    checked: Option<Cursor>,
    /// Events of the next batch, fewer where one that cannot be handled is closed in on.
    events_max: usize,
    /// The end of a batch with such an event: until that is behind it, batches stay small.
    suspect: Option<Position>,
    /// The last page had as many events as were asked for, or was cut off at `until`: there may be more.
    may_go_on: bool,
    /// The page behind a cursor, which is read while the one before it is handled.
    ahead: Option<(Cursor, Ahead<F::Item>)>,
}

/// A page that is being read.
type Ahead<I> = JoinHandle<Result<Page<I>, Trouble>>;

/// Events that were read and prepared.
struct Page<I> {
    items: Vec<I>,
    /// The last event among them.
    last: Position,
    /// The cursor behind the last of them.
    reached: Cursor,
}

enum Step {
    /// There was something to handle, and there may be more.
    Handled(Position),
    AtEnd(Position),
    /// For another follower, which has come this far.
    Waits(Position),
}

impl<F: Follower> Following<F> {
    fn new(store: Arc<dyn EventStore>, follower: F, limits: Limits, status: watch::Sender<Status>) -> Self {
        let events_max = limits.batch_events_max.max(1);
        Self {
            store,
            follower,
            limits,
            status,
            checked: None,
            events_max,
            suspect: None,
            may_go_on: false,
            ahead: None,
        }
    }

    async fn go_on(&mut self) {
        let mut wake = self.store.watch();
        loop {
            wake.mark_unchanged();
            let name = self.follower.name();
            let step = supervised::run(name, self.step()).await;
            let pause = match step.unwrap_or_else(|| Err(Trouble::Away("it failed, and the log says why".into()))) {
                // It has handled all that this process knows of. To read on and find nothing costs as much as to read an event. If it
                // is past that position, another process appends, so it reads on.
                Ok(Step::Handled(position))
                    if !self.may_go_on && !self.follower.has_more() && position == *wake.borrow() =>
                {
                    self.limits.poll_interval
                }
                Ok(Step::Handled(_)) => continue,
                Ok(Step::AtEnd(_) | Step::Waits(_)) => self.limits.poll_interval,
                Err(Trouble::Away(reason)) => {
                    tracing::warn!(follower = name, reason, "waits");
                    // What comes back may be a database that was restored from a backup.
                    self.checked = None;
                    let position = self.status.borrow().position();
                    self.tell(Status::Waiting { position, reason });
                    self.follower.rest().await;
                    self.limits.retry_interval
                }
                Err(error) => {
                    let (position, reason) = (self.status.borrow().position(), error.to_string());
                    tracing::error!(follower = name, %position, reason, "stopped");
                    self.tell(Status::Stopped { position, reason });
                    return;
                }
            };
            let woken = async {
                // A closed channel says nothing more: the poll interval remains.
                if wake.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            let _ = timeout(pause, woken).await;
        }
    }

    async fn step(&mut self) -> Result<Step, Trouble> {
        match self.take_step().await {
            Err(Trouble::Moved) => {
                (self.ahead, self.checked) = (None, None);
                Ok(Step::Handled(Position::ZERO))
            }
            outcome => outcome,
        }
    }

    async fn take_step(&mut self) -> Result<Step, Trouble> {
        let (cursor, until) = match self.follower.turn().await? {
            Turn::Go(cursor) => (cursor, None),
            Turn::Until(cursor, position) => (cursor, Some(position)),
            Turn::Wait(position) => {
                self.checked = None;
                self.tell(Status::Following(position));
                return Ok(Step::Waits(position));
            }
        };
        if self.checked != Some(cursor) {
            if let Err(other) = check(&*self.store, cursor).await? {
                tracing::warn!(follower = self.follower.name(), %other, "another history");
                self.follower.begin_again(&other).await?;
                return Ok(Step::Handled(Position::ZERO));
            }
            self.checked = Some(cursor);
        }
        let (tried, end, outcome) = match self.page(cursor, until).await {
            Ok(page) if page.items.is_empty() && page.reached.position <= cursor.position => {
                self.tell(Status::Following(cursor.position));
                return Ok(Step::AtEnd(cursor.position));
            }
            Ok(page) => {
                let (tried, reached) = (page.items.len(), page.reached);
                let full = tried >= self.events_max;
                self.may_go_on = full || until.is_some();
                // A page ends by bytes, too.
                if full || reached.position < *self.store.watch().borrow() {
                    self.read_ahead(reached, until);
                }
                (tried, Some(reached.position), self.handle(page).await.map(|()| reached))
            }
            Err(error) => (self.events_max, None, Err(error)),
        };
        match outcome {
            Ok(reached) => {
                if self.suspect.is_none_or(|suspect| suspect <= reached.position) {
                    (self.suspect, self.events_max) = (None, self.limits.batch_events_max.max(1));
                }
                self.checked = Some(reached);
                self.tell_reached(reached.position);
                Ok(Step::Handled(reached.position))
            }
            // Closes in on it: all events before it are handled first.
            Err(Trouble::Poison { position, .. }) if tried > 1 => {
                (self.ahead, self.events_max) = (None, tried / 2);
                self.suspect = self.suspect.max(Some(end.unwrap_or(position)));
                Ok(Step::Handled(cursor.position))
            }
            Err(error) => {
                if let Trouble::Poison { position, reason } = &error {
                    self.come_before(cursor, *position).await?;
                    self.follower.stopped(*position, reason).await?;
                }
                Err(error)
            }
        }
    }

    /// A follower of some kinds of streams has nothing to handle between its cursor and an event that it cannot handle, and stands
    /// right before that one like any other.
    async fn come_before(&mut self, cursor: Cursor, event: Position) -> Result<(), Trouble> {
        let before = Position(event.0.saturating_sub(1));
        if !self.follower.reads().is_empty() && cursor.position < before {
            let reached = at(&*self.store, before).await?;
            self.follower.handle(Vec::new(), reached).await?;
            self.checked = Some(reached);
            self.tell_reached(before);
        }
        Ok(())
    }

    /// A panic is an event that cannot be handled, like any other.
    async fn handle(&mut self, page: Page<F::Item>) -> Result<(), Trouble> {
        let handled = AssertUnwindSafe(self.follower.handle(page.items, page.reached)).catch_unwind().await;
        handled.unwrap_or_else(|panic| {
            let reason = format!("handling it panicked: {}", said(panic.as_ref()));
            Err(Trouble::Poison { position: page.last, reason })
        })
    }

    async fn page(&mut self, cursor: Cursor, until: Option<Position>) -> Result<Page<F::Item>, Trouble> {
        if let Some((from, ahead)) = self.ahead.take()
            && from == cursor
            && let Ok(Ok(page)) = ahead.await
            && (1..=self.events_max).contains(&page.items.len())
            && until.is_none_or(|until| page.reached.position <= until)
        {
            return Ok(page);
        }
        read::<F>(&*self.store, self.follower.reads(), cursor, until, self.events_max).await
    }

    /// What cannot be read now is read when its turn comes.
    fn read_ahead(&mut self, cursor: Cursor, until: Option<Position>) {
        let (store, reads, events_max) = (Arc::clone(&self.store), self.follower.reads(), self.events_max);
        let page = async move { read::<F>(&*store, reads, cursor, until, events_max).await };
        self.ahead = Some((cursor, tokio::spawn(page)));
    }

    /// Says how far it is. Whoever has begun to catch up does so until the end of the log.
    fn tell_reached(&self, position: Position) {
        let head = *self.store.watch().borrow();
        let catches_up = self.status.borrow().is_catching_up() && position < head;
        self.tell(if catches_up { Status::CatchingUp { position, head } } else { Status::Following(position) });
    }

    /// Wakes those who wait for the status only where it is another one.
    fn tell(&self, new: Status) {
        self.status.send_if_modified(|status| {
            let changed = *status != new;
            *status = new;
            changed
        });
    }
}

/// The events behind a cursor, none behind `until`.
async fn read<F: Follower>(
    store: &dyn EventStore,
    reads: &[Category],
    cursor: Cursor,
    until: Option<Position>,
    events_max: usize,
) -> Result<Page<F::Item>, Trouble> {
    let most = until.map_or(u64::MAX, |until| until.0.saturating_sub(cursor.position.0));
    if most == 0 {
        return Ok(Page { items: Vec::new(), last: cursor.position, reached: cursor });
    }
    let (events, reached) = if reads.is_empty() {
        let events_max = usize::try_from(most).unwrap_or(usize::MAX).min(events_max);
        let events = store.read(cursor.position, events_max, &[]).await?;
        let reached = events.last().map_or(cursor, Cursor::at);
        (events, reached)
    } else {
        read_some(store, reads, cursor, until, events_max).await?
    };
    let last = events.last().map_or(cursor.position, |event| event.position);
    let prepare = |event: Envelope| {
        let position = event.position;
        F::prepare(event).map_err(|error| Trouble::Poison { position, reason: error.to_string() })
    };
    let items = events.into_iter().map(prepare).collect::<Result<_, _>>()?;
    Ok(Page { items, last, reached })
}

/// The events of these kinds of streams, and how far they lead.
async fn read_some(
    store: &dyn EventStore,
    reads: &[Category],
    cursor: Cursor,
    until: Option<Position>,
    events_max: usize,
) -> Result<(Vec<Envelope>, Cursor), Trouble> {
    // The head first, and then the types: one that comes in between belongs to an event behind it.
    let head = store.head().await?;
    let end = until.map_or(head.position, |until| until.min(head.position));
    let is_read = |name: &String| {
        let category = name.split_once('.').map(|(category, _)| category);
        reads.iter().any(|read| Some(read.name()) == category)
    };
    let types: Vec<String> = store.types().await?.into_iter().filter(is_read).collect();
    if types.is_empty() {
        return Ok((Vec::new(), at(store, end).await?));
    }
    let page::Page { mut events, next, .. } =
        page::Page::read(store, head, cursor.position, events_max, &types).await?;
    events.truncate(events.partition_point(|event| event.position <= end));
    let reached = if next.position > end { at(store, end).await? } else { next };
    Ok((events, reached))
}
