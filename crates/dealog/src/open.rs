//! Opening what a command works on, and why that may fail.

use std::{io, net::SocketAddr, sync::Arc};

use dealog_commands::{CommandError, Commands, system_clock};
use dealog_events::Position;
use dealog_projections::{Database, ProjectionError, Worker, deals::Deals};
use dealog_store::{EventStore, StoreError, TokenError, TokenStore as _, sqlite::SqliteStore};
use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    company::FoundError,
    demo::DemoError,
    import::{ImportError, MappingError},
    settings::Settings,
};

/// Why a command of the command line failed. The text says what to do next.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// A setting is not what it should be.
    #[error("settings: {0}")]
    Settings(#[from] config::ConfigError),
    /// What to log is not a filter.
    #[error("--log is not a filter such as info or dealog_api=debug,warn: {0}")]
    LogFilter(String),
    /// Without tokens nobody else may come in.
    #[error(
        "{0} is not a loopback address: without tokens the server listens on 127.0.0.1 or [::1] only; make one with \
         `dealog token create` first"
    )]
    NotLoopback(SocketAddr),
    /// The address is taken, or not this machine's.
    #[error("cannot listen on {address}: {source}; choose another with --listen")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The log.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The read models.
    #[error(transparent)]
    Projection(#[from] ProjectionError),
    /// A command.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// A new company.
    #[error(transparent)]
    Found(#[from] FoundError),
    /// The sample company.
    #[error(transparent)]
    Demo(#[from] DemoError),
    /// The mapping of an import.
    #[error(transparent)]
    Mapping(#[from] MappingError),
    /// An import.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// What was named is not what the command is for.
    #[error("{0}")]
    Folder(String),
    /// The server ended by itself.
    #[error("the server ended: {0}")]
    Ended(String),
    /// A file or standard output.
    #[error("{what}: {source}")]
    Io {
        /// Which.
        what: String,
        /// Why.
        source: io::Error,
    },
}

/// Refuses to serve anyone but this machine as long as there are no tokens. Makes nothing, whatever it finds.
pub(crate) async fn check_address(settings: &Settings) -> Result<(), Failure> {
    if settings.listen.ip().is_loopback() {
        return Ok(());
    }
    let refused = || Failure::NotLoopback(settings.listen);
    settings.existing_log_file().map_err(|_| refused())?;
    let store = log(settings).await?;
    let any = store.has_tokens().await;
    store.close().await;
    if any? { Ok(()) } else { Err(refused()) }
}

/// The log of the data folder.
pub(crate) async fn log(settings: &Settings) -> Result<Arc<SqliteStore>, Failure> {
    settings.log_is_not_lost()?;
    Ok(Arc::new(SqliteStore::open(&settings.log_file(), settings.limits.store).await?))
}

/// Handlers over a log, by this machine's clock.
pub(crate) fn commands(settings: &Settings, store: &Arc<SqliteStore>) -> Commands {
    let store: Arc<dyn EventStore> = Arc::<SqliteStore>::clone(store);
    Commands::new(store, system_clock(), settings.limits.commands)
}

/// The worker of the read models, caught up with what it can do at once.
pub(crate) async fn worker(
    settings: &Settings,
    store: &Arc<SqliteStore>,
    database: &Database,
) -> Result<Worker, Failure> {
    let store: Arc<dyn EventStore> = Arc::<SqliteStore>::clone(store);
    let bar = count_bar("Folding the log");
    let worker = Worker::start(store, database.clone(), Box::<Deals>::default(), settings.limits.worker, show(&bar));
    let worker = worker.await?;
    bar.finish_and_clear();
    Ok(worker)
}

/// `dealog rebuild`
pub(crate) async fn rebuild(settings: &Settings) -> Result<(), Failure> {
    settings.existing_log_file()?;
    let store = log(settings).await?;
    let database = Database::open(&settings.views_file()).await?;
    let log: Arc<dyn EventStore> = Arc::<SqliteStore>::clone(&store);
    let bar = count_bar("Rebuilding");
    let limits = settings.limits.worker;
    let worker = Worker::start_over(log, database.clone(), Box::<Deals>::default(), limits, show(&bar)).await?;
    bar.finish_and_clear();
    let position = worker.status().borrow().position();
    println!("The read models were made anew from {position} events.");
    database.close().await;
    store.close().await;
    Ok(())
}

/// A bar that counts; nothing where standard error is not a terminal.
pub(crate) fn count_bar(what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {wide_bar} {human_pos}/{human_len} {per_sec} {eta}");
    let bar = ProgressBar::new(0).with_message(what);
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn show(bar: &ProgressBar) -> impl Fn(Position, Position) + Send + use<> {
    let bar = bar.clone();
    move |reached, head| {
        bar.set_length(head.0);
        bar.set_position(reached.0);
    }
}
