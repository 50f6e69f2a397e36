//! The database itself, and the way to it.

use tokio::time::sleep;

use super::Run;
use crate::{
    broken::{Broken, Result},
    place::Faults,
    postgres::Database,
    proxy::{Proxy, Way},
};

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
        let pause = run.chance.pause(500);
        let server = &database(run)?.server;
        server.stop().await?;
        sleep(pause).await;
        server.start(&Faults::none()).await?;
        run.goes_on(10, 60).await?;
    }
    Ok(())
}

/// The server takes the end of one of its processes for damage, ends all others and recovers; or it is asked to end one.
pub(super) async fn kill(run: &mut Run) -> Result<()> {
    const BACKENDS: &str = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() \
         AND pid <> pg_backend_pid() AND backend_type = 'client backend' ORDER BY (state = 'active') DESC, query_start DESC";
    for _ in 0..run.chance.within(1, 3) {
        let mut connection = database(run)?.connect().await?;
        let backends: Vec<i32> = sqlx::query_scalar(BACKENDS).fetch_all(&mut connection).await?;
        if run.chance.percent(40) {
            if let Some(backend) = backends.first().and_then(|id| rustix::process::Pid::from_raw(*id)) {
                // It may have ended meanwhile.
                let _ = rustix::process::kill_process(backend, rustix::process::Signal::KILL);
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
