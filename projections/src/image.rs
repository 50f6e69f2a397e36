//! The memory image as a follower of the log, and as what figures are asked of.
//!
//! Each server folds an image of its own. So that it starts sooner, it keeps a snapshot of it in the data folder, and folds what has
//! happened since. A snapshot that is damaged, or of another version or another history, is thrown away, and the image is folded
//! from the log.

use std::{
    fs::File,
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use async_trait::async_trait;
use dealog_events::{Cursor, Envelope, Event, Position, ReadError};
use dealog_figures::{Image, Proof, Unusable};
use dealog_followers::{Follower, OtherHistory, Status, Trouble, Turn};
use dealog_store::EventStore;
use tokio::{sync::watch, task::spawn_blocking};
use uuid::Uuid;

/// Named limits of the image.
#[derive(Debug, Clone, Copy)]
pub struct ImageLimits {
    /// Events between two snapshots, at least; and a quarter of all that the image has folded. So folding a log from its beginning
    /// writes few of them.
    pub snapshot_events_min: u64,
    /// Events since the last snapshot for which the image writes one when it stops: fewer are folded in no time.
    pub last_snapshot_events_min: u64,
}

impl Default for ImageLimits {
    fn default() -> Self {
        Self { snapshot_events_min: 250_000, last_snapshot_events_min: 10_000 }
    }
}

/// The figures of a server, answered from memory. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Figures {
    image: Arc<RwLock<Image>>,
    status: watch::Sender<Status>,
}

/// Why figures cannot be given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FiguresError {
    /// The image has not come to what was asked for.
    #[error("the figures have come to position {position} of {wanted}: try again in a moment")]
    Behind {
        /// How far it has come.
        position: Position,
        /// How far it should have.
        wanted: Position,
    },
    /// The image goes no further, and would give figures of long ago.
    #[error("the figures stopped after position {position}: {reason}")]
    Stopped {
        /// The last event in it.
        position: Position,
        /// Why.
        reason: String,
    },
    /// Whatever answered failed.
    #[error("the figure failed, and the log says why")]
    Failed,
}

impl Figures {
    /// Figures of nothing, and the follower that folds the log into them. Its snapshots are in `snapshot`.
    pub fn new(store: Arc<dyn EventStore>, snapshot: PathBuf, limits: ImageLimits) -> (Self, ImageFollower) {
        let head = *store.watch().borrow();
        let status = watch::Sender::new(Status::CatchingUp { position: Position::ZERO, head });
        let figures = Self { image: Arc::default(), status };
        let follower = ImageFollower {
            figures: figures.clone(),
            store,
            snapshot,
            limits,
            log_id: None,
            last: None,
            snapshot_at: Position::ZERO,
        };
        (figures, follower)
    }

    /// How the follower is doing, to be told by whoever runs it.
    pub fn status(&self) -> &watch::Sender<Status> {
        &self.status
    }

    /// Answers a question from the image as it is, on a thread where that may take its time.
    pub async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Image) -> T + Send + 'static,
    ) -> Result<T, FiguresError> {
        {
            let status = self.status.borrow();
            match &*status {
                Status::CatchingUp { position, head } => {
                    return Err(FiguresError::Behind { position: *position, wanted: *head });
                }
                Status::Stopped { position, reason } => {
                    return Err(FiguresError::Stopped { position: *position, reason: reason.clone() });
                }
                Status::Following(_) | Status::Waiting { .. } => {}
            }
        }
        let image = Arc::clone(&self.image);
        let answer = spawn_blocking(move || question(&image.read().unwrap_or_else(PoisonError::into_inner)));
        answer.await.map_err(|error| {
            tracing::error!(%error, "a figure failed");
            FiguresError::Failed
        })
    }
}

/// Folds the log into [`Figures`].
pub struct ImageFollower {
    figures: Figures,
    store: Arc<dyn EventStore>,
    snapshot: PathBuf,
    limits: ImageLimits,
    /// Known once the snapshot was looked at.
    log_id: Option<Uuid>,
    /// The last event in the image, and its id.
    last: Option<(Cursor, Uuid)>,
    /// What the newest snapshot was made of.
    snapshot_at: Position,
}

#[async_trait]
impl Follower for ImageFollower {
    type Item = (Envelope, Event);

    fn name(&self) -> &'static str {
        "figures"
    }

    fn prepare(event: Envelope) -> Result<Self::Item, ReadError> {
        event.event().map(|meaning| (event, meaning))
    }

    async fn turn(&mut self) -> Result<Turn, Trouble> {
        if self.log_id.is_none() {
            let log_id = self.store.head().await?.log_id;
            self.begin_with_snapshot(log_id).await;
            self.log_id = Some(log_id);
        }
        Ok(Turn::Go(self.last.map_or(Cursor::START, |(cursor, _)| cursor)))
    }

    async fn handle(&mut self, items: Vec<Self::Item>, _: Cursor) -> Result<(), Trouble> {
        let folded: Result<(), Trouble> = {
            let mut image = self.figures.image.write().unwrap_or_else(PoisonError::into_inner);
            items.iter().try_for_each(|(envelope, event)| {
                image
                    .apply(envelope, event)
                    .map_err(|error| Trouble::Poison { position: envelope.position, reason: error.to_string() })?;
                // What was folded before an event that cannot be is in the image, and the follower goes on behind it.
                self.last = Some((Cursor::at(envelope), envelope.event_id));
                Ok(())
            })
        };
        folded?;
        let since = self.since_snapshot();
        if since >= self.limits.snapshot_events_min && since * 4 >= self.position().0 {
            self.write_snapshot().await;
        }
        Ok(())
    }

    async fn begin_again(&mut self, _: &OtherHistory) -> Result<(), Trouble> {
        *self.figures.image.write().unwrap_or_else(PoisonError::into_inner) = Image::default();
        (self.last, self.snapshot_at) = (None, Position::ZERO);
        Ok(())
    }
}

impl ImageFollower {
    /// The last event in the image.
    fn position(&self) -> Position {
        self.last.map_or(Position::ZERO, |(cursor, _)| cursor.position)
    }

    fn since_snapshot(&self) -> u64 {
        self.position().0.saturating_sub(self.snapshot_at.0)
    }

    /// Ends in good order: writes what the next start would have to fold again.
    pub async fn end(mut self) {
        if self.since_snapshot() >= self.limits.last_snapshot_events_min {
            self.write_snapshot().await;
        }
    }

    async fn begin_with_snapshot(&mut self, log_id: Uuid) {
        let path = self.snapshot.clone();
        let read = spawn_blocking(move || read(&path)).await;
        match read.unwrap_or_else(|error| Err(Unusable::Damaged(error.to_string()))) {
            Ok((image, proof)) if proof.log_id == log_id => {
                tracing::info!(position = %proof.position, "the figures begin with their snapshot");
                *self.figures.image.write().unwrap_or_else(PoisonError::into_inner) = image;
                self.last = Some((Cursor::of(proof.position, proof.event_id), proof.event_id));
                self.snapshot_at = proof.position;
            }
            Ok(_) => {
                tracing::warn!("the snapshot of the figures is of another log: they are folded from the beginning");
            }
            Err(Unusable::Io(error)) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => {
                tracing::warn!(%error, "the snapshot of the figures is not used: they are folded from the beginning");
            }
        }
    }

    /// Whatever happens to it, the figures go on: a snapshot saves time, and nothing else.
    async fn write_snapshot(&mut self) {
        let (Some((cursor, event_id)), Some(log_id)) = (self.last, self.log_id) else { return };
        let proof = Proof { log_id, position: cursor.position, event_id };
        let (path, image) = (self.snapshot.clone(), Arc::clone(&self.figures.image));
        let written = spawn_blocking(move || {
            let image = image.read().unwrap_or_else(PoisonError::into_inner);
            write(&path, &image, &proof)
        });
        self.snapshot_at = cursor.position;
        match written.await.unwrap_or_else(|error| Err(Unusable::Damaged(error.to_string()))) {
            Ok(()) => tracing::debug!(position = %cursor.position, "a snapshot of the figures was written"),
            Err(error) => tracing::warn!(%error, "no snapshot of the figures can be written"),
        }
    }
}

fn read(path: &Path) -> Result<(Image, Proof), Unusable> {
    Image::read(File::open(path)?)
}

/// In one piece: a file beside it takes its place once it is whole. It need not last, since a damaged one is noticed.
fn write(path: &Path, image: &Image, proof: &Proof) -> Result<(), Unusable> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    image.write(proof, file.as_file_mut())?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}
