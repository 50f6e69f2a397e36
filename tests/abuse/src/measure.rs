//! What is measured: how long those who work wait, and what the server holds.

use std::{fs, time::Duration};

use dealog_tests::{Client, Server};

use crate::broken::{Broken, Result};

/// How long something took, many times.
#[derive(Debug, Default, Clone)]
pub(crate) struct Latencies(Vec<Duration>);

impl Latencies {
    pub(crate) fn add(&mut self, took: Duration) {
        self.0.push(took);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The least time that so many percent of them did not exceed; zero where there are none.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * percent).div_ceil(100).max(1);
        sorted.get(rank - 1).copied().unwrap_or_default()
    }
}

/// What the server holds at a moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Holdings {
    /// Open files and connections.
    pub(crate) files: usize,
    /// Bytes of `/metrics`; zero where it was not answered.
    pub(crate) metrics_bytes: usize,
    /// Resident memory, in MB.
    pub(crate) resident_mb: u64,
    /// The most that it ever was, in MB.
    pub(crate) peak_mb: u64,
}

impl Holdings {
    /// Of a server, whose admin asks for its metrics.
    pub(crate) fn of(server: &Server, admin: &Client) -> Result<Self> {
        let id = server.id();
        let status = fs::read_to_string(format!("/proc/{id}/status"))?;
        Ok(Self {
            files: fs::read_dir(format!("/proc/{id}/fd"))?.count(),
            metrics_bytes: admin.call("GET", "/metrics").try_send().map_or(0, |answer| answer.text.len()),
            resident_mb: megabytes(&status, "VmRSS:")?,
            peak_mb: megabytes(&status, "VmHWM:")?,
        })
    }
}

fn megabytes(status: &str, name: &str) -> Result<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let line = line.ok_or_else(|| Broken(format!("the system does not tell {name}")))?;
    let kibibytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kibibytes * 1_024 / 1_000_000)
}
