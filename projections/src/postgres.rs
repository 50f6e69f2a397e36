//! Read models in a schema of a PostgreSQL database.

use std::{
    fmt::{self, Debug},
    str::FromStr as _,
    sync::Arc,
    time::Duration,
};

use dealog_store::postgres::SessionSettings;
use sqlx::{
    AnyConnection, AssertSqlSafe, Connection as _, Executor as _,
    any::{AnyConnectOptions, AnyPoolOptions},
    postgres::PgConnectOptions,
};
use tokio::time::timeout;

use crate::{
    Database, ProjectionError,
    database::{CONNECTIONS_MAX, Place, tables},
    dialect::Dialect,
};

/// The schema that queries see.
pub(crate) const SCHEMA: &str = "views";

/// How long a question waits for a connection.
const CONNECTION_WAIT: Duration = Duration::from_secs(10);
/// How long a statement may take. Those that make indexes take as long as they need.
const STATEMENT_TIME: Duration = Duration::from_secs(30);
/// How long a statement waits for a lock: of a batch that another process writes, or of a swap that waits for readers.
const LOCK_WAIT: Duration = Duration::from_secs(10);
/// How long a transaction may do nothing. A process that was stopped in the middle of one keeps its locks for so long, and
/// its projections must go on elsewhere.
const IDLE_IN_TRANSACTION_TIME: Duration = Duration::from_secs(5);

/// What may pass until an answer: the server's own limits are below this.
const ANSWER_TIME: Duration = Duration::from_secs(45);

/// Connections for batches: one, and one that takes its place while it is being given up.
const WRITERS_MAX: u32 = 2;
/// How long a connection for batches may do nothing before it is asked whether it still answers.
const RESTED: Duration = Duration::from_secs(1);

/// Processes that open the same database at once make its tables one after the other: of two that make a schema at the same
/// time one would fail. The number says no more than that it is this program's.
const SET_UP_LOCK: &str = "SELECT pg_advisory_xact_lock(7016996765293437281)";

/// A database on a server, and which of its schemas is meant.
#[derive(Clone)]
pub(crate) struct Server {
    options: AnyConnectOptions,
    pub(crate) schema: String,
}

/// The options may hold a password.
impl Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("schema", &self.schema).finish_non_exhaustive()
    }
}

impl Database {
    /// Opens the schema `views` of the database at `url` (`postgres://…`), and makes it and its tables if need be.
    pub async fn postgres(url: &str) -> Result<Self, ProjectionError> {
        sqlx::any::install_default_drivers();
        let known = url.starts_with("postgres://") || url.starts_with("postgresql://");
        // The errors of these name what is wrong and not the URL, in which there may be a password.
        let unfit = |error: sqlx::Error| ProjectionError::Connect { server: "the URL given".into(), source: error };
        if !known {
            let expected = "it is not one of PostgreSQL: postgres://user@host:5432/database";
            return Err(unfit(sqlx::Error::Configuration(expected.into())));
        }
        let server = name(&PgConnectOptions::from_str(url).map_err(unfit)?);
        let options = AnyConnectOptions::from_str(url).map_err(unfit)?;
        let in_views = Server { options, schema: SCHEMA.to_owned() };
        let db = in_views.connect().await.map_err(|source| ProjectionError::Connect { server, source })?;
        Self::in_schema(in_views, db).await
    }

    /// Whether there are read models in the database at `url`. Opening makes empty ones where there are none.
    pub async fn is_in_postgres(url: &str) -> Result<bool, ProjectionError> {
        sqlx::any::install_default_drivers();
        let server = name(&PgConnectOptions::from_str(url)?);
        let connect = |source| ProjectionError::Connect { server, source };
        let in_views = Server { options: AnyConnectOptions::from_str(url)?, schema: SCHEMA.to_owned() };
        let mut db = in_views.connect().await.map_err(connect)?;
        let there = format!("SELECT to_regclass('{SCHEMA}.checkpoints') IS NOT NULL");
        let there = sqlx::query_scalar(AssertSqlSafe(there)).fetch_one(&mut db).await?;
        db.close().await?;
        Ok(there)
    }

    /// The same in another schema of this database, which is built in.
    pub(crate) async fn open_schema(&self, server: &Server, schema: String) -> Result<Self, ProjectionError> {
        let db = self.connection().await?;
        Self::in_schema(Server { schema, ..server.clone() }, db).await
    }

    async fn in_schema(server: Server, mut db: AnyConnection) -> Result<Self, ProjectionError> {
        set_up(&mut db, &server.schema).await?;
        db.close().await?;
        let settings = Arc::new(format!("{}; {}", server.settings(), server.enter()));
        let connections = AnyPoolOptions::new()
            .acquire_timeout(CONNECTION_WAIT)
            .after_connect(move |db, _| {
                let settings = Arc::clone(&settings);
                Box::pin(async move {
                    sqlx::raw_sql(AssertSqlSafe(settings.as_str())).execute(db).await?;
                    Ok(())
                })
            })
            .after_release(|db, _| Box::pin(is_done(db)));
        let pool = connections.clone().max_connections(CONNECTIONS_MAX).connect_lazy_with(server.options.clone());
        let writer = connections
            .max_connections(WRITERS_MAX)
            .test_before_acquire(false)
            .before_acquire(|db, meta| Box::pin(answers(db, meta.idle_for)))
            .connect_lazy_with(server.options.clone());
        Ok(Self::of(pool, writer, Dialect::Postgres, Place::Server(Arc::new(server))))
    }
}

impl Server {
    /// A connection of its own. A pool would try again and again, and then say no more than that it took too long.
    async fn connect(&self) -> Result<AnyConnection, sqlx::Error> {
        let connect = async {
            let mut db = AnyConnection::connect_with(&self.options).await?;
            sqlx::raw_sql(AssertSqlSafe(self.settings())).execute(&mut db).await?;
            Ok(db)
        };
        timeout(CONNECTION_WAIT, connect).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
    }

    /// Has names looked up in the schema from now on, if that belongs to the connection's role alone. In a schema of another role there
    /// may be functions, views and triggers of that role's, and they would run with the rights of whoever connects: those of the
    /// owner of the log, or of a superuser.
    fn enter(&self) -> String {
        let Self { schema, .. } = self;
        format!(
            "DO $$ BEGIN IF NOT EXISTS ({OURS}) THEN \
             RAISE insufficient_privilege USING MESSAGE = 'schema {schema} does not belong to this role alone'; \
             END IF; END $$; SET search_path = {schema}, pg_catalog, pg_temp",
        )
        .replace("$1", &format!("'{schema}'"))
    }

    /// The statements that a connection begins with. Nothing is looked up in the schema yet.
    fn settings(&self) -> String {
        let settings = SessionSettings {
            search_path: "pg_catalog, pg_temp",
            statement_timeout: if self.schema == SCHEMA { STATEMENT_TIME } else { Duration::ZERO },
            lock_timeout: LOCK_WAIT,
            idle_in_transaction_timeout: IDLE_IN_TRANSACTION_TIME,
        };
        // A commit that is lost in a crash takes its checkpoint with it and is folded again. What is asked for decides how it is
        // best found, and tables grow: plans are made each time, and never compiled, which takes longer than to answer.
        format!(
            "{}; SET application_name = 'dealog views'; SET synchronous_commit = off; \
             SET plan_cache_mode = force_custom_plan; SET enable_seqscan = on",
            settings.sql()
        )
    }
}

/// The schema `$1`, if it belongs to this role, and nobody else was granted the right to make anything in it.
const OURS: &str = "SELECT FROM pg_namespace AS n WHERE n.nspname = $1 AND pg_get_userbyid(n.nspowner) = current_user \
                    AND NOT EXISTS (SELECT FROM aclexplode(n.nspacl) AS a WHERE a.grantee <> n.nspowner \
                    AND a.privilege_type = 'CREATE')";

/// Who stops waiting while a transaction begins, or is refused a lock with which it does, leaves it to the connection: the
/// driver knows of none, and the next would be refused in it or read from its snapshot. Where there is none, this does nothing.
///
/// A connection through which nothing comes any more is ended here, or it would take a place in the pool for good.
async fn is_done(db: &mut AnyConnection) -> Result<bool, sqlx::Error> {
    let ended = timeout(ANSWER_TIME, sqlx::raw_sql("BEGIN; ROLLBACK").execute(db)).await;
    ended.unwrap_or(Err(sqlx::Error::PoolTimedOut)).map(|_| true)
}

/// A server and its database as messages name them.
fn name(options: &PgConnectOptions) -> String {
    let database = options.get_database().unwrap_or(options.get_username());
    match options.get_socket() {
        Some(socket) => format!("{} (database {database})", socket.display()),
        None => format!("{}:{}/{database}", options.get_host(), options.get_port()),
    }
}

/// Whether a connection for batches is of use. One batch follows another: only a connection that has rested is asked, and one that
/// does not answer is replaced.
async fn answers(db: &mut AnyConnection, idle: Duration) -> Result<bool, sqlx::Error> {
    if idle > RESTED {
        db.ping().await?;
    }
    Ok(true)
}

/// Makes the schema and the tables that every schema has. Where they are there already, it needs no right to make any.
async fn set_up(db: &mut AnyConnection, schema: &str) -> Result<(), ProjectionError> {
    let encoding: String = sqlx::query_scalar("SELECT current_setting('server_encoding')").fetch_one(&mut *db).await?;
    if encoding != "UTF8" {
        return Err(ProjectionError::Encoding(encoding));
    }
    let there = "SELECT COUNT(*) FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace \
                 JOIN pg_attribute AS a ON a.attrelid = c.oid WHERE n.nspname = $1 AND (c.relname, a.attname) IN \
                 (('checkpoints', 'proof'), ('leases', 'name'), ('stops', 'projection'), ('builds', 'projection'))";
    let there: i64 = sqlx::query_scalar(there).bind(schema).fetch_one(&mut *db).await?;
    let tables = tables(Dialect::Postgres);
    if usize::try_from(there).is_ok_and(|there| there == tables.len()) {
        return check_owner(db, schema).await;
    }
    let mut db = db.begin_with(Dialect::Postgres.begin_write()).await?;
    db.execute(SET_UP_LOCK).await?;
    db.execute(AssertSqlSafe(format!("CREATE SCHEMA IF NOT EXISTS {schema}"))).await?;
    check_owner(&mut db, schema).await?;
    let path = format!("SET LOCAL search_path = {schema}, pg_catalog, pg_temp");
    // Tables of before checkpoints had a proof, and leases a name, get these.
    let up_to_date = format!(
        "DO $$ BEGIN IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass('{schema}.leases') AND attname = \
         'projection') THEN ALTER TABLE leases RENAME COLUMN projection TO name; \
         ALTER TABLE checkpoints ADD COLUMN proof BIGINT; END IF; END $$"
    );
    for statement in [path, up_to_date].into_iter().chain(tables) {
        db.execute(AssertSqlSafe(statement)).await?;
    }
    Ok(db.commit().await?)
}

/// Refuses a schema that somebody else can put something into: see [`Server::enter`].
async fn check_owner(db: &mut AnyConnection, schema: &str) -> Result<(), ProjectionError> {
    let ours = format!(
        "SELECT CAST(pg_get_userbyid(nspowner) AS TEXT), CAST(current_user AS TEXT) FROM pg_namespace \
         WHERE nspname = $1 AND NOT EXISTS ({OURS})"
    );
    let found: Option<(String, String)> = sqlx::query_as(AssertSqlSafe(ours)).bind(schema).fetch_optional(db).await?;
    match found {
        None => Ok(()),
        Some((owner, role)) => Err(ProjectionError::NotOurs { schema: schema.to_owned(), owner, role }),
    }
}
