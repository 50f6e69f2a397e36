//! Wrong secrets for a token that someone works with, from the very same address; and tokens that were made up.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng as _, SeedableRng as _},
};
use tokio::task::JoinSet;

use super::{Attack, stranger};
use crate::{broken::Result, connection::request};

const CONNECTIONS: usize = 8;
/// About 200 requests a second together.
const PAUSE: Duration = Duration::from_millis(40);

pub(super) fn start(attack: &Attack, attacking: &mut JoinSet<Result<()>>) {
    for number in 0..CONNECTIONS {
        let attack = attack.clone();
        attacking.spawn(async move {
            let mut chance = ChaCha8Rng::seed_from_u64(number as u64);
            let known = number % 2 == 0;
            let from = if known { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { stranger(number) };
            let request = || {
                let token = if known {
                    wrong(&attack.callers.seller, &mut chance)
                } else {
                    made_up(&attack.callers.seller, &mut chance)
                };
                request("GET", "/v1/settings", Some(&token), "")
            };
            attack.ask_on(from, PAUSE, request).await;
            Ok(())
        });
    }
}

/// The same token with another secret: what follows the id is random.
fn wrong(token: &str, chance: &mut ChaCha8Rng) -> String {
    let mut parts = token.splitn(3, '_');
    let [prefix, id, rest] = [(); 3].map(|()| parts.next().unwrap_or_default());
    format!("{prefix}_{id}_{}", randomised(rest, chance))
}

/// A token of the same form, of which nothing is true.
fn made_up(token: &str, chance: &mut ChaCha8Rng) -> String {
    let (prefix, rest) = token.split_once('_').unwrap_or((token, ""));
    format!("{prefix}_{}", randomised(rest, chance))
}

/// The same text with every hexadecimal digit replaced by another one by chance.
fn randomised(text: &str, chance: &mut ChaCha8Rng) -> String {
    let digit = |letter: char| {
        if letter.is_ascii_hexdigit() { char::from_digit(chance.next_u32() % 16, 16).unwrap_or(letter) } else { letter }
    };
    text.chars().map(digit).collect()
}
