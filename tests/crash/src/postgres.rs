//! A PostgreSQL server of the harness's own, which it may treat as badly as it likes. It waits for its disk, as one in
//! production does.

use std::{
    env,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tempfile::TempDir;
use tokio::{
    process::Command,
    time::{sleep, timeout},
};

use crate::{
    broken::{Broken, Result, When as _, ensure},
    place::Faults,
};

const BOUND: Duration = Duration::from_mins(1);
/// Before it recovers, the server syncs all of its folder: at once rather than file by file, where the system can.
const FAST_RECOVERY: &str = if cfg!(target_os = "linux") { "-c recovery_init_sync_method=syncfs" } else { "" };
/// How often a connection is tried while the server comes up again.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The server. It ends with this value.
pub(crate) struct Server {
    folder: TempDir,
    programs: PathBuf,
    pub(crate) address: SocketAddr,
}

/// A database of it.
pub(crate) struct Database {
    pub(crate) server: Arc<Server>,
    pub(crate) name: String,
    pub(crate) url: String,
}

impl Server {
    pub(crate) async fn new() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("dealog-crash-postgres.").tempdir()?;
        if is_root() {
            // The server refuses to run as root.
            let owned = Command::new("chown").arg("postgres").arg(folder.path()).status().await?;
            ensure!(owned.success(), "the folder of the server could not be given to the user postgres");
        }
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let server = Self { folder, programs: programs()?, address: (Ipv4Addr::LOCALHOST, port).into() };
        let initdb = ["--username", "dealog", "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync"];
        server.run("initdb", &initdb, &Faults::none()).await?;
        server.start(&Faults::none()).await?;
        Ok(server)
    }

    /// Where it may write, whoever it runs as.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn command(&self, program: &str, faults: &Faults) -> Command {
        let program = self.programs.join(program);
        let mut command = if is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command.arg("--pgdata").arg(self.data()).envs(faults.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    async fn run(&self, program: &str, args: &[&str], faults: &Faults) -> Result<()> {
        let output = timeout(BOUND, self.command(program, faults).args(args).output()).await;
        let output = output.map_err(|_| Broken(format!("{program} does not end")))?.when(program)?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{program} {args:?}: {said}");
        Ok(())
    }

    /// Starts it, and returns when it takes connections.
    pub(crate) async fn start(&self, faults: &Faults) -> Result<()> {
        let (folder, port) = (self.folder.path().display(), self.address.port());
        let log = format!("{folder}/log");
        let options = format!(
            "-c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c max_connections=200 \
             -c shared_buffers=32MB {FAST_RECOVERY} -p {port}"
        );
        self.run("pg_ctl", &["start", "--silent", "--wait", "--log", &log, "--options", &options], faults).await
    }

    /// Ends it as a power cut would: what it had not written is recovered at the next start.
    pub(crate) async fn stop(&self) -> Result<()> {
        self.run("pg_ctl", &["stop", "--silent", "--mode", "immediate"], &Faults::none()).await
    }

    /// Waits until it takes connections again, and starts it where it has given up.
    pub(crate) async fn revive(&self, faults: &Faults) -> Result<()> {
        let begun = Instant::now();
        while PgConnection::connect(&self.url("postgres")).await.is_err() {
            ensure!(begun.elapsed() < BOUND, "PostgreSQL does not come up again");
            if self.run("pg_ctl", &["status"], &Faults::none()).await.is_err() {
                self.start(faults).await?;
            }
            sleep(LOOK_AGAIN).await;
        }
        Ok(())
    }

    /// A connection to one of its databases, once it takes any.
    pub(crate) async fn connect(&self, database: &str) -> Result<PgConnection> {
        let url = self.url(database);
        let connection = async {
            loop {
                match PgConnection::connect(&url).await {
                    Ok(connection) => return connection,
                    Err(_) => sleep(LOOK_AGAIN).await,
                }
            }
        };
        timeout(BOUND, connection).await.map_err(|_| Broken("PostgreSQL does not come up again".into()))
    }

    fn url(&self, database: &str) -> String {
        url("dealog", self.address, database)
    }

    /// Runs SQL in one of its databases, as the one who may do everything.
    pub(crate) async fn execute(&self, database: &str, sql: &str) -> Result<()> {
        let mut connection = self.connect(database).await?;
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await?;
        Ok(connection.close().await?)
    }

    /// The end of what it said.
    pub(crate) fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let mut command = self.command("pg_ctl", &Faults::none());
        command.args(["stop", "--silent", "--mode", "immediate"]);
        let _ = command.as_std_mut().status();
    }
}

impl Database {
    pub(crate) async fn new(server: &Arc<Server>, name: &str) -> Result<Self> {
        server.execute("postgres", &format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'")).await?;
        Ok(Self { server: Arc::clone(server), name: name.to_owned(), url: server.url(name) })
    }

    /// The same database by way of another address.
    pub(crate) fn by(&self, address: SocketAddr) -> String {
        url("dealog", address, &self.name)
    }

    /// The same database as another role sees it.
    pub(crate) fn url_of(&self, role: &str) -> String {
        url(role, self.server.address, &self.name)
    }

    pub(crate) async fn connect(&self) -> Result<PgConnection> {
        self.server.connect(&self.name).await
    }

    /// Removes it, whoever is connected.
    pub(crate) async fn drop(&self) -> Result<()> {
        self.server.execute("postgres", &format!("DROP DATABASE {} WITH (FORCE)", self.name)).await
    }

    pub(crate) async fn execute(&self, sql: &str) -> Result<()> {
        self.server.execute(&self.name, sql).await
    }
}

fn url(role: &str, address: SocketAddr, database: &str) -> String {
    format!("postgres://{role}@{address}/{database}?sslmode=disable")
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Those on the PATH, or else the newest where Debian and Homebrew keep several beside each other.
fn programs() -> Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut found: Vec<(u32, PathBuf)> = env::split_paths(&path).map(|folder| (u32::MAX, folder)).collect();
    let beside = [("/usr/lib/postgresql", ""), ("/opt/homebrew/opt", "postgresql@"), ("/usr/local/opt", "postgresql@")];
    for (folder, prefix) in beside {
        for entry in Path::new(folder).read_dir().into_iter().flatten().flatten() {
            let name = entry.file_name();
            let version = name.to_str().and_then(|name| name.strip_prefix(prefix)?.parse().ok());
            found.extend(version.map(|version| (version, entry.path().join("bin"))));
        }
    }
    found.retain(|(_, folder)| folder.join("initdb").is_file() && folder.join("pg_ctl").is_file());
    let newest = found.into_iter().max_by_key(|(version, _)| *version).map(|(_, folder)| folder);
    newest.ok_or_else(|| Broken("PostgreSQL (initdb, pg_ctl) is not installed; scripts/postgres installs it".into()))
}
