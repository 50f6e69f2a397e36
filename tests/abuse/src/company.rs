//! The company under abuse: the sample company, a server of it, and a token for each caller.

use std::net::SocketAddr;

use dealog_tests::{Data, Server};
use serde_json::Value;

use crate::{
    Backend,
    broken::{Broken, Result},
};

/// The day on which the sample company ends, so that every run is about the same deals.
const UNTIL: &str = "2026-06-30";

/// A server of the sample company.
pub(crate) struct Company {
    pub(crate) server: Server,
    pub(crate) callers: Callers,
}

/// Who calls, each by a token.
#[derive(Clone)]
pub(crate) struct Callers {
    pub(crate) address: SocketAddr,
    /// Those who work.
    pub(crate) seller: String,
    pub(crate) analyst: String,
    pub(crate) ledger: String,
    pub(crate) admin: String,
    /// Those who misuse what they may do.
    pub(crate) greedy_seller: String,
    pub(crate) greedy_analyst: String,
    pub(crate) greedy_service: String,
    pub(crate) pipeline: String,
}

impl Company {
    pub(crate) fn new(backend: Backend) -> Result<Self> {
        let data = match backend {
            Backend::Sqlite => Data::on_sqlite(),
            Backend::Postgres => Data::on_postgres(),
        };
        data.run(["demo", "--no-serve", "--until", UNTIL]).succeed();
        let token = |whom: &[&str]| data.run([&["token", "create"], whom].concat()).succeed().stdout.trim().to_owned();
        let person = |name: &str, role: &str| token(&["--invite", name, "--role", role]);
        let service = |name: &str| token(&["--service", name, "--allow", "read,log"]);
        let [admin, seller, analyst] =
            [person("Olga Stern", "admin"), person("Anna Berg", "seller"), person("Ada Lang", "analyst")];
        let [greedy_seller, greedy_analyst] = [person("Boris Weiss", "seller"), person("Udo Kern", "analyst")];
        let [ledger, greedy_service] = [service("ledger"), service("greedy")];
        let server = Server::with(data, &["--log", "warn,dealog::serve=info"]).ready();
        let pipelines = server.client().with_token(&analyst).get("/v1/pipelines").expect(200);
        let pipeline = pipelines.body.pointer("/items/0/id").and_then(Value::as_str);
        let pipeline =
            pipeline.ok_or_else(|| Broken(format!("there is no pipeline in {}", pipelines.text)))?.to_owned();
        let callers = Callers {
            address: server.address(),
            seller,
            analyst,
            ledger,
            admin,
            greedy_seller,
            greedy_analyst,
            greedy_service,
            pipeline,
        };
        Ok(Self { server, callers })
    }
}
