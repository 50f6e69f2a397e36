//! A version of Dealog that does not know one kind of event yet, and the one that comes after it, over the same folder.
//! In process, since there is but one binary to ask from outside.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::{path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use dealog_api::{
    App, Budget, Feed, Followed, Model, Order, Readiness, Room, Turns,
    access::Bearers,
    audit::{Audit, Mode},
};
use dealog_app::{Access, Queries};
use dealog_commands::{Commands, system_clock};
use dealog_events::{Envelope, Event, ReadError};
use dealog_projections::{
    Database, Dialect, Figures, ImageLimits, Projection, ProjectionError, Worker,
    models::{
        Lists,
        customers::{Customers, MODEL},
    },
};
use dealog_store::{EventStore, sqlite::SqliteStore};
use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::{Value, json};
use sqlx::AnyConnection;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

const PATIENCE: Duration = Duration::from_secs(30);

/// The projection of a version to which customers have the names that they had.
#[derive(Default)]
struct Before(Customers);

#[async_trait]
impl Projection for Before {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn version(&self) -> i64 {
        self.0.version()
    }

    fn tables(&self) -> Vec<&'static str> {
        self.0.tables()
    }

    fn schema(&self, dialect: Dialect) -> Vec<String> {
        self.0.schema(dialect)
    }

    fn indexes(&self) -> Vec<String> {
        self.0.indexes()
    }

    async fn apply(&mut self, db: &mut AnyConnection, events: &[(Envelope, Event)]) -> Result<(), ProjectionError> {
        match events.iter().find(|(envelope, _)| envelope.event_type == "customer.renamed") {
            Some((Envelope { position, event_type, .. }, _)) => {
                let source = ReadError::UnknownType(event_type.clone());
                Err(ProjectionError::Unreadable { position: *position, source })
            }
            None => self.0.apply(db, events).await,
        }
    }

    fn forget(&mut self) {
        self.0.forget();
    }
}

/// A server in this process.
struct Server {
    http: reqwest::Client,
    base: String,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
    database: Database,
    store: Arc<SqliteStore>,
}

impl Server {
    async fn start(folder: &Path, projection: Box<dyn Projection>) -> Self {
        let store = SqliteStore::open(&folder.join("log.db"), dealog_store::Limits::default()).await.unwrap();
        let store = Arc::new(store);
        let log: Arc<dyn EventStore> = store.clone();
        let commands = Commands::new(log.clone(), system_clock(), dealog_commands::Limits::default());
        let database = Database::open(&folder.join("views.db")).await.unwrap();
        let limits = dealog_projections::Limits::default();
        let worker = Worker::start(log, database.clone(), vec![projection], limits).await.unwrap();
        let (stop, mut told) = watch::channel(false);
        let limits = dealog_api::Limits::default();
        let (figures, image) = Figures::new(store.clone(), folder.join("figures.snapshot"), ImageLimits::default());
        let image = dealog_followers::follow(
            store.clone(),
            image,
            dealog_followers::Limits::default(),
            figures.status().clone(),
            stop.subscribe(),
        );
        let imaging = tokio::spawn(async move { drop(image.await) });
        let access = Access::new(store.clone(), commands.clone(), dealog_app::Limits::default()).await.unwrap();
        let app = App {
            queries: Queries::new(
                store.clone(),
                figures,
                Lists::new(database.clone()),
                Some(worker.status()),
                system_clock(),
                dealog_app::Limits::default(),
            ),
            bearers: Bearers::new(access, &limits),
            scrubbed: watch::channel(dealog_store::Scrubbed::default()).1,
            readiness: Readiness::default(),
            turns: Turns::new(&limits),
            budget: Budget::new(&limits),
            bodies: Room::of(limits.bodies_bytes_max),
            audit: Audit::start(Mode::On, folder.to_owned(), &limits).unwrap(),
            feed: Feed::start(store.clone(), limits),
            metrics: PrometheusBuilder::new().build_recorder().handle(),
            commands,
            followed: Followed {
                database: database.clone(),
                models: vec![Model { name: MODEL.name, version: MODEL.version }],
                status: Some(worker.status()),
            },
            limits,
            trusted_proxies: Vec::new(),
            tls: None,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let following = tokio::spawn(worker.follow(stop.subscribe()));
        let (ordering, orders) = watch::channel(Order::Serve);
        let serving = tokio::spawn(async move {
            let serving = dealog_api::serve(listener, app, orders);
            tokio::join!(serving, async {
                told.wait_for(|stop| *stop).await.map(|_| ordering.send_replace(Order::Finish)).ok()
            });
        });
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { http, base, stop, tasks: vec![following, imaging, serving], database, store }
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let answer = self.http.get(format!("{}{path}", self.base)).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// Sends a command, which must be carried out. Gives the id that it answers with.
    async fn command(&self, method: reqwest::Method, path: &str, body: Value) -> String {
        let answer = self.http.request(method, format!("{}{path}", self.base)).json(&body).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.json::<Value>().await.unwrap()["id"].as_str().unwrap_or_default().to_owned()
    }

    /// Waits until health is as `wanted`.
    async fn health(&self, what: &str, wanted: impl Fn(u16, &Value) -> bool) -> Value {
        let waiting = async {
            loop {
                let (status, ready) = self.get("/health/ready").await;
                if wanted(status, &ready["projections"][0]) {
                    return ready;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("health never says {what}"))
    }

    async fn stop(self) {
        self.stop.send_replace(true);
        // Its connections are kept alive otherwise.
        drop(self.http);
        for task in self.tasks {
            tokio::time::timeout(PATIENCE, task).await.unwrap().unwrap();
        }
        self.database.close().await;
        self.store.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stopped_one_version_is_applied_by_the_next_from_the_same_position() {
    use reqwest::Method;
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), Box::<Before>::default()).await;
    let customer = server.command(Method::POST, "/v1/customers", json!({"name": "Acme"})).await;
    let path = format!("/v1/customers/{customer}");
    server.command(Method::PATCH, &path, json!({"name": "Acme & Sons"})).await;
    let ready = server.health("that it stopped", |_, projection| projection["trouble"].is_string()).await;
    let projection = &ready["projections"][0];
    assert_eq!((&ready["ready"], &projection["position"]), (&json!(false), &json!(1)), "{ready}");
    let trouble = projection["trouble"].as_str().unwrap();
    assert!(trouble.contains("position 2 ") && trouble.contains("customer.renamed"), "{trouble}");
    assert_eq!(server.get("/health/ready").await.0, 503);

    // Meanwhile all else goes on, and what was there before is answered.
    let other = server.command(Method::POST, "/v1/customers", json!({"name": "Bolt"})).await;
    assert_eq!(server.get(&path).await.1["name"], "Acme");
    assert_eq!(server.get(&format!("/v1/customers/{other}")).await.0, 404);
    server.stop().await;

    let server = Server::start(folder.path(), Box::<Customers>::default()).await;
    let ready = server.health("that it goes on", |status, projection| status == 200 && projection["lag"] == 0).await;
    let leader = ready["projections"][0]["leader"].clone();
    assert!(leader.is_string(), "{leader}");
    let customers =
        json!({"name": "customers", "position": 3, "lag": 0, "building": null, "leader": leader, "trouble": null});
    let scrub = json!({"position": 0, "end": 0, "ended_at": null});
    assert_eq!(
        ready,
        json!({
            "ready": true, "head": 3, "trouble": null, "scrub": scrub, "projections": [customers], "figures": ready["figures"],
            "audit_trouble": null,
        })
    );
    assert_eq!(server.get(&path).await.1["name"], "Acme & Sons");
    assert_eq!(server.get(&format!("/v1/customers/{other}")).await.1["name"], "Bolt");
    assert_eq!(server.database.standing(MODEL.name).await.unwrap().stopped, None);
    server.stop().await;
}
