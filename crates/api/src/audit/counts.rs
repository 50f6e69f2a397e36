//! How much of one caller is written down in a minute: the first entries one by one, and then one for all others together.
//!
//! A caller who is refused without end, or reads everything, would otherwise push older entries out of the audit log.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use dealog_events::Actor;
use tokio::time::Instant;

use super::{Entry, Why};
use crate::access::network;

/// Refusals, and reads of personal data, of one caller or address in a minute that are written down one by one.
pub(super) const ENTRIES_MAX: u32 = 100;
/// Addresses that are counted apart from each other; any more are counted together. Callers with tokens always are apart.
const ADDRESSES_MAX: usize = 10_000;
/// How long a caller's entries are counted together.
const MINUTE: Duration = Duration::from_mins(1);

/// Whose entries are counted together, and why they are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    why: Why,
    actor: Option<Actor>,
    from: Option<IpAddr>,
}

struct Window {
    ends: Instant,
    written: u32,
    /// Stands for all entries that were not written.
    rest: Option<Entry>,
}

/// What to do about an entry.
pub(super) enum Counted {
    /// It is written down.
    Write(Entry),
    /// It is the first of those that are written down together: [`Counts::rest`] gives them, after this instant.
    WriteAt(Instant, Key),
    /// It was added to these.
    Added,
}

/// Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Counts(Arc<Mutex<HashMap<Key, Window>>>);

impl Counts {
    fn windows(&self) -> MutexGuard<'_, HashMap<Key, Window>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn count(&self, mut entry: Entry) -> Counted {
        let now = Instant::now();
        let mut windows = self.windows();
        let key = key(&mut windows, &entry, now);
        let window = windows.entry(key).or_insert_with(|| Window::begin(now));
        if window.is_over(now) {
            *window = Window::begin(now);
        }
        if window.written < ENTRIES_MAX {
            window.written += 1;
            entry.more = window.written == ENTRIES_MAX;
            return Counted::Write(entry);
        }
        if let Some(rest) = &mut window.rest {
            *rest = Entry { requests: rest.requests.saturating_add(1), ..entry };
            return Counted::Added;
        }
        window.rest = Some(entry);
        Counted::WriteAt(window.ends, key)
    }

    /// What a caller's minute had beyond the entries that were written down.
    pub(super) fn rest(&self, key: Key) -> Option<Entry> {
        self.windows().get_mut(&key)?.rest.take()
    }

    /// The same of all callers.
    pub(super) fn all_rests(&self) -> Vec<Entry> {
        self.windows().values_mut().filter_map(|window| window.rest.take()).collect()
    }
}

impl Window {
    fn begin(now: Instant) -> Self {
        Self { ends: now + MINUTE, written: 0, rest: None }
    }

    fn is_over(&self, now: Instant) -> bool {
        now >= self.ends && self.rest.is_none()
    }
}

/// With whom an entry is counted. What is no longer needed is thrown away where there would be too much of it.
fn key(windows: &mut HashMap<Key, Window>, entry: &Entry, now: Instant) -> Key {
    let from = if entry.actor.is_some() { None } else { entry.address.map(network) };
    let key = Key { why: entry.why, actor: entry.actor, from };
    if windows.len() < ADDRESSES_MAX || windows.contains_key(&key) {
        return key;
    }
    windows.retain(|_, window| !window.is_over(now));
    if windows.len() < ADDRESSES_MAX || entry.actor.is_some() {
        return key;
    }
    Key { from: None, ..key }
}
