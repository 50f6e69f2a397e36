//! The role that serves a log tries everything on all there is, and the log stays true: dense, with the versions and the words that
//! were written, and with tokens that are whose they were.

use std::collections::BTreeMap;

use dealog_store::{Append, EventStore as _, Limits, TokenError, TokenStore as _, postgres::PostgresStore};
use dealog_test_postgres::Fresh;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, postgres::PgConnectOptions};

use crate::{append, open};

/// A log with a role that serves it, a server that runs as that role, and somebody else who does.
struct Attacked {
    fresh: Fresh,
    role: String,
    store: PostgresStore,
    owner: PgConnection,
    attacker: PgConnection,
}

async fn connect(url: &str) -> PgConnection {
    url.parse::<PgConnectOptions>().unwrap().connect().await.unwrap()
}

impl Attacked {
    async fn new() -> Self {
        let fresh = Fresh::new().await;
        let role = format!("role_{}", uuid::Uuid::now_v7().simple());
        fresh.execute(&format!("CREATE ROLE {role} LOGIN")).await.unwrap();
        PostgresStore::migrate(fresh.url(), Limits::default(), Some(&role)).await.unwrap();
        let token = "INSERT INTO log.tokens (token_id, secret_hash, actor, name, permissions, created_at) \
                     VALUES (gen_random_uuid(), sha256('secret'), 'service:' || gen_random_uuid(), 'ledger', 'log', 1)";
        fresh.execute(token).await.unwrap();
        let url = fresh.url_of(&role);
        let store = open(&url).await.unwrap();
        let told = store.append(append()).await.unwrap();
        let told = store.append(Append { expected: told.version, stream: told.stream, ..append() }).await.unwrap();
        let unchanged = Append { expected: told.version, stream: told.stream, events: vec![], ..append() };
        store.append(unchanged).await.unwrap();
        let (owner, mut attacker) = (connect(fresh.url()).await, connect(&url).await);
        let own = "CREATE SCHEMA mine; CREATE FUNCTION mine.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; \
                   SET lock_timeout = '2s'";
        sqlx::raw_sql(own).execute(&mut attacker).await.unwrap();
        Self { fresh, role, store, owner, attacker }
    }

    async fn all(&mut self, question: &str) -> Vec<String> {
        sqlx::query_scalar(AssertSqlSafe(question.to_owned())).fetch_all(&mut self.owner).await.unwrap()
    }

    /// All tables, views and whatever else there is in the schema.
    async fn relations(&mut self) -> Vec<String> {
        self.all(
            "SELECT relname::text FROM pg_class WHERE relnamespace = 'log'::regnamespace AND relkind NOT IN ('i', 't')",
        )
        .await
    }

    async fn columns(&mut self, relation: &str) -> Vec<String> {
        let of = format!(
            "SELECT attname::text FROM pg_attribute WHERE attrelid = 'log.{relation}'::regclass AND attnum > 0"
        );
        self.all(&of).await
    }

    async fn functions(&mut self) -> Vec<String> {
        self.all("SELECT proname::text FROM pg_proc WHERE pronamespace = 'log'::regnamespace").await
    }

    /// All rows of all tables.
    async fn rows(&mut self) -> BTreeMap<String, Vec<String>> {
        let mut rows = BTreeMap::new();
        for relation in self.relations().await {
            let found = self.all(&format!("SELECT row::text FROM log.{relation} AS row ORDER BY 1")).await;
            rows.insert(relation, found);
        }
        rows
    }

    /// Tries it, and sees that nothing has changed and that the server appends.
    async fn in_vain(&mut self, statement: &str) -> Result<(), String> {
        let before = self.rows().await;
        let done = sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut self.attacker).await;
        let reset = sqlx::raw_sql("ROLLBACK; RESET ALL; SET lock_timeout = '2s'").execute(&mut self.attacker).await;
        reset.unwrap();
        assert_eq!(self.rows().await, before, "{statement}: {done:?}");
        let appended = self.store.append(append()).await;
        appended.unwrap_or_else(|error| panic!("after {statement}: {error}"));
        done.map(drop).map_err(|error| error.to_string())
    }

    /// The same for what must be refused.
    async fn refused(&mut self, statement: &str) {
        assert!(self.in_vain(statement).await.is_err(), "it is not refused: {statement}");
    }

    async fn ends_sound(self) {
        let Self { fresh, role, store, owner, attacker } = self;
        attacker.close().await.unwrap();
        owner.close().await.unwrap();
        store.close().await;
        PostgresStore::check(&fresh.url_of(&role), Limits::default(), |_, _| Ok(())).await.unwrap();
        let again = open(&fresh.url_of(&role)).await.unwrap();
        again.append(append()).await.unwrap();
        again.close().await;
        fresh.execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await.unwrap();
    }
}

#[tokio::test]
async fn no_statement_of_the_role_that_serves_changes_what_is_there() {
    let mut log = Attacked::new().await;
    for relation in log.relations().await {
        let at = format!("log.{relation}");
        for column in log.columns(&relation).await {
            for statement in [
                format!("UPDATE {at} SET {column} = {column}"),
                format!("UPDATE {at} SET {column} = NULL"),
                format!("UPDATE {at} SET {column} = {column} WHERE false"),
                format!(
                    "INSERT INTO {at} SELECT * FROM {at} ON CONFLICT ON CONSTRAINT {relation}_pkey DO UPDATE SET {column} = excluded.{column}"
                ),
                format!(
                    "MERGE INTO {at} USING {at} AS same ON true WHEN MATCHED THEN UPDATE SET {column} = same.{column}"
                ),
                format!("GRANT UPDATE ({column}) ON {at} TO PUBLIC"),
            ] {
                // To grant what one does not have is a warning.
                let _ = log.in_vain(&statement).await;
            }
        }
        for statement in [
            format!("DELETE FROM {at}"),
            format!("TRUNCATE {at} CASCADE"),
            format!("MERGE INTO {at} USING {at} AS same ON true WHEN MATCHED THEN DELETE"),
            format!("INSERT INTO {at} DEFAULT VALUES"),
            format!("INSERT INTO {at} SELECT * FROM {at}"),
            format!("COPY {at} FROM PROGRAM 'true'"),
            format!("LOCK TABLE {at} IN ACCESS EXCLUSIVE MODE"),
            format!("ALTER TABLE {at} ADD COLUMN more INT"),
            format!("ALTER TABLE {at} DISABLE TRIGGER ALL"),
            format!("ALTER TABLE {at} OWNER TO CURRENT_USER"),
            format!("ALTER TABLE {at} SET SCHEMA mine"),
            format!("ALTER TABLE {at} ENABLE ROW LEVEL SECURITY"),
            format!("DROP TABLE {at} CASCADE"),
            format!("DROP VIEW {at} CASCADE"),
            format!("CREATE TRIGGER more BEFORE INSERT ON {at} FOR EACH ROW EXECUTE FUNCTION mine.f()"),
            format!("CREATE RULE more AS ON INSERT TO {at} DO INSTEAD NOTHING"),
            format!("CREATE POLICY more ON {at}"),
            format!("CREATE INDEX ON {at} ((1 / 0))"),
            format!("CREATE TABLE mine.child () INHERITS ({at})"),
            format!("CREATE TABLE mine.refers (to_it BIGINT REFERENCES {at})"),
            format!("CREATE PUBLICATION more FOR TABLE {at}"),
            format!("CLUSTER {at} USING {relation}_pkey"),
            format!("REINDEX TABLE {at}"),
        ] {
            log.refused(&statement).await;
        }
        for statement in [
            format!("INSERT INTO {at} SELECT * FROM {at} ON CONFLICT DO NOTHING"),
            format!("BEGIN; SELECT * FROM {at} FOR UPDATE"),
            format!("BEGIN; LOCK TABLE {at} IN ROW EXCLUSIVE MODE"),
            format!("GRANT ALL ON {at} TO PUBLIC"),
            format!("ANALYZE {at}"),
            format!("VACUUM FULL {at}"),
            format!("CREATE TEMP TABLE {relation} AS SELECT * FROM {at}; DELETE FROM {relation}"),
        ] {
            let _ = log.in_vain(&statement).await;
        }
    }
    log.ends_sound().await;
}

#[tokio::test]
async fn nothing_that_the_role_makes_of_the_functions_or_the_session_changes_what_is_there() {
    let mut log = Attacked::new().await;
    for function in log.functions().await {
        for statement in [
            format!("SELECT log.{function}()"),
            format!("ALTER FUNCTION log.{function}() SECURITY INVOKER"),
            format!("ALTER FUNCTION log.{function}() OWNER TO CURRENT_USER"),
            format!(
                "CREATE OR REPLACE FUNCTION log.{function}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"
            ),
            format!("DROP FUNCTION log.{function}() CASCADE"),
            format!(
                "CREATE TABLE mine.{function} AS SELECT * FROM log.events; CREATE TRIGGER t AFTER INSERT ON mine.{function} \
                 REFERENCING NEW TABLE AS appended FOR EACH STATEMENT EXECUTE FUNCTION log.{function}('no'); INSERT INTO \
                 mine.{function} SELECT position, 9000000000000000000, occurred_at, recorded_at, schema, event_id, command_id, \
                 correlation_id, causation_id, stream, type, actor, data FROM log.events"
            ),
        ] {
            log.refused(&statement).await;
        }
    }
    for statement in [
        "SET session_replication_role = replica",
        "SET ROLE dealog",
        "SET SESSION AUTHORIZATION dealog",
        "ALTER SCHEMA log RENAME TO gone",
        "DROP SCHEMA log CASCADE",
        "CREATE TABLE log.more (a INT)",
        "CREATE FUNCTION log.more() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE EVENT TRIGGER more ON ddl_command_end EXECUTE FUNCTION mine.f()",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "DO $$ BEGIN PERFORM lo_import('/etc/passwd'); END $$",
        "CREATE CAST (text AS bytea) WITHOUT FUNCTION",
    ] {
        log.refused(statement).await;
    }
    for statement in [
        "NOTIFY dealog_appended, '9223372036854775807'",
        "NOTIFY dealog_appended, 'nothing of the kind'",
        "SELECT pg_advisory_lock(1147494764), lo_create(0)",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND usename = 'dealog'",
    ] {
        let _ = log.in_vain(statement).await;
    }
    // The position of the notification was that of no event.
    let head = log.store.head().await.unwrap().position;
    assert!(*log.store.watch().borrow() <= head);
    log.ends_sound().await;
}

/// An event with its command as a server would append them, behind all others, in the stream that has two. `[[…]]` names what
/// is put in place of what is there.
const FALSE_EVENT: &str = "
    WITH head AS (SELECT max(position) AS position, max(recorded_at) AS recorded_at FROM log.events),
    stream AS (SELECT stream, version FROM log.streams WHERE version >= 2),
    command AS (SELECT gen_random_uuid() AS id),
    appended AS (
        INSERT INTO log.events (position, event_id, stream, version, type, schema, occurred_at, recorded_at, actor, command_id,
            correlation_id, causation_id, data)
        SELECT [[position: head.position + 1]], [[event_id: mine.event_id(command.id, 0)]], [[stream: stream]],
            [[version: version + 1]], [[type: 'deal.noted']], [[schema: 1]], [[occurred_at: 1]], [[recorded_at: recorded_at]],
            [[actor: 'local']], [[of_command: command.id]], command.id, NULL, [[data: '{}']]
        FROM head, stream, command WHERE [[has_event: true]]
    ), remembered AS (
        INSERT INTO log.commands (command_id, fingerprint, stream, version, position, events)
        SELECT command.id, sha256('what'), [[command_stream: stream]], [[command_version: version + 1]],
            [[command_position: head.position + 1]], [[events: 1]]
        FROM head, stream, command WHERE [[has_command: true]]
    )
    SELECT 1";

/// What no event may be, and no command.
const FALSEHOODS: [(&str, &str); 39] = [
    ("position", "9223372036854775807"),
    ("position", "head.position + 500"),
    ("position", "head.position + 2"),
    ("position", "head.position"),
    ("position", "0"),
    ("version", "9000000000000000000"),
    ("version", "version + 2"),
    ("version", "version"),
    ("version", "1"),
    ("event_id", "gen_random_uuid()"),
    ("event_id", "mine.event_id(command.id, 1)"),
    ("event_id", "(SELECT event_id FROM log.events LIMIT 1)"),
    ("event_id", "'6ba7b810-9dad-51d1-80b4-00c04fd430c8'"),
    ("stream", "'nobody'"),
    ("stream", "'deal-1'"),
    ("stream", "'deal-' || upper(gen_random_uuid()::text)"),
    ("stream", "'settings'"),
    ("type", "'noted'"),
    ("type", "'Deal.noted'"),
    ("type", "repeat('deal.', 100)"),
    ("schema", "0"),
    ("schema", "70000"),
    ("occurred_at", "0"),
    ("occurred_at", "9223372036854775807"),
    ("occurred_at", "253402300799999999"),
    ("recorded_at", "recorded_at - 1"),
    ("recorded_at", "253402300799999999"),
    ("actor", "'nobody'"),
    ("actor", "'user:1'"),
    ("of_command", "(SELECT command_id FROM log.commands LIMIT 1)"),
    ("data", "'[]'"),
    ("data", "'{'"),
    ("data", "'{} '"),
    ("data", "'{\"long\": \"' || repeat('x', 70000) || '\"}'"),
    ("command_stream", "'settings'"),
    ("command_version", "version + 2"),
    ("command_position", "head.position"),
    ("events", "2"),
    ("has_command", "false"),
];

fn falsehood(name: &str, instead: &str) -> String {
    replaced(FALSE_EVENT, name, instead)
}

/// The statement with one thing put in the place of another.
fn replaced(statement: &str, name: &str, instead: &str) -> String {
    let mut statement = statement.to_owned();
    while let Some(begin) = statement.find("[[") {
        let end = begin + statement[begin..].find("]]").unwrap();
        let (named, value) = statement[begin + 2..end].split_once(": ").unwrap();
        let value = if named == name { instead } else { value }.to_owned();
        statement.replace_range(begin..end + 2, &value);
    }
    statement
}

const EVENT_ID: &str = "CREATE FUNCTION mine.event_id(command uuid, index bigint) RETURNS uuid LANGUAGE sql AS $$
    SELECT encode(set_byte(set_byte(hash, 6, get_byte(hash, 6) & 15 | 128), 8, get_byte(hash, 8) & 63 | 128), 'hex')::uuid
    FROM (SELECT substr(sha256(uuid_send(command) || int8send(index)), 1, 16) AS hash) AS hashed $$";

#[tokio::test]
async fn the_role_appends_only_what_follows_by_the_rules() {
    let mut log = Attacked::new().await;
    sqlx::raw_sql(EVENT_ID).execute(&mut log.attacker).await.unwrap();
    for (name, instead) in FALSEHOODS.into_iter().chain([("has_event", "false")]) {
        let statement = falsehood(name, instead);
        assert!(name == "has_event" || statement.contains(instead), "{name}");
        log.refused(&statement).await;
        // Whatever the session says, and however it begins.
        for settings in [
            "SET search_path = mine, pg_temp, log",
            "SET standard_conforming_strings = off; SET enable_nestloop = off; SET enable_indexscan = off",
            "BEGIN ISOLATION LEVEL SERIALIZABLE",
        ] {
            log.refused(&format!("{settings}; {statement}; COMMIT")).await;
        }
    }
    // What is left to the role: one that follows, and says what is not so.
    sqlx::raw_sql(AssertSqlSafe(falsehood("", ""))).execute(&mut log.attacker).await.unwrap();
    log.store.append(append()).await.unwrap();
    log.ends_sound().await;
}

/// A command that changed nothing, as a server would remember it.
const FALSE_NOTHING: &str = "
    INSERT INTO log.unchanged_commands (command_id, fingerprint, stream, version, position)
    SELECT [[command: gen_random_uuid()]], sha256('what'), [[stream: stream]], [[version: version]], [[position: 1]]
    FROM log.streams WHERE version >= 2";

#[tokio::test]
async fn the_role_remembers_only_commands_that_can_have_changed_nothing() {
    let mut log = Attacked::new().await;
    for (name, instead) in [
        ("version", "version + 1"),
        ("version", "9000000000000000000"),
        ("position", "(SELECT max(position) + 1 FROM log.events)"),
        ("position", "9223372036854775807"),
        ("command", "(SELECT command_id FROM log.commands LIMIT 1)"),
        ("stream", "'nobody'"),
        ("stream", "'deal-1'"),
    ] {
        log.refused(&replaced(FALSE_NOTHING, name, instead)).await;
    }
    log.ends_sound().await;
}

#[tokio::test]
async fn the_role_neither_gives_nor_revokes_tokens_and_is_told_who_does() {
    let mut log = Attacked::new().await;
    let token = log.store.tokens().await.unwrap().remove(0);
    for refused in [
        log.store.add_token(&dealog_store::Token { id: uuid::Uuid::now_v7(), ..token.clone() }).await.unwrap_err(),
        log.store.revoke_token(token.id, token.created_at, Some("local:somebody")).await.unwrap_err(),
    ] {
        assert!(matches!(refused, TokenError::Denied), "{refused}");
        assert!(refused.to_string().contains("as the role that owns the log"), "{refused}");
    }
    assert_eq!(log.store.tokens().await.unwrap(), [token]);
    log.refused("INSERT INTO log.tokens SELECT gen_random_uuid(), secret_hash, 'local', name, permissions, created_at FROM log.tokens").await;
    log.ends_sound().await;
}

#[tokio::test]
async fn a_role_that_was_granted_more_before_has_no_more_than_it_needs_once_it_is_granted_again() {
    let fresh = Fresh::new().await;
    let role = format!("role_{}", uuid::Uuid::now_v7().simple());
    fresh.execute(&format!("CREATE ROLE {role} LOGIN")).await.unwrap();
    PostgresStore::migrate(fresh.url(), Limits::default(), Some(&role)).await.unwrap();
    let before = "GRANT INSERT, UPDATE ON log.streams TO app; GRANT INSERT, UPDATE (revoked_at) ON log.tokens TO app; \
                  GRANT ALL ON log.events TO app; GRANT CREATE ON SCHEMA log TO app";
    fresh.execute(&before.replace("app", &role)).await.unwrap();
    let refused = open(&fresh.url_of(&role)).await.unwrap_err();
    assert!(refused.to_string().contains(&format!("{role} may ")), "{refused}");
    PostgresStore::migrate(fresh.url(), Limits::default(), Some(&role)).await.unwrap();
    let store = open(&fresh.url_of(&role)).await.unwrap();
    store.append(append()).await.unwrap();
    store.close().await;
    fresh.execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await.unwrap();
}
