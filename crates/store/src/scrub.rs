//! Looks at all of a log again and again, at a low rate, so that damage is found where nobody reads.
//!
//! A pass goes from the first event to what was the end of the log when it began, in pieces: each takes a moment, in a snapshot
//! of its own, so it holds up nobody. What a piece looks at is each back end's to say.

use std::{sync::Arc, time::Duration};

use dealog_events::{Position, Timestamp};
use metrics::{describe_gauge, gauge};
use tokio::{sync::watch, time::sleep};

use crate::{StoreError, supervised, trust::Trust};

/// Events of a piece: what takes a millisecond or two.
pub(crate) const PIECE_EVENTS: u32 = 100;

/// The rest between two passes, which matters where a pass takes no time.
const PASS_PAUSE: Duration = Duration::from_secs(10);

/// The pause after the database failed.
const RETRY_PAUSE: Duration = Duration::from_secs(10);

/// How far a scrub is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scrubbed {
    /// The last event that this pass has looked at.
    pub position: Position,
    /// The last event that it is going to look at.
    pub end: Position,
    /// When the last pass ended that found no damage; none before.
    pub ended_at: Option<Timestamp>,
}

/// A log that is looked at in pieces.
pub(crate) trait Pieces: Send + 'static {
    /// Begins a pass, and says where it will end.
    fn begin(&mut self) -> impl Future<Output = Result<Position, StoreError>> + Send;

    /// Looks at the next piece, and says up to which event the pass has come; nothing once it has ended. A piece that failed is
    /// the next one again.
    fn next(&mut self) -> impl Future<Output = Result<Option<Position>, StoreError>> + Send;
}

/// The task that scrubs a log.
pub(crate) struct Scrub<P> {
    pub(crate) pieces: P,
    pub(crate) trust: Trust,
    pub(crate) events_per_second: u32,
    pub(crate) clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    pub(crate) told: watch::Sender<Scrubbed>,
}

impl<P: Pieces> Scrub<P> {
    /// Goes on until damage is found, here or elsewhere.
    pub(crate) async fn work(mut self) {
        describe_gauge!("dealog_scrub_position", "The last event that the scrub of the log has looked at in this pass");
        describe_gauge!("dealog_scrub_ended_seconds", "When the last pass over the log ended, in seconds since 1970");
        while supervised::run("scrub", self.run()).await.is_none() {}
    }

    async fn run(&mut self) {
        loop {
            match self.pass().await {
                Ok(()) => sleep(PASS_PAUSE).await,
                // Who learned of it first has told of it.
                Err(error) if error.is_damage() => return,
                Err(error) => failed(&error).await,
            }
        }
    }

    /// A pass, which the failures of a database do not end.
    async fn pass(&mut self) -> Result<(), StoreError> {
        let end = self.trust.judge("its end", self.pieces.begin().await)?;
        self.tell(|scrubbed| *scrubbed = Scrubbed { position: Position::ZERO, end, ..*scrubbed });
        let pause = Duration::from_secs(PIECE_EVENTS.into()) / self.events_per_second.max(1);
        loop {
            self.trust.check()?;
            let reached = self.told.borrow().position;
            let next = self.pieces.next().await;
            let next = self.trust.judge(format_args!("behind position {reached}"), next);
            match next {
                Ok(Some(position)) => self.tell(|scrubbed| scrubbed.position = position),
                Ok(None) => break,
                Err(error) if error.is_damage() => return Err(error),
                Err(error) => failed(&error).await,
            }
            sleep(pause).await;
        }
        let now = (self.clock)();
        self.tell(|scrubbed| *scrubbed = Scrubbed { position: end, ended_at: Some(now), ..*scrubbed });
        Ok(())
    }

    fn tell(&self, change: impl FnOnce(&mut Scrubbed)) {
        self.told.send_modify(change);
        let Scrubbed { position, ended_at, .. } = *self.told.borrow();
        #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
        gauge!("dealog_scrub_position").set(position.0 as f64);
        if let Some(ended_at) = ended_at {
            #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 seconds")]
            gauge!("dealog_scrub_ended_seconds").set((ended_at.micros() / 1_000_000) as f64);
        }
    }
}

/// Leaves the database alone for a while.
async fn failed(error: &StoreError) {
    tracing::warn!(%error, "the log cannot be scrubbed for now");
    sleep(RETRY_PAUSE).await;
}
