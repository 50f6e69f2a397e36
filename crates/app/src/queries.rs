//! What is asked, and asking for figures.

use std::sync::Arc;

use dealog_commands::Clock;
use dealog_events::{Position, Timestamp, When};
use dealog_figures::{Filter, Image, Question, Unanswerable};
use dealog_projections::{Figures, Status, Watch, models::Lists};
use dealog_store::EventStore;
use tokio::time::timeout;

use crate::{Asked, Failed, Limits, QueryError, Wrong, asked::amounts, reached::Reached};

/// What answers questions. Cheap to clone.
#[derive(Clone)]
pub struct Queries {
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) figures: Figures,
    pub(crate) lists: Lists,
    /// How the read models are doing, where a worker of this process keeps them.
    pub(crate) worker: Option<Watch>,
    /// How far they are known to have come.
    pub(crate) reached: Arc<Reached>,
    pub(crate) clock: Clock,
    pub(crate) limits: Limits,
}

impl Queries {
    /// Questions to these figures and lists of this log, asked by this clock. `worker` is how the models of the lists are doing,
    /// where this process keeps them.
    pub fn new(
        store: Arc<dyn EventStore>,
        figures: Figures,
        lists: Lists,
        worker: Option<Watch>,
        clock: Clock,
        limits: Limits,
    ) -> Self {
        Self { store, figures, lists, worker, reached: Arc::default(), clock, limits }
    }

    /// The figures that are asked.
    pub fn figures(&self) -> &Figures {
        &self.figures
    }

    /// Asks for a figure, with everything in the question looked up.
    pub async fn figure<T: Send + 'static>(
        &self,
        asked: Asked,
        figure: impl FnOnce(&Image, &Question) -> Result<T, Unanswerable> + Send + 'static,
    ) -> Result<T, QueryError> {
        self.wait_for(asked.min_position).await?;
        let known_at = match asked.known_at {
            Some(known_at) => Some(self.known(known_at).await?),
            None => None,
        };
        // The head of the log may be ahead of the image for a moment.
        self.wait_for(known_at).await?;
        let now = (self.clock)();
        let answer = self.figures.ask(move |image| {
            not_ahead(image, asked.as_of, now)?;
            let moment = || Ok(image.moment(asked.as_of, known_at, now)?);
            let amount = amounts(asked.amount_from.as_deref(), asked.amount_to.as_deref(), moment)?;
            let filter = Filter { amount, ..asked.filter };
            let question = Question { now, as_of: asked.as_of, known_at, filter, grouping: asked.grouping };
            Ok::<_, Wrong>(figure(image, &question)?)
        });
        Ok(answer.await??)
    }

    /// Whether the figures have come to `position`, and have caught up with the log since they began.
    pub fn has_come_to(&self, position: Option<Position>) -> bool {
        there(&self.figures.status().borrow(), position.unwrap_or(Position::ZERO))
    }

    /// Waits until the figures have come to `position`; without one, until they have caught up with the log since they began.
    pub async fn wait_for(&self, position: Option<Position>) -> Result<(), QueryError> {
        if self.has_come_to(position) {
            return Ok(());
        }
        let wanted = position.unwrap_or(Position::ZERO);
        self.is_in_the_log(wanted).await?;
        let mut status = self.figures.status().subscribe();
        match timeout(self.limits.min_position_wait, status.wait_for(|status| there(status, wanted))).await {
            Ok(_) => Ok(()),
            Err(_) => Err(Failed::NotCaughtUp { wanted }.into()),
        }
    }
}

/// Whether a question need not wait any longer. Figures that have stopped say so when they are asked.
fn there(status: &Status, wanted: Position) -> bool {
    status.is_stopped() || (!status.is_catching_up() && status.position() >= wanted)
}

/// Nothing is known of what lies ahead.
pub(crate) fn not_ahead(image: &Image, as_of: Option<When>, now: Timestamp) -> Result<(), Wrong> {
    let Some(as_of) = as_of else { return Ok(()) };
    let latest = image.latest(now);
    let zone = image.moment(None, None, now)?.zone;
    if as_of.start(zone) <= latest {
        return Ok(());
    }
    let message = format!("as_of {as_of} lies ahead of now, {latest}: nothing is known of it");
    Err(Wrong::InFuture { field: "as_of".into(), message })
}
