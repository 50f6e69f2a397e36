//! Logs, on standard error: standard output belongs to what was asked for. And what a server measures.

mod stderr;

use std::{
    io::IsTerminal,
    panic::{self, PanicHookInfo},
    time::Duration,
};

use dealog_store::supervised;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::{EnvFilter, fmt};

pub(crate) use self::stderr::Stderr;
use crate::{
    open::Failure,
    settings::{LogFormat, Settings},
};

/// Starts logging as the settings say. Logging is best effort: it never fails whoever logs, and never keeps them waiting.
pub(crate) fn start(settings: &Settings) -> Result<Stderr, Failure> {
    let filter = EnvFilter::try_new(&settings.log).map_err(|error| Failure::LogFilter(error.to_string()))?;
    let colours = settings.log_format == LogFormat::Text && std::io::stderr().is_terminal();
    let failed = |source| Failure::Io { what: "a thread for the log".into(), source };
    let stderr = Stderr::start(colours).map_err(failed)?;
    let builder = fmt().with_env_filter(filter).with_writer(stderr.clone()).log_internal_errors(false);
    match settings.log_format {
        LogFormat::Text => builder.with_ansi(colours).init(),
        LogFormat::Json => builder.json().init(),
    }
    panic::set_hook(Box::new(panicked));
    Ok(stderr)
}

/// The hook that a process begins with writes by itself, and waits where standard error is a pipe that nobody reads.
fn panicked(panic: &PanicHookInfo<'_>) {
    let reason = panic.payload_as_str().unwrap_or("without a message");
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(reason, place, "panicked");
}

/// How often what was measured is put into its buckets, where nobody asks for it.
const UPKEEP: Duration = Duration::from_secs(5);
/// Upper bounds of times: from a cached answer to a request that is given up.
const SECONDS: [f64; 14] = [0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];
/// Upper bounds of the appends of a transaction.
const APPENDS: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];

/// Measures from now on. Called once, before anything that is measured begins.
pub(crate) fn measure() -> Result<PrometheusHandle, Failure> {
    let failed = |error: metrics_exporter_prometheus::BuildError| Failure::Ended(format!("metrics: {error}"));
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS)
        .and_then(|builder| builder.set_buckets_for_metric(Matcher::Full("dealog_batch_appends".into()), &APPENDS))
        .and_then(PrometheusBuilder::install_recorder)
        .map_err(failed)?;
    stderr::describe();
    supervised::describe();
    dealog_api::describe_metrics();
    let upkept = handle.clone();
    tokio::spawn(async move { while supervised::run("metrics", upkeep(&upkept)).await.is_none() {} });
    Ok(handle)
}

async fn upkeep(handle: &PrometheusHandle) {
    let mut ticks = tokio::time::interval(UPKEEP);
    loop {
        ticks.tick().await;
        handle.run_upkeep();
    }
}
