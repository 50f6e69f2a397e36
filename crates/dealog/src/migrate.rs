//! `dealog migrate`: the schema of the log, brought to this version by whoever owns it.

use dealog_store::{Head, Place, postgres::PostgresStore};
use secrecy::ExposeSecret as _;

use crate::{
    open::{self, Failure},
    out,
    settings::Settings,
};

/// Brings the log up, and lets `role` serve it.
pub(crate) async fn migrate(settings: &Settings, role: Option<&str>) -> Result<(), Failure> {
    let place = settings.log_place();
    let Head { log_id, position, .. } = match (&place, role) {
        (Place::Postgres(url), role) => {
            PostgresStore::migrate(url.expose_secret(), settings.limits.store, role).await?
        }
        (Place::Sqlite(_), None) => {
            let store = open::log(settings).await?;
            let head = store.head().await;
            store.close().await;
            head?
        }
        (Place::Sqlite(_), Some(_)) => {
            return Err(Failure::Folder("--grant is for a log in PostgreSQL: a file has no roles".into()));
        }
    };
    out::print(format_args!("The log {log_id} in {place} is of this version, with {position} events."))?;
    if let Some(role) = role {
        out::print(format_args!("{role} may append to it and read it, and cannot rewrite it."))?;
    }
    Ok(())
}
