//! Imports of small files, looked at by the log that they leave.

mod again;
mod hostile;
mod interrupted;
mod mapping;
mod rows;

use std::{fs, path::PathBuf, sync::Arc};

use dealog_commands::{Commands, system_clock};
use dealog_events::{Envelope, Position};
use dealog_store::{EventStore, sqlite::SqliteStore};
use indicatif::ProgressBar;
use tempfile::TempDir;

use super::{ImportError, Mapping, Options, Report, import};

const MAVEN: &str = include_str!("../../../../../examples/maven/mapping.toml");

/// The files of the example: 62 deals in the shape of Maven's.
const SAMPLE: [(&str, &str); 4] = [
    ("accounts.csv", include_str!("../../../../../examples/maven/sample/accounts.csv")),
    ("products.csv", include_str!("../../../../../examples/maven/sample/products.csv")),
    ("sales_teams.csv", include_str!("../../../../../examples/maven/sample/sales_teams.csv")),
    (DEALS, include_str!("../../../../../examples/maven/sample/sales_pipeline.csv")),
];

const DEALS: &str = "sales_pipeline.csv";
const HEADER: &str = "opportunity_id,sales_agent,product,account,deal_stage,engage_date,close_date,close_value";

/// A folder with files to import and a log to import them into.
struct World {
    folder: TempDir,
    mapping: Mapping,
}

impl World {
    fn sample() -> Self {
        let world = Self::new(MAVEN);
        for (name, text) in SAMPLE {
            world.write(name, text);
        }
        world
    }

    /// The example with these rows for deals.
    fn with_deals(rows: &[&str]) -> Self {
        let world = Self::sample();
        world.write_deals(rows);
        world
    }

    fn new(mapping: &str) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), mapping: mapping.parse().unwrap() }
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    fn write_deals(&self, rows: &[&str]) {
        self.write(DEALS, format!("{HEADER}\n{}\n", rows.join("\n")));
    }

    fn database(&self) -> PathBuf {
        self.folder.path().join("log.db")
    }

    async fn store(&self) -> Arc<SqliteStore> {
        Arc::new(SqliteStore::open(&self.database(), dealog_store::Limits::default()).await.unwrap())
    }

    async fn try_import(&self, options: Options) -> Result<Report, ImportError> {
        let store = self.store().await;
        let report = self.import_into(Arc::clone(&store) as _, options).await;
        store.close().await;
        report
    }

    async fn import_into(&self, store: Arc<dyn EventStore>, options: Options) -> Result<Report, ImportError> {
        let commands = commands(store);
        import(&commands, &self.mapping, self.folder.path(), options, &ProgressBar::hidden()).await
    }

    async fn import(&self) -> Report {
        self.try_import(Options::default()).await.unwrap()
    }

    /// The whole log.
    async fn log(&self) -> Vec<Envelope> {
        let store = self.store().await;
        let mut log = Vec::new();
        loop {
            let after = log.last().map_or(Position::ZERO, |event: &Envelope| event.position);
            let page = store.read(after, 10_000, &[]).await.unwrap();
            if page.is_empty() {
                break;
            }
            log.extend(page);
        }
        store.close().await;
        log
    }
}

fn commands(store: Arc<dyn EventStore>) -> Commands {
    Commands::new(store, system_clock(), dealog_commands::Limits::default())
}

/// Everything about an event but when it was recorded.
fn without_recorded_at(log: Vec<Envelope>) -> Vec<Envelope> {
    log.into_iter().map(|event| Envelope { recorded_at: event.occurred_at, ..event }).collect()
}

fn types(log: &[Envelope]) -> Vec<&str> {
    log.iter().map(|event| event.event_type.as_str()).collect()
}

fn count(log: &[Envelope], event_type: &str) -> usize {
    types(log).into_iter().filter(|found| *found == event_type).count()
}

/// What was left out, as it is printed.
fn skipped(report: &Report) -> Vec<String> {
    report.skipped.iter().map(ToString::to_string).collect()
}
