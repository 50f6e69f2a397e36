//! `dealog replay`: the log as it is, for people and for programs.

use std::io::{self, IsTerminal as _, Write};

use dealog_events::{DealId, Envelope, Position, StreamId, Version};
use dealog_store::Log;

use crate::{
    cli::Format,
    open::{self, Failure},
    out::{self, plain},
    settings::Settings,
};

/// Events read at once.
const PAGE_EVENTS: usize = 1_000;
/// Characters of an event's data in a line for people.
const DATA_CHARS_MAX: usize = 100;

/// Prints events of one deal or of all, from a position up to another.
pub(crate) async fn replay(
    settings: &Settings,
    deal: Option<DealId>,
    from: u64,
    to: Option<u64>,
    format: Format,
) -> Result<(), Failure> {
    settings.existing_log().await?;
    let store = open::log(settings).await?;
    let mut pages = Pages { store: &*store, deal, after: Position(from.saturating_sub(1)), version: Version::ZERO };
    let mut written = io::BufWriter::new(io::stdout().lock());
    // A program is given what was written; a terminal would obey it.
    let spelled_out = format == Format::Table || io::stdout().is_terminal();
    let printed = print(&mut written, &mut pages, to.unwrap_or(u64::MAX), format, spelled_out).await;
    let flushed = written.flush();
    drop(written);
    store.close().await;
    match printed.and_then(|()| flushed.map_err(Stop::Out)) {
        // Whoever reads has read enough: `dealog replay | head`.
        Err(Stop::Out(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(Stop::Out(source)) => Err(out::failed(source)),
        Err(Stop::Failed(failure)) => Err(failure),
        Ok(()) => Ok(()),
    }
}

/// Why printing stopped.
enum Stop {
    Out(io::Error),
    Failed(Failure),
}

struct Pages<'a> {
    store: &'a dyn Log,
    deal: Option<DealId>,
    after: Position,
    version: Version,
}

impl Pages<'_> {
    async fn next(&mut self) -> Result<Vec<Envelope>, Failure> {
        let page = match self.deal {
            None => self.store.read(self.after, PAGE_EVENTS, &[]).await?,
            Some(deal) => {
                let page = self.store.read_stream(StreamId::Deal(deal), self.version, PAGE_EVENTS).await?;
                if page.is_empty() && self.version == Version::ZERO {
                    return Err(Failure::Folder(format!("there is no deal {deal} in this log")));
                }
                page
            }
        };
        if let Some(last) = page.last() {
            self.after = self.after.max(last.position);
            self.version = last.version;
        }
        Ok(page)
    }
}

async fn print(
    out: &mut impl Write,
    pages: &mut Pages<'_>,
    to: u64,
    format: Format,
    spelled_out: bool,
) -> Result<(), Stop> {
    let from = pages.after;
    let mut page = pages.next().await.map_err(Stop::Failed)?;
    if format == Format::Table {
        let head =
            format!("{:>9}  {:<20}  {:<44}  {:>4}  {:<32}  DATA", "POSITION", "OCCURRED", "STREAM", "VER", "TYPE");
        writeln!(out, "{head}").map_err(Stop::Out)?;
    }
    while let Some(last) = page.last().map(|last| last.position) {
        for event in page.iter().filter(|event| event.position > from && event.position.0 <= to) {
            let line = match format {
                Format::Table => row(event),
                Format::Jsonl => serde_json::to_string(event).map_err(|error| Stop::Out(error.into()))?,
            };
            let line = if spelled_out { plain(&line, &[]) } else { line.into() };
            writeln!(out, "{line}").map_err(Stop::Out)?;
        }
        if last.0 >= to {
            break;
        }
        page = pages.next().await.map_err(Stop::Failed)?;
    }
    Ok(())
}

fn row(event: &Envelope) -> String {
    let occurred = event.occurred_at.utc().format("%Y-%m-%dT%H:%M:%SZ");
    let data = match event.data.char_indices().nth(DATA_CHARS_MAX) {
        Some((end, _)) => format!("{}...", event.data.get(..end).unwrap_or_default()),
        None => event.data.to_string(),
    };
    let (stream, version) = (event.stream.to_string(), event.version.0);
    format!("{:>9}  {occurred}  {stream:<44}  {version:>4}  {:<32}  {data}", event.position.0, event.event_type)
}
