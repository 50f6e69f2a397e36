//! A PostgreSQL database of one's own, for one test; a server of one's own, for tests that break it.
//!
//! The databases are on the server that `TEST_POSTGRES` names; `scripts/postgres` starts one for as long as a command runs.
#![allow(clippy::expect_used, clippy::panic)]

mod postgres;

use std::{env, str::FromStr as _, thread};

use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, postgres::PgConnectOptions};
use tokio::runtime;
use uuid::Uuid;

pub use postgres::Postgres;

/// A new and empty database, which goes with this value.
#[derive(Debug)]
pub struct Fresh {
    server: String,
    name: String,
    url: String,
}

impl Fresh {
    /// Makes it.
    ///
    /// # Panics
    /// Where there is no server: a test that needs one fails without it.
    pub async fn new() -> Self {
        Self::encoded("UTF8").await
    }

    /// The same in another encoding.
    ///
    /// # Panics
    /// Where there is no server.
    pub async fn encoded(encoding: &str) -> Self {
        Self::on(server(), encoding).await
    }

    /// The same for a test that is not asynchronous.
    ///
    /// # Panics
    /// Where there is no server.
    pub fn blocking() -> Self {
        apart(Self::new())
    }

    /// Makes it on this server.
    pub(crate) async fn on(server: String, encoding: &str) -> Self {
        let name = format!("dealog_{}", Uuid::now_v7().simple());
        // Nobody is ever connected to this template, which would keep others from copying it.
        let sql = format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C'");
        execute(&server, sql).await.expect("TEST_POSTGRES names a server and a role that may create databases");
        let url = options(&server).database(&name).to_url_lossy().to_string();
        Self { server, name, url }
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where it is for another role.
    ///
    /// # Panics
    /// Never: the address is that of this database.
    pub fn url_of(&self, role: &str) -> String {
        options(&self.url).username(role).to_url_lossy().to_string()
    }

    /// Where its replica is, on a server that follows its own.
    ///
    /// # Panics
    /// Never: the address is that of a database.
    pub fn url_at(&self, replica: &Postgres) -> String {
        options(&replica.url()).database(&self.name).to_url_lossy().to_string()
    }

    /// Runs SQL in it, as its owner could.
    pub async fn execute(&self, sql: &str) -> Result<(), sqlx::Error> {
        execute(&self.url, sql.to_owned()).await
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        let server = self.server.clone();
        let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        // A server that is gone has taken it along.
        let _ = apart(async move { execute(&server, sql).await });
    }
}

/// The server, as an address of its first database.
///
/// # Panics
/// Where none is named.
pub fn server() -> String {
    env::var("TEST_POSTGRES").unwrap_or_else(|_| {
        panic!(
            "this test needs PostgreSQL: run it by `scripts/postgres cargo test …`, which starts a server for it, or name one \
             in TEST_POSTGRES (postgres://role@127.0.0.1:5432/postgres) whose role may create databases"
        )
    })
}

fn options(url: &str) -> PgConnectOptions {
    PgConnectOptions::from_str(url).expect("the address of a PostgreSQL server")
}

async fn execute(url: &str, sql: String) -> Result<(), sqlx::Error> {
    let mut connection: PgConnection = options(url).connect().await?;
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await?;
    connection.close().await
}

/// The one number that a question is answered with.
async fn number(url: &str, sql: String) -> Result<Option<i64>, sqlx::Error> {
    let mut connection: PgConnection = options(url).connect().await?;
    let number = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut connection).await?;
    connection.close().await?;
    Ok(number)
}

/// Runs to its end in a thread of its own, wherever it is called.
fn apart<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    let run = || {
        let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
        runtime.block_on(work)
    };
    thread::spawn(run).join().expect("the thread ends well")
}
