//! What goes wrong, each kind in a file: it says what the servers are started with, and strikes while callers work.

mod clock;
mod cut;
mod disk;
mod failpoint;
mod isolation;
mod kill;
mod pause;
mod postgres;
mod power;
mod role;
mod skew;
mod stalled;
mod stderr;
mod versions;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use clap::ValueEnum;
use tokio::time::{sleep, timeout};

use crate::{
    Backend,
    broken::{Broken, Result, ensure},
    chance::Chance,
    cluster::Cluster,
    place::Faults,
    proxy::Proxy,
    shim::{self, Shim},
    witness::Witness,
};

/// How long callers may have to wait until commands are carried out again.
const PATIENCE: Duration = Duration::from_secs(40);
/// How often one looks whether something was found wrong meanwhile.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// So many answers show that read models go on, and so often one counts them.
const READS: usize = 3;
const READ_AGAIN: Duration = Duration::from_millis(10);

/// A kind of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Servers are killed under load
    Kill,
    /// Servers are killed while they start
    KillStart,
    /// Rebuilds of the read models are killed, at random and between the steps of their swap
    KillRebuild,
    /// A server fails, panics, waits or ends right before or after a commit of the log or of the read models
    Failpoint,
    /// Writes or fsync fail, as on a full or broken disk (Linux)
    Disk,
    /// SQLite: the power goes, and takes some of what no fsync had brought to the disk (Linux)
    Power,
    /// The clock jumps back and forth (Linux)
    Clock,
    /// Connections between callers and servers stall and are cut
    Cut,
    /// One of two servers stands still for longer than its lease
    Pause,
    /// Nothing but two servers, and a check and a rebuild beside them
    Two,
    /// Two servers whose clocks differ by seconds, one way or the other (Linux)
    Skew,
    /// Servers are told to stop while callers keep them waiting with half a request, or do not take what they asked for
    Stalled,
    /// Standard error is gone, or nobody reads it
    Stderr,
    /// The log is brought back to an earlier version, and made one of a later version
    Versions,
    /// PostgreSQL: immediate shutdown, and start again
    DatabaseStop,
    /// PostgreSQL: the processes of the server that work for Dealog are killed
    DatabaseKill,
    /// PostgreSQL: connections to it stall and are cut
    DatabaseCut,
    /// PostgreSQL: sessions begin with another isolation, with odd settings and short timeouts
    Isolation,
    /// PostgreSQL: servers work as a role that may do no more than serve, which tries to break the log
    Role,
}

impl Kind {
    /// Those that there are for a back end on this system.
    pub(crate) fn all(backend: Backend) -> Vec<Self> {
        let postgres = [Self::DatabaseStop, Self::DatabaseKill, Self::DatabaseCut, Self::Isolation, Self::Role];
        let of_backend = |kind: &Self| match backend {
            Backend::Sqlite => !postgres.contains(kind),
            Backend::Postgres => *kind != Self::Power,
        };
        let possible =
            |kind: &Self| shim::IS_POSSIBLE || ![Self::Disk, Self::Power, Self::Clock, Self::Skew].contains(kind);
        Self::value_variants().iter().copied().filter(|kind| of_backend(kind) && possible(kind)).collect()
    }

    pub(crate) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// How the servers are started.
    pub(crate) async fn prepare(self, run: &mut Run) -> Result<Faults> {
        run.cluster.by_proxy = self == Self::Cut;
        match self {
            Self::Failpoint => Ok(failpoint::faults(run)),
            Self::Disk => disk::faults(run).await,
            Self::Power => power::faults(run),
            Self::Clock => Ok(run.shim()?.faults("")),
            Self::Stderr => Ok(stderr::faults()),
            Self::Isolation => isolation::settings(run).await,
            Self::Role => role::faults(run).await,
            Self::Pause | Self::Skew | Self::Two => {
                run.nodes = 2;
                Ok(Faults::none())
            }
            Self::DatabaseCut => postgres::by_proxy(run).await,
            _ => Ok(Faults::none()),
        }
    }

    /// Whether it comes with the work, and not at a moment of the harness's choice.
    pub(crate) fn strikes_by_itself(self) -> bool {
        self == Self::Failpoint
    }

    /// Whether servers are to live through it: in half of the cycles the same processes are checked that it struck.
    pub(crate) fn is_lived_through(self) -> bool {
        matches!(self, Self::Pause | Self::DatabaseStop | Self::DatabaseKill)
    }

    /// Strikes servers that live through it once more, right after the last command: nothing comes that would wake them, and
    /// not all that they have done has reached the disk.
    pub(crate) async fn strike_the_idle(self, run: &mut Run) -> Result<()> {
        match self {
            Self::DatabaseStop => postgres::stop_once(run).await,
            Self::DatabaseKill => postgres::crash(run).await,
            _ => Ok(()),
        }
    }

    /// Does its worst, and sees to it that things can go on.
    pub(crate) async fn strike(self, run: &mut Run) -> Result<()> {
        match self {
            Self::Kill => kill::servers(run).await,
            Self::KillStart => kill::starts(run).await,
            Self::KillRebuild => kill::rebuilds(run).await,
            Self::Failpoint => failpoint::strike(run).await,
            Self::Disk => disk::strike(run).await,
            Self::Power => power::strike(run).await,
            Self::Clock => clock::strike(run).await,
            Self::Cut => cut::strike(run).await,
            Self::Pause => pause::strike(run).await,
            Self::Two => {
                run.cluster.place.succeed(&["check"]).await?;
                run.cluster.place.succeed(&["rebuild"]).await?;
                run.goes_on(300, 300).await
            }
            Self::Skew => skew::strike(run).await,
            Self::Stalled => stalled::strike(run).await,
            Self::Stderr => stderr::strike(run).await,
            Self::Isolation => isolation::strike(run).await,
            Self::Role => role::strike(run).await,
            Self::Versions => versions::strike(run).await,
            Self::DatabaseStop => postgres::stop(run).await,
            Self::DatabaseKill => postgres::kill(run).await,
            Self::DatabaseCut => postgres::cut(run).await,
        }
    }
}

/// A cycle on its way, as trouble sees it.
pub(crate) struct Run {
    pub(crate) cluster: Cluster,
    pub(crate) witness: Arc<Witness>,
    pub(crate) chance: Chance,
    /// How many servers there are when nothing is wrong.
    pub(crate) nodes: usize,
    /// Where the servers are to break.
    point: Option<failpoint::Point>,
    shim: Option<Shim>,
    /// The way to PostgreSQL, where that can be cut.
    database: Option<Proxy>,
    /// Whether the read models belong to another role than that of servers that nothing is wrong with.
    of_another_role: bool,
}

impl Run {
    pub(crate) fn new(cluster: Cluster, witness: Arc<Witness>, chance: Chance) -> Self {
        Self { cluster, witness, chance, nodes: 1, point: None, shim: None, database: None, of_another_role: false }
    }

    /// Waits until some more commands have been acknowledged, by chance as few or as many.
    pub(crate) async fn goes_on(&mut self, least: u64, most: u64) -> Result<()> {
        let mut acknowledged = self.witness.acknowledged();
        let wanted = *acknowledged.borrow() + self.chance.within(least, most);
        let begun = Instant::now();
        loop {
            let found = *acknowledged.borrow_and_update();
            self.witness.check()?;
            if found >= wanted {
                return Ok(());
            }
            ensure!(begun.elapsed() < PATIENCE, "commands are not carried out any more: {found} of {wanted}");
            let _ = timeout(LOOK_AGAIN, acknowledged.changed()).await;
        }
    }

    /// Waits until callers have been answered by read models a few times more.
    pub(crate) async fn is_read(&self) -> Result<()> {
        let wanted = self.witness.reads_len() + READS;
        let begun = Instant::now();
        loop {
            let found = self.witness.reads_len();
            self.witness.check()?;
            if found >= wanted {
                return Ok(());
            }
            ensure!(begun.elapsed() < PATIENCE, "the read models do not answer any more: {found} of {wanted} reads");
            sleep(READ_AGAIN).await;
        }
    }

    /// Ends all servers, in good order or not, and starts as many that nothing is wrong with.
    pub(crate) async fn restart(&mut self) -> Result<()> {
        if self.chance.percent(70) {
            self.cluster.kill_all().await?;
        } else {
            self.cluster.stop_all().await?;
        }
        self.cluster.by_proxy = false;
        if std::mem::take(&mut self.of_another_role) {
            self.cluster.place.remove_read_models().await?;
        }
        self.cluster.start(self.nodes, &Faults::none()).await
    }

    pub(crate) async fn replace(&mut self) -> Result<()> {
        self.cluster.replace(self.nodes).await
    }

    fn shim(&mut self) -> Result<&Shim> {
        if self.shim.is_none() {
            let place = &self.cluster.place;
            let folder = place.postgres.as_ref().map_or(place.folder.as_path(), |database| database.server.folder());
            self.shim = Some(Shim::build(folder)?);
        }
        self.shim.as_ref().ok_or_else(|| Broken("there is no shim".into()))
    }
}
