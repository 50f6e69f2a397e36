//! A log whose schema is not what Dealog made is named and not appended to.

use dealog_store::{AppendError, EventStore as _, Limits, StoreError, postgres::PostgresStore};
use dealog_test_postgres::Fresh;
use sqlx::{ConnectOptions as _, PgConnection, postgres::PgConnectOptions};

use crate::{append, nodes::END_ALL, open};

/// What an owner, or whoever has their password, may do to a log, and what is told of it. `role` is a role of the test's.
const ALTERATIONS: [(&str, &str); 24] = [
    (
        "CREATE OR REPLACE FUNCTION log.follow_events() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        "function follow_events() is altered",
    ),
    (
        "CREATE OR REPLACE FUNCTION log.refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        "function refuse() is altered",
    ),
    ("ALTER FUNCTION log.follow_events() SECURITY INVOKER", "function follow_events() is altered"),
    ("ALTER FUNCTION log.follow_events() RESET search_path", "function follow_events() is altered"),
    ("ALTER FUNCTION log.follow_commands() OWNER TO role", "owner of function follow_commands() is not Dealog's"),
    (
        "ALTER TABLE log.events DROP CONSTRAINT events_stream_version_key",
        "constraint events.events_stream_version_key is missing",
    ),
    (
        "ALTER TABLE log.commands DROP CONSTRAINT commands_events_check",
        "constraint commands.commands_events_check is missing",
    ),
    ("ALTER TABLE log.events ADD CHECK (position < 1000)", "constraint events.events_position_check1 is not Dealog's"),
    ("ALTER TABLE log.head DROP CONSTRAINT head_pkey", "constraint head.head_pkey is missing"),
    ("ALTER TABLE log.events ALTER actor DROP NOT NULL", "column events.actor is altered"),
    ("ALTER TABLE log.events ADD note TEXT", "column events.note is not Dealog's"),
    ("ALTER TABLE log.events ALTER data SET DEFAULT '{}'", "column events.data is altered"),
    ("ALTER TABLE log.streams SET UNLOGGED", "table streams is altered"),
    ("ALTER TABLE log.events ENABLE ROW LEVEL SECURITY", "table events is altered"),
    ("CREATE TABLE log.more (a INT)", "table more is not Dealog's"),
    ("CREATE TABLE child () INHERITS (log.events)", "child public.child of events is not Dealog's"),
    ("CREATE RULE gone AS ON INSERT TO log.events DO INSTEAD NOTHING", "rule events.gone is not Dealog's"),
    ("CREATE UNIQUE INDEX one_each ON log.events (actor)", "index one_each is not Dealog's"),
    ("CREATE FUNCTION log.more() RETURNS int LANGUAGE sql AS 'SELECT 1'", "function more() is not Dealog's"),
    (
        "CREATE TRIGGER more AFTER INSERT ON log.events EXECUTE FUNCTION log.refuse('no')",
        "trigger events.more is not Dealog's",
    ),
    ("GRANT UPDATE ON log.streams TO role", "role may UPDATE on streams"),
    ("GRANT UPDATE (data) ON log.events TO role", "role may UPDATE (data) on events"),
    ("GRANT INSERT ON log.tokens TO PUBLIC", "everyone may INSERT on tokens"),
    ("GRANT CREATE ON SCHEMA log TO role", "role may CREATE in the schema log"),
];

async fn role(fresh: &Fresh) -> String {
    let role = format!("role_{}", uuid::Uuid::now_v7().simple());
    fresh.execute(&format!("CREATE ROLE {role}")).await.unwrap();
    role
}

async fn is_refused(fresh: &Fresh, what: &str, told: &str) {
    let opened = open(fresh.url()).await.err().unwrap_or_else(|| panic!("{what}: it is opened"));
    let checked = PostgresStore::check(fresh.url(), Limits::default(), |_, _| Ok(())).await;
    for refused in [opened, checked.expect_err(what)] {
        assert!(matches!(refused, StoreError::Altered(_)), "{what}: {refused}");
        assert!(refused.to_string().contains(told), "{what}: {refused}");
    }
}

#[tokio::test]
async fn whatever_is_altered_is_named_and_nothing_is_appended() {
    for (alter, told) in ALTERATIONS {
        let fresh = Fresh::new().await;
        let role = role(&fresh).await;
        open(fresh.url()).await.unwrap().close().await;
        fresh.execute(&alter.replace("role", &role)).await.unwrap();
        is_refused(&fresh, alter, &told.replace("role", &role)).await;
        fresh
            .execute(&format!("REASSIGN OWNED BY {role} TO dealog; DROP OWNED BY {role}; DROP ROLE {role}"))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn each_trigger_is_missed_where_it_does_not_fire_or_is_gone() {
    let fresh = Fresh::new().await;
    open(fresh.url()).await.unwrap().close().await;
    let mut connection: PgConnection = fresh.url().parse::<PgConnectOptions>().unwrap().connect().await.unwrap();
    let triggers = "SELECT tgname::text, relname::text, pg_get_triggerdef(pg_trigger.oid) FROM pg_trigger \
                    JOIN pg_class ON pg_class.oid = tgrelid WHERE NOT tgisinternal AND relnamespace = 'log'::regnamespace";
    let triggers: Vec<(String, String, String)> = sqlx::query_as(triggers).fetch_all(&mut connection).await.unwrap();
    assert!(triggers.len() >= 9, "{triggers:?}");
    for (trigger, table, definition) in triggers {
        let (altered, missing) =
            (format!("trigger {table}.{trigger} is altered"), format!("trigger {table}.{trigger} is missing"));
        for (alter, told) in [
            (format!("ALTER TABLE log.{table} DISABLE TRIGGER {trigger}"), &altered),
            (format!("ALTER TABLE log.{table} ENABLE REPLICA TRIGGER {trigger}"), &altered),
            (format!("ALTER TABLE log.{table} ENABLE TRIGGER {trigger}"), &altered),
            (format!("DROP TRIGGER {trigger} ON log.{table}"), &missing),
        ] {
            fresh.execute(&alter).await.unwrap();
            is_refused(&fresh, &alter, told).await;
        }
        fresh.execute(&format!("{definition}; ALTER TABLE log.{table} ENABLE ALWAYS TRIGGER {trigger}")).await.unwrap();
        open(fresh.url()).await.unwrap().close().await;
    }
}

#[tokio::test]
async fn an_index_that_only_makes_things_fast_is_the_administrators() {
    let fresh = Fresh::new().await;
    open(fresh.url()).await.unwrap().close().await;
    let role = role(&fresh).await;
    fresh.execute("CREATE INDEX by_actor ON log.events (actor)").await.unwrap();
    fresh
        .execute(&format!("GRANT USAGE ON SCHEMA log TO {role}; GRANT SELECT ON log.events_readable TO {role}"))
        .await
        .unwrap();
    open(fresh.url()).await.unwrap().append(append()).await.unwrap();
    fresh.execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await.unwrap();
}

#[tokio::test]
async fn a_server_that_connects_again_appends_nothing_to_a_log_that_was_altered_meanwhile() {
    let fresh = Fresh::new().await;
    let store = open(fresh.url()).await.unwrap();
    store.append(append()).await.unwrap();
    fresh.execute("ALTER TABLE log.events DISABLE TRIGGER events_are_not_rewritten").await.unwrap();
    fresh.execute(END_ALL).await.unwrap();
    let refused = store.append(append()).await.unwrap_err();
    assert!(matches!(refused, AppendError::Unavailable(_)), "{refused}");
    fresh.execute("ALTER TABLE log.events ENABLE ALWAYS TRIGGER events_are_not_rewritten").await.unwrap();
    assert_eq!(store.append(append()).await.unwrap().position.0, 2);
}
