//! Methods that nobody knows, each another one, with ids of 30 KB, from strangers.

use std::time::Duration;

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng as _, SeedableRng as _},
};
use tokio::task::JoinSet;

use super::{Attack, stranger};
use crate::broken::Result;

const CONNECTIONS: usize = 8;
/// About 200 requests a second together.
const PAUSE: Duration = Duration::from_millis(40);
const ID_BYTES: usize = 30_000;

pub(super) fn start(attack: &Attack, attacking: &mut JoinSet<Result<()>>) {
    for number in 0..CONNECTIONS {
        let attack = attack.clone();
        attacking.spawn(async move {
            let mut chance = ChaCha8Rng::seed_from_u64(number as u64);
            let id = "x".repeat(ID_BYTES);
            let request = || {
                let method = format!("M{:016X}", chance.next_u64());
                format!(
                    "{method} /v1/deals HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: {id}\r\nContent-Length: 0\r\n\r\n"
                )
                .into_bytes()
            };
            attack.ask_on(stranger(number), PAUSE, request).await;
            Ok(())
        });
    }
}
