//! HTTP as callers use it: a command has an answer, or nobody knows what came of it.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use reqwest::{Method, RequestBuilder, Response, StatusCode, redirect::Policy};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::sleep;

use crate::{
    broken::{Broken, Result, When as _, ensure},
    workload::Command,
};

/// How long a caller waits before it takes a request for lost.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a checker waits: nothing disturbs the servers then.
const CHECK: Duration = Duration::from_secs(30);

/// The pause before a checker asks again.
const AGAIN: Duration = Duration::from_millis(50);

/// What a command was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Nothing, or to come again: nobody knows whether it was carried out.
    Unknown(String),
    /// It was carried out; with no events, there was nothing to do.
    Done(Done),
    /// The rules say no, or the deal has another version.
    Refused { status: u16, code: String },
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Done {
    pub(crate) stream: String,
    pub(crate) version: u64,
    pub(crate) position: u64,
    pub(crate) events: u64,
    pub(crate) replayed: bool,
}

/// A client with connections of its own. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Client(reqwest::Client);

impl Client {
    pub(crate) fn new() -> Result<Self> {
        let client = reqwest::Client::builder().no_proxy().redirect(Policy::none()).connect_timeout(PATIENCE);
        Ok(Self(client.build()?))
    }

    pub(crate) fn request(&self, method: &str, node: SocketAddr, path: &str) -> Result<RequestBuilder> {
        let method = Method::from_bytes(method.as_bytes())?;
        Ok(self.0.request(method, format!("http://{node}{path}")))
    }

    pub(crate) async fn send(&self, node: SocketAddr, command: &Command) -> Result<Answer> {
        let request = self.request(command.method(), node, &command.path())?;
        let request = request.header("idempotency-key", &command.key).json(&command.body()).timeout(PATIENCE);
        let request = match command.if_match {
            Some(version) => request.header("if-match", format!("\"{version}\"")),
            None => request,
        };
        match request.send().await {
            Ok(response) => answer(response).await,
            Err(error) => Ok(Answer::Unknown(error.to_string())),
        }
    }

    /// What a question is answered with; none where the server is behind, busy or gone.
    pub(crate) async fn ask(&self, node: SocketAddr, path: &str) -> Result<Option<String>> {
        let Ok(response) = self.request("GET", node, path)?.timeout(PATIENCE).send().await else { return Ok(None) };
        let status = response.status();
        ensure!(!status.is_client_error(), "GET {path}: {status}: {}", response.text().await.unwrap_or_default());
        Ok(if status.is_success() { response.text().await.ok() } else { None })
    }

    /// How a server says that it is: whether it is ready, and in which words.
    pub(crate) async fn health(&self, node: SocketAddr) -> Result<(bool, String)> {
        let response = self.request("GET", node, "/health/ready")?.timeout(PATIENCE).send().await?;
        Ok((response.status() == StatusCode::OK, response.text().await?))
    }

    /// What a question is answered with by a server that nothing is wrong with, though it may be behind.
    pub(crate) async fn get(&self, node: SocketAddr, path: &str) -> Result<String> {
        let begun = Instant::now();
        loop {
            let response = self.request("GET", node, path)?.timeout(CHECK).send().await.when(path)?;
            let status = response.status();
            let text = response.text().await.when(path)?;
            if status.is_success() {
                return Ok(text);
            }
            if status != StatusCode::SERVICE_UNAVAILABLE || begun.elapsed() > CHECK {
                let (_, health) = self.health(node).await?;
                return Err(Broken(format!("GET {path}: {status}: {text}; it says of its health: {health}")));
            }
            sleep(AGAIN).await;
        }
    }
}

async fn answer(response: Response) -> Result<Answer> {
    let status = response.status().as_u16();
    let text = match response.text().await {
        Ok(text) => text,
        Err(error) => return Ok(Answer::Unknown(error.to_string())),
    };
    Ok(match status {
        200 | 201 => Answer::Done(serde_json::from_str(&text).when(format_args!("the answer `{text}`"))?),
        500.. => Answer::Unknown(text),
        _ => {
            let problem: Value = serde_json::from_str(&text).when(format_args!("the answer {status} `{text}`"))?;
            let code = problem.get("code").and_then(Value::as_str).unwrap_or_default().to_owned();
            Answer::Refused { status, code }
        }
    })
}
