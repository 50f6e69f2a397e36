//! The log that figures are asked of: six years of deals in an SQLite file, by the store's own append.
//!
//! Events are made in the order in which they are recorded. A deal's course is made when it begins, and held until its last event is
//! written, so that memory grows with the deals that something still happens to, and not with the log.

use std::{
    cmp::Ordering,
    collections::{BinaryHeap, HashMap, VecDeque},
    path::Path,
    time::{Duration, Instant},
};

use dealog_events::{Actor, Cause, CommandId, DealId, Event, StreamId, Version};
use dealog_store::{
    Append, AppendError, Appended, EventStore as _, Fingerprint, Limits, NewEvent, sqlite::SqliteStore,
};
use futures_util::future::BoxFuture;
use indicatif::ProgressBar;
use uuid::Uuid;

use super::{
    company::Company,
    course::{Happened, course},
    time::{at, begins},
};
use crate::Result;

/// Appends that are under way: they share commits.
const UNDER_WAY_MAX: usize = 4_096;

/// What was written, and how long that took.
#[derive(Debug, Clone, Copy)]
pub(super) struct Written {
    pub(super) events: u64,
    pub(super) took: Duration,
}

/// Writes the log of so many deals.
pub(super) async fn write(path: &Path, deals: u64, progress: &ProgressBar) -> Result<Written> {
    let limits = Limits { queue_length_max: UNDER_WAY_MAX, batch_appends_max: UNDER_WAY_MAX / 2, ..Limits::default() };
    let store = SqliteStore::open(path, limits).await?;
    let begun = Instant::now();
    let mut writer = Writer { store: &store, under_way: VecDeque::new(), events: 0 };
    let company = Company::new(deals)?;
    let mut versions = HashMap::new();
    let mut beside = company.events()?.into_iter().peekable();
    let mut courses = BinaryHeap::new();
    for number in 0..deals {
        let begins_at = begins(number, deals);
        while let Some((happens_at, stream, event)) = beside.next_if(|(happens_at, ..)| *happens_at <= begins_at) {
            emit_until(&mut courses, happens_at, &mut writer).await?;
            let version = versions.entry(stream).or_insert(0);
            writer.append(stream, version, (happens_at, happens_at), &event).await?;
        }
        emit_until(&mut courses, begins_at, &mut writer).await?;
        courses.extend(Course::of(course(&company, number, deals)?));
        progress.set_position(number);
    }
    emit_until(&mut courses, i64::MAX, &mut writer).await?;
    let events = writer.end().await?;
    let took = begun.elapsed();
    store.close().await;
    Ok(Written { events, took })
}

/// Writes what is recorded before an instant.
async fn emit_until(courses: &mut BinaryHeap<Course>, before: i64, writer: &mut Writer<'_>) -> Result<()> {
    while courses.peek().is_some_and(|course| course.next.recorded_at < before) {
        let Some(mut course) = courses.pop() else { break };
        let Happened { occurred_at, recorded_at, event } = &course.next;
        let event = Event::Deal(event.clone());
        writer.append(StreamId::Deal(course.deal), &mut course.version, (*occurred_at, *recorded_at), &event).await?;
        courses.extend(course.go_on());
    }
    Ok(())
}

/// What is still to happen to a deal.
struct Course {
    deal: DealId,
    version: u64,
    next: Happened,
    later: std::vec::IntoIter<Happened>,
}

impl Course {
    fn of((deal, events): (DealId, Vec<Happened>)) -> Option<Self> {
        let mut later = events.into_iter();
        Some(Self { deal, version: 0, next: later.next()?, later })
    }

    fn go_on(mut self) -> Option<Self> {
        self.next = self.later.next()?;
        Some(self)
    }

    fn key(&self) -> (i64, DealId) {
        (self.next.recorded_at, self.deal)
    }
}

/// The heap gives the greatest first: that is the one recorded first.
impl Ord for Course {
    fn cmp(&self, other: &Self) -> Ordering {
        other.key().cmp(&self.key())
    }
}

impl PartialOrd for Course {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Course {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Course {}

struct Writer<'s> {
    store: &'s SqliteStore,
    under_way: VecDeque<BoxFuture<'static, std::result::Result<Appended, AppendError>>>,
    events: u64,
}

impl Writer<'_> {
    /// Appends an event that happened and was recorded at these instants.
    async fn append(
        &mut self,
        stream: StreamId,
        version: &mut u64,
        (occurred_at, recorded_at): (i64, i64),
        event: &Event,
    ) -> Result<()> {
        // Half of them wait while the others are written.
        if self.under_way.len() >= UNDER_WAY_MAX {
            for _ in 0..UNDER_WAY_MAX / 2 {
                self.answered().await?;
            }
        }
        self.events += 1;
        let (event_type, schema) = event.event_type();
        let id = Uuid::from_u64_pair(0x0000_0000_0000_8000, 0x8000_0000_0000_0000 | self.events);
        self.under_way.push_back(self.store.append(Append {
            cause: Cause::new(Actor::Local, CommandId(id)),
            command_id: CommandId(id),
            fingerprint: Fingerprint([0; 32]),
            now: at(recorded_at)?,
            stream,
            expected: Version(*version),
            unchanged: Vec::new(),
            events: vec![NewEvent { event_type, schema, occurred_at: at(occurred_at)?, data: event.to_json()? }],
        }));
        *version += 1;
        Ok(())
    }

    async fn answered(&mut self) -> Result<()> {
        if let Some(append) = self.under_way.pop_front() {
            append.await?;
        }
        Ok(())
    }

    /// Waits for all that is under way, and says how many events there are.
    async fn end(mut self) -> Result<u64> {
        while !self.under_way.is_empty() {
            self.answered().await?;
        }
        Ok(self.events)
    }
}
