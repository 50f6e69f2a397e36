//! Who may call, and what they may do.

use std::time::Duration;

use dealog_tests::{Answer, Client, Data, Done, Server, deal, until};
use serde_json::{Value, json};

/// How long a change of a token or a role may take to be felt, with something to spare on a busy machine.
const FELT: Duration = Duration::from_secs(20);

/// A server with tokens for one caller of each kind.
pub(crate) struct Company {
    pub(crate) server: Server,
    pub(crate) data: Data,
    pub(crate) admin: Client,
    pub(crate) manager: Client,
    pub(crate) anna: Client,
    pub(crate) boris: Client,
    pub(crate) analyst: Client,
    pub(crate) auditor: Client,
    pub(crate) anna_id: String,
    pub(crate) boris_id: String,
    pub(crate) admin_id: String,
    pub(crate) anna_token: String,
}

impl Company {
    pub(crate) fn new() -> Self {
        Self::over(Data::fresh())
    }

    pub(crate) fn with_limits(limits: &str) -> Self {
        Self::over(Data::fresh().with_limits(limits))
    }

    pub(crate) fn over(data: Data) -> Self {
        let server = Server::start(&data, &[]);
        let invite =
            |name: &str, role: &str| server.post("/v1/users", &json!({"name": name, "roles": [role]})).expect(201).id();
        let [admin_id, anna_id, boris_id, manager, analyst, auditor] = [
            invite("Olga Stern", "admin"),
            invite("Anna Berg", "seller"),
            invite("Boris Weiss", "seller"),
            invite("Mia Sommer", "manager"),
            invite("Ada Lang", "analyst"),
            invite("Udo Kern", "auditor"),
        ];
        let token_of = |user: &str| token(&data, &["--user", user]);
        let admin_token = token_of(&admin_id);
        let anna_token = token_of(&anna_id);
        let client = |token: &str| server.client().with_token(token);
        let company = Self {
            admin: client(&admin_token),
            manager: client(&token_of(&manager)),
            anna: client(&anna_token),
            boris: client(&token_of(&boris_id)),
            analyst: client(&token_of(&analyst)),
            auditor: client(&token_of(&auditor)),
            server,
            data,
            anna_id,
            boris_id,
            admin_id,
            anna_token,
        };
        company.is_closed();
        company
    }

    /// Waits until the server has learnt that there are tokens.
    fn is_closed(&self) {
        until("a request without a token should be refused", FELT, || {
            (self.server.get("/v1/deals").status == 401).then_some(())
        });
    }

    fn run(&self, args: &[&str]) -> Done {
        self.data.run(args).succeed()
    }

    pub(crate) fn head(&self) -> u64 {
        self.auditor.head()
    }
}

/// Makes a token; it alone is on standard output.
pub(crate) fn token(data: &Data, whom: &[&str]) -> String {
    let done = data.run([&["token", "create"], whom].concat()).succeed();
    let token = done.stdout.trim_end().to_owned();
    assert!(token.starts_with("dealog_") && !token.contains(char::is_whitespace), "{}", done.stdout);
    assert!(!done.stderr.contains(&token), "the token is in the log: {}", done.stderr);
    token
}

#[track_caller]
pub(crate) fn forbidden(answer: Answer, code: &str) {
    let problem = answer.problem(403, code);
    assert!(problem.body["field"].is_string(), "{}", problem.text);
}

fn move_it(client: &Client, deal: &str) -> Answer {
    client.post(&format!("/v1/deals/{deal}/move"), &json!({"stage": "qualified"}))
}

#[test]
fn each_event_names_who_caused_it() {
    let company = Company::new();
    let created = company.anna.post("/v1/deals", &deal("Named", &json!({}))).expect(201);
    let ledger = token(&company.data, &["--service", "ledger", "--allow", "read,deals"]);
    move_it(&company.server.client().with_token(&ledger), &created.id()).expect(200);
    let history = company.analyst.get(&format!("/v1/deals/{}/history", created.id())).expect(200).body;
    let actors: Vec<&str> =
        history["events"].as_array().unwrap().iter().map(|event| event["actor"].as_str().unwrap()).collect();
    assert_eq!(actors[0], format!("user:{}", company.anna_id));
    assert!(actors[1].starts_with("service:"), "{actors:?}");
    assert_eq!(actors.len(), 2);

    // A service keeps its name whatever tokens it is given.
    let another = token(&company.data, &["--service", "ledger", "--allow", "deals"]);
    let path = format!("/v1/deals/{}", created.id());
    company.server.client().with_token(&another).patch(&path, &json!({"title": "Named again"})).expect(200);
    let history = company.analyst.get(&format!("{path}/history?after=2")).expect(200).body;
    assert_eq!(history["events"][0]["actor"], actors[1]);
    // Anna's user was invited before there were tokens, by whoever sat at the machine.
    let events = company.auditor.events();
    let invited = events.iter().find(|event| event["type"] == "user.invited").unwrap();
    assert_eq!(invited["actor"], "local");
}

#[test]
fn a_seller_works_own_deals_and_reads_all() {
    let company = Company::new();
    // Without an owner it is the seller's who begins it.
    let annas = company.anna.post("/v1/deals", &deal("Anna's", &json!({}))).expect(201);
    let path = format!("/v1/deals/{}", annas.id());
    let seen = company.boris.get(&format!("{path}?min_position={}", annas.position())).expect(200);
    assert_eq!(seen.body["owner"], company.anna_id);
    let nobodys = company.manager.post("/v1/deals", &deal("Nobody's", &json!({}))).expect(201).id();

    let head = company.head();
    for deal in [annas.id(), nobodys] {
        forbidden(move_it(&company.boris, &deal), "not_your_deal");
        forbidden(company.boris.post(&format!("/v1/deals/{deal}/win"), &json!({})), "not_your_deal");
    }
    forbidden(company.boris.patch(&path, &json!({"owner": company.boris_id})), "not_your_deal");
    let for_anna = deal("For Anna", &json!({"owner": company.anna_id}));
    forbidden(company.boris.post("/v1/deals", &for_anna), "not_your_deal");
    assert_eq!(company.head(), head);

    move_it(&company.anna, &annas.id()).expect(200);
    company.anna.patch(&path, &json!({"owner": company.boris_id})).expect(200);
    forbidden(company.anna.patch(&path, &json!({"title": "Mine again"})), "not_your_deal");
    company.boris.patch(&path, &json!({"title": "Boris's"})).expect(200);
    company.manager.patch(&path, &json!({"owner": company.anna_id})).expect(200);
}

#[test]
fn a_repeated_command_gives_its_first_outcome_although_the_deal_has_gone_to_another() {
    let company = Company::new();
    let created = company.anna.post("/v1/deals", &deal("Handed over", &json!({}))).expect(201).id();
    let hand_over = || {
        let call = company.anna.call("PATCH", &format!("/v1/deals/{created}")).header("Idempotency-Key", "once");
        call.json(&json!({"owner": company.boris_id})).send().expect(200)
    };
    let first = hand_over();
    let again = hand_over();
    assert_eq!((again.position(), again.body["replayed"].as_bool()), (first.position(), Some(true)));
    // The same key of another's is another command.
    let call = company.boris.call("PATCH", &format!("/v1/deals/{created}")).header("Idempotency-Key", "once");
    let other = call.json(&json!({"title": "Taken over"})).send().expect(200);
    assert_eq!(other.body["replayed"], false);
}

#[test]
fn each_role_may_do_what_it_is_for_and_nothing_else() {
    let company = Company::new();
    let deal_id = company.manager.post("/v1/deals", &deal("Roles", &json!({}))).expect(201).id();
    let stage = json!({"slug": "one", "name": "One", "probability": 0.5, "forecast_category": "commit"});
    let attempts: [(&str, String, Value); 6] = [
        ("deals", format!("/v1/deals/{deal_id}/move"), json!({"stage": "contract"})),
        ("customers", "/v1/customers".into(), json!({"kind": "organisation", "name": "Acme"})),
        ("teams", "/v1/teams".into(), json!({"name": "North"})),
        ("pipelines", "/v1/pipelines".into(), json!({"name": "Other", "stages": [stage]})),
        ("users", "/v1/users".into(), json!({"name": "New", "roles": ["seller"]})),
        ("settings", "/v1/settings".into(), json!({"time_zone": "Europe/Berlin"})),
    ];
    let roles = [
        ("seller", &company.anna, "customers log read"),
        ("manager", &company.manager, "deals customers teams log read"),
        ("analyst", &company.analyst, "read"),
        ("auditor", &company.auditor, "log read"),
        ("admin", &company.admin, "pipelines users settings log read"),
    ];
    for (role, client, may) in roles {
        let may: Vec<&str> = may.split(' ').collect();
        for (permission, path, body) in &attempts {
            let method = if *permission == "settings" { "PATCH" } else { "POST" };
            let answer = client.call(method, path).json(body).send();
            // A seller may work deals, but not this one.
            let code = if (role, *permission) == ("seller", "deals") { "not_your_deal" } else { "forbidden" };
            match (may.contains(permission), answer.status) {
                (true, 200 | 201) => {}
                (true, status) => panic!("{role} at {path}: {status} {}", answer.text),
                (false, _) => forbidden(answer, code),
            }
        }
        client.get("/v1/pipeline").expect(200);
        client.get(&format!("/v1/deals/{deal_id}/history")).expect(200);
        match (may.contains(&"log"), client.get("/v1/events?limit=1")) {
            (true, answer) => drop(answer.expect(200)),
            (false, answer) => forbidden(answer, "forbidden"),
        }
    }
}

#[test]
fn a_service_may_do_what_its_token_lists() {
    let company = Company::new();
    let feed = company.server.client().with_token(&token(&company.data, &["--service", "feed", "--allow", "log"]));
    feed.get("/v1/events").expect(200);
    forbidden(feed.get("/v1/pipeline"), "forbidden");
    forbidden(feed.post("/v1/deals", &deal("No", &json!({}))), "forbidden");
    let told = company.data.run(["token", "create", "--service", "x", "--allow", "everything"]).end();
    assert_ne!(told.code, 0);
    assert!(told.stderr.contains("`everything` is not a permission; these are: read, log, deals"), "{}", told.stderr);
}

#[test]
fn what_is_no_token_is_refused_and_logged() {
    let company = Company::new();
    let head = company.head();
    let missing = company.server.get("/v1/deals").problem(401, "no_token");
    assert_eq!((missing.header("www-authenticate"), &missing.body["field"]), (Some("Bearer"), &json!("Authorization")));
    company.server.post("/v1/deals", &deal("No", &json!({}))).problem(401, "no_token");

    let id = company.anna_token.split('_').nth(1).unwrap();
    let wrong = [
        ("nonsense", "Bearer nonsense".to_owned()),
        ("another scheme", format!("Basic {}", company.anna_token)),
        ("another secret", format!("Bearer dealog_{id}_{}_{}", "0".repeat(64), "0".repeat(32))),
        ("a secret cut off", format!("Bearer {}", &company.anna_token[..company.anna_token.len() - 1])),
    ];
    for (what, authorization) in wrong {
        let call = company.server.client().call("POST", "/v1/deals").header("Authorization", authorization);
        let problem = call.json(&deal("No", &json!({}))).send().problem(401, "invalid_token");
        assert_eq!(problem.body["field"], "Authorization", "{what}");
    }
    company.server.logged("a bad token was refused");
    assert_eq!(company.head(), head);
    // What is for everyone stays so.
    company.server.get("/health/live").expect(200);
    company.server.get("/openapi.json").expect(200);
}

#[test]
fn every_operation_but_health_asks_for_a_token() {
    let company = Company::new();
    let described = company.server.get("/openapi.json").expect(200).body;
    let nobody = company.server.client();
    let mut asked = 0;
    for (path, item) in described["paths"].as_object().unwrap() {
        let operations = item.as_object().unwrap().keys().filter(|method| *method != "parameters");
        for method in operations.filter(|_| !path.starts_with("/health/")) {
            let concrete: Vec<&str> = path
                .split('/')
                .map(|part| if part.starts_with('{') { company.anna_id.as_str() } else { part })
                .collect();
            nobody.call(&method.to_uppercase(), &concrete.join("/")).json(&json!({})).send().problem(401, "no_token");
            asked += 1;
        }
    }
    assert!(asked > 40, "{asked}");
}

#[test]
fn a_right_secret_is_never_refused_while_others_guess_at_it_from_the_same_address() {
    let company = Company::new();
    let parts: Vec<&str> = company.anna_token.split('_').collect();
    let guess = |number: u32| {
        let guessed = format!("dealog_{}_{number:064x}_{}", parts[1], parts[3]);
        company.server.client().with_token(&guessed).get("/v1/deals")
    };
    for number in 0..10 {
        guess(number).problem(401, "invalid_token");
    }
    for number in 10..300 {
        let refused = guess(number).problem(429, "too_many_attempts");
        assert_eq!(refused.header("retry-after"), Some("60"));
        company.anna.get("/v1/deals?limit=1").expect(200);
    }
    company.boris.get("/v1/deals").expect(200);
}

#[test]
fn the_list_says_who_made_a_token_and_who_revoked_it() {
    let company = Company::new();
    let made = token(&company.data, &["--service", "ledger", "--allow", "read", "--by", "Olga Stern"]);
    let id = made.split('_').nth(1).unwrap();
    let line = || {
        let listed = company.run(&["token", "list"]).stdout;
        listed.lines().find(|line| line.contains("ledger")).unwrap().to_owned()
    };
    assert!(line().contains("local:Olga Stern") && line().contains("valid"), "{}", line());
    company.run(&["token", "revoke", id, "--by", "Udo Kern"]);
    assert!(line().contains("by local:Udo Kern"), "{}", line());
    // Without a word it is whoever the system knows.
    let listed = company.run(&["token", "list"]).stdout;
    let annas = listed.lines().find(|line| line.contains("Anna Berg")).unwrap();
    assert!(annas.contains(" local:"), "{annas}");
}

#[test]
fn a_person_with_several_roles_may_do_what_any_of_them_may() {
    let company = Company::new();
    let token = token(&company.data, &["--invite", "Greta Lind", "--role", "seller,admin"]);
    let greta = company.server.client().with_token(&token);
    let own = greta.post("/v1/deals", &deal("Greta's", &json!({}))).expect(201).id();
    greta.patch("/v1/settings", &json!({"time_zone": "Europe/Riga"})).expect(200);
    greta.post(&format!("/v1/deals/{own}/move"), &json!({"stage": "qualified"})).expect(200);
    // A seller's deals are still the own ones only, until she manages, too.
    let annas = company.anna.post("/v1/deals", &deal("Anna's", &json!({}))).expect(201).id();
    let work = || greta.post(&format!("/v1/deals/{annas}/move"), &json!({"stage": "qualified"}));
    forbidden(work(), "not_your_deal");
    let shown = company.run(&["token", "list"]).stdout;
    assert!(shown.lines().any(|line| line.contains("Greta Lind") && line.contains("seller, admin")), "{shown}");
    let head = greta.head();
    let users = company.admin.get(&format!("/v1/users?min_position={head}")).expect(200).body;
    let user = users["items"].as_array().unwrap().iter().find(|user| user["name"] == "Greta Lind").unwrap().clone();
    let path = format!("/v1/users/{}", user["id"].as_str().unwrap());
    company.admin.patch(&path, &json!({"roles": ["seller", "manager"]})).expect(200);
    // Felt at once on this server; on others within a second.
    work().expect(200);
    forbidden(greta.patch("/v1/settings", &json!({"time_zone": "UTC"})), "forbidden");
}

#[test]
fn a_revoked_token_is_worth_nothing() {
    let company = Company::new();
    company.anna.get("/v1/deals").expect(200);
    let id = company.anna_token.split('_').nth(1).unwrap();
    let told = company.run(&["token", "revoke", id]).stdout;
    assert!(told.contains("is revoked since"), "{told}");
    until("the token should be refused", FELT, || (company.anna.get("/v1/deals").status == 401).then_some(()));
    let problem = company.anna.get("/v1/deals").problem(401, "invalid_token");
    assert_eq!(problem.body["detail"], "this token has been revoked");
    let listed = company.run(&["token", "list"]).stdout;
    let line = listed.lines().find(|line| line.contains("Anna Berg")).unwrap();
    assert!(line.contains("seller") && line.contains("revoked"), "{line}");
    let told = company.data.run(["token", "revoke", "0192f3a4-5b6c-7d8e-9f00-112233445566"]).fail();
    assert!(told.contains("there is no token") && told.contains("dealog token list"), "{told}");
}

#[test]
fn a_stream_of_events_ends_when_its_token_is_revoked_and_others_go_on() {
    let company = Company::new();
    let [mut revoked, mut other] = [&company.anna, &company.boris].map(|client| client.subscribe(""));
    revoked.expect("position");
    other.expect("position");
    let id = company.anna_token.split('_').nth(1).unwrap();
    company.run(&["token", "revoke", id]);
    assert_eq!(revoked.next(), None);
    company.anna.get("/v1/events/stream").problem(401, "invalid_token");
    let deal = company.boris.post("/v1/deals", &deal("Seen by one", &json!({}))).expect(201);
    assert_eq!(other.expect("deal.created").id, Some(deal.position()));
}

#[test]
fn a_change_of_role_and_a_deactivation_hold_for_tokens_given_out_before() {
    let company = Company::new();
    let path = format!("/v1/users/{}", company.anna_id);
    company.anna.get("/v1/events").expect(200);
    company.admin.patch(&path, &json!({"roles": ["analyst"]})).expect(200);
    until("an analyst should not read the log", FELT, || (company.anna.get("/v1/events").status == 403).then_some(()));
    company.admin.post(&format!("{path}/deactivate"), &json!({})).expect(200);
    until("a deactivated user should be refused", FELT, || {
        (company.anna.get("/v1/pipeline").status == 401).then_some(())
    });
    let told = company.data.run(["token", "create", "--user", &company.anna_id]).fail();
    assert!(told.contains("has been deactivated"), "{told}");
}

#[test]
fn with_tokens_a_server_may_listen_anywhere_and_asks_everyone_for_one() {
    let company = Company::new();
    let Company { data, server, anna_token, .. } = company;
    server.stop();
    // All addresses of this machine; it is asked at its loopback one, under a name that is not its own.
    let server = Server::start(&data, &["--listen", "0.0.0.0:0"]);
    let port = server.address().port();
    let client = Client::of(([127, 0, 0, 1], port).into());
    client.get("/v1/deals").problem(401, "no_token");
    let anna = client.with_token(&anna_token);
    anna.get("/v1/deals").expect(200);
    anna.call("GET", "/v1/deals").header("Host", "deals.example.com").send().expect(200);
    server.stop();
}

#[test]
fn a_token_that_expires_says_when_in_the_list() {
    let company = Company::new();
    token(&company.data, &["--user", &company.boris_id, "--expires-days", "30", "--name", "laptop"]);
    let listed = company.run(&["token", "list"]).stdout;
    let line = listed.lines().find(|line| line.contains("laptop")).unwrap();
    assert!(line.contains("Boris Weiss") && line.contains("valid until 20"), "{line}");
    for (args, expected) in [
        (vec!["--expires-days", "0", "--user", &company.boris_id], "0"),
        (vec![], "required"),
        (vec!["--service", "x"], "--allow"),
        (vec!["--invite", "X"], "--role"),
        (vec!["--invite", "X", "--role", "king"], "`king` is not a role; these are: seller, manager"),
        (vec!["--user", "0192f3a4-5b6c-7d8e-9f00-112233445566"], "there is no user"),
    ] {
        let done = company.data.run([&["token", "create"], &args[..]].concat()).end();
        assert!(done.code != 0 && done.stderr.contains(expected), "{args:?}: {}", done.stderr);
        assert_eq!(done.stdout, "");
    }
}
