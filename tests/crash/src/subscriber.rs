//! Those who follow the live feed from the beginning, wherever there is a server, and come again where they were cut off.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use eventsource_stream::Eventsource as _;
use futures_util::stream::{self, StreamExt as _};
use tokio::{
    sync::watch,
    task::{AbortHandle, JoinHandle},
    time::{sleep, timeout},
};

use crate::{
    broken::{Broken, Result, ensure},
    chance::Chance,
    client::Client,
    log::Written,
    witness::Witness,
};

/// How long one is patient with a connection on which nothing comes.
const SILENCE: Duration = Duration::from_secs(2);
/// The pause before it comes again.
const PAUSE: Duration = Duration::from_millis(20);

/// It follows as long as this value is there.
pub(crate) struct Subscriber {
    name: String,
    reached: watch::Receiver<u64>,
    task: AbortHandle,
}

impl Subscriber {
    pub(crate) fn start(
        name: String,
        addresses: watch::Receiver<Vec<SocketAddr>>,
        witness: Arc<Witness>,
        chance: Chance,
    ) -> Result<Self> {
        let (sender, reached) = watch::channel(0);
        let follower = Follower {
            name: name.clone(),
            addresses,
            witness,
            chance,
            reached: sender,
            told: Mutex::new("0".into()),
            client: Client::new()?,
        };
        let task: JoinHandle<()> = tokio::spawn(follower.follow());
        Ok(Self { name, reached, task: task.abort_handle() })
    }

    /// Waits until it has seen all up to here.
    pub(crate) async fn reaches(&mut self, position: u64, bound: Duration) -> Result<()> {
        let there = self.reached.wait_for(|reached| *reached >= position);
        let in_time = matches!(timeout(bound, there).await, Ok(Ok(_)));
        let (name, reached) = (&self.name, *self.reached.borrow());
        ensure!(in_time, "{name} comes no further than to {reached} of {position}");
        Ok(())
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Follower {
    name: String,
    addresses: watch::Receiver<Vec<SocketAddr>>,
    witness: Arc<Witness>,
    chance: Chance,
    reached: watch::Sender<u64>,
    /// The last id that it was told, which proves the history up to there.
    told: Mutex<String>,
    client: Client,
}

impl Follower {
    async fn follow(mut self) {
        loop {
            let nodes = self.addresses.borrow().clone();
            if let Some(node) = self.chance.pick(&nodes)
                && let Err(Broken(what)) = self.listen(*node).await
            {
                self.witness.broken(format!("{}: {what}", self.name));
                return;
            }
            sleep(PAUSE).await;
        }
    }

    /// Listens until the connection ends or is silent. An error is a message that should not have come.
    async fn listen(&self, node: SocketAddr) -> Result<()> {
        let last = *self.reached.borrow();
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let request = self.client.request("GET", node, "/v1/events/stream")?.header("last-event-id", told);
        let Ok(Ok(response)) = timeout(SILENCE, request.send()).await else { return Ok(()) };
        if response.status() != 200 {
            // Too many subscribers, or a server in trouble; but never that the position is beyond the end of the log.
            ensure!(response.status().as_u16() >= 500, "after {last} it is told {}", response.text().await?);
            return Ok(());
        }
        let chunks = stream::unfold(response, async |mut response| {
            let chunk = timeout(SILENCE, response.chunk()).await.ok()?.ok()??;
            Some((Ok::<_, std::convert::Infallible>(chunk), response))
        });
        let mut messages = std::pin::pin!(chunks.eventsource());
        while let Some(Ok(message)) = messages.next().await {
            match message.event.as_str() {
                "position" => {}
                "dropped" | "stopping" => return Ok(()),
                _ => self.take(&message.data, &message.id)?,
            }
        }
        Ok(())
    }

    fn take(&self, data: &str, id: &str) -> Result<()> {
        let written = Written::parse(data)?;
        let (position, last) = (written.event.position, *self.reached.borrow());
        ensure!(position == last + 1, "after {last} comes {position}");
        let proof = id.strip_prefix(&format!("{position}-"));
        ensure!(proof.is_some_and(|proof| proof.len() == 8), "the id of position {position} is {id}");
        self.witness.sees(&written, &self.name);
        self.reached.send_replace(position);
        id.clone_into(&mut self.told.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(())
    }
}
