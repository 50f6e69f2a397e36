//! Leases: of all workers, one holds a projection at a time.
//!
//! A lease says who holds it, until when, and by which number (the fence, which grows each time it is taken). A holder
//! renews it in the transaction of each batch, by its number: one that was paused, and whose lease another has taken
//! meanwhile, writes nothing. Time is the database's clock. Whoever stops gives the lease back; of one that was killed it is
//! free when it has run out, or as soon as somebody on the same machine looks: see `process.rs`.

use std::time::{Duration, Instant};

use sqlx::{AnyConnection, AssertSqlSafe};

use crate::{Database, ProjectionError, dialect::Dialect, process::Process};

pub(crate) const TABLE: &str = "CREATE TABLE IF NOT EXISTS leases (projection TEXT NOT NULL PRIMARY KEY, holder TEXT \
                                NOT NULL, fence BIGINT NOT NULL, renewed_at BIGINT NOT NULL, expires_at BIGINT NOT NULL)";

/// Less than any number that a lease is taken by.
const NO_FENCE: i64 = 0;

/// A lease that this process has, or had.
#[derive(Debug)]
pub(crate) struct Lease {
    of: String,
    fence: i64,
    time: Duration,
    /// By this process's clock, which only tells when to renew it next.
    renewed: Instant,
}

/// Whether a lease is held. One that was renewed later than now is not: the clock was set back, and nobody knows by how much.
fn held(dialect: Dialect) -> String {
    let now = dialect.now();
    format!("leases.renewed_at <= {now} AND {now} < leases.expires_at")
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

impl Lease {
    /// Takes the lease for so long; none where another has it.
    pub(crate) async fn take(database: &Database, of: &str, time: Duration) -> Result<Option<Self>, ProjectionError> {
        let mut db = database.glance().await?;
        let holder = holder(&mut db, of).await?;
        db.rollback().await?;
        let of_the_gone = match &holder {
            None => NO_FENCE,
            Some(holder) if holder.process.is_gone() => holder.fence,
            Some(_) => return Ok(None),
        };
        let dialect = database.dialect();
        let renewed = Instant::now();
        // Or its number could be given again.
        let mut db = database.write_lasting().await?;
        let (now, held) = (dialect.now(), held(dialect));
        let sql = format!(
            "INSERT INTO leases (projection, holder, fence, renewed_at, expires_at) VALUES ($1, $2, 1, {now}, {now} + $3) \
             ON CONFLICT (projection) DO UPDATE SET holder = excluded.holder, fence = leases.fence + 1, \
             renewed_at = excluded.renewed_at, expires_at = excluded.expires_at WHERE NOT ({held}) OR \
             leases.fence = $4 RETURNING fence"
        );
        let this = Process::this().to_string();
        let taken = sqlx::query_scalar(AssertSqlSafe(sql)).bind(of).bind(this).bind(micros(time)).bind(of_the_gone);
        let taken: Option<i64> = taken.fetch_optional(&mut *db).await?;
        db.commit().await?;
        Ok(taken.map(|fence| Self { of: of.to_owned(), fence, time, renewed }))
    }

    /// Renews it within the transaction that `db` is in, which nobody can take it from until that ends.
    pub(crate) async fn renew_in(&self, db: &mut AnyConnection) -> Result<(), ProjectionError> {
        let now = Dialect::of(db).now();
        let sql = format!(
            "UPDATE leases SET renewed_at = {now}, expires_at = {now} + $3 WHERE projection = $1 AND fence = $2"
        );
        let renewed = sqlx::query(AssertSqlSafe(sql)).bind(&self.of).bind(self.fence).bind(micros(self.time));
        match renewed.execute(db).await?.rows_affected() {
            0 => Err(ProjectionError::LeaseLost),
            _ => Ok(()),
        }
    }

    /// Renews it where nothing else has for a third of its time, and says whether it did.
    pub(crate) async fn keep(&mut self, database: &Database) -> Result<bool, ProjectionError> {
        if self.renewed.elapsed() < self.time / 3 {
            return Ok(false);
        }
        let begun = Instant::now();
        let mut db = database.write().await?;
        self.renew_in(&mut db).await?;
        db.commit().await?;
        self.renewed(begun);
        Ok(true)
    }

    /// A transaction that began then has renewed it and was committed.
    pub(crate) fn renewed(&mut self, begun: Instant) {
        self.renewed = begun;
    }

    /// Keeps it for as long as that goes, and says why it does not go any longer.
    pub(crate) async fn keep_on(&mut self, database: &Database) -> ProjectionError {
        loop {
            tokio::time::sleep((self.time / 3).saturating_sub(self.renewed.elapsed())).await;
            if let Err(error) = self.keep(database).await {
                return error;
            }
        }
    }

    /// Gives it back, if it is still this process's.
    pub(crate) async fn give_back(self, database: &Database) -> Result<(), ProjectionError> {
        let mut db = database.write().await?;
        let sql = "UPDATE leases SET expires_at = 0 WHERE projection = $1 AND fence = $2";
        sqlx::query(sql).bind(&self.of).bind(self.fence).execute(&mut *db).await?;
        Ok(db.commit().await?)
    }
}

/// Who holds a lease.
pub(crate) struct Holder {
    pub(crate) process: Process,
    fence: i64,
}

/// Who holds a lease; none where it is free.
pub(crate) async fn holder(db: &mut AnyConnection, of: &str) -> Result<Option<Holder>, ProjectionError> {
    let sql = format!("SELECT holder, fence FROM leases WHERE projection = $1 AND {}", held(Dialect::of(db)));
    let found: Option<(String, i64)> = sqlx::query_as(AssertSqlSafe(sql)).bind(of).fetch_optional(db).await?;
    Ok(found.map(|(holder, fence)| Holder { process: Process::from(holder.as_str()), fence }))
}
