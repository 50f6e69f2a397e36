//! The largest answers there are, of which a few bytes are taken now and then.

use std::time::Duration;

use tokio::{task::JoinSet, time::sleep};

use super::{AGAIN, Attack, stranger};
use crate::{broken::Result, connection::request};

const CONNECTIONS: usize = 100;
const TAKEN_BYTES: usize = 256;
const BETWEEN_READS: Duration = Duration::from_millis(500);

pub(super) fn start(attack: &Attack, attacking: &mut JoinSet<Result<()>>) {
    for number in 0..CONNECTIONS {
        let attack = attack.clone();
        attacking.spawn(async move {
            let page = request("GET", "/v1/events?limit=1000", Some(&attack.callers.greedy_service), "");
            loop {
                let mut connection = attack.connect(stranger(number)).await;
                // Many requests at once on one connection: the answers pile up where the server does not bound them.
                if connection.send(&page.repeat(20)).await.is_ok() {
                    attack.ended(&mut connection).await;
                    while let Ok(Some(_)) = connection.read_some(TAKEN_BYTES).await {
                        sleep(BETWEEN_READS).await;
                    }
                }
                sleep(AGAIN).await;
            }
        });
    }
}
