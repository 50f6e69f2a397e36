//! Settings from flags, the environment and a file, in that order.

mod database_url;

use std::{
    collections::HashMap,
    env,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
};

use config::{Config, ConfigError, Environment, File, FileFormat};
use dealog_api::audit::Mode;
use dealog_events::{Currency, TimeZone};
use dealog_store::Place;
use ipnet::IpNet;
use serde::{Deserialize, Deserializer, de::Error as _};

pub(crate) use self::database_url::{DatabaseUrl, redacted};
use crate::{limits::Limits, open::Failure};

/// The file that is read where none is named.
const DEFAULT_FILE: &str = "dealog.toml";

/// What the command line says.
#[derive(Debug, Default)]
pub(crate) struct Flags {
    pub(crate) data: Option<PathBuf>,
    pub(crate) database: Option<DatabaseUrl>,
    pub(crate) views_database: Option<DatabaseUrl>,
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
    /// The database that holds the log, and the read models too unless another is named; none where both are files in the
    /// folder.
    pub(crate) database: Option<DatabaseUrl>,
    /// The database that holds the read models.
    pub(crate) views_database: Option<DatabaseUrl>,
    /// The address to listen on.
    #[serde(deserialize_with = "listen")]
    pub(crate) listen: SocketAddr,
    /// The currency that the command line names.
    #[serde(skip)]
    pub(crate) currency_asked: Option<Currency>,
    /// The time zone that the command line names.
    #[serde(skip)]
    pub(crate) time_zone_asked: Option<TimeZone>,
    /// The reporting currency of a new company.
    pub(crate) currency: Currency,
    /// The time zone of a new company.
    pub(crate) time_zone: TimeZone,
    /// What to log.
    pub(crate) log: String,
    /// How to log.
    pub(crate) log_format: LogFormat,
    /// Whether who was refused what and who read what is about people is written down.
    pub(crate) audit: Mode,
    /// The folder of the audit log; `data` where none is named.
    audit_folder: Option<PathBuf>,
    /// How long requests under way may take once the server is told to stop.
    pub(crate) shutdown_seconds: u64,
    /// Whether callers need a token though there has never been one.
    pub(crate) tokens: Tokens,
    /// The certificate of the server and those that it was signed by, in PEM; with it connections are encrypted.
    pub(crate) tls_certificate: Option<PathBuf>,
    /// Its key, in PEM.
    pub(crate) tls_key: Option<PathBuf>,
    /// Addresses and networks of proxies that say where a request comes from.
    #[serde(default)]
    pub(crate) trusted_proxies: Vec<Proxy>,
    /// Limits, by the names that docs/settings.md lists.
    #[serde(default)]
    pub(crate) limits: Limits,
}

/// An address to listen on, as people write it: a port alone is one of this machine's own.
pub(crate) fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let own = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
    let port = text.strip_prefix("localhost:").unwrap_or(text);
    text.parse().or_else(|_| port.parse().map(own)).map_err(|_| {
        format!(
            "`{text}` is not an address to listen on: expected 127.0.0.1:8080, or just 8080, for this machine alone, or \
             0.0.0.0:8080 for all of its addresses"
        )
    })
}

fn listen<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    listen_address(&String::deserialize(deserializer)?).map_err(D::Error::custom)
}

/// The variables of the environment, without those that Kubernetes sets for a service that happens to be called `dealog`, such as
/// `DEALOG_PORT=tcp://10.0.0.11:8080`.
fn environment() -> HashMap<String, String> {
    let is_of_a_service = |name: &str| {
        let Some(name) = name.strip_prefix("DEALOG_") else { return false };
        let of_a_port = |rest: &str| rest.split('_').next().is_some_and(|port| port.parse::<u16>().is_ok());
        name == "PORT"
            || name == "SERVICE_HOST"
            || name == "SERVICE_PORT"
            || name.starts_with("SERVICE_PORT_")
            || name.strip_prefix("PORT_").is_some_and(of_a_port)
    };
    let readable =
        env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    readable.filter(|(name, _)| !is_of_a_service(name)).collect()
}

/// Who needs a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Tokens {
    /// Everyone, from the first token on. Until then whoever reaches the server from this machine may do everything.
    Optional,
    /// Everyone, whatever the database says: an empty one, or one that was restored without its tokens, is closed.
    Required,
}

/// A proxy by its address, or all of a network such as `10.0.0.0/8`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Proxy(pub(crate) IpNet);

impl TryFrom<String> for Proxy {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        network
            .map(Self)
            .map_err(|_| format!("`{text}` is not a proxy: expected an address, or a network such as 10.0.0.0/8"))
    }
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

impl Settings {
    pub(crate) fn load(file: Option<&Path>, folder: &str, mut flags: Flags) -> Result<Self, Failure> {
        let data = flags.data.take().map(|data| data.into_os_string().into_string()).transpose().map_err(|data| {
            Failure::Folder(format!("--data {} is not a path of readable characters", PathBuf::from(data).display()))
        })?;
        Self::layered(file, folder, flags, data).map_err(|error| Failure::Settings(without_source(&error)))
    }

    fn layered(file: Option<&Path>, folder: &str, flags: Flags, data: Option<String>) -> Result<Self, ConfigError> {
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
            .set_default("audit", "on")?
            .set_default("shutdown_seconds", 10)?
            .set_default("tokens", "optional")?
            .add_source(source)
            .add_source(
                Environment::with_prefix("DEALOG")
                    .source(Some(environment()))
                    .separator("__")
                    .prefix_separator("_")
                    .try_parsing(true)
                    .list_separator(",")
                    .with_list_parse_key("trusted_proxies"),
            )
            .set_override_option("data", data)?
            .set_override_option("database", flags.database.map(|database| database.exposed()))?
            .set_override_option("views_database", flags.views_database.map(|database| database.exposed()))?
            .set_override_option("log", flags.log)?
            .set_override_option("listen", flags.listen.map(|listen| listen.to_string()))?
            .set_override_option("currency", flags.currency.map(|currency| currency.to_string()))?
            .set_override_option("time_zone", flags.time_zone.map(|zone| zone.to_string()))?
            .build()?;
        let settings: Self = config.try_deserialize()?;
        Ok(Self { currency_asked: flags.currency, time_zone_asked: flags.time_zone, ..settings })
    }

    /// Where the log is.
    pub(crate) fn log_place(&self) -> Place {
        match &self.database {
            Some(database) => database.place(),
            None => Place::Sqlite(self.log_file()),
        }
    }

    /// Where the read models are.
    pub(crate) fn views_place(&self) -> Place {
        match self.views_database.as_ref().or(self.database.as_ref()) {
            Some(database) => database.place(),
            None => Place::Sqlite(self.data.join("views.db")),
        }
    }

    /// Where the audit log is.
    pub(crate) fn audit_folder(&self) -> PathBuf {
        self.audit_folder.clone().unwrap_or_else(|| self.data.clone())
    }

    /// Where the log is, if there is one: what reads a company should not make an empty one of a mistyped name.
    pub(crate) async fn existing_log(&self) -> Result<Place, Failure> {
        let place = self.log_place();
        if place.exists(self.limits.store).await? {
            return Ok(place);
        }
        let name = if self.database.is_some() { "its database with --database" } else { "its folder with --data" };
        Err(Failure::Folder(format!("there is no log at {place}: name {name}")))
    }

    /// Where files of read models are, there was a log: an empty one would be a new company in the place of theirs.
    pub(crate) fn log_is_not_lost(&self) -> Result<(), Failure> {
        let (Place::Sqlite(log), Place::Sqlite(views)) = (self.log_place(), self.views_place()) else { return Ok(()) };
        let empty = |file: &Path| file.metadata().map_or(true, |file| file.len() == 0);
        if !empty(&log) || empty(&views) {
            return Ok(());
        }
        let (log, views) = (log.display(), views.display());
        Err(Failure::Folder(format!(
            "the log {log} is gone or empty, and {views} was folded from it: put a copy of the log back. For a new \
             company name another folder with --data"
        )))
    }

    /// The files for TLS, where it is set up: both of them.
    pub(crate) fn tls(&self) -> Result<Option<(PathBuf, PathBuf)>, Failure> {
        match (&self.tls_certificate, &self.tls_key) {
            (Some(certificate), Some(key)) => Ok(Some((certificate.clone(), key.clone()))),
            (None, None) => Ok(None),
            _ => Err(Failure::Folder("TLS takes both tls_certificate and tls_key: set the other one too".into())),
        }
    }

    fn log_file(&self) -> PathBuf {
        self.data.join("log.db")
    }
}

/// What is wrong, without the line of the file in which it stands, and without an address, however odd: a password may be in it.
fn without_source(error: &ConfigError) -> String {
    let text = error.to_string();
    let is_source = |line: &&str| line.split_once('|').is_some_and(|(number, _)| number.trim().parse::<u32>().is_ok());
    let is_frame = |line: &&str| line.trim_start().starts_with('|');
    let kept = text.lines().filter(|line| !is_source(line) && !is_frame(line));
    let shown = kept.map(|line| line.split_once("://").map_or(line.into(), |(before, _)| format!("{before}://***")));
    shown.collect::<Vec<String>>().join("\n")
}
