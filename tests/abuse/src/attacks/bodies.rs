//! Bodies that come a byte at a time, from someone who may send them.

use std::time::Duration;

use tokio::{task::JoinSet, time::sleep};

use super::{AGAIN, Attack, stranger};
use crate::broken::Result;

const CONNECTIONS: usize = 100;
const BETWEEN_BYTES: Duration = Duration::from_millis(500);

pub(super) fn start(attack: &Attack, attacking: &mut JoinSet<Result<()>>) {
    for number in 0..CONNECTIONS {
        let attack = attack.clone();
        attacking.spawn(async move {
            let head = format!(
                "POST /v1/customers HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\
                 Content-Type: application/json\r\nContent-Length: 200000\r\n\r\n{{",
                attack.callers.greedy_seller
            );
            loop {
                let mut connection = attack.connect(stranger(number)).await;
                if connection.send(head.as_bytes()).await.is_ok() {
                    while connection.send(b" ").await.is_ok() {
                        sleep(BETWEEN_BYTES).await;
                    }
                }
                attack.ended(&mut connection).await;
                sleep(AGAIN).await;
            }
        });
    }
}
