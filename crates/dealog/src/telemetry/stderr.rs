//! Standard error, written by a thread of its own.
//!
//! It may be a full disk, a pipe whose reader is gone, or one whose reader sleeps. Whoever logs must not fail for it, nor wait
//! for it: a line that finds no room is lost, and counted.

use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use tracing_subscriber::fmt::MakeWriter;

use crate::{out::plain, settings::redacted};

/// Bytes of lines that wait to be written; what comes on top of them is lost.
const WAITING_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How long the end of a process waits for its last lines to be written.
const FLUSH_MAX: Duration = Duration::from_secs(1);

/// Says what the number of lost lines means.
pub(super) fn describe() {
    metrics::describe_counter!("dealog_log_lines_lost_total", "Lines of the log that could not be written");
    metrics::counter!("dealog_log_lines_lost_total").absolute(0);
}

fn lost() {
    metrics::counter!("dealog_log_lines_lost_total").increment(1);
}

/// A handle of the thread that writes. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Stderr {
    lines: mpsc::Sender<Line>,
    waiting_bytes: Arc<AtomicUsize>,
    /// What stays of the characters that act on a terminal.
    keep: &'static [char],
}

#[derive(Debug)]
enum Line {
    Text(String),
    /// All before this has been written once it is answered.
    Mark(mpsc::Sender<()>),
}

impl Stderr {
    /// Starts the thread. Where the log has colours, what lets them appear is left in its lines.
    pub(super) fn start(colours: bool) -> io::Result<Self> {
        let (lines, waiting) = mpsc::channel();
        let waiting_bytes = Arc::new(AtomicUsize::new(0));
        let taken = Arc::clone(&waiting_bytes);
        thread::Builder::new().name("log".into()).spawn(move || write(&waiting, &taken))?;
        // The formatter of the log spells out the escapes of what it is given, so those that are left are its own.
        Ok(Self { lines, waiting_bytes, keep: if colours { &['\u{1b}'] } else { &[] } })
    }

    /// Writes a line, or loses it.
    pub(crate) fn line(&self, text: &str) {
        self.send(format!("{text}\n"));
    }

    /// Waits until what was logged has been written, or for as long as nobody minds.
    pub(crate) fn flush(&self) {
        let (mark, written) = mpsc::channel();
        if self.lines.send(Line::Mark(mark)).is_ok() {
            let _ = written.recv_timeout(FLUSH_MAX);
        }
    }

    fn send(&self, text: String) {
        let bytes = text.len();
        if self.waiting_bytes.fetch_add(bytes, Ordering::Relaxed) > WAITING_BYTES_MAX {
            self.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
            return lost();
        }
        if self.lines.send(Line::Text(text)).is_err() {
            lost();
        }
    }
}

fn write(waiting: &mpsc::Receiver<Line>, waiting_bytes: &AtomicUsize) {
    while let Ok(line) = waiting.recv() {
        match line {
            Line::Text(text) => {
                if io::stderr().write_all(text.as_bytes()).is_err() {
                    lost();
                }
                waiting_bytes.fetch_sub(text.len(), Ordering::Relaxed);
            }
            Line::Mark(mark) => drop(mark.send(())),
        }
    }
}

impl<'a> MakeWriter<'a> for Stderr {
    type Writer = Event;

    fn make_writer(&'a self) -> Event {
        Event(self.clone())
    }
}

/// Takes one event of the log, which comes in one piece.
pub(crate) struct Event(Stderr);

impl Write for Event {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        self.0.line(&plain(&redacted(text.trim_end_matches('\n')), self.0.keep));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
