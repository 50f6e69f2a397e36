//! Leases: of all followers of a name, in one process or in many, one may go on at a time.
//!
//! A lease says who holds it, until when, and by which number (the fence, which grows each time it is taken). A holder
//! locks it in the transaction of each batch, by its number: one that was paused, and whose lease another has taken
//! meanwhile, writes nothing. It renews the lease at intervals, by the database's clock. A holder that stops gives the lease
//! back; the lease of a killed process is free once it has run out, or as soon as somebody on the same machine looks: see
//! [`process`](crate::process).
//!
//! Leases are rows of a table in the database that their holders write to, SQLite or PostgreSQL, and whoever has that
//! database begins and commits the transactions.

use std::time::{Duration, Instant};

use sqlx::{AnyConnection, AssertSqlSafe, Database as _, Postgres};

use crate::process::Process;

/// The statement that makes their table where it is missing.
pub const TABLE: &str = "CREATE TABLE IF NOT EXISTS leases (name TEXT NOT NULL PRIMARY KEY, holder TEXT NOT NULL, fence BIGINT \
                         NOT NULL, renewed_at BIGINT NOT NULL, expires_at BIGINT NOT NULL)";

/// Less than any number that a lease is taken by.
const NO_FENCE: i64 = 0;

/// Why a lease is of no use.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Another has it.
    #[error("another process has taken over")]
    Lost,
    /// The database did not do what was asked.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// A lease that this process has, or had.
#[derive(Debug)]
pub struct Lease {
    name: String,
    fence: i64,
    time: Duration,
    /// By this process's clock, which only tells when to renew it next.
    renewed: Instant,
}

impl Lease {
    /// Takes the lease of this name for so long, from `found`, whom [`holder`] has told a moment ago; none where somebody has
    /// taken it since, or where `found` may still be there.
    ///
    /// The commit must outlast a crash of the server, or its number could be given again.
    pub async fn take(
        db: &mut AnyConnection,
        name: &str,
        found: Option<&Holder>,
        time: Duration,
    ) -> Result<Option<Self>, sqlx::Error> {
        let of_the_gone = match found {
            None => NO_FENCE,
            Some(found) if found.process.is_gone() => found.fence,
            Some(_) => return Ok(None),
        };
        let renewed = Instant::now();
        let (now, held) = (now(db), held(db));
        let sql = format!(
            "INSERT INTO leases (name, holder, fence, renewed_at, expires_at) VALUES ($1, $2, 1, {now}, {now} + $3) \
             ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, fence = leases.fence + 1, \
             renewed_at = excluded.renewed_at, expires_at = excluded.expires_at WHERE NOT ({held}) OR \
             leases.fence = $4 RETURNING fence"
        );
        let this = Process::this().to_string();
        let taken = sqlx::query_scalar(AssertSqlSafe(sql)).bind(name).bind(this).bind(micros(time)).bind(of_the_gone);
        let taken: Option<i64> = taken.fetch_optional(db).await?;
        Ok(taken.map(|fence| Self { name: name.to_owned(), fence, time, renewed }))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its number, unique to this holder. A transaction that writes under the lease checks that the number is still the same.
    pub fn fence(&self) -> i64 {
        self.fence
    }

    /// Renews it within the transaction that `db` is in, which nobody can take it from until that ends.
    pub async fn renew(&self, db: &mut AnyConnection) -> Result<(), LeaseError> {
        let now = now(db);
        let sql =
            format!("UPDATE leases SET renewed_at = {now}, expires_at = {now} + $3 WHERE name = $1 AND fence = $2");
        let renewed = sqlx::query(AssertSqlSafe(sql)).bind(&self.name).bind(self.fence).bind(micros(self.time));
        match renewed.execute(db).await?.rows_affected() {
            0 => Err(LeaseError::Lost),
            _ => Ok(()),
        }
    }

    /// A transaction that began then has renewed it and was committed.
    pub fn renewed(&mut self, begun: Instant) {
        self.renewed = begun;
    }

    /// How long it need not be renewed: a third of its time since it last was.
    pub fn rests(&self) -> Duration {
        (self.time / 3).saturating_sub(self.renewed.elapsed())
    }

    /// Gives it back, if it is still this process's.
    pub async fn give_back(self, db: &mut AnyConnection) -> Result<(), sqlx::Error> {
        let sql = "UPDATE leases SET expires_at = 0 WHERE name = $1 AND fence = $2";
        sqlx::query(sql).bind(self.name).bind(self.fence).execute(db).await?;
        Ok(())
    }
}

/// Who holds a lease.
#[derive(Debug)]
pub struct Holder {
    /// The process that does, or did until it ended.
    pub process: Process,
    fence: i64,
}

/// Who holds the lease of this name; none where it is free.
pub async fn holder(db: &mut AnyConnection, name: &str) -> Result<Option<Holder>, sqlx::Error> {
    let sql = format!("SELECT holder, fence FROM leases WHERE name = $1 AND {}", held(db));
    let found: Option<(String, i64)> = sqlx::query_as(AssertSqlSafe(sql)).bind(name).fetch_optional(db).await?;
    Ok(found.map(|(holder, fence)| Holder { process: Process::from(holder.as_str()), fence }))
}

/// Whether a lease is held. One that was renewed later than now is not: the clock was set back, and nobody knows by how much.
fn held(db: &AnyConnection) -> String {
    let now = now(db);
    format!("leases.renewed_at <= {now} AND {now} < leases.expires_at")
}

/// The database's clock, in microseconds.
fn now(db: &AnyConnection) -> &'static str {
    if db.backend_name() == Postgres::NAME {
        "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)"
    } else {
        "CAST(unixepoch('subsec') * 1000000 AS BIGINT)"
    }
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}
