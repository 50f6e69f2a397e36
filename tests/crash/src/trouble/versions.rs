//! A log of an earlier version is brought up, one of a later version is refused and left as it is.

use super::Run;
use crate::{
    broken::{Result, ensure},
    place::{Faults, Place},
};

pub(super) async fn strike(run: &mut Run) -> Result<()> {
    if run.chance.percent(50) {
        run.cluster.kill_all().await?;
    } else {
        run.cluster.stop_all().await?;
    }
    let place = run.cluster.place.clone();
    let present = version(&place).await?;
    make_later(&place).await?;
    let before = contents(&place).await?;
    let (code, said) = place.run(&["serve", "--listen", "127.0.0.1:0"], &Faults::none()).await?;
    ensure!(code == Some(1) && said.contains("newer"), "a later log: {code:?} {said}");
    ensure!(contents(&place).await? == before, "a later log was refused, and changed");
    make_earlier(&place, present).await?;
    run.cluster.start(run.nodes, &Faults::none()).await?;
    give_back(&place).await?;
    let found = version(&place).await?;
    ensure!(found == present, "an earlier log was brought to version {found} and not {present}");
    Ok(())
}

async fn version(place: &Place) -> Result<i64> {
    match &place.postgres {
        None => sqlite::version(place).await,
        Some(database) => {
            let sql = "SELECT max(version)::bigint FROM log.migrations";
            Ok(sqlx::query_scalar(sql).fetch_one(&mut database.connect().await?).await?)
        }
    }
}

async fn make_later(place: &Place) -> Result<()> {
    match &place.postgres {
        None => sqlite::run(place, "PRAGMA user_version = 999").await,
        Some(database) => database.execute("INSERT INTO log.migrations (version) VALUES (999)").await,
    }
}

/// The earliest version that there is. It knows nothing of commands that changed nothing: they are put aside.
async fn make_earlier(place: &Place, present: i64) -> Result<()> {
    let known = if place.postgres.is_none() { 6 } else { 5 };
    ensure!(present == known, "the log has version {present}: say here how to undo what it added");
    match &place.postgres {
        None => sqlite::make_earlier(place).await,
        Some(database) => {
            let undo = "CREATE TABLE public.put_aside AS SELECT * FROM log.unchanged_commands;
                        DROP FUNCTION log.follow_events, log.follow_commands, log.follow_unchanged_commands, log.is_stream CASCADE;
                        DROP TABLE log.unchanged_commands, log.token_key; DROP INDEX log.events_by_type;
                        DROP TRIGGER tokens_keep_who_made_them ON log.tokens; DROP FUNCTION log.refuse_another_token_key;
                        ALTER TABLE log.tokens DROP COLUMN created_by, DROP COLUMN revoked_by;
                        DELETE FROM log.migrations WHERE version > 1";
            database.execute(undo).await
        }
    }
}

/// What was put aside is known again: it had been answered. What has been sent again meanwhile had not.
async fn give_back(place: &Place) -> Result<()> {
    match &place.postgres {
        None => {
            let give_back = "INSERT INTO unchanged_commands SELECT * FROM put_aside WHERE command_id NOT IN
                                 (SELECT command_id FROM commands UNION ALL SELECT command_id FROM unchanged_commands);
                             DROP TABLE put_aside";
            sqlite::run(place, give_back).await
        }
        Some(database) => {
            let give_back = "INSERT INTO log.unchanged_commands SELECT * FROM public.put_aside WHERE command_id NOT IN
                                 (SELECT command_id FROM log.commands UNION ALL SELECT command_id FROM log.unchanged_commands);
                             DROP TABLE public.put_aside";
            database.execute(give_back).await
        }
    }
}

/// All that a server could have changed.
async fn contents(place: &Place) -> Result<Vec<u8>> {
    match &place.postgres {
        None => Ok(std::fs::read(place.data().join("log.db"))?),
        Some(database) => {
            let sql = "SELECT (SELECT string_agg(m::text, ',' ORDER BY m::text) FROM log.migrations m) \
                       || (SELECT h::text FROM log.head h) || (SELECT count(*) FROM log.events) \
                       || (SELECT string_agg(c.oid::regclass::text, ',' ORDER BY c.oid) FROM pg_class c)";
            let found: String = sqlx::query_scalar(sql).fetch_one(&mut database.connect().await?).await?;
            Ok(found.into_bytes())
        }
    }
}

mod sqlite {
    use sqlx::{Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};

    use super::{Place, Result};

    async fn connect(place: &Place) -> Result<SqliteConnection> {
        let options = SqliteConnectOptions::new().filename(place.data().join("log.db"));
        Ok(SqliteConnection::connect_with(&options).await?)
    }

    pub(super) async fn version(place: &Place) -> Result<i64> {
        let mut connection = connect(place).await?;
        let version = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut connection).await?;
        connection.close().await?;
        Ok(version)
    }

    pub(super) async fn run(place: &Place, statements: &'static str) -> Result<()> {
        let mut connection = connect(place).await?;
        sqlx::raw_sql(statements).execute(&mut connection).await?;
        Ok(connection.close().await?)
    }

    /// Puts a log of version 1 with the same events in the place of the present one.
    pub(super) async fn make_earlier(place: &Place) -> Result<()> {
        let (present, earlier) = (place.data().join("log.db"), place.data().join("earlier.db"));
        let options = SqliteConnectOptions::new().filename(&earlier).create_if_missing(true);
        let mut connection = SqliteConnection::connect_with(&options).await?;
        sqlx::raw_sql(include_str!("../../../../crates/store/src/sqlite/schema.sql")).execute(&mut connection).await?;
        sqlx::query("ATTACH ?1 AS present").bind(present.to_str()).execute(&mut connection).await?;
        sqlx::raw_sql(include_str!("../../../../crates/store/tests/earlier.sql")).execute(&mut connection).await?;
        let put_aside = "CREATE TABLE put_aside AS SELECT * FROM present.unchanged_commands";
        sqlx::raw_sql(put_aside).execute(&mut connection).await?;
        connection.close().await?;
        // It was closed in good order, so that nothing is left beside it.
        for beside in ["log.db-wal", "log.db-shm"] {
            match std::fs::remove_file(place.data().join(beside)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
        Ok(std::fs::rename(earlier, present)?)
    }
}
