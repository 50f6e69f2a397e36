//! A PostgreSQL server of one's own, for tests that crash it, or that need it as durable as in production.
//!
//! Its programs are those on the PATH, which `scripts/postgres` extends.

use std::{
    env,
    fs::{self, Permissions},
    net::TcpListener,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, geteuid, kill_process};
use tempfile::TempDir;

use crate::{Fresh, apart, number};

/// How often another port is chosen: somebody may take one between the choice and the start.
const PORTS: usize = 10;
/// How long it may take to start or to stop, which includes recovery from a crash.
const WAIT_SECONDS: &str = "120";

/// A server with PostgreSQL's own settings, so that what it has committed is on the disk. It goes with this value, and also
/// when the process is gone without dropping it.
#[derive(Debug)]
pub struct Postgres {
    programs: PathBuf,
    folder: PathBuf,
    port: u16,
    watcher: Child,
}

impl Postgres {
    /// Makes a new server and starts it.
    ///
    /// # Panics
    /// Where there is no PostgreSQL on this machine, or it does not start.
    pub fn start() -> Self {
        let options = ["--username", "dealog", "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync"];
        Self::over(|server| run(server.command("initdb").args(options)))
    }

    /// Starts another one that follows this one, and is as good as it once it is promoted (`SELECT pg_promote()`).
    ///
    /// # Panics
    /// Where it does not start.
    #[must_use]
    pub fn replica(&self) -> Self {
        let port = self.port.to_string();
        let from = ["--host", "127.0.0.1", "--port", &port, "--username", "dealog", "--checkpoint", "fast"];
        let follow = ["--write-recovery-conf", "--create-slot", "--slot", "replica", "--no-sync"];
        Self::over(|server| run(server.command("pg_basebackup").args(from).args(follow)))
    }

    /// Starts one over data that `make` makes.
    fn over(make: impl FnOnce(&Self) -> Result<(), String>) -> Self {
        let programs = programs();
        let folder = TempDir::new().expect("a folder can be made").keep();
        if geteuid().is_root() {
            run(Command::new("chown").arg("postgres").arg(&folder)).expect("PostgreSQL has a user of its own");
        }
        let watcher = watcher(&programs, &folder);
        let mut server = Self { programs, folder, port: 0, watcher };
        make(&server).expect("a server can be made");
        let started = (0..PORTS).any(|_| {
            let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
            server.port = free.expect("there is a free port").port();
            server.try_start().is_ok()
        });
        assert!(started, "the server does not start: {}", server.log());
        server
    }

    /// Starts it again where it was, after a crash.
    ///
    /// # Panics
    /// Where it does not start.
    pub fn start_again(&self) {
        self.try_start().unwrap_or_else(|told| panic!("the server does not start again: {told}{}", self.log()));
    }

    fn try_start(&self) -> Result<(), String> {
        let folder = self.folder.display();
        let options = format!("-c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -p {}", self.port);
        let start = ["start", "--silent", "--wait", "--timeout", WAIT_SECONDS, "--options", &options, "--log"];
        run(self.command("pg_ctl").args(start).arg(self.folder.join("log")))
    }

    /// Ends it at once, as a power cut would: nothing is finished, and the next start recovers what was committed.
    ///
    /// # Panics
    /// Where it does not stop.
    pub fn crash(&self) {
        let stop = ["stop", "--silent", "--mode", "immediate", "--timeout", WAIT_SECONDS];
        run(self.command("pg_ctl").args(stop)).expect("the server stops");
    }

    /// Kills it: unlike [`Self::crash`] it has no time to tell anybody.
    ///
    /// # Panics
    /// Where it is not running.
    pub fn kill(&self) {
        let lines = fs::read_to_string(self.folder.join("data/postmaster.pid")).expect("the server runs");
        let pid = lines.lines().next().and_then(|pid| Pid::from_raw(pid.parse().ok()?));
        kill_process(pid.expect("it says which process it is"), Signal::KILL).expect("the server can be killed");
    }

    /// Kills the process that serves one of the connections to the database at `url`: the one at this place, round and round. The
    /// server then ends all others and recovers. False where nobody is connected.
    ///
    /// # Panics
    /// Where the server is not there.
    pub fn kill_backend(&self, url: &str, place: usize) -> bool {
        let sql = format!(
            "SELECT (array_agg(pid ORDER BY pid))[1 + {place} % greatest(count(*), 1)]::bigint FROM pg_stat_activity \
             WHERE datname = current_database() AND pid <> pg_backend_pid()"
        );
        let url = url.to_owned();
        let pid = apart(async move { number(&url, sql).await }).expect("the server answers");
        let pid = pid.and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        pid.is_some_and(|pid| kill_process(pid, Signal::KILL).is_ok())
    }

    /// From now on it lets nobody in without a password but the role of [`Self::url`].
    ///
    /// # Panics
    /// Where it is not running.
    pub fn demand_passwords(&self) {
        let rules = "host all dealog all trust\nhost all all all scram-sha-256\n";
        fs::write(self.folder.join("data/pg_hba.conf"), rules).expect("its settings can be written");
        run(self.command("pg_ctl").args(["reload", "--silent"])).expect("the server reads its settings");
    }

    /// From now on it lets nobody in whose connection is not encrypted, and shows this certificate, of which it has the key.
    ///
    /// # Panics
    /// Where it is not running.
    pub fn demand_tls(&self, certificate: &str, key: &str) {
        let data = self.folder.join("data");
        for (name, text) in [
            ("server.crt", certificate),
            ("server.key", key),
            ("postgresql.auto.conf", "ssl = on\n"),
            ("pg_hba.conf", "hostssl all all all trust\n"),
        ] {
            let file = data.join(name);
            fs::write(&file, text).expect("its files can be written");
            fs::set_permissions(&file, Permissions::from_mode(0o600)).expect("its files are the user's");
            if geteuid().is_root() {
                run(Command::new("chown").arg("postgres").arg(&file)).expect("PostgreSQL has a user of its own");
            }
        }
        run(self.command("pg_ctl").args(["reload", "--silent"])).expect("the server reads its settings");
    }

    /// A new and empty database on it.
    pub fn fresh(&self) -> Fresh {
        let server = self.url();
        apart(Fresh::on(server, "UTF8"))
    }

    /// The address of its first database, for a role that may do anything.
    pub fn url(&self) -> String {
        format!("postgres://dealog@127.0.0.1:{}/postgres", self.port)
    }

    /// One of PostgreSQL's programs, for this server.
    fn command(&self, program: &str) -> Command {
        command(&self.programs, &self.folder, program)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.watcher.stdin.take());
        let _ = self.watcher.wait();
    }
}

/// Ends the server and removes its folder when its standard input closes: when the value is gone, or the process.
fn watcher(programs: &Path, folder: &Path) -> Child {
    let mut stop = command(programs, folder, "pg_ctl");
    stop.args(["stop", "--mode", "immediate"]);
    Command::new("sh")
        .args(["-c", "read -r _; folder=$1; shift; \"$@\"; rm -rf \"$folder\"", "watcher"])
        .arg(folder)
        .arg(stop.get_program())
        .args(stop.get_args())
        .current_dir("/")
        // What interrupts the tests must not end it.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a shell can be run")
}

/// A program over a folder's data. PostgreSQL refuses to run as root: Debian's package has made a user for it.
fn command(programs: &Path, folder: &Path, program: &str) -> Command {
    let program = programs.join(program);
    let mut command = if geteuid().is_root() {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    // The working folder is one where that user may be.
    command.arg("--pgdata").arg(folder.join("data")).current_dir("/");
    command
}

fn programs() -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).find(|folder| folder.join("pg_ctl").is_file());
    found.unwrap_or_else(|| {
        panic!("pg_ctl of PostgreSQL is not on the PATH: run this by `scripts/postgres cargo test …`")
    })
}

/// Runs it to its end; an error is what it said.
fn run(command: &mut Command) -> Result<(), String> {
    let done = command.stdin(Stdio::null()).output().map_err(|error| format!("{command:?}: {error}"))?;
    if done.status.success() { Ok(()) } else { Err(format!("{command:?}: {}", String::from_utf8_lossy(&done.stderr))) }
}
