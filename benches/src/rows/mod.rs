//! The kinds of rows, a file for each.

mod commands;
mod commands_postgres;
pub(crate) mod delivery;
mod disk;
mod feed;
mod growth;
pub(crate) mod http;
mod import;
pub(crate) mod memory;
mod queries;
mod reading;
mod rebuild;
mod subscribers;

use clap::ValueEnum;

use crate::{Result, bench::Bench, table::Line};

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Commands in this process
    Commands,
    /// The same with the log in PostgreSQL
    CommandsPostgres,
    /// Reading the log
    Reading,
    /// Reading the log over HTTP
    Feed,
    /// What an event takes on the disk
    Disk,
    /// Making the read models anew
    Rebuild,
    /// The same in PostgreSQL
    RebuildPostgres,
    /// Importing Maven's files
    Import,
    /// Every query over HTTP
    Queries,
    /// Commands over HTTP
    Http,
    /// The same with PostgreSQL
    HttpPostgres,
    /// From a command to a subscriber
    Delivery,
    /// The server's memory with many subscribers
    Subscribers,
    /// The server's memory after queries and commands
    Memory,
    /// The same log small and large: takes long
    Growth,
}

impl Kind {
    /// In the order of the table. Commands over HTTP come after the queries, since they add to the server's data.
    pub(crate) const ALL: [Self; 15] = [
        Self::Commands,
        Self::CommandsPostgres,
        Self::Reading,
        Self::Feed,
        Self::Disk,
        Self::Rebuild,
        Self::RebuildPostgres,
        Self::Import,
        Self::Queries,
        Self::Http,
        Self::HttpPostgres,
        Self::Delivery,
        Self::Subscribers,
        Self::Memory,
        Self::Growth,
    ];

    pub(crate) fn measure(self, bench: &Bench) -> Result<Vec<Line>> {
        match self {
            Self::Commands => commands::measure(bench),
            Self::CommandsPostgres => commands_postgres::measure(bench),
            Self::Reading => reading::measure(bench),
            Self::Feed => feed::measure(bench),
            Self::Disk => disk::measure(bench),
            Self::Rebuild => rebuild::measure(bench),
            Self::RebuildPostgres => rebuild::measure_postgres(bench),
            Self::Import => import::measure(bench),
            Self::Queries => queries::measure(bench),
            Self::Http => http::measure(bench),
            Self::HttpPostgres => http::measure_postgres(bench),
            Self::Delivery => delivery::measure(bench),
            Self::Subscribers => subscribers::measure(bench),
            Self::Memory => memory::measure(bench),
            Self::Growth => growth::measure(bench),
        }
    }
}
