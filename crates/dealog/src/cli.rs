//! What can be typed after `dealog`.
#![allow(clippy::doc_markdown, reason = "these comments are the text of --help")]

use std::{net::SocketAddr, path::PathBuf};

use chrono::NaiveDate;
use clap::{Args, Parser, Subcommand, ValueEnum};
use dealog_events::{Currency, DealId, TimeZone};

use crate::{
    backup, check, copy, demo, import, migrate,
    open::Failure,
    projections, replay, serve,
    settings::{DatabaseUrl, Flags, Settings, listen_address},
    telemetry::{self, Stderr},
    token::{self, TokenCommand},
};

/// A build that can be broken on purpose says so.
const VERSION: &str = if cfg!(feature = "failpoints") {
    concat!(env!("CARGO_PKG_VERSION"), " with failpoints")
} else {
    env!("CARGO_PKG_VERSION")
};

/// An event-sourced engine for sales deals: a log that is only appended to, figures as of any instant, one binary.
#[derive(Debug, Parser)]
#[command(
    version = VERSION,
    after_help = "Begin here:\n  dealog demo                      look around in a sample company\n  dealog serve                     \
                  your own company, in ./dealog-data\n  dealog import --mapping M.toml DIR   import its history\n\n\
                  Settings come from flags, then the environment (DEALOG_LISTEN=127.0.0.1:9000), then a TOML file \
                  (./dealog.toml or --config)."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
struct Common {
    /// The folder that holds the log (log.db) and the read models (views.db) [default: dealog-data; dealog-demo for the demo]
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The PostgreSQL database that holds the log and the read models, as postgres://ROLE@HOST/DATABASE [default: files in --data]
    #[arg(long, global = true, value_name = "URL")]
    database: Option<DatabaseUrl>,
    /// Another database for the read models alone [default: the database of the log]
    #[arg(long, global = true, value_name = "URL")]
    views_database: Option<DatabaseUrl>,
    /// A TOML file with settings [default: dealog.toml, if it is there]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// What to log, such as info or dealog_api=debug,warn [default: info]
    #[arg(long, global = true, value_name = "FILTER")]
    log: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the API over the log in the data folder; an empty one becomes a company with one pipeline
    Serve {
        #[command(flatten)]
        listen: Listen,
        /// The currency of all figures, for a new company [default: EUR]
        #[arg(long, value_name = "CODE")]
        currency: Option<Currency>,
        /// Where days begin, for a new company [default: UTC]
        #[arg(long, value_name = "ZONE")]
        time_zone: Option<TimeZone>,
        /// Leave the read models to `dealog work`
        #[arg(long)]
        no_workers: bool,
    },
    /// Fill a folder with a sample company (two years, about 5,000 deals) and serve it
    Demo {
        #[command(flatten)]
        listen: Listen,
        /// Another seed, another company
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// The day on which its two years end [default: today, or where it was left]
        #[arg(long, value_name = "DATE")]
        until: Option<NaiveDate>,
        /// Fill the folder, and do not serve
        #[arg(long)]
        no_serve: bool,
    },
    /// Import deals of another system from CSV files, with a mapping in TOML
    #[command(
        after_help = "examples/maven/mapping.toml explains every key of a mapping. Importing again adds only what is \
                            new. Bad rows are reported with file, line and column, and the other rows are imported."
    )]
    Import {
        /// What the columns mean
        #[arg(long, value_name = "FILE")]
        mapping: PathBuf,
        /// The folder with the CSV files
        #[arg(value_name = "DIR")]
        folder: PathBuf,
        /// Stop at the first bad row
        #[arg(long)]
        strict: bool,
    },
    /// Print events, in the order of the log
    Replay {
        /// Only the history of this deal
        #[arg(long, value_name = "ID")]
        deal: Option<DealId>,
        /// From this position on
        #[arg(long, value_name = "POSITION", default_value_t = 1)]
        from: u64,
        /// Up to this position [default: the end]
        #[arg(long, value_name = "POSITION")]
        to: Option<u64>,
        /// How to print them
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
    },
    /// Look for damage in every page and every event of the log, and compare the read models with it
    #[command(
        after_help = "It changes nothing, works beside a server, and ends with exit code 1 at the first fault that it finds: a gap \
                      in positions or versions, an event that this version cannot read, or read models that differ from what a \
                      rebuild would make. Run it after you restore a backup.\n\nIt does not find a \
                      change that leaves every event valid, such as another amount: whoever owns the database can make \
                      one. `dealog copy` keeps a copy elsewhere to compare with.\n\nTo check the pages of a \
                      PostgreSQL database, use data checksums and pg_amcheck."
    )]
    Check,
    /// Write the log to a file, as it is at one moment, while servers keep working
    #[command(
        after_help = "The file gets its name only after the same checks as in `dealog check`, and the last position in it is \
                      printed. To restore it, put it as log.db into an empty folder. It holds all of the log, and the tokens. To \
                      back up a log in PostgreSQL, use pg_dump, or copy it to a folder with `dealog copy`."
    )]
    Backup {
        /// Where to write it; the file must not exist yet
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Copy a log to another database, byte for byte: from a folder to PostgreSQL, or back
    #[command(
        after_help = "Name a log by its folder or as postgres://ROLE@HOST/DATABASE. The target must be empty, or made by this \
                      command. After an interruption it continues where it was, and when you run it again it copies what has been \
                      appended since. So you can move a server with little downtime: copy while it runs, stop it, copy again, and \
                      start it on the new log.\n\nIdentity, positions, times, commands and tokens are copied, and both logs are \
                      compared at the end. Read models are not copied, since they are folded from the log. Nor are commands that \
                      found nothing to do: if you send one again, it is decided again."
    )]
    Copy {
        /// The log to copy
        #[arg(long, value_name = "LOG")]
        from: copy::Named,
        /// Where to copy it
        #[arg(long, value_name = "LOG")]
        to: copy::Named,
    },
    /// Create the log, or upgrade it to this version, as the role that owns the database
    #[command(
        after_help = "Every command does this by itself, if its role may. If the log is to be served by a role that cannot rewrite \
                      it, run this as another role, which owns the log:\n\n  dealog migrate --database postgres://owner@host/dealog \
                      --grant dealog_app\n  dealog serve   --database postgres://dealog_app@host/dealog"
    )]
    Migrate {
        /// Let this role serve the log: append and read, never rewrite
        #[arg(long, value_name = "ROLE")]
        grant: Option<String>,
    },
    /// Show how far the read models are, and whether one of them has stopped
    #[command(
        after_help = "VERSION and POSITION are those of the tables that answer queries, HEAD is the end of the log, and LAG is how \
                      many events the tables are behind it.\n\nSTATE is one of\n  caught up   nothing is missing\n  behind      a \
                      worker is catching up, or none runs: `dealog serve` and `dealog work` have one\n  building    new tables \
                      are being built while the old ones keep answering\n  stopped     an event cannot be applied. It is never \
                      skipped: a version of dealog that can apply it continues from there\n  damaged     the file is rebuilt \
                      at the next start\n\nIt works beside `dealog serve`, and ends with exit code 1 if something has stopped \
                      or is damaged."
    )]
    Projections {
        /// How to print it
        #[arg(long, value_enum, default_value_t = Shape::Table)]
        format: Shape,
    },
    /// Rebuild the read models from the log, with or without a running server
    #[command(
        after_help = "The new tables of each are built in views.NAME.next.db while the old ones keep answering queries, and take \
                      their place in one transaction. After an interruption, run it again: it continues where it was."
    )]
    Rebuild {
        /// Only the one of this name, as `dealog projections` has it
        name: Option<String>,
    },
    /// Keep the read models up to date, beside `dealog serve --no-workers`
    Work,
    /// Say who may call: create, list and revoke tokens
    Token {
        #[command(subcommand)]
        command: TokenCommand,
    },
}

#[derive(Debug, Args)]
struct Listen {
    /// The address to listen on, or a port of this machine alone; without tokens only a loopback one [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS", value_parser = listen_address)]
    listen: Option<SocketAddr>,
}

/// How `replay` prints events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A line for people
    Table,
    /// A JSON object a line, whole
    Jsonl,
}

/// How `projections` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shape {
    /// A table for people
    Table,
    /// JSON
    Json,
}

impl Cli {
    /// Does what was typed; `log` is the log from when it is known how to log.
    pub(crate) async fn run(self, log: &mut Option<Stderr>) -> Result<(), Failure> {
        let Common { data, database, views_database, config, log: filter } = self.common;
        let mut flags = Flags { data, database, views_database, log: filter, ..Flags::default() };
        match &self.command {
            Command::Serve { listen, currency, time_zone, .. } => {
                flags = Flags { listen: listen.listen, currency: *currency, time_zone: *time_zone, ..flags };
            }
            Command::Demo { listen, .. } => flags.listen = listen.listen,
            _ => {}
        }
        // A sample is never mixed up with a company of one's own.
        let folder = if matches!(self.command, Command::Demo { .. }) { "dealog-demo" } else { "dealog-data" };
        let settings = Settings::load(config.as_deref(), folder, flags)?;
        *log = Some(telemetry::start(&settings)?);
        match self.command {
            Command::Serve { no_workers, .. } => serve::serve(&settings, !no_workers).await,
            Command::Demo { seed, until, no_serve, .. } => demo::command::run(&settings, seed, until, !no_serve).await,
            Command::Import { mapping, folder, strict } => {
                import::command::run(&settings, &mapping, &folder, import::Options { strict }).await
            }
            Command::Replay { deal, from, to, format } => replay::replay(&settings, deal, from, to, format).await,
            Command::Backup { file } => backup::run(&settings, &file).await,
            Command::Check => check::check(&settings).await,
            Command::Copy { from, to } => copy::run(&settings, from, to).await,
            Command::Migrate { grant } => migrate::migrate(&settings, grant.as_deref()).await,
            Command::Projections { format } => projections::projections(&settings, format).await,
            Command::Rebuild { name } => projections::rebuild(&settings, name.as_deref()).await,
            Command::Work => serve::work(&settings).await,
            Command::Token { command } => token::run(&settings, command).await,
        }
    }
}
