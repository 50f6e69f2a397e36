//! Going back: to what was so at an instant, and to what was known at a position.

use dealog_tests::{Answer, Client, Server, deal};
use serde_json::{Value, json};

use crate::server;

fn euro(amount: &str) -> Value {
    json!({"amount": amount, "currency": "EUR"})
}

/// What a deal was like after each of its commands, as it was told then, with the position of each.
struct Course {
    id: String,
    told: Vec<(u64, Value)>,
}

impl Course {
    fn of(client: &Client) -> Self {
        let created =
            client.post("/v1/deals", &deal("A course", &json!({"occurred_at": "2026-01-05T10:00:00Z"}))).expect(201);
        let mut course = Self { id: created.id(), told: vec![] };
        course.tell(client, &created);
        let steps = [
            ("PATCH", "", json!({"amount": euro("100.00"), "occurred_at": "2026-01-12T10:00:00Z"})),
            ("POST", "/move", json!({"stage": "offer_made", "occurred_at": "2026-02-02T10:00:00Z"})),
            ("PATCH", "", json!({"title": "A longer course", "occurred_at": "2026-02-03T10:00:00Z"})),
            ("POST", "/lose", json!({"reason": "price", "occurred_at": "2026-03-02T10:00:00Z"})),
            (
                "POST",
                "/reopen",
                json!({"reason": "Back again", "stage": "negotiation", "occurred_at": "2026-03-20T10:00:00Z"}),
            ),
            ("POST", "/win", json!({"occurred_at": "2026-04-01T10:00:00Z"})),
        ];
        for (method, path, body) in steps {
            let answer = client.call(method, &format!("/v1/deals/{}{path}", course.id)).json(&body).send().expect(200);
            course.tell(client, &answer);
        }
        course
    }

    fn tell(&mut self, client: &Client, answer: &Answer) {
        let now = client.get(&format!("/v1/deals/{}?min_position={}", self.id, answer.position())).expect(200);
        self.told.push((answer.position(), now.body));
    }

    fn asked(&self, query: &str) -> Answer {
        server().get(&format!("/v1/deals/{}?{query}", self.id))
    }
}

#[test]
fn a_deal_is_told_as_it_was_at_any_version_instant_and_position() {
    let course = Course::of(server());
    for (position, told) in &course.told {
        let (version, instant) = (&told["version"], told["updated_at"].as_str().unwrap());
        for query in [
            format!("at_version={version}"),
            format!("as_of={instant}"),
            format!("known_at={position}"),
            format!("as_of={instant}&known_at={}", course.told.last().unwrap().0),
        ] {
            let answer = course.asked(&query).expect(200);
            assert_eq!(answer.body, *told, "{query}");
            assert_eq!(answer.header("etag"), None, "what is past is not to be changed by its version");
        }
    }
}

#[test]
fn a_day_means_the_deal_at_its_end() {
    let course = Course::of(server());
    let stage = |query: &str| course.asked(query).expect(200).body["stage"].clone();
    assert_eq!(stage("as_of=2026-02-01"), "first_contact");
    assert_eq!(stage("as_of=2026-02-02"), "offer_made");
    assert_eq!(stage("as_of=2026-03-19"), "offer_made");
    assert_eq!(stage("as_of=2026-03-20"), "negotiation");
}

#[test]
fn both_clocks_can_be_turned_back_at_once() {
    let course = Course::of(server());
    let (third, _) = course.told[2];
    // By the third command the deal was known to have moved; of what came later nothing was known, whenever it happened.
    assert_eq!(course.asked(&format!("as_of=2026-03-31&known_at={third}")).expect(200).body["version"], 3);
    assert_eq!(course.asked(&format!("as_of=2026-01-31&known_at={third}")).expect(200).body["version"], 2);
}

#[test]
fn a_deal_that_was_not_there_yet_is_not_found() {
    let course = Course::of(server());
    let before = course.told[0].0 - 1;
    for query in ["as_of=2026-01-04".to_owned(), "as_of=2026-01-05T09:59:59Z".to_owned(), format!("known_at={before}")]
    {
        course.asked(&query).problem(404, "not_found");
    }
    server().get("/v1/deals/0192f3a4-5b6c-7d8e-9f00-112233445566?at_version=1").problem(404, "not_found");
}

#[test]
fn what_cannot_be_gone_back_to_is_refused_with_its_name() {
    let course = Course::of(server());
    let versions = course.told.len();
    for (query, status, code, field) in [
        ("at_version=0".to_owned(), 422, "beyond_version", "at_version"),
        (format!("at_version={}", versions + 1), 422, "beyond_version", "at_version"),
        ("at_version=one".to_owned(), 400, "bad_request", "at_version"),
        ("at_version=1&as_of=2026-01-05".to_owned(), 422, "query", "at_version"),
        ("as_of=2999-01-01".to_owned(), 422, "in_future", "as_of"),
        ("as_of=yesterday".to_owned(), 400, "bad_request", "as_of"),
        ("known_at=0".to_owned(), 422, "beyond_head", "known_at"),
        ("known_at=999999999".to_owned(), 422, "beyond_head", "known_at"),
        ("known_at=2999-01-01".to_owned(), 422, "in_future", "known_at"),
        ("known_at=1999-01-01".to_owned(), 422, "query", "known_at"),
        ("known_at=-1".to_owned(), 400, "bad_request", "known_at"),
    ] {
        let problem = course.asked(&query).problem(status, code);
        assert_eq!(problem.body["field"], field, "{query}");
    }
}

/// Questions about the end of March.
const QUESTIONS: [&str; 6] = [
    "/v1/pipeline?as_of=2026-03-31",
    "/v1/pipeline?as_of=2026-03-31&by=owner",
    "/v1/funnel?as_of=2026-03-31",
    "/v1/forecast?as_of=2026-03-31&from=2026-03-01&to=2026-05-01",
    "/v1/win-rate?as_of=2026-03-31",
    "/v1/deals?status=open",
];

#[test]
fn what_was_known_is_answered_as_it_was_then() {
    let server = Server::of_a_new_company(&[]);
    let answers = |position: u64| {
        QUESTIONS.map(|question| server.get(&format!("{question}&min_position={position}")).expect(200).body)
    };
    let mut told: Vec<(u64, [Value; 6])> = Vec::new();
    let mut ids = Vec::new();
    for (month, amount) in [(1, "100.00"), (2, "250.50"), (3, "70.00")] {
        let at = format!("2026-0{month}-10T12:00:00Z");
        let body = deal("Then", &json!({"amount": euro(amount), "expected_close": "2026-04-15", "occurred_at": at}));
        let created = server.post("/v1/deals", &body).expect(201);
        ids.push(created.id());
        told.push((created.position(), answers(created.position())));
    }
    // Told late: it happened in February and March, and is recorded after the figures of March have been read.
    for (path, body) in [
        (format!("/v1/deals/{}/move", ids[0]), json!({"stage": "contract", "occurred_at": "2026-02-20T12:00:00Z"})),
        (format!("/v1/deals/{}/win", ids[0]), json!({"occurred_at": "2026-03-15T12:00:00Z"})),
        (format!("/v1/deals/{}/lose", ids[2]), json!({"reason": "error", "occurred_at": "2026-03-16T12:00:00Z"})),
    ] {
        let position = server.post(&path, &body).expect(200).position();
        told.push((position, answers(position)));
    }
    for (position, told) in &told {
        for (question, told) in QUESTIONS.iter().zip(told) {
            let answer = server.get(&format!("{question}&known_at={position}")).expect(200);
            assert_eq!(answer.body, *told, "{question} known at {position}");
            assert_eq!(answer.header("dealog-position"), Some(position.to_string().as_str()));
        }
    }
    let [(_, first), .., (_, last)] = &told[..] else { panic!("several answers") };
    assert_ne!(first[0], last[0], "the same day, told otherwise by now");
    // An instant of recording means the position then.
    let events = server.events();
    let third = &events[usize::try_from(told[2].0).unwrap() - 1];
    let by_time =
        server.get(&format!("{}&known_at={}", QUESTIONS[0], third["recorded_at"].as_str().unwrap())).expect(200);
    assert_eq!(by_time.body, told[2].1[0]);
}

#[test]
fn what_was_known_is_asked_about_now_unless_an_instant_is_named() {
    let server = Server::of_a_new_company(&[]);
    let created = server.post("/v1/deals", &deal("Now", &json!({}))).expect(201);
    server.post(&format!("/v1/deals/{}/move", created.id()), &json!({"stage": "contract"})).expect(200);
    let moved = server.events().pop().unwrap()["recorded_at"].clone();
    let answer = server.get(&format!("/v1/pipeline?known_at={}", created.position())).expect(200);
    assert!(answer.body["as_of"].as_str() >= moved.as_str(), "{} is before {moved}", answer.text);
    assert_eq!(answer.body["position"], created.position());
    let stages = answer.body["pipelines"][0]["stages"].as_array().unwrap();
    assert_eq!((&stages[0]["deals"], &stages[5]["deals"]), (&json!(1), &json!(0)), "it had not been moved");
}
