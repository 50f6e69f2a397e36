//! Settings from flags, the environment and a file, in that order.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use config::{Config, Environment, File, FileFormat};
use dealog_events::{Currency, TimeZone};
use dealog_projections::deals::PastLimits;
use serde::Deserialize;

use crate::open::Failure;

/// The file that is read where none is named.
const DEFAULT_FILE: &str = "dealog.toml";

/// What the command line says.
#[derive(Debug, Default)]
pub(crate) struct Flags {
    pub(crate) data: Option<PathBuf>,
    pub(crate) log: Option<String>,
    pub(crate) listen: Option<SocketAddr>,
    pub(crate) currency: Option<Currency>,
    pub(crate) time_zone: Option<TimeZone>,
}

/// All that can be set.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// The folder that holds the log and the read models.
    pub(crate) data: PathBuf,
    /// The address to listen on.
    pub(crate) listen: SocketAddr,
    /// The reporting currency of a new company.
    pub(crate) currency: Currency,
    /// The time zone of a new company.
    pub(crate) time_zone: TimeZone,
    /// What to log.
    pub(crate) log: String,
    /// How to log.
    pub(crate) log_format: LogFormat,
    /// How long requests under way may take once the server is told to stop.
    pub(crate) shutdown_seconds: u64,
    /// Limits, by the names that the README lists.
    #[serde(default)]
    pub(crate) limits: Limits,
}

/// How to log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogFormat {
    /// Lines for people.
    Text,
    /// A JSON object a line.
    Json,
}

/// Limits that are set; the others stand as each room has them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Limits {
    queue_length_max: Option<usize>,
    batch_appends_max: Option<usize>,
    stream_events_max: Option<u64>,
    cached_streams_max: Option<u64>,
    command_attempts_max: Option<u32>,
    projection_batch_events_max: Option<usize>,
    body_bytes_max: Option<usize>,
    page_items_max: Option<u32>,
    page_events_max: Option<u32>,
    groups_max: Option<usize>,
    known_at_events_max: Option<u64>,
    known_at_models_max: Option<u64>,
    known_at_idle_seconds: Option<u64>,
    min_position_wait_ms: Option<u64>,
    request_ms: Option<u64>,
    failed_attempts_max: Option<u32>,
    failed_attempts_window_seconds: Option<u64>,
    write_stall_ms: Option<u64>,
    subscribers_max: Option<usize>,
    subscriber_queue_events_max: Option<usize>,
    subscriber_queue_bytes_max: Option<usize>,
    subscriber_keep_alive_ms: Option<u64>,
}

impl Limits {
    /// Nothing works with a limit of nothing.
    fn check(&self) -> Result<(), Failure> {
        let set = [
            ("queue_length_max", self.queue_length_max.map(|max| max as u64)),
            ("batch_appends_max", self.batch_appends_max.map(|max| max as u64)),
            ("stream_events_max", self.stream_events_max),
            ("command_attempts_max", self.command_attempts_max.map(u64::from)),
            ("projection_batch_events_max", self.projection_batch_events_max.map(|max| max as u64)),
            ("body_bytes_max", self.body_bytes_max.map(|max| max as u64)),
            ("page_items_max", self.page_items_max.map(u64::from)),
            ("page_events_max", self.page_events_max.map(u64::from)),
            ("known_at_events_max", self.known_at_events_max),
            ("groups_max", self.groups_max.map(|max| max as u64)),
            ("request_ms", self.request_ms),
            ("failed_attempts_max", self.failed_attempts_max.map(u64::from)),
            ("failed_attempts_window_seconds", self.failed_attempts_window_seconds),
            ("write_stall_ms", self.write_stall_ms),
            ("subscribers_max", self.subscribers_max.map(|max| max as u64)),
            ("subscriber_queue_events_max", self.subscriber_queue_events_max.map(|max| max as u64)),
            ("subscriber_queue_bytes_max", self.subscriber_queue_bytes_max.map(|max| max as u64)),
            ("subscriber_keep_alive_ms", self.subscriber_keep_alive_ms),
        ];
        match set.iter().find(|(_, value)| *value == Some(0)) {
            Some((name, _)) => Err(Failure::Folder(format!("settings: the limit {name} must be at least 1"))),
            None => Ok(()),
        }
    }
}

impl Settings {
    pub(crate) fn load(file: Option<&Path>, folder: &str, flags: Flags) -> Result<Self, Failure> {
        let data = flags.data.map(|data| data.into_os_string().into_string()).transpose().map_err(|data| {
            Failure::Folder(format!("--data {} is not a path of readable characters", PathBuf::from(data).display()))
        })?;
        let source = match file {
            Some(file) => File::from(file).format(FileFormat::Toml).required(true),
            None => File::new(DEFAULT_FILE, FileFormat::Toml).required(false),
        };
        let config = Config::builder()
            .set_default("data", folder)?
            .set_default("listen", "127.0.0.1:8080")?
            .set_default("currency", "EUR")?
            .set_default("time_zone", "UTC")?
            .set_default("log", "info")?
            .set_default("log_format", "text")?
            .set_default("shutdown_seconds", 10)?
            .add_source(source)
            .add_source(Environment::with_prefix("DEALOG").separator("__").prefix_separator("_").try_parsing(true))
            .set_override_option("data", data)?
            .set_override_option("log", flags.log)?
            .set_override_option("listen", flags.listen.map(|listen| listen.to_string()))?
            .set_override_option("currency", flags.currency.map(|currency| currency.to_string()))?
            .set_override_option("time_zone", flags.time_zone.map(|zone| zone.to_string()))?
            .build()?;
        let settings: Self = config.try_deserialize()?;
        settings.limits.check()?;
        Ok(settings)
    }

    /// The log file, where there is one: what reads a company should not make an empty one of a mistyped folder.
    pub(crate) fn existing_log_file(&self) -> Result<PathBuf, Failure> {
        let file = self.log_file();
        if file.exists() {
            return Ok(file);
        }
        Err(Failure::Folder(format!("there is no log at {}: name its folder with --data", file.display())))
    }

    pub(crate) fn log_file(&self) -> PathBuf {
        self.data.join("log.db")
    }

    pub(crate) fn views_file(&self) -> PathBuf {
        self.data.join("views.db")
    }

    pub(crate) fn store_limits(&self) -> dealog_store::Limits {
        let default = dealog_store::Limits::default();
        dealog_store::Limits {
            queue_length_max: self.limits.queue_length_max.unwrap_or(default.queue_length_max),
            batch_appends_max: self.limits.batch_appends_max.unwrap_or(default.batch_appends_max),
            stream_events_max: self.limits.stream_events_max.unwrap_or(default.stream_events_max),
            // A page of the API, and one more event to know whether there is another.
            page_events_max: default.page_events_max.max(self.api_limits().page_events_max as usize + 1),
            ..default
        }
    }

    pub(crate) fn command_limits(&self) -> dealog_commands::Limits {
        let default = dealog_commands::Limits::default();
        dealog_commands::Limits {
            attempts_max: self.limits.command_attempts_max.unwrap_or(default.attempts_max),
            cached_streams_max: self.limits.cached_streams_max.unwrap_or(default.cached_streams_max),
        }
    }

    pub(crate) fn worker_limits(&self) -> dealog_projections::Limits {
        let default = dealog_projections::Limits::default();
        let batch_events_max = self.limits.projection_batch_events_max.unwrap_or(default.batch_events_max);
        dealog_projections::Limits { batch_events_max, ..default }
    }

    pub(crate) fn past_limits(&self) -> PastLimits {
        let default = PastLimits::default();
        PastLimits {
            known_at_events_max: self.limits.known_at_events_max.unwrap_or(default.known_at_events_max),
            known_at_models_max: self.limits.known_at_models_max.unwrap_or(default.known_at_models_max),
            known_at_idle: self.limits.known_at_idle_seconds.map_or(default.known_at_idle, Duration::from_secs),
        }
    }

    pub(crate) fn api_limits(&self) -> dealog_api::Limits {
        let default = dealog_api::Limits::default();
        let time = |millis: Option<u64>, default| millis.map_or(default, Duration::from_millis);
        dealog_api::Limits {
            body_bytes_max: self.limits.body_bytes_max.unwrap_or(default.body_bytes_max),
            page_items_max: self.limits.page_items_max.unwrap_or(default.page_items_max),
            page_events_max: self.limits.page_events_max.unwrap_or(default.page_events_max),
            groups_max: self.limits.groups_max.unwrap_or(default.groups_max),
            min_position_wait: time(self.limits.min_position_wait_ms, default.min_position_wait),
            request_time: time(self.limits.request_ms, default.request_time),
            failed_attempts_max: self.limits.failed_attempts_max.unwrap_or(default.failed_attempts_max),
            failed_attempts_window: self
                .limits
                .failed_attempts_window_seconds
                .map_or(default.failed_attempts_window, Duration::from_secs),
            write_stall: time(self.limits.write_stall_ms, default.write_stall),
            subscribers_max: self.limits.subscribers_max.unwrap_or(default.subscribers_max),
            subscriber_queue_events_max: self
                .limits
                .subscriber_queue_events_max
                .unwrap_or(default.subscriber_queue_events_max),
            subscriber_queue_bytes_max: self
                .limits
                .subscriber_queue_bytes_max
                .unwrap_or(default.subscriber_queue_bytes_max),
            subscriber_keep_alive: time(self.limits.subscriber_keep_alive_ms, default.subscriber_keep_alive),
            ..default
        }
    }
}
