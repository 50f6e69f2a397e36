//! What takes a permission of its own, and who is told of it afterwards.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use dealog_tests::{Client, Data, deal, until};
use serde_json::{Value, json};

use crate::access::{Company, forbidden, token};

/// How long a change may take to be felt, with something to spare on a busy machine.
const FELT: Duration = Duration::from_secs(20);

/// The audit log, read in pages.
fn audit(client: &Client) -> Vec<Value> {
    let (mut entries, mut after) = (Vec::new(), 0);
    loop {
        let page = client.get(&format!("/v1/audit?limit=3&after={after}")).expect(200).body;
        let found = page["entries"].as_array().unwrap();
        if found.is_empty() {
            return entries;
        }
        entries.extend(found.iter().cloned());
        after = page["next"].as_u64().unwrap();
    }
}

#[track_caller]
fn entry<'a>(entries: &'a [Value], expected: &Value) -> &'a Value {
    let expected = expected.as_object().unwrap();
    let fits = |entry: &&Value| expected.iter().all(|(name, value)| &entry[name] == value);
    entries.iter().find(fits).unwrap_or_else(|| panic!("{expected:?} is not in {entries:#?}"))
}

#[test]
fn refusals_and_reads_of_what_is_about_people_are_written_down_with_who_it_was() {
    let company = Company::new();
    company.server.get("/v1/users").problem(401, "no_token");
    let wrong = company.server.client().with_token("dealog_secret_of_somebody");
    wrong.get("/v1/deals").problem(401, "invalid_token");
    forbidden(company.anna.post("/v1/pipelines", &json!({})), "forbidden");
    let id = company.manager.post("/v1/deals", &deal("Not Anna's", &json!({}))).expect(201).id();
    forbidden(company.anna.post(&format!("/v1/deals/{id}/win"), &json!({})), "not_your_deal");
    let path = format!("/v1/users/{}", company.boris_id);
    company.anna.call("GET", &path).header("X-Request-Id", "asked-by-anna").send().expect(200);
    company.auditor.get("/v1/events?limit=1").expect(200);
    company.anna.get("/v1/pipeline").expect(200);

    let entries = audit(&company.auditor);
    let anna = format!("user:{}", company.anna_id);
    let refused = |route: &str, status: u16| json!({"why": "refused", "route": route, "status": status});
    assert_eq!(entry(&entries, &refused("/v1/users", 401))["actor"], Value::Null);
    assert_eq!(entry(&entries, &refused("/v1/deals", 401))["address"], "127.0.0.1");
    assert_eq!(entry(&entries, &refused("/v1/pipelines", 403))["actor"], anna.as_str());
    assert_eq!(entry(&entries, &refused("/v1/deals/{id}/win", 403))["method"], "POST");
    let read = entry(&entries, &json!({"why": "personal_data", "route": "/v1/users/{id}", "actor": anna}));
    assert_eq!((&read["path"], &read["request_id"]), (&json!(path), &json!("asked-by-anna")));
    entry(&entries, &json!({"why": "personal_data", "route": "/v1/events"}));
    assert!(entries.iter().all(|entry| entry["route"] != "/v1/pipeline"));
    let numbers: Vec<u64> = entries.iter().map(|entry| entry["number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    // No secret is in it, whatever was sent.
    let text = serde_json::to_string(&entries).unwrap();
    assert!(!text.contains("secret_of_somebody") && !text.contains(&company.anna_token));

    for client in [&company.anna, &company.manager, &company.analyst] {
        forbidden(client.get("/v1/audit"), "forbidden");
    }
    company.admin.get("/v1/audit?limit=1").expect(200);
}

#[test]
fn whatever_shows_people_is_written_down_as_read_and_figures_that_do_not_are_not() {
    let company = Company::new();
    let created = company.anna.post("/v1/deals", &deal("Read by Boris", &json!({}))).expect(201);
    company.anna.wait_for(created.position());
    let id = created.id();
    let (anna, boris) = (&company.anna_id, format!("user:{}", company.boris_id));
    let people = [
        "/v1/deals",
        &format!("/v1/deals/{id}"),
        &format!("/v1/deals/{id}/history"),
        "/v1/customers",
        "/v1/users",
        "/v1/board",
        "/v1/pipeline?by=owner",
        "/v1/win-rate?by=month,customer",
        &format!("/v1/velocity?owner={anna}"),
        "/v1/cycle?by=source,team",
    ];
    let nobody = ["/v1/forecast", "/v1/funnel?by=month", "/v1/win-rate?by=source", "/v1/settings", "/v1/pipelines"];
    for path in people.into_iter().chain(nobody) {
        company.boris.get(path).expect(200);
    }
    let entries = audit(&company.auditor);
    let read = |entry: &&Value| entry["why"] == "personal_data" && entry["actor"] == boris.as_str();
    let read: Vec<&str> = entries.iter().filter(read).map(|entry| entry["path"].as_str().unwrap()).collect();
    assert_eq!(read, people.map(|path| path.split('?').next().unwrap()));
}

#[test]
fn one_deal_is_written_down_as_read_once_a_minute_however_its_id_is_spelled() {
    let company = Company::new();
    let created = company.anna.post("/v1/deals", &deal("One of many names", &json!({}))).expect(201);
    company.anna.wait_for(created.position());
    let id = created.id();
    let spelled = [
        id.clone(),
        id.to_uppercase(),
        id.replace('0', "%30"),
        id.replace('-', "%2d").to_uppercase(),
        format!("{id}?min_position=1"),
    ];
    for id in &spelled {
        company.boris.get(&format!("/v1/deals/{id}")).expect(200);
    }
    let entries = audit(&company.auditor);
    let read = |entry: &&Value| entry["why"] == "personal_data" && entry["route"] == "/v1/deals/{id}";
    assert_eq!(entries.iter().filter(read).count(), 1, "{entries:#?}");
}

#[test]
fn the_audit_log_is_there_after_a_restart_and_goes_on() {
    let company = Company::new();
    company.anna.get("/v1/users").expect(200);
    let before = audit(&company.auditor);
    let auditor = token(&company.data, &["--service", "auditors", "--allow", "audit,read"]);
    company.server.stop();
    let server = dealog_tests::Server::start(&company.data, &[]);
    let auditor = server.client().with_token(&auditor);
    auditor.get("/v1/users").expect(200);
    let after = audit(&auditor);
    assert_eq!(after[..before.len()], before);
    let last = after.last().unwrap();
    assert_eq!((&last["number"], &last["route"]), (&json!(after.len()), &json!("/v1/users")));
    server.stop();
}

#[test]
fn where_a_required_audit_log_cannot_be_written_nothing_about_people_is_told_and_health_says_so() {
    let data = Data::fresh();
    let folder = data.home().join("audit");
    fs::write(&folder, "a file where the folder should be").unwrap();
    data.set(&format!("audit = \"required\"\naudit_folder = \"{}\"\n", folder.display()));
    let company = Company::over(data);
    for path in ["/v1/users", "/v1/customers", "/v1/events"] {
        let told = company.auditor.get(path).problem(503, "audit_unavailable");
        assert!(told.header("retry-after").is_some());
        assert!(!told.text.contains("Anna"));
    }
    // Nor to those who ask for more than is written down one by one otherwise.
    for _ in 0..150 {
        company.analyst.get("/v1/users").problem(503, "audit_unavailable");
    }
    // What is not about people goes on, and so do commands.
    company.anna.get("/v1/pipeline").expect(200);
    company.anna.post("/v1/deals", &deal("Goes on", &json!({}))).expect(201);
    let health = company.server.get("/health/ready").expect(200);
    assert!(health.body["audit_trouble"].as_str().unwrap().contains("audit.jsonl"), "{}", health.text);
    let metrics = company.admin.get("/metrics").expect(200).text;
    assert!(metrics.lines().any(|line| line == "dealog_audit_failing 1"), "{metrics}");

    fs::remove_file(&folder).unwrap();
    company.auditor.get("/v1/users").expect(200);
    assert_eq!(company.server.get("/health/ready").expect(200).body["audit_trouble"], Value::Null);
    assert!(audit(&company.auditor).iter().any(|entry| entry["route"] == "/v1/users"));
}

#[test]
fn an_admin_does_not_change_their_own_role_unless_nobody_else_could_and_then_it_is_written_down() {
    let company = Company::new();
    let path = format!("/v1/users/{}", company.admin_id);
    let second = token(&company.data, &["--invite", "Ines Roth", "--role", "admin"]);
    for (method, path, body) in
        [("PATCH", path.clone(), json!({"roles": ["manager"]})), ("POST", format!("{path}/deactivate"), json!({}))]
    {
        forbidden(company.admin.call(method, &path).json(&body).send(), "own_role");
    }
    // The other one has no way in any more: she could not undo it.
    company.data.run(["token", "revoke", second.split('_').nth(1).unwrap()]).succeed();
    company.admin.patch(&path, &json!({"roles": ["manager"]})).expect(200);
    let entries = audit(&company.auditor);
    let told = entry(&entries, &json!({"why": "only_admin", "route": "/v1/users/{id}"}));
    assert_eq!(told["actor"], format!("user:{}", company.admin_id));
}

#[test]
fn only_those_who_may_reach_far_back_or_change_closed_deals() {
    let company = Company::new();
    let long_ago = "2020-01-01T00:00:00Z";
    let old = deal("Long ago", &json!({"occurred_at": long_ago}));
    forbidden(company.anna.post("/v1/deals", &old), "backdated");
    company.manager.post("/v1/deals", &old).expect(201);
    let listed = token(&company.data, &["--service", "importer", "--allow", "deals,backdate,closed_deals"]);
    let unlisted = token(&company.data, &["--service", "other", "--allow", "deals"]);
    let [listed, unlisted] = [listed, unlisted].map(|token| company.server.client().with_token(&token));
    listed.post("/v1/deals", &old).expect(201);
    forbidden(unlisted.post("/v1/deals", &old), "backdated");

    let priced = json!({"amount": {"amount": "10.00", "currency": "EUR"}});
    let id = company.anna.post("/v1/deals", &deal("Won", &priced)).expect(201).id();
    let path = format!("/v1/deals/{id}");
    company.anna.post(&format!("{path}/win"), &json!({})).expect(200);
    for client in [&company.anna, &unlisted] {
        forbidden(client.post(&format!("{path}/reopen"), &json!({"reason": "Again"})), "closed_deal_not_yours");
        forbidden(client.patch(&path, &json!({"title": "Another"})), "closed_deal_not_yours");
    }
    company.manager.patch(&path, &json!({"title": "Another"})).expect(200);
    listed.post(&format!("{path}/reopen"), &json!({"reason": "Again"})).expect(200);
    company.anna.patch(&path, &json!({"title": "Mine"})).expect(200);
}

#[test]
fn a_command_whose_token_is_revoked_while_its_body_arrives_is_not_carried_out() {
    let company = Company::new();
    let body = deal("Too late", &json!({})).to_string();
    let (first, rest) = body.split_at(10);
    let mut stream = TcpStream::connect(company.server.address()).unwrap();
    let head = format!(
        "POST /v1/deals HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{first}",
        company.anna_token,
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let begun = company.head();
    company.data.run(["token", "revoke", company.anna_token.split('_').nth(1).unwrap()]).succeed();
    until("the token should be refused", FELT, || (company.anna.get("/v1/deals").status == 401).then_some(()));
    stream.write_all(rest.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert!(answer.contains("this token has been revoked"), "{answer}");
    assert_eq!(company.head(), begun);
}
