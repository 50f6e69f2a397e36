//! Read models are made of the log and of nothing else: made anew they give the same answers, to the byte.

use std::fs;

use dealog_tests::{DEFAULT_PIPELINE, Data, Database, Server, deal};
use serde_json::{Value, json};

/// All that can be asked, at a fixed instant where that matters.
fn questions(ids: &[String]) -> Vec<String> {
    let mut questions: Vec<String> =
        ["deals?limit=3", "deals?status=won", "pipelines", "customers", "users", "teams", "settings"]
            .iter()
            .map(|path| format!("/v1/{path}"))
            .collect();
    for figure in [
        "pipeline?",
        "board?limit=2&",
        "funnel?",
        "funnel?mode=period&from=2024-01-01&to=2024-12-31&",
        "forecast?from=2024-06-01&to=2024-07-01&",
        "time-in-stage?",
        "win-rate?from=2024-01-01&to=2024-12-31&",
        "cycle?from=2024-01-01&to=2024-12-31&",
        "velocity?from=2024-01-01&to=2024-12-31&",
    ] {
        questions.extend(["2024-03-20", "2024-06-01T00:00:00Z"].map(|as_of| format!("/v1/{figure}as_of={as_of}")));
    }
    questions.extend(ids.iter().map(|id| format!("/v1/deals/{id}")));
    questions
}

/// A company that has made something of everything.
fn work(server: &Server) -> Vec<String> {
    let new = |path: &str, body: &Value| server.post(path, body).expect(201).id();
    let anna = new("/v1/users", &json!({"name": "Anna", "roles": ["seller"], "occurred_at": "2024-01-01T00:00:00Z"}));
    let boris = new("/v1/users", &json!({"name": "Boris", "roles": ["seller"], "occurred_at": "2024-01-01T00:00:00Z"}));
    let team = new("/v1/teams", &json!({"name": "North"}));
    server.put(&format!("/v1/teams/{team}/members/{anna}"), &json!({})).expect(200);
    server.call("POST", &format!("/v1/users/{boris}/deactivate")).send().expect(200);
    let acme = new("/v1/customers", &json!({"name": "Acme"}));
    server.patch(&format!("/v1/customers/{acme}"), &json!({"name": "Acme & Sons"})).expect(200);
    let stage = json!({"slug": "due", "name": "Due", "probability": 0.5, "forecast_category": "pipeline"});
    let renewals = new("/v1/pipelines", &json!({"name": "Renewals", "stages": [stage]}));
    server
        .patch(&format!("/v1/pipelines/{DEFAULT_PIPELINE}/stages/contract"), &json!({"probability": 0.95}))
        .expect(200);
    let day = |day: u32| json!(format!("2024-03-{day:02}T08:00:00Z"));
    let mut ids = Vec::new();
    for index in 0..8_u32 {
        let amount = json!({"amount": format!("{}.99", 100 * index), "currency": "EUR"});
        let more = json!({"occurred_at": day(1 + index), "owner": anna, "customer": acme, "amount": amount, "expected_close": "2024-06-15"});
        let id = new("/v1/deals", &deal(&format!("Deal {index}"), &more));
        let then = |command: &str, after: u32, mut body: Value| {
            body["occurred_at"] = day(1 + index + after);
            server.post(&format!("/v1/deals/{id}/{command}"), &body).expect(200);
        };
        then("move", 2, json!({"stage": "offer_made"}));
        match index % 4 {
            0 => then("win", 9, json!({})),
            1 => then("lose", 9, json!({"reason": "price"})),
            2 => then("transfer", 9, json!({"pipeline": renewals})),
            _ => then("move", 9, json!({"stage": "qualified"})),
        }
        ids.push(id);
    }
    let path = format!("/v1/deals/{}/reopen", ids[1]);
    server.post(&path, &json!({"reason": "Again", "occurred_at": "2024-03-20T08:00:00Z"})).expect(200);
    server.patch(&format!("/v1/deals/{}", ids[3]), &json!({"owner": null, "probability": 0.2})).expect(200);
    ids
}

fn answers(server: &Server, ids: &[String]) -> Vec<(String, String)> {
    let head = server.head();
    server.get(&format!("/v1/settings?min_position={head}")).expect(200);
    questions(ids).into_iter().map(|path| (path.clone(), server.get(&path).expect(200).text)).collect()
}

/// Removes the read models as anybody may who wants others: the files, or the schema.
fn remove_views(data: &Data) {
    if data.database().is_some() {
        return Database::views(data).run("DROP SCHEMA views CASCADE");
    }
    let mut removed = 0;
    for entry in fs::read_dir(data.folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_string_lossy().starts_with("views.db") {
            fs::remove_file(path).unwrap();
            removed += 1;
        }
    }
    assert!(removed > 0, "there is no views.db");
}

#[test]
fn read_models_made_anew_give_the_same_answers_to_the_byte() {
    let data = Data::fresh();
    let server = Server::start(&data, &[]);
    let ids = work(&server);
    let before = answers(&server, &ids);
    let head = server.head();
    server.stop();

    let told = data.run(["rebuild"]).succeed().stdout;
    assert!(told.contains(&format!("from {head} events")), "{told}");
    let told = data.run(["rebuild", "deals"]).succeed().stdout;
    assert!(told.contains(&format!("deals was rebuilt from {head} events")), "{told}");
    let told = data.run(["rebuild", "everything"]).fail();
    assert!(told.contains("there is no read model everything") && told.contains("deals"), "{told}");
    let server = Server::start(&data, &[]);
    assert_eq!(answers(&server, &ids), before, "after a rebuild");
    server.stop();

    remove_views(&data);
    let server = Server::start(&data, &[]);
    assert_eq!(answers(&server, &ids), before, "after they were removed");
    server.stop();
}

#[test]
fn read_models_of_another_log_are_refused_until_they_are_made_anew() {
    let mine = Data::fresh();
    let once = || Server::start(&mine, &[]).ready().stop();
    once();
    Database::views(&mine).run("UPDATE checkpoints SET log_id = '0192f3a4-0000-7000-8000-00000000cafe'");
    let told = mine.run(["serve", "--listen", "127.0.0.1:0", "--log", "error"]).fail();
    assert!(told.contains("dealog rebuild"), "{told}");
    mine.run(["rebuild"]).succeed();
    once();
}
