//! The bare append on PostgreSQL: what has to be written for a batch of events, and nothing else.
//!
//! The same database as the real log, with its schema and the triggers that refuse to rewrite: head, streams, command ids and
//! events, each with one statement, and a commit. Nobody is asked, nothing is judged, by triggers neither, and nobody waits; the statements' parameters are made before
//! the clock starts.

use std::time::{Duration, Instant};

use dealog_store::{Limits, postgres::PostgresStore};
use sqlx::{Connection as _, Executor as _, PgConnection};
use uuid::Uuid;

use crate::{Result, moving::DEALS, table::rate};

const HEAD: &str = "SELECT 1 FROM log.head WHERE one = 1 FOR UPDATE";

/// The real log's appends are judged by these.
const UNJUDGED: &str = "DROP TRIGGER events_follow ON log.events; DROP TRIGGER commands_brought_events ON log.commands";

const EVENTS: &str = "
    INSERT INTO log.events (position, event_id, stream, version, type, schema, occurred_at, recorded_at, actor,
        command_id, correlation_id, causation_id, data)
    SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::text[], $4::bigint[], $5::text[], $6::int[], $7::bigint[],
        $8::bigint[], $9::text[], $10::uuid[], $11::uuid[], $12::uuid[], $13::text[])";

const COMMANDS: &str = "
    INSERT INTO log.commands (command_id, fingerprint, stream, version, position, events)
    SELECT * FROM unnest($1::uuid[], $2::bytea[], $3::text[], $4::bigint[], $5::bigint[], $6::int[])";

const STREAMS: &str = "
    INSERT INTO log.streams (stream, version, occurred_at)
    SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[])
    ON CONFLICT (stream) DO UPDATE SET version = excluded.version, occurred_at = excluded.occurred_at";

/// A log that is written to without asking it anything.
pub(crate) struct Bare {
    db: PgConnection,
    position: i64,
}

impl Bare {
    /// In a new database.
    pub(crate) async fn create(url: &str) -> Result<Self> {
        PostgresStore::migrate(url, Limits::default(), None).await?;
        let mut db = PgConnection::connect(url).await?;
        db.execute(UNJUDGED).await?;
        Ok(Self { db, position: 0 })
    }

    /// Events a second, where each transaction has so many moves of different deals.
    pub(crate) async fn rate(&mut self, batch_events: usize, slice: Duration) -> Result<f64> {
        let (mut written, mut took) = (0, Duration::ZERO);
        while took < slice {
            took += self.write(i64::try_from(batch_events)?).await?;
            written += batch_events;
        }
        Ok(rate(written, took))
    }

    /// Writes a batch, and tells how long that took.
    async fn write(&mut self, events: i64) -> Result<Duration> {
        let deals = i64::try_from(DEALS)?;
        let count = usize::try_from(events)?;
        let positions: Vec<i64> = (self.position + 1..=self.position + events).collect();
        let streams: Vec<String> =
            positions.iter().map(|n| format!("deal-{}", Uuid::from_u128((n % deals).cast_unsigned().into()))).collect();
        let versions: Vec<i64> = positions.iter().map(|position| (position - 1) / deals + 1).collect();
        let ids: Vec<Uuid> = positions.iter().map(|_| Uuid::now_v7()).collect();
        let now = vec![chrono::Utc::now().timestamp_micros(); count];
        let data = format!(r#"{{"pipeline":"{}","from":"lead","to":"offer"}}"#, Uuid::from_u128(1));
        self.position += events;

        let begun = Instant::now();
        let mut transaction = self.db.begin().await?;
        sqlx::query(HEAD).execute(&mut *transaction).await?;
        sqlx::query(EVENTS)
            .bind(&positions)
            .bind(&ids)
            .bind(&streams)
            .bind(&versions)
            .bind(vec!["deal.stage_moved"; count])
            .bind(vec![1_i32; count])
            .bind(&now)
            .bind(&now)
            .bind(vec!["local"; count])
            .bind(&ids)
            .bind(&ids)
            .bind(vec![None::<Uuid>; count])
            .bind(vec![data.as_str(); count])
            .execute(&mut *transaction)
            .await?;
        sqlx::query(COMMANDS)
            .bind(&ids)
            .bind(vec![[1_u8; 32].as_slice(); count])
            .bind(&streams)
            .bind(&versions)
            .bind(&positions)
            .bind(vec![1_i32; count])
            .execute(&mut *transaction)
            .await?;
        sqlx::query(STREAMS).bind(&streams).bind(&versions).bind(&now).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(begun.elapsed())
    }
}
