//! `dealog check`: all of the log, looked at for damage, and the read models, folded once more and compared.

use std::sync::Arc;

use dealog_events::{Envelope, Position, interpret};
use dealog_projections::{Database, ProjectionError, Verified, models, verify};
use dealog_store::{EventStore, Head, Log, StoreError};

use crate::{
    open::{self, Failure, count_bar},
    out,
    settings::Settings,
};

/// Looks at every page, every event and every row of the read models. It changes nothing, but damaged read models are marked, so that
/// the next start rebuilds them.
pub(crate) async fn check(settings: &Settings) -> Result<(), Failure> {
    let place = settings.existing_log().await?;
    let bar = count_bar("Checking");
    let outcome = place.check(settings.limits.store, |events, head| {
        bar.set_length(head.position.0);
        bar.inc(events.len() as u64);
        events.iter().try_for_each(is_understood)
    });
    let Head { log_id, position, .. } = outcome.await?;
    bar.finish_and_clear();
    out::print(format_args!("{position} events, no damage found in log {log_id}."))?;
    let views = settings.views_place();
    if !open::is_there(&views).await? {
        return out::print("There are no read models yet: they are folded from the log.");
    }
    let database = match open::database(settings, &views).await {
        // The role that serves owns the read models, and the owner of the log must not run what is in them.
        Err(ProjectionError::NotOurs { owner, .. }) => {
            return out::print(format_args!(
                "The read models were NOT compared with it: they belong to role {owner}. Run this as {owner}, too."
            ));
        }
        outcome => outcome?,
    };
    let store = open::log(settings).await?;
    let verified = read_models(Arc::<dyn Log>::clone(&store), &database).await;
    if let Err(ProjectionError::Damaged(reason)) = &verified {
        database.distrust(reason);
    }
    database.close().await;
    store.close().await;
    match verified? {
        Verified::NotMade => out::print("There are no read models of this version yet: they are folded from the log."),
        Verified::Equal(position) => {
            out::print(format_args!("The read models match the log, up to position {position}."))
        }
        Verified::Differs { position, table, found, expected } => {
            let [found, expected] =
                [found, expected].map(|row| row.map_or_else(|| "no row".into(), |row| out::cell(&row)));
            Err(Failure::Views(format!(
                "the read models do not match the log at position {position}. The first difference is in {table}:\n  \
                 is      {found}\n  should  {expected}\n`dealog rebuild` makes them anew"
            )))
        }
    }
}

async fn read_models(log: Arc<dyn EventStore>, database: &Database) -> Result<Verified, ProjectionError> {
    database.check_structure().await?;
    let bar = count_bar("Comparing");
    let told = |position: Position, end: Position| {
        bar.set_length(end.0);
        bar.set_position(position.0);
    };
    let mut verified = Verified::NotMade;
    for model in models::all() {
        verified = verify(&log, database, model, told).await?;
        if !matches!(verified, Verified::Equal(_)) {
            break;
        }
    }
    bar.finish_and_clear();
    Ok(verified)
}

/// An event that says nothing to this version would stop its read models.
pub(crate) fn is_understood(event: &Envelope) -> Result<(), StoreError> {
    match interpret(&event.event_type, event.schema, &event.data) {
        Ok(_) => Ok(()),
        Err(error) => Err(StoreError::Damaged { position: event.position, reason: error.to_string() }),
    }
}
