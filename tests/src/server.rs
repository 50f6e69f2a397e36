//! A running `dealog`, on a port of its own, that is always stopped.

use std::{
    net::{SocketAddr, TcpListener},
    ops::Deref,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
#[cfg(target_os = "linux")]
use rustix::process::{Resource, Rlimit, prlimit};
use serde_json::Value;

use crate::{
    Answer, Client, Data, Lines,
    binary::{command_under, limited_command},
    exit_within, until,
};

/// How long a server may take to be there: it may have a log to fold first.
const START: Duration = Duration::from_mins(1);
/// How long it may take to end.
const STOP: Duration = Duration::from_secs(20);
/// Any free port, for this machine alone.
const LISTEN: [&str; 2] = ["--listen", "127.0.0.1:0"];

/// A server. It is a client of itself: `server.get("/v1/deals")`.
pub struct Server {
    child: Child,
    stderr: Option<Lines>,
    address: SocketAddr,
    client: Client,
    /// Its data, where that goes with it.
    data: Option<Data>,
}

impl Deref for Server {
    type Target = Client;
    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Server {
    /// `dealog serve` over this data.
    pub fn start(data: &Data, args: &[&str]) -> Self {
        Self::start_command("serve", data, args)
    }

    /// Another command that serves, such as `demo`.
    pub fn start_command(name: &str, data: &Data, args: &[&str]) -> Self {
        let mut command = data.command();
        command.arg(name).args(args);
        if !args.contains(&"--listen") {
            command.args(LISTEN);
        }
        Self::of(command)
    }

    /// `dealog serve` on a disk that is full as soon as a file has this many bytes.
    pub fn start_on_a_full_disk(data: &Data, file_bytes_max: u64) -> Self {
        let mut command = data.over_this(limited_command(data.home(), file_bytes_max));
        command.arg("serve").args(LISTEN);
        Self::of(command)
    }

    /// `dealog serve` under a limit of the shell's, such as `ulimit -n 100`.
    pub fn start_under(data: &Data, limit: &str) -> Self {
        let mut command = data.over_this(command_under(data.home(), limit));
        command.arg("serve").args(LISTEN);
        Self::of(command)
    }

    /// `dealog serve` with its log, as this filter says, in a place where nobody here reads it.
    pub fn start_unheard(data: &Data, stderr: impl Into<Stdio>, filter: &str) -> Self {
        // Its log does not tell the address, so it is given one that is free.
        let address = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port");
        let mut command = data.command();
        command.args(["serve", "--listen", &address.to_string()]).env("DEALOG_LOG", filter);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).spawn();
        let child = child.expect("the binary can be run");
        let server = Self { child, stderr: None, address, client: Client::of(address), data: None };
        until("the server should answer", START, || {
            let answer = server.call("GET", "/health/live").try_send().ok()?;
            (answer.status == 200).then_some(())
        });
        server
    }

    /// Tells a server that nobody hears to stop, and sees that it ends well and in time.
    pub fn stop_unheard(mut self) {
        self.terminate();
        let status = exit_within(&mut self.child, STOP);
        assert_eq!(status.code(), Some(0), "the server ended badly");
    }

    /// A command that serves.
    pub fn of(command: Command) -> Self {
        let (child, stderr) = spawn(command);
        let address = stderr.find("the server's address in its log", START, serving);
        Self { child, stderr: Some(stderr), address, client: Client::of(address), data: None }
    }

    /// A server with a new company, whose data goes when it goes.
    pub fn of_a_new_company(args: &[&str]) -> Self {
        Self::with(Data::fresh(), args)
    }

    /// A server over this data, which goes when it goes.
    pub fn with(data: Data, args: &[&str]) -> Self {
        let mut server = Self::start(&data, args);
        server.data = Some(data);
        server
    }

    /// A server with a new company for a static, which is never dropped: a watcher ends the server when this process is
    /// gone, however it went. A PostgreSQL database stays as long as its server does, which is made for one run of the tests.
    pub fn shared(args: &[&str]) -> Self {
        let data = Data::fresh();
        let mut server = Self::start(&data, args);
        let watcher = Command::new("sh")
            .args(["-c", "read -r _; kill -KILL \"$1\"; rm -rf \"$2\"", "watcher"])
            .arg(server.child.id().to_string())
            .arg(data.home())
            .stdin(Stdio::piped())
            .spawn()
            .expect("a shell can be run");
        // It waits for the end of a pipe whose other end closes with this process.
        std::mem::forget(watcher);
        server.data = Some(data);
        server
    }

    /// The data that goes with it.
    pub fn data(&self) -> &Data {
        self.data.as_ref().expect("a server that was begun with its data")
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// A client with connections of its own.
    pub fn client(&self) -> Client {
        Client::of(self.address)
    }

    /// Waits for a line of its log that contains `text`.
    pub fn logged(&self, text: &str) {
        let log = self.stderr.as_ref().expect("the server runs");
        log.find(&format!("`{text}` in the log"), STOP, |line| line.contains(text).then_some(()));
    }

    /// Whether its log has a line that contains `text` by now.
    pub fn has_logged(&self, text: &str) -> bool {
        self.stderr.as_ref().expect("the server runs").so_far().contains(text)
    }

    /// Waits until its read models are there and have caught up: a server answers before that.
    #[must_use]
    pub fn ready(self) -> Self {
        until("the read models should catch up", START, || {
            let ready = self.get("/health/ready");
            (ready.status == 200 && ready.body["projections"][0]["lag"] == 0).then_some(())
        });
        self
    }

    /// What its health says once it has noticed that it is not ready: an answer counts for a moment.
    pub fn not_ready(&self) -> Answer {
        until("the server should say that it is not ready", START, || {
            Some(self.get("/health/ready")).filter(|ready| ready.status == 503)
        })
    }

    /// The disk has room again, which was full.
    #[cfg(target_os = "linux")]
    pub fn has_room_again(&self) {
        let unlimited = Rlimit { current: None, maximum: None };
        prlimit(Some(Pid::from_child(&self.child)), Resource::Fsize, unlimited).expect("the server is our own process");
    }

    /// Tells it to stop and does not wait.
    pub fn terminate(&self) {
        self.send(Signal::TERM);
    }

    /// Tells it to stop, and sees that it ends well and in time. Gives its log.
    pub fn stop(mut self) -> String {
        self.terminate();
        self.ended()
    }

    /// Waits for its end, which must be a good one. Gives its log.
    pub fn ended(&mut self) -> String {
        let status = exit_within(&mut self.child, STOP);
        let log = self.stderr.take().expect("it ends once").all();
        assert_eq!(status.code(), Some(0), "the server ended badly:\n{log}");
        log
    }

    /// Waits for its end, which must not be a good one. Gives its log.
    pub fn ended_badly(mut self) -> String {
        let status = exit_within(&mut self.child, STOP);
        let log = self.stderr.take().expect("it ends once").all();
        assert_eq!(status.code(), Some(1), "the server ended well:\n{log}");
        log
    }

    /// Waits for its end, good or bad. Gives its log.
    pub fn over(mut self) -> String {
        exit_within(&mut self.child, STOP);
        self.stderr.take().expect("it ends once").all()
    }

    /// Ends it at once, as a power cut would.
    pub fn kill9(mut self) {
        self.send(Signal::KILL);
        exit_within(&mut self.child, STOP);
    }

    fn send(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the server is our own process");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let (true, Some(log)) = (thread::panicking(), &self.stderr) {
            let log = log.so_far();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("the end of the server's log:\n{}", lines[lines.len().saturating_sub(20)..].join("\n"));
        }
    }
}

/// A process that keeps the read models up to date beside a server: `dealog work`.
pub struct Worker {
    child: Child,
    stderr: Option<Lines>,
}

impl Worker {
    pub fn start(data: &Data) -> Self {
        let mut command = data.command();
        command.arg("work");
        let (child, stderr) = spawn(command);
        stderr.find("that it works", START, |line| line.contains("working").then_some(()));
        Self { child, stderr: Some(stderr) }
    }

    /// Tells it to stop, and sees that it ends well and in time.
    pub fn stop(mut self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).expect("the worker is our own process");
        let status = exit_within(&mut self.child, STOP);
        let log = self.stderr.take().expect("it ends once").all();
        assert_eq!(status.code(), Some(0), "the worker ended badly:\n{log}");
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command that stays, and its log.
fn spawn(mut command: Command) -> (Child, Lines) {
    let mut child = command
        .env("DEALOG_LOG", "info")
        .env("DEALOG_LOG_FORMAT", "json")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary can be run");
    let stderr = Lines::of(child.stderr.take().expect("standard error is a pipe"));
    (child, stderr)
}

/// The address in the log line that says that the server is there.
fn serving(line: &str) -> Option<SocketAddr> {
    let line: Value = serde_json::from_str(line).ok()?;
    let fields = &line["fields"];
    (fields["message"] == "serving").then(|| fields["address"].as_str()?.parse().ok()).flatten()
}
