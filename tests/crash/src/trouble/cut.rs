//! The way between callers and servers.

use tokio::time::sleep;

use super::Run;
use crate::{broken::Result, proxy::Way};

pub(super) async fn strike(run: &mut Run) -> Result<()> {
    for _ in 0..run.chance.within(2, 5) {
        let way = if run.chance.percent(50) { Way::Cut } else { Way::Stalled };
        let (pause, then_cut) = (run.chance.pause(300), run.chance.percent(30));
        run.cluster.proxies().for_each(|proxy| proxy.set(way));
        sleep(pause).await;
        if then_cut {
            // What was held is lost.
            run.cluster.proxies().for_each(|proxy| proxy.set(Way::Cut));
        }
        run.cluster.proxies().for_each(|proxy| proxy.set(Way::Open));
        run.goes_on(5, 60).await?;
    }
    Ok(())
}
