//! `dealog serve` and `dealog work`: processes that stay.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use dealog_api::{App, Budget, Feed, Followed, Order, Readiness, Room, Tls, Turns, access::Bearers, audit::Audit};
use dealog_app::{Access, Queries};
use dealog_commands::{Commands, system_clock};
use dealog_domain::State;
use dealog_events::{Position, StreamId};
use dealog_followers::follow;
use dealog_projections::{Database, Figures, ImageFollower, Status, models::Lists};
use dealog_store::{EventStore, Log, Place, TokenStore, sqlite::SqliteStore};
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
    task::JoinHandle,
    time::{Instant, timeout_at},
};

use crate::{
    company::found,
    files,
    open::{self, Failure},
    open_files,
    settings::{Proxy, Settings, Tokens},
    telemetry,
};

/// Serves the API until the process gets a signal to stop; then lets requests under way finish.
pub(crate) async fn serve(settings: &Settings, with_worker: bool) -> Result<(), Failure> {
    open::check_address(settings).await?;
    // Before anything is opened for good: a second server on the same port should change nothing.
    let address = settings.listen;
    let listener = TcpListener::bind(address).await.map_err(|source| Failure::Listen { address, source })?;
    let address = listener.local_addr().map_err(|source| Failure::Listen { address, source })?;

    let tls = match settings.tls()? {
        Some((certificate, key)) => Some(Tls::of_files(certificate, key).await?),
        None => None,
    };
    if tls.is_none() && !address.ip().is_loopback() {
        warn_of_readers(address);
    }

    let metrics = telemetry::measure()?;
    let store = open::log(settings).await?;
    let commands = open::commands(settings, &store);
    if found(&commands, settings.currency, settings.time_zone).await? {
        tracing::info!(currency = %settings.currency, time_zone = %settings.time_zone, "a new company was set up");
    }
    is_as_asked(settings, &commands).await?;
    let database = open::views(settings).await?;
    files::report_loose(settings);
    let stop = watch::Sender::new(false);
    let (worker, status) = if with_worker {
        let worker = open::worker(settings, &store, &database).await?;
        let status = worker.status();
        (Some(tokio::spawn(worker.follow(stop.subscribe()))), Some(status))
    } else {
        (None, None)
    };

    let (figures, image) = keep_figures(settings, Arc::<dyn Log>::clone(&store), &stop);

    let mut limits = settings.limits.api;
    let connections_max = open_files::allow(limits.connections_max);
    if connections_max < limits.connections_max {
        // Where there are few, one address must not have them all either.
        limits.connections_per_address_max = limits.connections_per_address_max.min((connections_max / 4).max(1));
        limits.connections_max = connections_max;
    }
    let tokens: Arc<dyn TokenStore> = Arc::<dyn Log>::clone(&store);
    let access = Access::new(tokens, commands.clone(), settings.limits.app)
        .await?
        .required(settings.tokens == Tokens::Required)
        .marked(open::mark(settings, &store).await?);
    let audit = Audit::start(settings.audit, settings.audit_folder(), &limits)
        .map_err(|source| Failure::Io { what: "the thread that writes the audit log".into(), source })?;
    let app = App {
        audit: audit.clone(),
        bearers: Bearers::new(access, &limits),
        feed: Feed::start(Arc::clone(commands.store()), limits),
        metrics,
        scrubbed: store.scrub(system_clock()).await,
        readiness: Readiness::default(),
        turns: Turns::new(&limits),
        budget: Budget::new(&limits),
        bodies: Room::of(limits.bodies_bytes_max),
        queries: Queries::new(
            Arc::clone(commands.store()),
            figures,
            Lists::new(database.clone()),
            status.clone(),
            system_clock(),
            settings.limits.app,
        ),
        commands,
        followed: Followed { database: database.clone(), models: open::asked(), status },
        limits,
        trusted_proxies: settings.trusted_proxies.iter().map(|Proxy(network)| *network).collect(),
        tls,
    };
    let mut signals = Signals::new()?;
    tracing::info!(%address, tls = app.tls.is_some(), log = %settings.log_place(), "serving");
    let orders = watch::Sender::new(Order::Serve);
    let mut server = tokio::spawn(dealog_api::serve(listener, app, orders.subscribe()));

    tokio::select! {
        () = signals.next() => {}
        ended = &mut server => return Err(Failure::Ended(format!("{ended:?}"))),
    }
    tracing::info!("stopping: requests under way may finish, and no new ones are accepted; stop again to end at once");
    stop.send_replace(true);
    orders.send_replace(Order::Finish);
    let seconds = settings.shutdown_seconds;
    tokio::select! {
        _ = &mut server => {}
        () = signals.next() => tracing::warn!("stopped again: requests under way are cut off"),
        () = tokio::time::sleep(Duration::from_secs(seconds)) => {
            tracing::warn!(seconds, "requests are still under way and are cut off");
        }
    }
    let end = End::begin();
    orders.send_replace(Order::Cut);
    if !server.is_finished() {
        end.other("connections", server).await;
    }
    end.other("the audit log", audit.finish()).await;
    end.other("the figures", async {
        if let Ok(image) = image.await {
            image.end().await;
        }
    })
    .await;
    end.of_data(worker, &database, &*store, settings).await
}

fn warn_of_readers(address: SocketAddr) {
    tracing::warn!(
        %address,
        "connections are not encrypted: anyone between here and a caller can read tokens and deals. Set tls_certificate and \
         tls_key, or let only a proxy that encrypts reach this address"
    );
}

/// Figures in memory, and the task that keeps them up to date.
fn keep_figures(
    settings: &Settings,
    log: Arc<dyn EventStore>,
    stop: &watch::Sender<bool>,
) -> (Figures, JoinHandle<ImageFollower>) {
    let snapshot = settings.data.join(FIGURES);
    let (figures, image) = Figures::new(Arc::clone(&log), snapshot, settings.limits.image);
    let following = follow(log, image, IMAGE_LIMITS, figures.status().clone(), stop.subscribe());
    (figures, tokio::spawn(following))
}

/// The snapshot of the figures, in the data folder.
const FIGURES: &str = "figures.snapshot";

/// The image is folded in larger steps than tables: nothing is written for each.
const IMAGE_LIMITS: dealog_followers::Limits = dealog_followers::Limits {
    batch_events_max: 5_000,
    poll_interval: Duration::from_millis(200),
    retry_interval: Duration::from_secs(1),
};

/// How long the end may take once nobody is served any more. A stop takes no longer than `shutdown_seconds` and this.
const END: Duration = Duration::from_secs(5);
/// What the log has of this at least, whatever holds up the others.
const LOG_END: Duration = Duration::from_secs(3);

/// By when what is still under way must have ended.
#[derive(Clone, Copy)]
struct End {
    log: Instant,
    others: Instant,
}

impl End {
    fn begin() -> Self {
        let log = Instant::now() + END;
        Self { log, others: log - LOG_END }
    }

    /// Ends one part after the other, the log last. Whatever keeps the others: the log is closed, and its file has everything.
    async fn of_data(
        self,
        worker: Option<JoinHandle<()>>,
        database: &Database,
        store: &dyn Log,
        settings: &Settings,
    ) -> Result<(), Failure> {
        if let Some(worker) = worker {
            let abort = worker.abort_handle();
            self.other("the worker of the read models", worker).await;
            abort.abort();
        }
        self.other("the read models", database.close()).await;
        let closed = in_time("the log", self.log, store.close()).await;
        match (closed, settings.log_place()) {
            (Some(()), Place::Sqlite(log)) => match in_time("log.db-wal", self.log, SqliteStore::settle(&log)).await {
                Some(settled) => settled.map_err(|error| not_settled(&error.to_string())),
                None => Err(not_settled("that took too long")),
            },
            (None, Place::Sqlite(_)) => Err(not_settled("the log was not closed in time")),
            (Some(()), Place::Postgres(_)) => Ok(()),
            (None, Place::Postgres(_)) => {
                Err(Failure::Ended("the connections to the log were not closed in time".into()))
            }
        }
    }

    /// Waits for anything but the log.
    async fn other(self, what: &'static str, step: impl Future) {
        in_time(what, self.others, step).await;
    }
}

fn not_settled(reason: &str) -> Failure {
    Failure::Ended(format!(
        "what is in log.db-wal could not be brought into log.db ({reason}): a copy of the log needs both files"
    ))
}

/// What came of it, if it came in time.
async fn in_time<T>(what: &'static str, deadline: Instant, step: impl Future<Output = T>) -> Option<T> {
    let ended = timeout_at(deadline, step).await;
    if ended.is_err() {
        tracing::error!(what, "does not end in time: the process ends without waiting for it");
    }
    ended.ok()
}

/// Keeps the read models up to date until the process gets a signal to stop.
pub(crate) async fn work(settings: &Settings) -> Result<(), Failure> {
    settings.existing_log().await?;
    let store = open::log(settings).await?;
    let database = open::views(settings).await?;
    files::report_loose(settings);
    let worker = open::worker(settings, &store, &database).await?;
    let status = worker.status();
    let stop = watch::Sender::new(false);
    let mut worker = tokio::spawn(worker.follow(stop.subscribe()));
    let mut signals = Signals::new()?;
    tracing::info!(log = %settings.log_place(), "working");
    tokio::select! {
        () = signals.next() => {}
        // It ends by itself only where it cannot go on.
        _ = &mut worker => {
            let ended = status.now().into_iter().map(|model| model.status).find(|status| status.trouble().is_some());
            let ended = ended.unwrap_or(Status::Following(Position::ZERO));
            let reason = ended.trouble().unwrap_or("the worker failed");
            return Err(Failure::Ended(format!("after position {}: {reason}", ended.position())));
        }
    }
    stop.send_replace(true);
    End::begin().of_data(Some(worker), &database, &*store, settings).await
}

/// Ctrl-C and SIGTERM. From the moment this is made, they end the process in good order only.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> Result<Self, Failure> {
        let of = |kind| {
            signal(kind).map_err(|source| Failure::Io { what: "the signals that stop a process".into(), source })
        };
        Ok(Self { interrupt: of(SignalKind::interrupt())?, terminate: of(SignalKind::terminate())? })
    }

    /// Returns when one of them comes.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Refuses a currency or a time zone of the command line that a company has not: these are for a new one, and to serve another
/// silently would not be what was asked.
async fn is_as_asked(settings: &Settings, commands: &Commands) -> Result<(), Failure> {
    let State::Settings(company) = &*commands.state(StreamId::Settings).await? else { return Ok(()) };
    let is_other = |flag: &str, asked: &str, is: Option<String>| {
        let is = is.unwrap_or_else(|| "none yet".into());
        let change = "change it with PATCH /v1/settings";
        Failure::Settings(format!(
            "--{flag} {asked} is for a new company, and this one has {is}: leave it out, or {change}"
        ))
    };
    if let Some(asked) = settings.currency_asked.filter(|asked| company.reporting_currency != Some(*asked)) {
        let is = company.reporting_currency.map(|currency| currency.to_string());
        return Err(is_other("currency", asked.code(), is));
    }
    if let Some(asked) = settings.time_zone_asked.filter(|asked| company.time_zone != Some(*asked)) {
        return Err(is_other("time-zone", &asked.to_string(), company.time_zone.map(|zone| zone.to_string())));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_stop_takes_no_longer_than_its_grace_and_the_log_has_its_part_whatever_does_not_end() {
        let (begun, end) = (Instant::now(), End::begin());
        for part in ["connections", "the audit log", "the read models"] {
            end.other(part, pending::<()>()).await;
        }
        assert!(begun.elapsed() <= END.saturating_sub(LOG_END) + Duration::from_millis(2));
        assert!(in_time("the log", end.log, tokio::time::sleep(LOG_END / 2)).await.is_some());
        assert!(in_time("the log", end.log, pending::<()>()).await.is_none());
        assert!(begun.elapsed() <= END + Duration::from_millis(2));
    }
}
