//! A `dealog serve`.

use std::{
    fs::{File, OpenOptions},
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::{
    io::AsyncReadExt as _,
    process::{Child, ChildStderr},
    sync::watch,
    time::{sleep, timeout},
};

use crate::{
    broken::{Broken, Result, When as _, ensure},
    place::{Faults, Place, Stderr},
};

/// How long a server may take to be there, and to end.
const BOUND: Duration = Duration::from_secs(30);
/// How often its log is looked at until it says where it serves.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// What is read from a pipe at once.
const PIPE_BYTES: usize = 16 * 1_024;
/// How much of its log is shown where it ends badly.
const SHOWN_BYTES: i64 = 2_000;

pub(crate) struct Node {
    child: Child,
    log: PathBuf,
    /// Where in its log this process begins.
    log_begins: u64,
    /// How its log is read, where that is a pipe.
    reading: watch::Sender<Reading>,
}

/// How the other end of a pipe is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// All of it, into the log's file.
    All,
    /// Nothing, and it stays open.
    Stalled,
    /// Not at all: it is closed.
    Gone,
}

impl Node {
    /// Starts a process and does not wait for it. What it says is added to `log`.
    pub(crate) fn spawn(place: &Place, log: &Path, faults: &Faults) -> Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(log)?;
        let log_begins = file.metadata()?.len();
        let mut command = place.dealog(&["serve", "--listen", "127.0.0.1:0"], faults);
        command
            .env("DEALOG_LOG", "info,dealog_api=warn,tower_http=warn")
            .stdout(Stdio::null())
            .envs(faults.variables.iter().map(|(name, value)| (name, value)));
        let reading = watch::Sender::new(Reading::All);
        if faults.stderr == Stderr::File {
            let child = command.stderr(file).spawn().when("the binary")?;
            return Ok(Self { child, log: log.to_owned(), log_begins, reading });
        }
        let mut child = command.stderr(Stdio::piped()).spawn().when("the binary")?;
        let pipe = child.stderr.take().ok_or_else(|| Broken("standard error is a pipe".into()))?;
        tokio::spawn(keep(pipe, file, reading.subscribe()));
        Ok(Self { child, log: log.to_owned(), log_begins, reading })
    }

    /// How its log is read from now on, where that is a pipe.
    pub(crate) fn read_log(&self, reading: Reading) {
        self.reading.send_replace(reading);
    }

    /// Waits until it serves, and says where.
    pub(crate) async fn serving(&mut self) -> Result<SocketAddr> {
        let serving = async {
            loop {
                if let Some(address) = self.said()?.lines().find_map(serving) {
                    return Ok(address);
                }
                if let Some(status) = self.child.try_wait()? {
                    return Err(Broken(format!("a server ended with {status} instead of serving: {}", self.tail())));
                }
                sleep(LOOK_AGAIN).await;
            }
        };
        match timeout(BOUND, serving).await {
            Ok(served) => served,
            Err(_) => Err(Broken(format!("a server does not come up: {}", self.tail()))),
        }
    }

    fn said(&self) -> Result<String> {
        let mut file = File::open(&self.log)?;
        file.seek(SeekFrom::Start(self.log_begins))?;
        let mut said = Vec::new();
        file.read_to_end(&mut said)?;
        Ok(String::from_utf8_lossy(&said).into_owned())
    }

    /// The end of what it said.
    pub(crate) fn tail(&self) -> String {
        let tail = || {
            let mut file = File::open(&self.log)?;
            let _ = file.seek(SeekFrom::End(-SHOWN_BYTES));
            let mut said = String::new();
            file.read_to_string(&mut said)?;
            Ok::<_, std::io::Error>(said)
        };
        tail().unwrap_or_default()
    }

    pub(crate) fn has_said(&self, what: &str) -> Result<bool> {
        Ok(self.said()?.contains(what))
    }

    pub(crate) fn is_gone(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        let Some(id) = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw) else {
            return Err(Broken(format!("a server is gone: {}", self.tail())));
        };
        Ok(kill_process(id, signal)?)
    }

    /// Ends it at once.
    pub(crate) async fn kill(&mut self) -> Result<()> {
        self.child.kill().await.when("a server could not be killed")
    }

    /// Tells it to stop, and sees that it ends well and in time.
    pub(crate) async fn stop(&mut self) -> Result<()> {
        self.signal(Signal::TERM)?;
        let status = self.ended().await?;
        ensure!(status.success(), "a server that was told to stop ended with {status}: {}", self.tail());
        Ok(())
    }

    pub(crate) async fn ended(&mut self) -> Result<ExitStatus> {
        match timeout(BOUND, self.child.wait()).await {
            Ok(status) => Ok(status?),
            Err(_) => Err(Broken(format!("a server does not end: {}", self.tail()))),
        }
    }
}

/// Keeps what comes through a pipe, as long as it is to be read.
async fn keep(mut pipe: ChildStderr, mut file: File, mut reading: watch::Receiver<Reading>) {
    let mut bytes = vec![0; PIPE_BYTES];
    loop {
        let now = *reading.borrow_and_update();
        tokio::select! {
            read = pipe.read(&mut bytes), if now == Reading::All => match read {
                Ok(length @ 1..) => {
                    let _ = file.write_all(bytes.get(..length).unwrap_or_default());
                }
                _ => return,
            },
            changed = reading.changed() => if changed.is_err() || *reading.borrow() == Reading::Gone { return },
        }
    }
}

fn serving(line: &str) -> Option<SocketAddr> {
    let line: Value = serde_json::from_str(line).ok()?;
    let fields = line.get("fields")?;
    (fields.get("message")? == "serving").then(|| fields.get("address")?.as_str()?.parse().ok()).flatten()
}
