//! `dealog check`: all of the log, looked at for damage.

use dealog_events::{Envelope, interpret};
use dealog_store::{Head, StoreError};

use crate::{
    open::{Failure, count_bar},
    settings::Settings,
};

/// Looks at every page and every event, and changes nothing.
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
    println!("{position} events, no damage found in log {log_id}.");
    Ok(())
}

/// An event that says nothing to this version would stop its read models.
fn is_understood(event: &Envelope) -> Result<(), StoreError> {
    match interpret(&event.event_type, event.schema, &event.data) {
        Ok(_) => Ok(()),
        Err(error) => Err(StoreError::Damaged { position: event.position, reason: error.to_string() }),
    }
}
