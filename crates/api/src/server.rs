//! The server: a listener, and a task for each connection.
//!
//! A connection needs a place. There is a limit for all, and one for each address, so a caller who opens connections without
//! end uses up only their own places. How long a connection may take over what it sends is in [`crate::connection`].

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use hyper_util::{server::graceful::GracefulShutdown, service::TowerToHyperService};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{
    App,
    connection::Connections,
    from::is_trusted,
    places::{Full, Places},
    router,
};

/// The pause after a connection could not be taken, for want of files for one: trying again at once would only burn time.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Connections at the same time that are told that there is no place; any more are closed without a word.
const REFUSALS_MAX: usize = 64;

/// How long such a connection has to take the answer.
const REFUSAL_TIME: Duration = Duration::from_secs(1);

/// How often the log tells that connections are refused.
const REFUSALS_TOLD: Duration = Duration::from_mins(1);

const REFUSAL: &str = r#"{"type":"/problems/too-many-connections","status":503,"title":"Service Unavailable","detail":"the server has as many connections as it takes, from all addresses or from yours: close some, and try again","code":"too_many_connections"}"#;

/// What the server shall do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Order {
    /// Serve.
    Serve,
    /// Take no more connections or requests, and finish those under way. Streams end by themselves.
    Finish,
    /// Drop what is left.
    Cut,
}

/// Serves the API on `listener` until it is ordered to finish, and then what is under way until that ends or is ordered to
/// be cut. Returns when no connection is left: how many were cut.
pub async fn serve(listener: TcpListener, app: App, mut orders: watch::Receiver<Order>) -> usize {
    let (feed, limits) = (app.feed.clone(), app.limits);
    let graceful = GracefulShutdown::new();
    let (trusted_proxies, tls) = (app.trusted_proxies.clone(), app.tls.clone());
    let says_why = tls.is_none();
    let service = TowerToHyperService::new(router(app));
    let connections = Arc::new(Connections { limits, service, trusted_proxies, tls });
    let places = Places::new(limits.connections_max, limits.connections_per_address_max);
    let mut refusals = Refusals::new();
    let mut tasks = JoinSet::new();
    loop {
        let (stream, address) = tokio::select! {
            accepted = accept(&listener) => accepted,
            _ = orders.wait_for(|order| *order > Order::Serve) => break,
        };
        while tasks.try_join_next().is_some() {}
        // Behind a proxy are many.
        let one_of_many = is_trusted(&connections.trusted_proxies, address.ip());
        match places.take(address.ip(), one_of_many) {
            Ok(place) => {
                let (connections, watcher) = (Arc::clone(&connections), graceful.watcher());
                tasks.spawn(async move {
                    connections.serve(stream, address.ip(), watcher).await;
                    drop(place);
                });
            }
            Err(full) => refusals.refuse(stream, address.ip(), full, says_why),
        }
    }
    drop(listener);
    feed.stop();
    tokio::select! {
        () = graceful.shutdown() => {}
        _ = orders.wait_for(|order| *order == Order::Cut) => {}
    }
    while tasks.try_join_next().is_some() {}
    let cut = tasks.len();
    tasks.shutdown().await;
    cut
}

async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            // It was gone before it was taken.
            Err(error) if is_of_the_connection(&error) => {}
            Err(error) => {
                tracing::error!(%error, "connections cannot be taken at the moment");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn is_of_the_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    [ConnectionAborted, ConnectionRefused, ConnectionReset].contains(&error.kind())
}

/// Tells connections that there is no place for them.
struct Refusals {
    places: Arc<Semaphore>,
    told: Option<Instant>,
}

impl Refusals {
    fn new() -> Self {
        Self { places: Arc::new(Semaphore::new(REFUSALS_MAX)), told: None }
    }

    /// What is to be encrypted is closed without a word: the handshake would cost what a place costs.
    fn refuse(&mut self, stream: TcpStream, address: IpAddr, full: Full, says_why: bool) {
        metrics::counter!("dealog_connections_refused_total", "full" => full.name()).increment(1);
        if self.told.is_none_or(|told| told.elapsed() > REFUSALS_TOLD) {
            self.told = Some(Instant::now());
            tracing::warn!(%address, full = full.name(), "there are as many connections as there may be; more are refused");
        }
        if says_why && let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            tokio::spawn(async move {
                let _ = timeout(REFUSAL_TIME, refuse(stream)).await;
                drop(place);
            });
        }
    }
}

async fn refuse(mut stream: TcpStream) -> io::Result<()> {
    let head = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\nRetry-After: 1\r\n\
                Connection: close\r\nContent-Length: ";
    stream.write_all(format!("{head}{}\r\n\r\n{REFUSAL}", REFUSAL.len()).as_bytes()).await?;
    stream.shutdown().await?;
    // To close it before its request has been read would take the answer back.
    let mut rest = [0; 1024];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}
