//! A database whose sessions begin with settings that nobody would choose.

use super::Run;
use crate::{
    broken::{Broken, Result, ensure},
    place::Faults,
};

/// What `ALTER DATABASE … SET` is given. Each alone would make statements fail or mean something else.
const SETTINGS: [&str; 10] = [
    "default_transaction_isolation TO 'serializable'",
    "default_transaction_isolation TO 'repeatable read'",
    "default_transaction_read_only TO on",
    "standard_conforming_strings TO off",
    "search_path TO nowhere",
    "statement_timeout TO 1",
    "lock_timeout TO 1",
    "idle_in_transaction_session_timeout TO 1",
    "timezone TO 'Asia/Kathmandu'",
    "bytea_output TO 'escape'",
];
/// Of them, so many at most.
const AT_ONCE_MAX: u64 = 5;
/// Callers who keep getting in each other's way are told so, whatever the settings.
const CONTENDED: &str = "\"contended\"";

/// Before any server has a session.
pub(super) async fn settings(run: &mut Run) -> Result<Faults> {
    let mut settings = SETTINGS.to_vec();
    run.chance.shuffle(&mut settings);
    let count = usize::try_from(run.chance.within(1, AT_ONCE_MAX))?;
    for setting in settings.into_iter().take(count) {
        alter(run, &format!("SET {setting}")).await?;
    }
    Ok(Faults::none())
}

/// Nothing fails of all that is asked for.
pub(super) async fn strike(run: &mut Run) -> Result<()> {
    let begun = run.witness.now();
    run.goes_on(200, 300).await?;
    run.is_read().await?;
    let unknown = run.witness.unanswered(begun);
    let failed = unknown.iter().find(|text| !text.contains(CONTENDED));
    alter(run, "RESET ALL").await?;
    ensure!(failed.is_none(), "a command failed, and nothing was wrong but the database's settings: {failed:?}");
    Ok(())
}

async fn alter(run: &Run, what: &str) -> Result<()> {
    let database = run.cluster.place.postgres.as_ref().ok_or_else(|| Broken("this is trouble of PostgreSQL".into()))?;
    // By way of another database: a session in this one would have the settings too.
    let sql = format!("ALTER DATABASE {} {what}", database.name);
    database.server.execute("postgres", &sql).await
}
