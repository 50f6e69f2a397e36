//! Sessions are what the log needs, whatever the database and the role would have them be; and what passes by itself is told as
//! such, in our own words.

use std::time::Duration;

use dealog_events::Position;
use dealog_store::{AppendError, EventStore as _, Limits, StoreError, postgres::PostgresStore};
use dealog_test_postgres::Fresh;
use futures_util::future::join_all;
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, error::DatabaseError, postgres::PgConnectOptions,
};
use tokio::time::{sleep, timeout};

use crate::{PATIENCE, append, commands, nodes::END_ALL, open};

/// What an administrator may set for a database, for reasons of other programs.
const HOSTILE: [&str; 16] = [
    "default_transaction_isolation = 'serializable'",
    "default_transaction_isolation = 'repeatable read'",
    "default_transaction_read_only = on",
    "default_transaction_deferrable = on",
    "search_path = 'evil, log, public'",
    "standard_conforming_strings = off",
    "statement_timeout = '20ms'",
    "lock_timeout = '1ms'",
    "idle_in_transaction_session_timeout = '1ms'",
    "idle_session_timeout = '50ms'",
    "\"TimeZone\" = 'Pacific/Chatham'",
    "\"DateStyle\" = 'SQL, DMY'",
    "bytea_output = 'escape'",
    "row_security = on",
    "quote_all_identifiers = on",
    "synchronous_commit = off",
];

/// Functions and tables of the names that are used, which do harm.
const EVIL: &str = "CREATE SCHEMA evil;
    CREATE FUNCTION evil.now() RETURNS timestamptz LANGUAGE sql AS $$ SELECT timestamptz 'epoch' $$;
    CREATE FUNCTION evil.to_regclass(text) RETURNS regclass LANGUAGE sql AS $$ SELECT NULL::regclass $$;
    CREATE FUNCTION evil.to_regnamespace(text) RETURNS regnamespace LANGUAGE sql AS $$ SELECT NULL::regnamespace $$;
    CREATE FUNCTION evil.quote_ident(text) RETURNS text LANGUAGE sql AS $$ SELECT 'nobody' $$;
    CREATE TABLE evil.pg_class (oid oid, relnamespace oid);
    CREATE TABLE evil.head (one int);
    CREATE TABLE evil.events (position bigint)";

async fn set_for_the_database(fresh: &Fresh, setting: &str) {
    let sql = format!(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET {}', current_database()); END $$",
        setting.replace('\'', "''")
    );
    fresh.execute(&sql).await.unwrap();
}

async fn connect(url: &str) -> PgConnection {
    url.parse::<PgConnectOptions>().unwrap().connect().await.unwrap()
}

fn impatient() -> Limits {
    Limits {
        database_lock_timeout: Duration::from_millis(400),
        database_statement_timeout: Duration::from_secs(20),
        ..Limits::default()
    }
}

/// Not a word of the database's.
fn in_our_words(told: &str) {
    for word in [
        "error returned",
        "canceling",
        "deadlock",
        "terminat",
        "constraint",
        "relation",
        "too many",
        "log.",
        "SQLSTATE",
    ] {
        assert!(!told.contains(word), "`{word}` in: {told}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_append_is_taken_whatever_the_database_sets_for_its_sessions() {
    for setting in HOSTILE {
        let fresh = Fresh::new().await;
        fresh.execute(EVIL).await.unwrap();
        set_for_the_database(&fresh, setting).await;
        let (here, there) = (open(fresh.url()).await.unwrap(), open(fresh.url()).await.unwrap());
        let outcomes =
            join_all((0..100).map(|at| if at % 2 == 0 { here.append(append()) } else { there.append(append()) }));
        for outcome in timeout(PATIENCE, outcomes).await.unwrap() {
            outcome.unwrap_or_else(|error| panic!("{setting}: {error}"));
        }
        // Connections that nobody has used for a while are still of use.
        sleep(Duration::from_millis(120)).await;
        assert_eq!(commands(&here).await.len(), 100, "{setting}");
        here.append(append()).await.unwrap_or_else(|error| panic!("{setting}: {error}"));
        PostgresStore::check(fresh.url(), Limits::default(), |_, _| Ok(())).await.unwrap();
    }
}

#[tokio::test]
async fn a_lock_that_others_hold_is_waited_for_and_then_told_in_our_words() {
    let fresh = Fresh::new().await;
    let store = PostgresStore::open(fresh.url(), impatient()).await.unwrap();
    let mut other = connect(fresh.url()).await;
    let held = other.begin_with("BEGIN; SELECT FROM log.head FOR UPDATE").await.unwrap();
    let refused = timeout(PATIENCE, store.append(append())).await.unwrap().unwrap_err();
    let AppendError::Unavailable(told) = refused else { panic!("{refused}") };
    assert!(told.contains("hold the lock"), "{told}");
    in_our_words(told);
    held.rollback().await.unwrap();
    assert_eq!(store.append(append()).await.unwrap().position, Position(1));
}

#[tokio::test]
async fn a_read_that_waits_for_a_lock_too_long_or_is_canceled_or_ended_may_be_tried_again() {
    let fresh = Fresh::new().await;
    let store = PostgresStore::open(fresh.url(), impatient()).await.unwrap();
    store.append(append()).await.unwrap();
    let mut other = connect(fresh.url()).await;
    let held = other.begin_with("BEGIN; LOCK TABLE log.events IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let late = store.read(Position::ZERO, 1, &[]).await.unwrap_err();
    is_away(&late, "55P03");
    for (end, code) in [("pg_cancel_backend", "57014"), ("pg_terminate_backend", "57P01")] {
        let ended = async {
            // In a transaction it would be told the same over and over.
            let mut watcher = connect(fresh.url()).await;
            let sql = format!(
                "SELECT count({end}(pid)) FROM pg_stat_activity WHERE datname = current_database() \
                 AND wait_event_type = 'Lock'"
            );
            let ended = || sqlx::query_scalar::<_, i64>(AssertSqlSafe(sql.clone()));
            while ended().fetch_one(&mut watcher).await.unwrap() == 0 {}
        };
        let (late, ()) = tokio::join!(store.read(Position::ZERO, 1, &[]), ended);
        is_away(&late.unwrap_err(), code);
    }
    held.rollback().await.unwrap();
    assert_eq!(store.read(Position::ZERO, 9, &[]).await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_append_whose_statement_takes_too_long_is_refused_in_our_words() {
    let fresh = Fresh::new().await;
    let short = Duration::from_millis(300);
    let limits = Limits { database_statement_timeout: short, ..Limits::default() };
    let store = PostgresStore::open(fresh.url(), limits).await.unwrap();
    let mut other = connect(fresh.url()).await;
    let held = other.begin_with("BEGIN; LOCK TABLE log.commands IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let refused = timeout(PATIENCE, store.append(append())).await.unwrap().unwrap_err();
    let AppendError::Unavailable(told) = refused else { panic!("{refused}") };
    assert!(told.contains("too long"), "{told}");
    in_our_words(told);
    held.rollback().await.unwrap();
    store.append(append()).await.unwrap();
}

#[tokio::test]
async fn an_append_that_is_the_victim_of_a_deadlock_is_refused_in_our_words() {
    let fresh = Fresh::new().await;
    let store = open(fresh.url()).await.unwrap();
    let mut other = connect(fresh.url()).await;
    // It never looks for deadlocks itself, so the append is the victim.
    sqlx::query("SET deadlock_timeout = '1h'").execute(&mut other).await.unwrap();
    let mut held = other.begin_with("BEGIN; LOCK TABLE log.events IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let (refused, ()) = tokio::join!(store.append(append()), async {
        let mut watcher = connect(fresh.url()).await;
        let waits =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        while sqlx::query_scalar::<_, i64>(waits).fetch_one(&mut watcher).await.unwrap() == 0 {}
        sqlx::query("SELECT FROM log.head FOR UPDATE").execute(&mut *held).await.unwrap();
        held.rollback().await.unwrap();
    });
    let AppendError::Unavailable(told) = refused.unwrap_err() else { panic!("it is in doubt") };
    assert!(told.contains("others got in its way"), "{told}");
    in_our_words(told);
    store.append(append()).await.unwrap();
}

#[tokio::test]
async fn a_database_without_a_connection_left_is_away() {
    let fresh = Fresh::new().await;
    let role = format!("role_{}", uuid::Uuid::now_v7().simple());
    fresh.execute(&format!("CREATE ROLE {role} LOGIN")).await.unwrap();
    PostgresStore::migrate(fresh.url(), Limits::default(), Some(&role)).await.unwrap();
    let limits = Limits { database_connect_timeout: Duration::from_millis(500), ..Limits::default() };
    let store = PostgresStore::open(&fresh.url_of(&role), limits).await.unwrap();
    fresh.execute(&format!("ALTER ROLE {role} CONNECTION LIMIT 0")).await.unwrap();
    fresh.execute(END_ALL).await.unwrap();
    let refused = store.append(append()).await.unwrap_err();
    let AppendError::Unavailable(told) = refused else { panic!("{refused}") };
    in_our_words(told);
    let refused = store.read(Position::ZERO, 1, &[]).await.unwrap_err();
    assert!(refused.is_away(), "{refused}");
    in_our_words(refused.in_words());
    store.close().await;
    fresh.execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await.unwrap();
}

fn is_away(error: &StoreError, code: &str) {
    assert!(error.is_away(), "{code}: {error}");
    in_our_words(error.in_words());
    let StoreError::Database(error) = error else { panic!("{error}") };
    assert_eq!(error.as_database_error().and_then(DatabaseError::code).as_deref(), Some(code), "{error}");
}

/// Entries of the index of commands that were read.
const COMMANDS_READ: &str = "SELECT idx_tup_read FROM pg_stat_user_indexes WHERE indexrelname = 'commands_pkey'";

#[tokio::test]
async fn what_an_append_reads_does_not_grow_with_the_log() {
    const APPENDS: usize = 64;
    let fresh = Fresh::new().await;
    let store = open(fresh.url()).await.unwrap();
    let grow = async |rounds: usize| {
        for _ in 0..rounds {
            for appended in join_all((0..APPENDS).map(|_| store.append(append()))).await {
                appended.unwrap();
            }
        }
    };
    grow(5).await;
    // Here plans are made for a small log, and they are kept.
    fresh.execute("ANALYZE log.commands; ANALYZE log.events; ANALYZE log.streams").await.unwrap();
    fresh.execute("ALTER TABLE log.commands SET (autovacuum_enabled = off)").await.unwrap();
    grow(60).await;
    store.close().await;
    let mut connection = connect(fresh.url()).await;
    let appended = i64::try_from(65 * APPENDS).unwrap();
    // A session tells its statistics when it ends, which may take a moment.
    let mut read: i64 = 0;
    for _ in 0..100 {
        read = sqlx::query_scalar(COMMANDS_READ).fetch_one(&mut connection).await.unwrap();
        if read >= appended {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!((appended..5 * appended).contains(&read), "{read} entries were read for {appended} commands");
}
