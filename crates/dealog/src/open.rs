//! Opening what a command works on, and why that may fail.

use std::{io, net::SocketAddr, sync::Arc};

use dealog_api::{Model, TlsError};
use dealog_app::Mark;
use dealog_commands::{CommandError, Commands, system_clock};
use dealog_projections::{Database, ProjectionError, Worker, models, put_aside_if_damaged};
use dealog_store::{CopyError, Log, Place, StoreError, TokenError};
use indicatif::{ProgressBar, ProgressStyle};
use secrecy::ExposeSecret as _;

use crate::{
    company::FoundError,
    demo::DemoError,
    import::{ImportError, MappingError},
    settings::{Settings, Tokens},
};

/// Why a command of the command line failed. The text says what to do next.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// A setting is not what it should be.
    #[error("settings: {0}")]
    Settings(String),
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
    /// Certificates.
    #[error("TLS: {0}")]
    Tls(#[from] TlsError),
    /// The log.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The read models.
    #[error(transparent)]
    Projection(#[from] ProjectionError),
    /// Projections go no further; which ones and why has been printed.
    #[error("{}", go_no_further(.0))]
    Stopped(Vec<&'static str>),
    /// The read models are not what they should be.
    #[error("{0}")]
    Views(String),
    /// A command.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// A new company.
    #[error(transparent)]
    Found(#[from] FoundError),
    /// The sample company.
    #[error(transparent)]
    Demo(#[from] DemoError),
    /// A copy.
    #[error(transparent)]
    Copy(#[from] CopyError),
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

fn go_no_further(names: &[&str]) -> String {
    match names {
        [name] => format!("the projection {name} goes no further"),
        names => format!("the projections {} go no further", names.join(", ")),
    }
}

/// Refuses to serve anyone but this machine as long as there are no tokens. Makes nothing, whatever it finds.
pub(crate) async fn check_address(settings: &Settings) -> Result<(), Failure> {
    if settings.listen.ip().is_loopback() || settings.tokens == Tokens::Required {
        return Ok(());
    }
    let refused = || Failure::NotLoopback(settings.listen);
    if !settings.log_place().exists(settings.limits.store).await? {
        return Err(refused());
    }
    let store = log(settings).await?;
    let any = has_had_tokens(settings, &store).await;
    store.close().await;
    if any? { Ok(()) } else { Err(refused()) }
}

async fn has_had_tokens(settings: &Settings, store: &Arc<dyn Log>) -> Result<bool, Failure> {
    let marked = mark(settings, store).await?.is_set();
    let marked = marked.map_err(|source| Failure::Io { what: "the data folder".into(), source })?;
    Ok(marked || store.has_tokens().await?)
}

/// What says that there have been tokens.
pub(crate) async fn mark(settings: &Settings, store: &Arc<dyn Log>) -> Result<Mark, Failure> {
    Ok(Mark::new(&settings.data, store.head().await?.log_id))
}

/// The log.
pub(crate) async fn log(settings: &Settings) -> Result<Arc<dyn Log>, Failure> {
    settings.log_is_not_lost()?;
    Ok(settings.log_place().open(settings.limits.store).await?)
}

/// Handlers over a log, by this machine's clock.
pub(crate) fn commands(settings: &Settings, store: &Arc<dyn Log>) -> Commands {
    Commands::new(Arc::<dyn Log>::clone(store), system_clock(), settings.limits.commands)
}

/// The read models. A damaged file is put aside, and made anew by the next worker.
pub(crate) async fn views(settings: &Settings) -> Result<Database, Failure> {
    let place = settings.views_place();
    if let Place::Sqlite(file) = &place
        && let Some(reason) = put_aside_if_damaged(file).await?
    {
        tracing::warn!(file = %file.display(), reason, "the read models are damaged: put aside, and made anew from the log");
    }
    Ok(database(settings, &place).await?)
}

/// Whether there are read models, which opening them would make.
pub(crate) async fn is_there(place: &Place) -> Result<bool, ProjectionError> {
    match place {
        Place::Sqlite(file) => Ok(file.exists()),
        Place::Postgres(url) => Database::is_in_postgres(url.expose_secret()).await,
    }
}

/// The database of the read models, as it is.
pub(crate) async fn database(settings: &Settings, place: &Place) -> Result<Database, ProjectionError> {
    match place {
        Place::Sqlite(file) => Database::open_with(file, settings.limits.journal).await,
        Place::Postgres(url) => Database::postgres(url.expose_secret()).await,
    }
}

/// What a server asks of these.
pub(crate) fn asked() -> Vec<Model> {
    models::all().iter().map(|model| Model { name: model.name(), version: model.version() }).collect()
}

/// The worker of the read models. What fits into one batch is folded before this returns, so that a small company is there
/// when it is served; the rest when the worker follows.
pub(crate) async fn worker(settings: &Settings, store: &Arc<dyn Log>, database: &Database) -> Result<Worker, Failure> {
    let limits = settings.limits.worker;
    let mut worker = Worker::start(Arc::<dyn Log>::clone(store), database.clone(), models::all(), limits).await?;
    if store.head().await?.position.0 <= limits.batch_events_max as u64 {
        // What cannot be done now is tried again by whoever follows, and told there.
        if let Err(error) = worker.catch_up().await {
            tracing::debug!(%error, "not caught up yet");
        }
    }
    Ok(worker)
}

/// A bar that counts; nothing where standard error is not a terminal.
pub(crate) fn count_bar(what: &'static str) -> ProgressBar {
    bar(what, "{msg} {wide_bar} {human_pos}/{human_len} {per_sec} {eta}")
}

/// A bar that counts bytes; nothing where standard error is not a terminal.
pub(crate) fn byte_bar(what: &'static str) -> ProgressBar {
    bar(what, "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}")
}

fn bar(what: &'static str, template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template);
    let bar = ProgressBar::new(0).with_message(what);
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
