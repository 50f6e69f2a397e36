//! The image: folded from the log as a server folds it, written as a snapshot and read again.

use std::{
    fs::File,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use dealog_events::Position;
use dealog_figures::{Image, Proof};
use dealog_followers::{Limits, advance};
use dealog_projections::{Figures, ImageLimits};
use dealog_store::{EventStore, sqlite::SqliteStore};
use indicatif::ProgressBar;

use crate::{Result, machine::megabytes_of_this_process, table::millis};

/// As in a server.
const LIMITS: Limits = Limits {
    batch_events_max: 5_000,
    poll_interval: Duration::from_millis(200),
    retry_interval: Duration::from_secs(1),
};
/// Pages that are read before memory is measured.
const WARM_UP_PAGES: usize = 10;

/// An image, and what it took.
pub(super) struct Folded {
    pub(super) figures: Figures,
    pub(super) proof: Proof,
    pub(super) took: Duration,
    /// By how much the resident memory of this process grew, beyond what reading the log takes; none where the system does not tell.
    pub(super) megabytes: Option<f64>,
}

/// Folds the log from its beginning, by the follower of a server, without a snapshot.
pub(super) async fn fold(log: &Path, folder: &Path, progress: &ProgressBar) -> Result<Folded> {
    let store: Arc<dyn EventStore> = Arc::new(SqliteStore::open(log, dealog_store::Limits::default()).await?);
    let head = store.head().await?;
    let last = store.read(Position(head.position.0.saturating_sub(1)), 1, &[]).await?;
    let last = last.last().ok_or("the log is empty")?;
    let proof = Proof { log_id: head.log_id, position: head.position, event_id: last.event_id };
    progress.set_length(head.position.0);
    warm_up(&*store).await?;
    let never = ImageLimits { snapshot_events_min: u64::MAX, last_snapshot_events_min: u64::MAX };
    let before = megabytes_of_this_process()?;
    let (figures, mut follower) = Figures::new(Arc::clone(&store), folder.join("none.snapshot"), never);
    let telling = tokio::spawn(tell(figures.clone(), progress.clone()));
    let begun = Instant::now();
    advance(&store, &mut follower, LIMITS, figures.status()).await?;
    let took = begun.elapsed();
    telling.abort();
    drop(follower);
    let after = megabytes_of_this_process()?;
    store.close().await;
    let megabytes = before.zip(after).map(|(before, after)| after - before);
    Ok(Folded { figures, proof, took, megabytes })
}

/// Reads and decodes the beginning of the log, two pages at once as the follower does: what that takes is there before memory is
/// measured, and is not counted as the image's.
async fn warm_up(store: &dyn EventStore) -> Result<()> {
    let page_events = LIMITS.batch_events_max;
    for page in 0..WARM_UP_PAGES {
        let after = Position((page * page_events) as u64);
        let next = Position(((page + 1) * page_events) as u64);
        let (one, other) = tokio::try_join!(store.read(after, page_events, &[]), store.read(next, page_events, &[]))?;
        let decoded: Vec<_> = one.iter().chain(&other).map(dealog_events::Envelope::event).collect();
        drop((decoded, one, other));
    }
    Ok(())
}

async fn tell(figures: Figures, progress: ProgressBar) {
    let mut status = figures.status().subscribe();
    while status.changed().await.is_ok() {
        progress.set_position(status.borrow().position().0);
    }
}

/// What a snapshot takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Snapshot {
    pub(super) write_ms: f64,
    pub(super) read_ms: f64,
    pub(super) bytes: u64,
}

/// Writes a snapshot of the image and reads it again, with the file in the memory of the system.
pub(super) fn snapshot(image: &Image, proof: &Proof, folder: &Path) -> Result<Snapshot> {
    let path = folder.join("figures.snapshot");
    let begun = Instant::now();
    image.write(proof, File::create(&path)?)?;
    let write_ms = millis(begun.elapsed());
    let bytes = path.metadata()?.len();
    let begun = Instant::now();
    let (read, found) = Image::read(File::open(&path)?)?;
    let read_ms = millis(begun.elapsed());
    if found != *proof || read.len() != image.len() {
        return Err("the snapshot is not of the image that was written".into());
    }
    Ok(Snapshot { write_ms, read_ms, bytes })
}
