//! One subscriber: where it is, and what it is sent next.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::body::Bytes;
use dealog_events::Cursor;
use dealog_followers::{OtherHistory, Page, check};
use dealog_store::EventStore;
use futures_util::{
    FutureExt as _,
    future::BoxFuture,
    stream::{self, Stream},
};
use serde_json::{Value, json};
use tokio::{
    sync::{OwnedSemaphorePermit, watch},
    time::{Instant, sleep_until},
};

use super::{
    Feed, Start, Unreadable,
    recent::{BATCH_BYTES_MAX, Batch, Place, Recent, Selected},
};
use crate::{
    fair::{Place as Turn, Share, Turns},
    room::{Held, Room},
};

/// Events that a subscriber reads from the log at once while it is behind.
const PAGE_EVENTS_MAX: usize = 250;
/// What it may hold of them: a batch, to which its last event adds up to 64 KiB, and less than that for what surrounds it.
const PAGE_BYTES_MAX: usize = 2 * BATCH_BYTES_MAX;

/// A subscriber. It asks for nothing until its connection has taken what it was given.
pub(crate) struct Subscriber {
    store: Arc<dyn EventStore>,
    recent: watch::Receiver<Option<Recent>>,
    stopping: watch::Receiver<bool>,
    /// All, where none is named.
    types: Vec<String>,
    /// All up to here was sent or was not asked for.
    reached: Cursor,
    /// The last id that it was told, which is where it will resume. None: it does not know where it is.
    told: Option<Cursor>,
    /// It has caught up with what is kept under this number: from then on it keeps up or is disconnected.
    pub(super) following: Option<u64>,
    ended: bool,
    keep_alive: Duration,
    last_sent: Instant,
    /// As whom it reads pages of the log.
    turn: Option<(Turns, Share)>,
    /// For pages of the log, of all subscribers.
    room: Room,
    /// Its place in the queue for that, and then for its turn, where it waits.
    leave: Option<BoxFuture<'static, Leave>>,
    /// Events that are read at once: no more of large ones than are sent.
    page_events: usize,
    _place: OwnedSemaphorePermit,
}

/// Leave to read a page of the log: room for it, which the page keeps, and a turn.
struct Leave {
    room: Held,
    _turn: Option<Turn>,
}

/// Why a stream ends.
#[derive(Debug)]
enum End {
    TooSlow,
    Stopping,
    OtherHistory(OtherHistory),
    Failed(Unreadable),
}

impl<E: Into<Unreadable>> From<E> for End {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl Subscriber {
    pub(super) fn new(feed: &Feed, start: Start, types: Vec<String>, place: OwnedSemaphorePermit) -> Self {
        let (reached, told) = match start {
            Start::Now(head) => (head, None),
            Start::After(position) => (position, Some(position)),
        };
        Self {
            store: Arc::clone(&feed.store),
            recent: feed.recent.subscribe(),
            stopping: feed.stopping.subscribe(),
            types,
            reached,
            told,
            following: None,
            ended: false,
            keep_alive: feed.limits.subscriber_keep_alive,
            last_sent: Instant::now(),
            turn: None,
            room: feed.room.clone(),
            leave: None,
            page_events: PAGE_EVENTS_MAX,
            _place: place,
        }
    }

    /// The same, which reads pages of the log when it is this caller's turn.
    #[must_use]
    pub(crate) fn in_turn(self, turns: Turns, share: Share) -> Self {
        Self { turn: Some((turns, share)), ..self }
    }

    /// What it is sent, to its end.
    pub(crate) fn stream(self) -> impl Stream<Item = Result<Bytes, Infallible>> {
        stream::unfold(self, async |mut subscriber| subscriber.next().await.map(|text| (Ok(text), subscriber)))
    }

    /// One or more whole messages, as soon as there are any. None after the last.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        let text = match self.messages().await {
            Ok(text) => text,
            Err(end) => self.last_message(&end),
        };
        self.last_sent = Instant::now();
        Some(text)
    }

    async fn messages(&mut self) -> Result<Bytes, End> {
        if self.told.is_none() {
            return Ok(self.sign_of_life());
        }
        loop {
            if *self.stopping.borrow() {
                return Err(End::Stopping);
            }
            let (kept, place) = match &*self.recent.borrow_and_update() {
                Some(recent) => (Some(recent.number()), recent.place(self.reached.position)),
                None => (None, Place::Behind),
            };
            if self.following.is_some() && self.following != kept {
                // The shared reader ran into trouble. This subscriber reads the log itself, and so learns what is wrong.
                self.following = None;
                check(&*self.store, self.reached).await?.map_err(End::OtherHistory)?;
            }
            let selected = match place {
                Place::Behind if self.following.is_some() => return Err(End::TooSlow),
                // Nothing in it was not asked for.
                Place::Behind => match self.leave_to_read().await? {
                    Some(leave) => self.page(leave).await?.map(|page| page.select(self.reached, &[])),
                    None => return Ok(self.sign_of_life()),
                },
                Place::Within(batch) => {
                    self.following = kept;
                    Some(batch.select(self.reached, &self.types))
                }
                Place::AtEnd => {
                    self.following = kept;
                    None
                }
            };
            let at_end = selected.is_none();
            if let Some(Selected { text, reached }) = selected {
                self.reached = reached;
                if let Some((text, last)) = text {
                    self.told = Some(last);
                    return Ok(text);
                }
            }
            if at_end && self.nothing_comes().await {
                return Ok(self.sign_of_life());
            }
        }
    }

    /// Waits for leave to read a page; None where that takes so long that a sign of life is due. It keeps its place in the queue.
    async fn leave_to_read(&mut self) -> Result<Option<Leave>, End> {
        let (room, turn) = (&self.room, &self.turn);
        let waiting = self.leave.get_or_insert_with(|| leave(room.clone(), turn.clone()).boxed());
        let leave = tokio::select! {
            leave = waiting => leave,
            _ = self.stopping.wait_for(|stop| *stop) => return Err(End::Stopping),
            () = sleep_until(self.last_sent + self.keep_alive) => return Ok(None),
        };
        self.leave = None;
        Ok(Some(leave))
    }

    /// What the log has after the position reached; None at its end.
    async fn page(&mut self, leave: Leave) -> Result<Option<Batch>, End> {
        let (events, last) = if self.types.is_empty() {
            // Nothing is passed over, so it does not matter where the log ends.
            let events = self.store.read(self.reached.position, self.page_events, &[]).await?;
            let last = events.last().map_or(self.reached, Cursor::at);
            (events, last)
        } else {
            let page = Page::read(
                &*self.store,
                self.store.head().await?,
                self.reached.position,
                self.page_events,
                &self.types,
            )
            .await?;
            (page.events, page.next)
        };
        if last.position <= self.reached.position {
            return Ok(None);
        }
        let mut events = events.into_iter();
        let page = Batch::render(&mut events, last)?;
        let all_sent = events.as_slice().is_empty();
        self.page_events = if all_sent { self.page_events.saturating_mul(2).min(PAGE_EVENTS_MAX) } else { page.len() };
        Ok(Some(page.in_room(leave.room)))
    }

    /// Waits for something to happen; true where nothing does for so long that a sign of life is due.
    async fn nothing_comes(&mut self) -> bool {
        tokio::select! {
            _ = self.recent.changed() => false,
            _ = self.stopping.wait_for(|stop| *stop) => false,
            () = sleep_until(self.last_sent + self.keep_alive) => true,
        }
    }

    /// The position, where the subscriber can resume further on than it knows, or else a comment.
    fn sign_of_life(&mut self) -> Bytes {
        if self.has_news() {
            return self.message("position", json!({}));
        }
        Bytes::from_static(b":\n\n")
    }

    /// Whether it can resume further on than it knows.
    fn has_news(&self) -> bool {
        self.told.is_none_or(|told| told.position < self.reached.position)
    }

    fn last_message(&mut self, end: &End) -> Bytes {
        self.ended = true;
        let (event, code, detail) = match end {
            End::TooSlow => {
                tracing::info!(position = %self.reached.position, "a subscriber was too slow and is disconnected");
                ("dropped", "too_slow", "events came faster than they were taken")
            }
            End::Stopping => ("stopping", "stopping", "the server is being stopped"),
            End::OtherHistory(other) => {
                tracing::warn!(%other, "a subscriber followed another history");
                ("dropped", "other_history", "the log was restored from a backup")
            }
            End::Failed(Unreadable::Store(error)) if error.is_away() => {
                tracing::warn!(%error, position = %self.reached.position, "a stream of events cannot go on for now");
                ("dropped", "unavailable", "the server's database cannot do this at the moment")
            }
            End::Failed(error) => {
                tracing::error!(%error, position = %self.reached.position, "a stream of events cannot go on");
                ("dropped", "internal", "the server failed; its log says why, under this request's id")
            }
        };
        metrics::counter!("dealog_streams_ended_total", "code" => code).increment(1);
        let then = match end {
            End::OtherHistory(_) => "begin again from a position that is of its history".to_owned(),
            _ => format!("come again with the Last-Event-ID {}: nothing is missed", self.reached),
        };
        let detail = format!("{detail}; {then}");
        self.message(event, json!({"code": code, "detail": detail}))
    }

    /// A message that is not an event of the log. Its data says which position was reached; its id does so only where
    /// that is news, so that ids only grow.
    fn message(&mut self, event: &str, mut data: Value) -> Bytes {
        let id = if self.has_news() { format!("id: {}\n", self.reached) } else { String::new() };
        self.told = Some(self.reached);
        if let Some(data) = data.as_object_mut() {
            data.insert("position".into(), self.reached.position.0.into());
        }
        format!("{id}event: {event}\ndata: {data}\n\n").into()
    }
}

/// Room first: who waits for that is in nobody's way.
async fn leave(room: Room, turn: Option<(Turns, Share)>) -> Leave {
    let share = turn.as_ref().map_or(Share::Address(None), |(_, share)| *share);
    let room = room.take(share, PAGE_BYTES_MAX).await;
    let turn = match turn {
        Some((turns, share)) => turns.take_for_stream(share).await,
        None => None,
    };
    Leave { room, _turn: turn }
}
