//! The log in a PostgreSQL database, in the schema `log`: any number of nodes append to it.
//!
//! Each node has one connection that writes; the nodes take turns at the lock on the head row. A pool of connections reads pages
//! of the log, another what commands and tokens need to know, and one more connection listens for what other nodes append.

mod altered;
mod check;
mod listen;
mod read;
mod rows;
mod schema;
mod scrub;
mod session;
mod tokens;
mod writer;

use std::sync::Arc;

use async_trait::async_trait;
use dealog_events::{CommandId, Envelope, Position, StreamId, Timestamp, Version};
use futures_util::future::BoxFuture;
use sqlx::{Connection as _, PgPool};
use tokio::{
    sync::{Mutex, watch},
    task::JoinSet,
};
use uuid::Uuid;

pub use self::session::SessionSettings;
use self::session::{Session, in_time};
use crate::{
    Append, AppendError, Appended, EventStore, Head, Limits, Log, Remembered, Scrubbed, StoreError, Unable,
    appender::Appender, batch::Batch, scrub::Scrub, trust::Trust,
};

/// A log in a PostgreSQL database.
#[derive(Debug)]
pub struct PostgresStore {
    appender: Appender,
    /// For pages of the log and of streams.
    readers: PgPool,
    /// For what commands and tokens need to know. Who reads the log must not keep them waiting.
    lookups: PgPool,
    /// The tasks that listen and scrub; they end with the log.
    tasks: Mutex<JoinSet<()>>,
    trust: Trust,
    limits: Limits,
}

impl PostgresStore {
    /// Opens the log in the database at this URL. Where there is none it is made, and one of an older version is brought up, if
    /// the role may do that.
    pub async fn open(url: &str, limits: Limits) -> Result<Self, StoreError> {
        Self::open_as(url, Uuid::now_v7(), limits).await
    }

    /// The same; a log that is made has this identity.
    pub async fn open_as(url: &str, log_id: Uuid, limits: Limits) -> Result<Self, StoreError> {
        let session = Session::new(url, limits)?;
        let mut connection = session.connect().await?;
        schema::bring_up(&mut connection, log_id).await?;
        altered::refuse(&mut connection).await?;
        let head = read::head(&mut connection).await?;
        let (readers, lookups) =
            (session.pool(limits.read_connections_max), session.pool(limits.command_connections_max));
        let positions = watch::Sender::new(head.position);
        let mut tasks = JoinSet::new();
        tasks.spawn(listen::listen(session.pool(1), positions.clone()));
        let writer = writer::PgWriter::new(session, connection, limits);
        let trust = Trust::new(None);
        let appender = Appender::start(writer, positions, trust.clone(), limits);
        Ok(Self { appender, readers, lookups, tasks: Mutex::new(tasks), trust, limits })
    }

    /// Makes the log, or brings it up, and lets `role` serve it, which from then on may do so and no more.
    pub async fn migrate(url: &str, limits: Limits, role: Option<&str>) -> Result<Head, StoreError> {
        let mut connection = Session::new(url, limits)?.connect().await?;
        schema::bring_up(&mut connection, Uuid::now_v7()).await?;
        if let Some(role) = role {
            schema::grant(&mut connection, role).await?;
        }
        altered::refuse(&mut connection).await?;
        let head = read::head(&mut connection).await?;
        connection.close().await?;
        Ok(head)
    }

    /// Whether there is a log in this database.
    pub async fn exists(url: &str, limits: Limits) -> Result<bool, StoreError> {
        let mut connection = Session::new(url, limits)?.connect().await?;
        let exists = schema::exists(&mut connection).await?;
        connection.close().await?;
        Ok(exists)
    }

    /// The server and the database that a URL names, without the password.
    pub fn address(url: &str) -> String {
        Session::new(url, Limits::default()).map_or_else(|_| "a database".into(), |session| session.address())
    }

    /// Looks for damage in all of the log: what must hold between its tables, and each event by itself. `visit` is given the
    /// events, page after page, and the end of the log; it may refuse the log too.
    pub async fn check(
        url: &str,
        limits: Limits,
        visit: impl FnMut(&[Envelope], Head) -> Result<(), StoreError>,
    ) -> Result<Head, StoreError> {
        let mut connection = Session::new(url, limits)?.connect().await?;
        let head = check::thorough(&mut connection, visit).await?;
        connection.close().await?;
        Ok(head)
    }
}

#[async_trait]
impl EventStore for PostgresStore {
    fn append(&self, append: Append) -> BoxFuture<'static, Result<Appended, AppendError>> {
        self.appender.append(append)
    }

    async fn remembered(&self, ids: &[CommandId]) -> Result<Vec<Remembered>, StoreError> {
        let found = in_time(&self.limits, read::remembered(&self.lookups, ids.iter().copied())).await;
        self.trust.judge("the commands", found)
    }

    async fn head(&self) -> Result<Head, StoreError> {
        self.trust.judge("the head", in_time(&self.limits, read::head(&self.lookups)).await)
    }

    async fn read(&self, after: Position, limit: usize, types: &[String]) -> Result<Vec<Envelope>, StoreError> {
        let page = self.limits.page(limit);
        let found = in_time(&self.limits, read::events(&self.readers, after, page, types)).await;
        self.trust.judge(format_args!("behind position {after}"), found)
    }

    async fn types(&self) -> Result<Vec<String>, StoreError> {
        self.trust.judge("the types", in_time(&self.limits, read::types(&self.lookups)).await)
    }

    async fn read_stream(&self, stream: StreamId, after: Version, limit: usize) -> Result<Vec<Envelope>, StoreError> {
        let page = self.limits.page(limit);
        let found = in_time(&self.limits, read::stream(&self.readers, stream, after, page)).await;
        self.trust.judge(format_args!("stream {stream}"), found)
    }

    async fn read_stream_for_command(
        &self,
        stream: StreamId,
        after: Version,
        limit: usize,
    ) -> Result<Vec<Envelope>, StoreError> {
        let page = self.limits.page(limit);
        let found = in_time(&self.limits, read::stream(&self.lookups, stream, after, page)).await;
        self.trust.judge(format_args!("stream {stream}"), found)
    }

    async fn can_append(&self) -> Result<(), Unable> {
        self.appender.can_append().await
    }

    fn watch(&self) -> watch::Receiver<Position> {
        self.appender.watch()
    }

    async fn close(&self) {
        // One holds an end of what the appender waits for.
        self.tasks.lock().await.shutdown().await;
        self.appender.close().await;
        self.readers.close().await;
        self.lookups.close().await;
    }
}

#[async_trait]
impl Log for PostgresStore {
    async fn append_copied(&self, events: &[Envelope], commands: &[Remembered]) -> Result<(), StoreError> {
        let Some(batch) = Batch::of_copied(events, commands) else { return Ok(()) };
        self.trust.check()?;
        let mut transaction = self.lookups.begin_with(read::BEGIN_WITH_LOCK).await?;
        let end = read::head(&mut *transaction).await?.position;
        if end != batch.before {
            let reason = format!("a copy goes on behind {}, and the log ends here", batch.before);
            return Err(StoreError::Damaged { position: end, reason });
        }
        rows::write(&batch).execute(&mut *transaction).await?;
        Ok(transaction.commit().await?)
    }

    async fn scrub(&self, clock: Arc<dyn Fn() -> Timestamp + Send + Sync>) -> watch::Receiver<Scrubbed> {
        let (told, scrubbed) = watch::channel(Scrubbed::default());
        let scrub = Scrub {
            pieces: scrub::Scrubbing::new(self.readers.clone(), self.limits),
            trust: self.trust.clone(),
            events_per_second: self.limits.scrub_events_per_second,
            clock,
            told,
        };
        self.tasks.lock().await.spawn(scrub.work());
        scrubbed
    }
}
