//! Founding a company: once, after an interruption, and not over one of its own.

use std::sync::Arc;

use dealog_commands::{Limits, system_clock};
use dealog_store::{EventStore, sqlite::SqliteStore};

use super::*;

async fn log(folder: &tempfile::TempDir) -> Commands {
    let path = folder.path().join("log.db");
    let store: Arc<dyn EventStore> = Arc::new(SqliteStore::open(&path, dealog_store::Limits::default()).await.unwrap());
    Commands::new(store, system_clock(), Limits::default())
}

async fn types(commands: &Commands) -> Vec<String> {
    let events = commands.store().read(Position::ZERO, 100, &[]).await.unwrap();
    events.into_iter().map(|event| event.event_type).collect()
}

const FOUNDED: [&str; 4] =
    ["settings.reporting_currency_set", "settings.time_zone_set", "settings.loss_reasons_set", "pipeline.defined"];

#[tokio::test]
async fn a_company_is_founded_once() {
    let folder = tempfile::tempdir().unwrap();
    let commands = log(&folder).await;
    let (euro, dollar) = ("EUR".parse().unwrap(), "USD".parse().unwrap());
    assert!(found(&commands, euro, TimeZone::UTC).await.unwrap());
    assert!(!found(&commands, euro, TimeZone::UTC).await.unwrap());
    assert!(!found(&commands, dollar, TimeZone::UTC).await.unwrap());
    assert_eq!(types(&commands).await, FOUNDED);
}

#[tokio::test]
async fn founding_goes_on_after_an_interruption() {
    let folder = tempfile::tempdir().unwrap();
    let commands = log(&folder).await;
    let [settings, _] = requests("EUR".parse().unwrap(), TimeZone::UTC).unwrap();
    commands.execute(&settings).await.unwrap();
    assert!(found(&commands, "EUR".parse().unwrap(), TimeZone::UTC).await.unwrap());
    assert_eq!(types(&commands).await, FOUNDED);
}
