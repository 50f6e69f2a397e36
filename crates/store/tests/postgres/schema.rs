//! The schema, and who may do what to it.

use dealog_events::Position;
use dealog_store::{EventStore as _, Limits, Place, StoreError, TokenStore as _, postgres::PostgresStore};
use dealog_test_postgres::Fresh;
use sqlx::{ConnectOptions as _, Connection as _, Row as _, postgres::PgConnectOptions};
use tokio::task::JoinSet;

use crate::{append, open};

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused() {
    let fresh = Fresh::new().await;
    open(fresh.url()).await.unwrap().close().await;
    fresh.execute("INSERT INTO log.migrations (version) VALUES (1000)").await.unwrap();
    let refused = open(fresh.url()).await.unwrap_err();
    assert!(matches!(refused, StoreError::Schema(_)), "{refused}");
    assert!(refused.to_string().contains("use a newer dealog"), "{refused}");
}

#[tokio::test]
async fn a_schema_of_another_program_is_refused_and_left_as_it_was() {
    let fresh = Fresh::new().await;
    fresh.execute("CREATE SCHEMA log; CREATE TABLE log.entries (line TEXT)").await.unwrap();
    let refused = open(fresh.url()).await.unwrap_err();
    assert!(refused.to_string().contains("belongs to another program"), "{refused}");
    fresh.execute("DROP TABLE log.entries; DROP SCHEMA log").await.unwrap();
}

#[tokio::test]
async fn a_database_that_cannot_hold_every_text_is_refused() {
    let fresh = Fresh::encoded("SQL_ASCII").await;
    let refused = open(fresh.url()).await.unwrap_err();
    assert!(refused.to_string().contains("needs UTF8"), "{refused}");
}

#[tokio::test]
async fn there_is_no_log_until_one_is_opened() {
    let fresh = Fresh::new().await;
    let place = Place::Postgres(fresh.url().to_owned());
    assert!(!place.exists(Limits::default()).await.unwrap());
    let refused = place.check(Limits::default(), |_, _| Ok(())).await.unwrap_err();
    assert!(refused.to_string().contains("there is no log"), "{refused}");
    open(fresh.url()).await.unwrap().close().await;
    assert!(place.exists(Limits::default()).await.unwrap());
}

#[tokio::test]
async fn an_address_without_a_server_is_told_without_its_password() {
    // Nobody listens on the port that is for nobody.
    let refused = open("postgres://someone:secret@127.0.0.1:9/company").await.unwrap_err();
    let told = format!("{refused} {refused:?}");
    assert!(told.contains("postgres://someone@127.0.0.1:9/company cannot be reached"), "{told}");
    assert!(!told.contains("secret"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_may_create_the_log_at_the_same_time() {
    let fresh = Fresh::new().await;
    let mut opening = JoinSet::new();
    for _ in 0..8 {
        let url = fresh.url().to_owned();
        opening.spawn(async move { open(&url).await.unwrap() });
    }
    let stores = opening.join_all().await;
    let log_id = stores[0].head().await.unwrap().log_id;
    for store in &stores {
        assert_eq!(store.head().await.unwrap().log_id, log_id);
    }
}

#[tokio::test]
async fn nobody_truncates_or_rewrites_whatever_the_role_or_the_session() {
    let fresh = Fresh::new().await;
    let store = open(fresh.url()).await.unwrap();
    store.append(append()).await.unwrap();
    let before = store.read(Position::ZERO, 10, &[]).await.unwrap();
    for table in ["events", "commands", "streams", "head", "tokens"] {
        let refused = fresh.execute(&format!("TRUNCATE log.{table} CASCADE")).await.unwrap_err();
        assert!(refused.to_string().contains("never"), "{table}: {refused}");
        let refused = fresh
            .execute(&format!("SET session_replication_role = replica; DELETE FROM log.{table}"))
            .await
            .unwrap_err();
        assert!(refused.to_string().contains("never"), "{table}: {refused}");
    }
    for rewrite in [
        "UPDATE log.events SET data = '{}' WHERE false",
        "INSERT INTO log.events SELECT * FROM log.events ON CONFLICT (position) DO UPDATE SET data = '{}'",
        "UPDATE log.head SET log_id = log_id WHERE false",
        "INSERT INTO log.head SELECT 2, log_id FROM log.head",
    ] {
        fresh.execute(rewrite).await.unwrap_err();
    }
    assert_eq!(store.read(Position::ZERO, 10, &[]).await.unwrap(), before);
}

#[tokio::test]
async fn a_role_that_only_serves_appends_and_rewrites_nothing() {
    let fresh = Fresh::new().await;
    let role = format!("role_{}", uuid::Uuid::now_v7().simple());
    fresh.execute(&format!("CREATE ROLE {role} LOGIN")).await.unwrap();
    let url = fresh.url_of(&role);
    let refused = open(&url).await.unwrap_err();
    assert!(refused.to_string().contains("dealog migrate"), "{refused}");

    PostgresStore::migrate(fresh.url(), Limits::default(), Some(&role)).await.unwrap();
    let store = open(&url).await.unwrap();
    let told = store.append(append()).await.unwrap();
    assert_eq!(
        store.append(crate::Append { expected: told.version, stream: told.stream, ..append() }).await.unwrap().position,
        Position(2)
    );
    assert!(store.tokens().await.unwrap().is_empty());
    let mut connection = url.parse::<PgConnectOptions>().unwrap().connect().await.unwrap();
    for rewrite in [
        "UPDATE log.events SET data = '{}'",
        "DELETE FROM log.events",
        "TRUNCATE log.events",
        "DELETE FROM log.commands",
        "UPDATE log.head SET log_id = gen_random_uuid()",
        "ALTER TABLE log.events DISABLE TRIGGER ALL",
        "DROP TRIGGER events_are_not_rewritten ON log.events",
        "CREATE TABLE log.more (a INT)",
    ] {
        let refused = sqlx::query(rewrite).execute(&mut connection).await.unwrap_err();
        assert_eq!(refused.as_database_error().unwrap().code().unwrap(), "42501", "{rewrite}: {refused}");
    }
    connection.close().await.unwrap();
    store.close().await;
    fresh.execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await.unwrap();
}

#[tokio::test]
async fn people_with_a_shell_read_times_as_times_and_data_as_json() {
    let fresh = Fresh::new().await;
    let store = open(fresh.url()).await.unwrap();
    store.append(append()).await.unwrap();
    let mut connection = fresh.url().parse::<PgConnectOptions>().unwrap().connect().await.unwrap();
    let sql = "SELECT to_char(occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), jsonb_typeof(data) \
               FROM log.events_readable";
    let row = sqlx::query(sql).fetch_one(&mut connection).await.unwrap();
    let event = store.read(Position::ZERO, 1, &[]).await.unwrap().remove(0);
    assert_eq!(row.get::<String, _>(0), event.occurred_at.to_string());
    assert_eq!(row.get::<String, _>(1), "object");
}
