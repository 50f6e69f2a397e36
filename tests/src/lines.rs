//! What a process writes, kept as it comes.

use std::{
    io::{BufRead, BufReader, Read},
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

#[derive(Default)]
struct Kept {
    lines: Vec<String>,
    ended: bool,
}

/// The lines of a stream, read by a thread of their own so that no pipe ever runs full.
pub struct Lines {
    shared: Arc<(Mutex<Kept>, Condvar)>,
    reader: JoinHandle<()>,
}

impl Lines {
    pub fn of(stream: impl Read + Send + 'static) -> Self {
        let shared = Arc::new((Mutex::new(Kept::default()), Condvar::new()));
        let writer = Arc::clone(&shared);
        let reader = thread::spawn(move || {
            let (kept, changed) = &*writer;
            for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).into_owned();
                kept.lock().unwrap_or_else(PoisonError::into_inner).lines.push(line);
                changed.notify_all();
            }
            kept.lock().unwrap_or_else(PoisonError::into_inner).ended = true;
            changed.notify_all();
        });
        Self { shared, reader }
    }

    /// Waits for a line of which `wanted` makes something.
    pub fn find<T>(&self, what: &str, bound: Duration, wanted: impl Fn(&str) -> Option<T>) -> T {
        let begun = Instant::now();
        let (kept, changed) = &*self.shared;
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(found) = kept.lines.iter().find_map(|line| wanted(line)) {
                return found;
            }
            let left = bound.saturating_sub(begun.elapsed());
            assert!(!kept.ended && !left.is_zero(), "waited in vain for {what}; there was:\n{}", kept.lines.join("\n"));
            kept = changed.wait_timeout(kept, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// All that has come so far.
    pub fn so_far(&self) -> String {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner).lines.join("\n")
    }

    /// All of it, once the other side has closed.
    pub fn all(self) -> String {
        let _ = self.reader.join();
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner).lines.join("\n")
    }
}
