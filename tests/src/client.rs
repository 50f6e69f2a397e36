//! A small HTTP client that shows all of an answer.

use std::{net::SocketAddr, time::Duration};

use reqwest::{Method, blocking, header::HeaderMap, redirect::Policy};
use serde_json::Value;

use crate::Subscription;

/// How long a request may take.
const BOUND: Duration = Duration::from_secs(30);

/// A client of one server. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    http: blocking::Client,
    base: String,
    token: Option<String>,
}

impl Client {
    pub fn of(address: SocketAddr) -> Self {
        let http = blocking::Client::builder()
            .no_proxy()
            .redirect(Policy::none())
            .timeout(BOUND)
            .build()
            .expect("a client can be made");
        Self { http, base: format!("http://{address}"), token: None }
    }

    /// A client of the same server that sends this token.
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// A request to be completed and sent.
    pub fn call(&self, method: &str, path: &str) -> Call {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let request = self.http.request(method.clone(), format!("{}{path}", self.base));
        let request = match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        Call { request, what: format!("{method} {path}") }
    }

    pub fn get(&self, path: &str) -> Answer {
        self.call("GET", path).send()
    }

    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.call("POST", path).json(body).send()
    }

    pub fn patch(&self, path: &str, body: &Value) -> Answer {
        self.call("PATCH", path).json(body).send()
    }

    pub fn put(&self, path: &str, body: &Value) -> Answer {
        self.call("PUT", path).json(body).send()
    }

    pub fn delete(&self, path: &str) -> Answer {
        self.call("DELETE", path).send()
    }

    /// A stream of events.
    pub fn subscribe(&self, query: &str) -> Subscription {
        self.call("GET", &format!("/v1/events/stream{query}")).subscribe()
    }

    /// The last position of the log.
    pub fn head(&self) -> u64 {
        self.get("/v1/events?limit=1").expect(200).body["head"].as_u64().expect("a head")
    }

    /// Waits until the read models and the figures show `position`: they follow the log independently, so to have waited for one
    /// says nothing of the other.
    #[track_caller]
    pub fn wait_for(&self, position: u64) {
        for shown_by in ["settings", "pipeline"] {
            self.get(&format!("/v1/{shown_by}?min_position={position}")).expect(200);
        }
    }

    /// The whole log, read in pages.
    pub fn events(&self) -> Vec<Value> {
        let (mut events, mut after) = (Vec::new(), "0".to_owned());
        loop {
            let page = self.get(&format!("/v1/events?limit=1000&after={after}")).expect(200).body;
            let found = page["events"].as_array().expect("events");
            if found.is_empty() {
                return events;
            }
            events.extend(found.iter().cloned());
            page["next"].as_str().expect("a cursor to go on from").clone_into(&mut after);
        }
    }
}

/// A request on its way.
pub struct Call {
    request: blocking::RequestBuilder,
    what: String,
}

impl Call {
    #[must_use]
    pub fn header(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        Self { request: self.request.header(name, value.as_ref()), ..self }
    }

    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        Self { request: self.request.json(body), ..self }
    }

    #[must_use]
    pub fn raw(self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { request: self.request.header("content-type", content_type).body(body.into()), ..self }
    }

    /// Sends it; there must be an answer.
    pub fn send(self) -> Answer {
        let what = self.what.clone();
        self.try_send().unwrap_or_else(|error| panic!("{what}: {error}"))
    }

    /// Sends it; the answer must be a stream of events.
    pub fn subscribe(self) -> Subscription {
        self.subscribe_for(usize::MAX)
    }

    /// The same, of which no more than this many bytes are read.
    pub fn subscribe_for(self, bytes: usize) -> Subscription {
        Subscription::of(self.open(), bytes)
    }

    /// Sends it; the answer must be a stream of events, of which nothing is read yet.
    pub fn open(self) -> blocking::Response {
        let what = self.what.clone();
        self.try_open().unwrap_or_else(|| panic!("{what}: there is no stream"))
    }

    /// Sends it; None where the answer is not a stream of events.
    pub fn try_open(self) -> Option<blocking::Response> {
        let response = self.request.send().unwrap_or_else(|error| panic!("{}: {error}", self.what));
        (response.status() == 200 && response.headers()["content-type"] == "text/event-stream").then_some(response)
    }

    /// Sends it. An error means that there was no answer, and nobody knows what came of it.
    pub fn try_send(self) -> Result<Answer, reqwest::Error> {
        let response = self.request.send()?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text()?;
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Ok(Answer { what: self.what, status, headers, text, body })
    }
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    what: String,
    pub status: u16,
    pub headers: HeaderMap,
    /// The body, to the byte.
    pub text: String,
    /// The body as JSON; null where it is none.
    pub body: Value,
}

impl Answer {
    /// The same answer, which must have this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}: {}", self.what, self.text);
        self
    }

    /// The same answer, which must be a problem with this status and code.
    #[track_caller]
    pub fn problem(self, status: u16, code: &str) -> Self {
        let answer = self.expect(status);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{}", answer.what);
        assert_eq!(answer.body["code"], code, "{}: {}", answer.what, answer.text);
        answer
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("a readable header"))
    }

    /// The id that a command answered with.
    #[track_caller]
    pub fn id(&self) -> String {
        self.body["id"].as_str().unwrap_or_else(|| panic!("{}: no id in {}", self.what, self.text)).to_owned()
    }

    /// The position that a command answered with.
    #[track_caller]
    pub fn position(&self) -> u64 {
        self.body["position"].as_u64().unwrap_or_else(|| panic!("{}: no position in {}", self.what, self.text))
    }
}
