//! `dealog demo`: fill, then serve.

use std::sync::Arc;

use chrono::NaiveDate;
use dealog_events::Timestamp;
use dealog_store::Log;

use super::{fill, time_zone};
use crate::{
    open::{self, Failure, count_bar},
    out, projections, serve,
    settings::Settings,
};

/// Fills the data folder with the sample company of this seed, until this day or until today, and serves it.
pub(crate) async fn run(
    settings: &Settings,
    seed: u64,
    until: Option<NaiveDate>,
    then_serve: bool,
) -> Result<(), Failure> {
    if then_serve {
        open::check_address(settings).await?;
    }
    let today = time_zone()?.day_of(Timestamp::from(chrono::Utc::now()));
    let store = open::log(settings).await?;
    let bar = count_bar("Making up a company");
    let filled = fill(Arc::<dyn Log>::clone(&store), seed, until.unwrap_or(today), &bar).await;
    bar.finish_and_clear();
    store.close().await;
    let filled = filled?;
    let (place, asked) = (settings.log_place(), until);
    let until = filled.until;
    if let Some(asked) = asked.filter(|asked| *asked != until) {
        return Err(Failure::Folder(format!(
            "--until {asked}: the sample company in {place} goes until {until}; name another folder with --data, or leave --until \
             out"
        )));
    }
    if filled.already_there {
        out::print(format_args!("The sample company in {place} is there already: two years until {until}."))?;
    } else {
        let events = filled.events;
        out::print(format_args!("A sample company is in {place}: two years until {until}, {events} events."))?;
    }
    if !then_serve {
        return Ok(());
    }
    // Whoever tries it should have answers at once. What fails here, the server tells of.
    if let Err(error) = projections::catch_up(settings).await {
        tracing::warn!(%error, "the read models are not there yet");
    }
    let at = format!("http://{}", settings.listen);
    out::print(format_args!(
        "
Read and try the API   {at}/docs

  curl -s '{at}/v1/pipeline'
  curl -s '{at}/v1/funnel?from={from}&to={until}'
  curl -s '{at}/v1/forecast'
  curl -s '{at}/v1/events?after=0&limit=5'

Stop with Ctrl-C; start it again and it goes on with what is there.
",
        from = until.checked_sub_months(chrono::Months::new(12)).unwrap_or(until),
    ))?;
    serve::serve(settings, true).await
}
