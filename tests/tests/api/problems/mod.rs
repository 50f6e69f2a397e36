//! Bad requests: each is refused as an RFC 9457 problem with a stable code, and changes nothing.

mod callers;
mod commands;
mod questions;
mod states;

use std::sync::OnceLock;

use dealog_tests::{Call, Client, DEFAULT_PIPELINE, Server, deal};
use serde_json::{Value, json};

/// What a bad request carries.
enum Body {
    None,
    Json(Value),
    Raw(&'static str, Vec<u8>),
}

/// A bad request and its answer.
struct Bad {
    what: &'static str,
    method: &'static str,
    path: String,
    body: Body,
    header: Option<(&'static str, Vec<u8>)>,
    status: u16,
    code: &'static str,
    field: Option<&'static str>,
    allowed: Option<Value>,
    missing: Option<Value>,
}

impl Bad {
    fn new(what: &'static str, method: &'static str, path: impl Into<String>, body: Body) -> Self {
        let path = path.into();
        Self { what, method, path, body, header: None, status: 0, code: "", field: None, allowed: None, missing: None }
    }

    fn get(what: &'static str, path: impl Into<String>) -> Self {
        Self::new(what, "GET", path, Body::None)
    }

    fn post(what: &'static str, path: impl Into<String>, body: Value) -> Self {
        Self::new(what, "POST", path, Body::Json(body))
    }

    fn patch(what: &'static str, path: impl Into<String>, body: Value) -> Self {
        Self::new(what, "PATCH", path, Body::Json(body))
    }

    fn raw(what: &'static str, content_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self::new(what, "POST", "/v1/deals", Body::Raw(content_type, body.into()))
    }

    fn header(self, name: &'static str, value: impl Into<Vec<u8>>) -> Self {
        Self { header: Some((name, value.into())), ..self }
    }

    /// What is answered.
    fn gives(self, status: u16, code: &'static str, field: impl Into<Option<&'static str>>) -> Self {
        Self { status, code, field: field.into(), ..self }
    }

    fn allowed(self, allowed: Value) -> Self {
        Self { allowed: Some(allowed), ..self }
    }

    fn missing(self, missing: Value) -> Self {
        Self { missing: Some(missing), ..self }
    }

    fn call(&self, server: &Client) -> Call {
        let call = server.call(self.method, &self.path);
        let call = match &self.body {
            Body::None => call,
            Body::Json(body) => call.json(body),
            Body::Raw(content_type, body) => call.raw(content_type, body.clone()),
        };
        match &self.header {
            Some((name, value)) => call.header(name, value),
            None => call,
        }
    }

    /// Sends it and says what is wrong with the answer, or with the log after it, which `witness` may read.
    fn mistakes(&self, server: &Client, witness: &Client, head: u64) -> Option<String> {
        let answer = self.call(server).send();
        let body = &answer.body;
        let code = self.code.replace('_', "-");
        let field = self.field.map_or(Value::Null, Value::from);
        let checks = [
            (answer.status == self.status, format!("status {}, not {}", answer.status, self.status)),
            (
                answer.header("content-type") == Some("application/problem+json"),
                format!("content type {:?}", answer.header("content-type")),
            ),
            (body["code"] == self.code, format!("code {}, not {}", body["code"], self.code)),
            (body["type"] == format!("/problems/{code}"), format!("type {}", body["type"])),
            (body["status"] == self.status, format!("status {} in the body", body["status"])),
            (body["title"].is_string(), "no title".into()),
            (body["detail"].as_str().is_some_and(|detail| detail.len() > 5), "no detail".into()),
            (body["field"] == field, format!("field {}, not {field}", body["field"])),
            (
                self.allowed.as_ref().is_none_or(|allowed| body["allowed"] == *allowed),
                format!("allowed {}, not {:?}", body["allowed"], self.allowed),
            ),
            (
                self.missing.as_ref().is_none_or(|missing| body["missing"] == *missing),
                format!("missing {}, not {:?}", body["missing"], self.missing),
            ),
            (witness.head() == head, "the log has grown".into()),
        ];
        let wrong: Vec<String> = checks.into_iter().filter(|(right, _)| !right).map(|(_, wrong)| wrong).collect();
        let shown: String = answer.text.chars().take(300).collect();
        (!wrong.is_empty()).then(|| {
            format!("{} ({} {}): {}; the answer was {shown}", self.what, self.method, self.path, wrong.join("; "))
        })
    }
}

/// Sends all of them and tells of all that went wrong, not only of the first.
fn check(requests: &[Bad]) {
    let World { server, .. } = world();
    check_at(server, server, requests);
}

fn check_at(server: &Client, witness: &Client, requests: &[Bad]) {
    let head = witness.head();
    let mistakes: Vec<String> = requests.iter().filter_map(|bad| bad.mistakes(server, witness, head)).collect();
    assert!(mistakes.is_empty(), "{} mistakes:\n{}", mistakes.len(), mistakes.join("\n"));
}

/// A company in which much can be done wrongly.
struct World {
    server: Server,
    open: String,
    /// An open deal that has no amount.
    unpriced: String,
    won: String,
    lost: String,
    /// A pipeline that asks for fields and forbids skipping.
    strict: String,
    /// A deal in its first stage.
    in_strict: String,
    archived: String,
    inactive: String,
}

/// The key of a command that has been carried out.
const USED_KEY: &str = "used";
const NOBODY: &str = "0192f3a4-5b6c-7d8e-9f00-112233445566";

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let server = Server::shared(&[]);
        let new = |path: &str, body: &Value| server.post(path, body).expect(201).id();
        let amount = json!({"amount": {"amount": "100.00", "currency": "EUR"}});
        let [open, won, lost] = ["Open", "Won", "Lost"].map(|title| new("/v1/deals", &deal(title, &amount)));
        server.post(&format!("/v1/deals/{won}/win"), &json!({})).expect(200);
        server.post(&format!("/v1/deals/{lost}/lose"), &json!({"reason": "price"})).expect(200);
        let field = json!({"slug": "budget", "of": "deal", "name": "Budget", "kind": "decimal"});
        server.patch("/v1/settings", &json!({"fields": [field]})).expect(200);
        let stage = |slug: &str, required: Value| {
            json!({"slug": slug, "name": slug, "probability": 0.5, "forecast_category": "commit", "required_fields": required})
        };
        let stages = json!([
            stage("one", json!([])),
            stage("two", json!(["amount", "expected_close", "fields.budget"])),
            stage("three", json!([]))
        ]);
        let strict = new("/v1/pipelines", &json!({"name": "Strict", "stages": stages, "skipping_allowed": false}));
        let used = server.call("POST", "/v1/deals").header("idempotency-key", USED_KEY);
        used.json(&deal("Used", &json!({}))).send().expect(201);
        let unpriced = new("/v1/deals", &deal("Unpriced", &json!({})));
        let in_strict = new("/v1/deals", &json!({"title": "Strict", "pipeline": strict}));
        let archived = new("/v1/pipelines", &json!({"name": "Archived", "stages": [stage("one", json!([]))]}));
        server.post(&format!("/v1/pipelines/{archived}/archive"), &json!({})).expect(200);
        let inactive = new("/v1/users", &json!({"name": "Gone", "roles": ["seller"]}));
        server.post(&format!("/v1/users/{inactive}/deactivate"), &json!({})).expect(200);
        World { server, open, unpriced, won, lost, strict, in_strict, archived, inactive }
    })
}

/// A create of a deal with one attribute more, or another one.
fn with(name: &str, value: Value) -> Value {
    let mut body = json!({"title": "Bad", "pipeline": DEFAULT_PIPELINE});
    body[name] = value;
    body
}
