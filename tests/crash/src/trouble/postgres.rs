//! The database itself, and the way to it.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use sqlx::{Connection as _, PgConnection};
use tokio::time::sleep;

use super::Run;
use crate::{
    broken::{Broken, Result, ensure},
    place::Faults,
    postgres::Database,
    proxy::{Proxy, Way},
};

/// How long a server may go on that one of its processes has been killed of, and how often one looks.
const BOUND: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(5);

fn database(run: &Run) -> Result<&Database> {
    run.cluster.place.postgres.as_ref().ok_or_else(|| Broken("this is trouble of PostgreSQL".into()))
}

pub(super) async fn by_proxy(run: &mut Run) -> Result<Faults> {
    let database = database(run)?;
    let proxy = Proxy::to(database.server.address).await?;
    let faults = Faults { database: Some(database.by(proxy.address)), ..Faults::none() };
    run.database = Some(proxy);
    Ok(faults)
}

pub(super) async fn stop(run: &mut Run) -> Result<()> {
    for _ in 0..run.chance.within(1, 2) {
        stop_once(run).await?;
        run.goes_on(10, 60).await?;
    }
    Ok(())
}

pub(super) async fn stop_once(run: &mut Run) -> Result<()> {
    let pause = run.chance.pause(500);
    let server = &database(run)?.server;
    server.stop().await?;
    sleep(pause).await;
    server.start(&Faults::none()).await
}

/// Those that work for Dealog, the busy ones first.
async fn backends(connection: &mut PgConnection) -> Result<Vec<i32>> {
    const BACKENDS: &str = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() \
         AND pid <> pg_backend_pid() AND backend_type = 'client backend' ORDER BY (state = 'active') DESC, query_start DESC";
    Ok(sqlx::query_scalar(BACKENDS).fetch_all(connection).await?)
}

/// The server takes the end of one of its processes for damage, ends all others and recovers.
pub(super) async fn crash(run: &mut Run) -> Result<()> {
    let mut connection = database(run)?.connect().await?;
    let backend = backends(&mut connection).await?.first().and_then(|id| Pid::from_raw(*id));
    let backend = backend.ok_or_else(|| Broken("no process of PostgreSQL works for Dealog".into()))?;
    kill_process(backend, Signal::KILL)?;
    let begun = Instant::now();
    while connection.ping().await.is_ok() {
        ensure!(begun.elapsed() < BOUND, "PostgreSQL lives on though one of its processes was killed");
        sleep(LOOK_AGAIN).await;
    }
    Ok(())
}

/// The server takes the end of one of its processes for damage, ends all others and recovers; or it is asked to end one.
pub(super) async fn kill(run: &mut Run) -> Result<()> {
    for _ in 0..run.chance.within(1, 3) {
        let mut connection = database(run)?.connect().await?;
        let backends = backends(&mut connection).await?;
        if run.chance.percent(40) {
            if let Some(backend) = backends.first().and_then(|id| Pid::from_raw(*id)) {
                // It may have ended meanwhile.
                let _ = kill_process(backend, Signal::KILL);
            }
        } else {
            for backend in backends {
                sqlx::query("SELECT pg_terminate_backend($1)").bind(backend).execute(&mut connection).await?;
            }
        }
        run.goes_on(10, 80).await?;
    }
    Ok(())
}

pub(super) async fn cut(run: &mut Run) -> Result<()> {
    for _ in 0..run.chance.within(2, 4) {
        let way = if run.chance.percent(60) { Way::Cut } else { Way::Stalled };
        let pause = run.chance.pause(700);
        if let Some(proxy) = &run.database {
            proxy.set(way);
            sleep(pause).await;
            proxy.set(Way::Open);
        }
        run.goes_on(10, 60).await?;
    }
    Ok(())
}
