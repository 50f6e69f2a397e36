//! A role that serves a log and cannot rewrite it.

use dealog_test_postgres::Postgres;
use dealog_tests::{Data, Database, Server, deal, workload::FOUNDING};
use serde_json::json;

/// What nobody should be able to do who only serves.
const REWRITES: [&str; 13] = [
    "UPDATE log.events SET data = '{}'",
    "DELETE FROM log.events WHERE position = 5",
    "TRUNCATE log.events CASCADE",
    "UPDATE log.commands SET position = 1",
    "DELETE FROM log.commands",
    "DELETE FROM log.streams",
    "UPDATE log.streams SET stream = 'settings'",
    "UPDATE log.head SET log_id = gen_random_uuid()",
    "DELETE FROM log.head",
    "DELETE FROM log.tokens",
    "DROP TABLE log.events",
    "ALTER TABLE log.events DISABLE TRIGGER ALL",
    "SET session_replication_role = replica",
];

/// An empty database, and its address for a role that may connect and no more.
fn with_a_role(postgres: &Postgres) -> (Data, String) {
    Database::at(&postgres.url()).run("CREATE ROLE dealog_app LOGIN");
    fresh(postgres)
}

/// An empty database, and its address for that role.
fn fresh(postgres: &Postgres) -> (Data, String) {
    let database = postgres.fresh();
    let app = database.url_of("dealog_app");
    (Data::within(database), app)
}

fn grant(data: &Data) {
    let told = data.run(["migrate", "--grant", "dealog_app"]).succeed().stdout;
    assert!(told.contains("dealog_app may append to it and read it"), "{told}");
}

fn cannot_rewrite(app: &str) {
    for rewrite in REWRITES {
        let refused = Database::at(app).try_run(rewrite).expect_err(rewrite);
        let denied = ["permission denied", "must be owner"].iter().any(|words| refused.contains(words));
        assert!(denied, "{rewrite}: {refused}");
    }
}

#[test]
fn a_role_that_was_granted_no_more_than_it_needs_serves_and_cannot_rewrite_history() {
    let postgres = Postgres::start();
    let (data, app) = with_a_role(&postgres);
    grant(&data);
    let server = Server::start(&data, &["--database", &app]);
    let created = server.post("/v1/deals", &deal("Not to be rewritten", &json!({}))).expect(201);
    let path = format!("/v1/deals/{}?min_position={}", created.id(), created.position());
    assert_eq!(server.get(&path).expect(200).body["title"], "Not to be rewritten");
    let events = server.events();
    assert_eq!(events.len(), FOUNDING + 1);
    cannot_rewrite(&app);
    assert_eq!(server.events(), events);
    server.stop();

    // The rest of the command line does with as little.
    for command in [&["rebuild"][..], &["check"], &["replay"], &["projections"], &["token", "list"], &["migrate"]] {
        data.run(command).args(["--database", &app]).succeed();
    }
}

#[test]
fn a_role_that_may_not_create_tokens_invites_nobody_either() {
    let postgres = Postgres::start();
    let (data, app) = with_a_role(&postgres);
    grant(&data);
    let invite = ["token", "create", "--invite", "Anna Berg", "--role", "admin"];
    let before = data.run(["replay"]).succeed().stdout;
    let refused = data.run(invite).args(["--database", &app]).fail();
    assert!(refused.contains("the role that owns the log"), "{refused}");
    assert_eq!(data.run(["replay"]).succeed().stdout, before);
    data.run(invite).succeed();
    assert!(data.run(["replay"]).succeed().stdout.contains("user.invited"));
}

#[test]
fn a_log_that_is_restored_is_served_by_that_role_again_and_its_owner_cannot_rewrite_it_either() {
    let postgres = Postgres::start();
    let (data, _) = with_a_role(&postgres);
    grant(&data);
    let (restored, app) = fresh(&postgres);
    let server = Server::start(&data, &[]);
    let created = server.post("/v1/deals", &deal("Kept elsewhere", &json!({}))).expect(201);
    restored.restore(&data.back_up());
    grant(&restored);
    let again = Server::start(&restored, &["--database", &app]);
    assert_eq!(again.events(), server.events());
    let next = again.post("/v1/deals", &deal("After all", &json!({}))).expect(201);
    assert_eq!(next.position(), created.position() + 1);
    cannot_rewrite(&app);
    for rewrite in
        REWRITES.iter().filter(|sql| ["UPDATE", "DELETE", "TRUNCATE"].iter().any(|word| sql.starts_with(word)))
    {
        let refused = Database::log(&restored).try_run(rewrite).expect_err(rewrite);
        assert!(refused.contains("never") || refused.contains("only"), "{rewrite}: {refused}");
    }
    again.stop();
    restored.run(["check", "--database", &app]).succeed();
}

#[test]
fn a_role_that_may_make_nothing_is_told_who_has_to_begin() {
    let postgres = Postgres::start();
    let (data, app) = with_a_role(&postgres);
    let told = data.run(["serve", "--listen", "127.0.0.1:0", "--database", &app]).fail();
    assert!(told.contains("dealog migrate") && told.contains("the role that owns the database"), "{told}");
    assert!(data.is_untouched(), "something was begun");
}

#[test]
fn what_that_role_puts_among_its_read_models_never_runs_as_the_owner_of_the_log() {
    let postgres = Postgres::start();
    let (data, app) = with_a_role(&postgres);
    grant(&data);
    let server = Server::start(&data, &["--database", &app]);
    let created = server.post("/v1/deals", &deal("Not to be rewritten", &json!({}))).expect(201);
    server.get(&format!("/v1/deals/{}?min_position={}", created.id(), created.position())).expect(200);
    let events = server.events();
    server.stop();
    // What Dealog, or the database, could be led to call, as the role that owns the log.
    let rewrites = "ALTER TABLE log.events DISABLE TRIGGER ALL; UPDATE log.events SET data = '{}'";
    for function in ["current_setting(name text)", "to_regclass(name text)", "pg_get_userbyid(id oid)"] {
        Database::at(&app).run(&format!(
            "GRANT USAGE ON SCHEMA views TO PUBLIC; CREATE FUNCTION views.{function} RETURNS text LANGUAGE plpgsql AS $$ BEGIN \
             IF current_user <> 'dealog_app' THEN {rewrites}; END IF; RETURN 'UTF8'; END $$"
        ));
    }
    Database::at(&app).run(&format!(
        "CREATE FUNCTION views.spy() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         IF current_user <> 'dealog_app' THEN {rewrites}; END IF; RETURN NEW; END $$; \
         CREATE TRIGGER spy BEFORE INSERT OR UPDATE ON views.leases FOR EACH ROW EXECUTE FUNCTION views.spy()"
    ));
    for command in [&["projections"][..], &["rebuild"], &["work"], &["serve", "--listen", "127.0.0.1:0"]] {
        let refused = data.run(command).fail();
        assert!(
            refused.contains("belong to role dealog_app") && refused.contains("Connect as dealog_app"),
            "{refused}"
        );
    }
    let checked = data.run(["check"]).succeed().stdout;
    assert!(checked.contains("no damage found") && checked.contains("they belong to role dealog_app"), "{checked}");
    for command in [&["token", "list"][..], &["migrate"], &["replay"]] {
        data.run(command).succeed();
    }
    let server = Server::start(&data, &["--database", &app]);
    assert_eq!(server.events(), events);
    server.stop();
    // Nor does it if the role was let in afterwards.
    Database::at(&app).run("DROP SCHEMA views CASCADE");
    data.run(["projections"]).succeed();
    Database::log(&data).run("GRANT CREATE ON SCHEMA views TO dealog_app");
    assert!(data.run(["projections"]).fail().contains("others may create something in them"));
}
