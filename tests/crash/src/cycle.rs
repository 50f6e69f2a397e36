//! A log and the cycles it goes through: work, trouble, restart, check.

use std::{sync::Arc, time::Duration};

use tempfile::TempDir;
use tokio::time::timeout;

use crate::{
    Backend,
    broken::{Broken, Result, When as _},
    chance::Chance,
    client::{Answer, Client},
    cluster::Cluster,
    invariants,
    load::{Load, call},
    place::{Faults, Place},
    postgres::{self, Database},
    subscriber::Subscriber,
    trouble::{Kind, Run},
    witness::Witness,
    workload::Command,
};

/// Deals that all workers work on.
const SHARED_DEALS: u64 = 3;
const SUBSCRIBERS: u64 = 2;
/// How long a cycle may take. One that hangs is a failure too.
const BOUND: Duration = Duration::from_mins(4);

/// A log with all that is known of it.
pub(crate) struct Log {
    pub(crate) folder: TempDir,
    run: Run,
    subscribers: Vec<Subscriber>,
    shared: Vec<String>,
    seed: u64,
}

impl Log {
    pub(crate) async fn new(backend: Backend, server: Option<&Arc<postgres::Server>>, seed: u64) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("dealog-crash.").tempdir()?;
        let postgres = match (backend, server) {
            (Backend::Postgres, Some(server)) => Some(Database::new(server, &format!("crash_{seed}")).await?),
            _ => None,
        };
        let place = Arc::new(Place { folder: folder.path().to_owned(), postgres });
        let witness = Arc::new(Witness::new());
        let mut cluster = Cluster::over(place);
        let mut chance = Chance::new(seed, 0);
        // Two may come upon nothing at the same time.
        cluster.start(1 + usize::from(chance.percent(50)), &Faults::none()).await.when("the first start")?;
        let mut shared = Vec::new();
        for number in 1..=SHARED_DEALS {
            shared.push(create(&cluster, &witness, Command::create(format!("shared-{number}"), &mut chance)).await?);
        }
        let mut subscribers = Vec::new();
        for number in 1..=SUBSCRIBERS {
            let (name, chance) = (format!("subscriber {number}"), Chance::new(seed, 1_000 + number));
            subscribers.push(Subscriber::start(name, cluster.addresses(), Arc::clone(&witness), chance)?);
        }
        cluster.stop_all().await?;
        Ok(Self { folder, run: Run::new(cluster, witness, chance), subscribers, shared, seed })
    }

    /// One cycle with trouble of this kind. Gives the length of the log.
    pub(crate) async fn cycle(&mut self, number: u64, kind: Kind) -> Result<u64> {
        match timeout(BOUND, self.go(number, kind)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Broken("the cycle does not end".into())),
        }
    }

    async fn go(&mut self, number: u64, kind: Kind) -> Result<u64> {
        let run = &mut self.run;
        run.nodes = 1 + usize::from(run.chance.percent(60));
        let faults = kind.prepare(run).await?;
        run.cluster.start(run.nodes, &faults).await?;
        let seed = self.seed.wrapping_add(number << 32);
        let load = Load::start(&number.to_string(), &self.shared, &run.cluster.addresses(), &run.witness, seed)?;
        if !kind.strikes_by_itself() {
            run.goes_on(20, 200).await?;
        }
        kind.strike(run).await?;
        run.goes_on(20, 20).await.when("after the trouble")?;
        run.is_read().await.when("after the trouble")?;
        load.stop().await?;
        let lived_through = kind.is_lived_through() && run.chance.percent(50);
        if lived_through {
            kind.strike_the_idle(run).await?;
        }
        invariants::recovered(&run.cluster).await.when("without a restart")?;
        if !lived_through {
            run.restart().await.when("the restart")?;
        }
        let events = invariants::check(&run.cluster, &run.witness, &mut self.subscribers, &mut run.chance).await?;
        run.cluster.stop_all().await?;
        Ok(events)
    }

    /// Removes all of it, and says how many commands it was about.
    pub(crate) async fn end(self) -> Result<usize> {
        let commands = self.run.witness.history().commands.len();
        if let Some(postgres) = &self.run.cluster.place.postgres {
            postgres.drop().await?;
        }
        Ok(commands)
    }

    /// Keeps all that there is to be looked at, and says where.
    pub(crate) fn keep(self) -> Result<std::path::PathBuf> {
        self.run.witness.write(&self.folder.path().join("history.txt"))?;
        if let Some(postgres) = &self.run.cluster.place.postgres {
            std::fs::copy(postgres.server.log(), self.folder.path().join("postgres.log"))?;
        }
        Ok(self.folder.keep())
    }
}

async fn create(cluster: &Cluster, witness: &Witness, command: Command) -> Result<String> {
    let node = cluster.now().first().copied().ok_or_else(|| Broken("there is no server".into()))?;
    let number = witness.sends(command.clone());
    match call(&Client::new()?, witness, number, &command, node).await? {
        Answer::Done(done) => Ok(done.stream),
        other => Err(Broken(format!("a deal could not be created: {other:?}"))),
    }
}
