//! `dealog serve` and `dealog work`: processes that stay.

use std::{sync::Arc, time::Duration};

use dealog_api::{App, Feed, Followed, access::Access};
use dealog_projections::deals::{NAME, Past, VERSION, Views};
use dealog_store::{Log, TokenStore};
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};

use crate::{
    company::found,
    files,
    open::{self, Failure},
    settings::Settings,
    telemetry,
};

/// Serves the API until the process is told to stop; then lets what is under way come to its end.
pub(crate) async fn serve(settings: &Settings, with_worker: bool) -> Result<(), Failure> {
    open::check_address(settings).await?;
    // Before anything is opened for good: a second server on the same port should change nothing.
    let address = settings.listen;
    let listener = TcpListener::bind(address).await.map_err(|source| Failure::Listen { address, source })?;
    let address = listener.local_addr().map_err(|source| Failure::Listen { address, source })?;

    let metrics = telemetry::measure()?;
    let store = open::log(settings).await?;
    let commands = open::commands(settings, &store);
    if found(&commands, settings.currency, settings.time_zone).await? {
        tracing::info!(currency = %settings.currency, time_zone = %settings.time_zone, "a new company was set up");
    }
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

    let limits = settings.limits.api;
    let tokens: Arc<dyn TokenStore> = Arc::<dyn Log>::clone(&store);
    let app = App {
        access: Access::new(tokens, commands.clone(), &limits),
        past: Past::new(Arc::clone(commands.store()), settings.limits.past),
        feed: Feed::start(Arc::clone(commands.store()), limits),
        metrics,
        commands,
        views: Views::new(database.clone()),
        followed: Followed { name: NAME, version: VERSION, status },
        limits,
    };
    let mut signals = Signals::new()?;
    tracing::info!(%address, log = %settings.log_place(), "serving");
    let mut told = stop.subscribe();
    let mut server = tokio::spawn(dealog_api::serve(listener, app, async move {
        let _ = told.wait_for(|stop| *stop).await;
    }));

    tokio::select! {
        () = signals.next() => {}
        ended = &mut server => return Err(Failure::Ended(format!("{ended:?}"))),
    }
    tracing::info!("stopping: no new requests, those under way come to their end; stop again to end at once");
    stop.send_replace(true);
    let in_order = async {
        let _ = server.await;
        if let Some(worker) = worker {
            let _ = worker.await;
        }
        database.close().await;
        store.close().await;
    };
    let seconds = settings.shutdown_seconds;
    tokio::select! {
        () = in_order => {}
        () = signals.next() => tracing::warn!("stopped again: requests under way are cut off"),
        () = tokio::time::sleep(Duration::from_secs(seconds)) => {
            tracing::warn!(seconds, "requests are still under way and are cut off");
        }
    }
    Ok(())
}

/// Keeps the read models up to date until the process is told to stop.
pub(crate) async fn work(settings: &Settings) -> Result<(), Failure> {
    settings.existing_log().await?;
    let store = open::log(settings).await?;
    let database = open::views(settings).await?;
    files::report_loose(settings);
    let worker = open::worker(settings, &store, &database).await?;
    let mut status = worker.status();
    let stop = watch::Sender::new(false);
    let mut worker = tokio::spawn(worker.follow(stop.subscribe()));
    let mut signals = Signals::new()?;
    tracing::info!(log = %settings.log_place(), "working");
    tokio::select! {
        () = signals.next() => {}
        // It ends by itself only where it cannot go on.
        _ = &mut worker => {
            let status = status.borrow_and_update();
            let reason = status.trouble().unwrap_or("the worker failed");
            return Err(Failure::Ended(format!("after position {}: {reason}", status.position())));
        }
    }
    stop.send_replace(true);
    let _ = worker.await;
    database.close().await;
    store.close().await;
    Ok(())
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
