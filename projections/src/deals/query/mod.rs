//! Questions to the projection `deals`. Each is answered from one snapshot, and its answer says which position and which
//! instant it speaks of. The definition of every figure is one sentence in the documentation of its field.

mod board;
mod closed;
mod deal;
mod forecast;
mod funnel;
mod groups;
mod keys;
mod page;
mod period;
mod pipeline;
mod reference;
mod scope;
mod snapshot;
mod sql;
mod stages;
mod stored;
mod time_in_stage;

use dealog_events::{Position, Timestamp};

pub use board::{Board, BoardColumn, BoardCursor, BoardPage, Card};
pub use closed::{Cycle, CycleFigures, Cycles, Velocity, WinRate, WinRateFigures};
pub use deal::{Deal, DealList, DealQuery, DealStatus};
pub use forecast::{Booked, Categories, CategoryFigures, Forecast, ForecastFigures, ForecastPart, ForecastPeriod};
pub use funnel::{CohortFunnel, CohortFunnels, FunnelAnswer, FunnelStage};
pub use groups::{By, Group, GroupKey, Grouping};
pub use page::{Found, ListPage, Named};
pub use period::{PeriodAnswer, PeriodFunnel, PeriodFunnels, PeriodMove, PeriodStage};
pub use pipeline::{AllPipelines, ClosedFigures, PipelineAnswer, PipelineFigures, StageFigures, StageTotals};
pub use reference::{Customer, Pipeline as PipelineDefinition, PipelineStage, Settings, Team, User};
pub use scope::{AmountRange, Filter, Range, Scope, When};
pub use time_in_stage::{PipelineTimes, StageTime, TimeInStage};

use crate::{Database, ProjectionError};

/// The read side of the projection `deals`.
#[derive(Debug, Clone)]
pub struct Views {
    database: Database,
    least: Position,
}

impl Views {
    /// Answers from `database`.
    pub fn new(database: Database) -> Self {
        Self { database, least: Position::ZERO }
    }

    /// The same, where an answer that speaks of an earlier position is refused with [`ProjectionError::Behind`].
    ///
    /// That the read models were there a moment ago does not say that they still are: their database may have crashed
    /// since, and found itself with what it had written down before.
    #[must_use]
    pub fn at_least(self, position: Position) -> Self {
        Self { least: position, ..self }
    }

    /// The database that is asked.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// The position that queries speak of now; zero where there is nothing yet that they understand.
    pub async fn position(&self) -> Result<Position, ProjectionError> {
        // Those who wait for a position ask often: this is one statement and no transaction.
        let mut db = self.database.acquire().await?;
        let checkpoint = crate::checkpoint(&mut db, super::NAME).await?;
        Ok(checkpoint.filter(|found| found.version == super::VERSION).map_or(Position::ZERO, |found| found.position))
    }

    /// What "now" means to these read models: the instant of asking by this clock, or later, where something later is in them.
    pub async fn now(&self, clock: Timestamp) -> Result<Timestamp, ProjectionError> {
        Ok(self.snapshot_now(clock).await?.at)
    }

    async fn snapshot(&self, scope: &Scope) -> Result<snapshot::Snapshot<'_>, ProjectionError> {
        snapshot::Snapshot::take(&self.database, self.least, scope.as_of, scope.now).await
    }

    async fn snapshot_now(&self, now: Timestamp) -> Result<snapshot::Snapshot<'_>, ProjectionError> {
        snapshot::Snapshot::take(&self.database, self.least, None, now).await
    }
}
