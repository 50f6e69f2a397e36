//! A service that follows the log. It must get every event once, in order, over one connection: whatever others do, it reads
//! fast enough.

use std::sync::Arc;

use tokio::time::sleep;

use super::{Diary, FROM, PAUSE};
use crate::{
    broken::{Broken, Result},
    company::Callers,
    connection::{Connection, request},
};

const READ_BYTES: usize = 16 * 1_024;

pub(super) async fn work(callers: Callers, diary: Arc<Diary>) {
    let mut follower = Follower { callers, diary, reached: None };
    loop {
        let Err(broken) = follower.follow().await;
        follower.diary.failed("subscriber", &broken);
        sleep(PAUSE).await;
    }
}

struct Follower {
    callers: Callers,
    diary: Arc<Diary>,
    /// The last position that it was told.
    reached: Option<u64>,
}

impl Follower {
    /// Follows until the stream ends, which it should not.
    async fn follow(&mut self) -> Result<std::convert::Infallible> {
        let mut connection = Connection::open(FROM, self.callers.address).await?;
        let after = self.reached.map_or(String::new(), |reached| format!("?after={reached}"));
        let path = format!("/v1/events/stream{after}");
        connection.send(&request("GET", &path, Some(&self.callers.ledger), "")).await?;
        let mut unread = Vec::new();
        let mut well = false;
        loop {
            let Some(bytes) = connection.read_some(READ_BYTES).await? else {
                return Err(Broken("the stream ended".into()));
            };
            unread.extend_from_slice(&bytes);
            well = well || unread.starts_with(b"HTTP/1.1 200 ");
            if !well {
                return Err(Broken(format!("no stream: {}", String::from_utf8_lossy(&unread))));
            }
            let whole = unread.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            for line in String::from_utf8_lossy(unread.get(..whole).unwrap_or_default()).lines() {
                self.take(line)?;
            }
            unread.drain(..whole);
        }
    }

    fn take(&mut self, line: &str) -> Result<()> {
        if ["event: dropped", "event: stopping"].contains(&line) {
            return Err(Broken(format!("the stream was ended with `{line}`")));
        }
        let Some(position) = line.strip_prefix("id: ").and_then(position) else { return Ok(()) };
        if let Some(reached) = self.reached
            && position != reached + 1
        {
            return Err(Broken(format!("position {position} was delivered after {reached}")));
        }
        self.reached = Some(position);
        self.diary.delivered(position);
        Ok(())
    }
}

/// The position of an id, which may say more than it.
fn position(id: &str) -> Option<u64> {
    id.split('-').next()?.parse().ok()
}
