//! The servers over one log, and where they are to be found.

use std::{net::SocketAddr, sync::Arc};

use rustix::process::Signal;
use tokio::sync::watch;

use crate::{
    broken::{Result, When as _},
    node::{Node, Reading},
    place::{Faults, Place},
    proxy::Proxy,
};

/// One or two servers. Callers find those that are up by [`Cluster::addresses`].
pub(crate) struct Cluster {
    pub(crate) place: Arc<Place>,
    nodes: Vec<Up>,
    addresses: watch::Sender<Vec<SocketAddr>>,
    /// Whether callers come by a way that can be cut.
    pub(crate) by_proxy: bool,
}

struct Up {
    node: Node,
    address: SocketAddr,
    proxy: Option<Proxy>,
}

impl Cluster {
    pub(crate) fn over(place: Arc<Place>) -> Self {
        Self { place, nodes: Vec::new(), addresses: watch::Sender::default(), by_proxy: false }
    }

    pub(crate) fn addresses(&self) -> watch::Receiver<Vec<SocketAddr>> {
        self.addresses.subscribe()
    }

    /// Those that are up now.
    pub(crate) fn now(&self) -> Vec<SocketAddr> {
        self.addresses.borrow().clone()
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(crate) fn proxies(&self) -> impl Iterator<Item = &Proxy> {
        self.nodes.iter().filter_map(|up| up.proxy.as_ref())
    }

    /// Starts servers until there are so many. They come up at the same time, as after a power cut.
    pub(crate) async fn start(&mut self, count: usize, faults: &Faults) -> Result<()> {
        let mut starting = Vec::new();
        for number in self.nodes.len()..count {
            starting.push(self.spawn(number, faults)?);
        }
        for mut node in starting {
            let served = node.serving().await?;
            let proxy = if self.by_proxy { Some(Proxy::to(served).await?) } else { None };
            let address = proxy.as_ref().map_or(served, |proxy| proxy.address);
            self.nodes.push(Up { node, address, proxy });
            self.tell();
        }
        Ok(())
    }

    /// A process that nobody is told of.
    pub(crate) fn spawn(&self, number: usize, faults: &Faults) -> Result<Node> {
        Node::spawn(&self.place, &self.place.folder.join(format!("server-{number}.log")), faults)
    }

    /// Tells callers of all that are up.
    pub(crate) fn tell(&self) {
        self.addresses.send_replace(self.nodes.iter().map(|up| up.address).collect());
    }

    /// One of them stands still. Whoever waits for it goes on to wait; others turn to other servers.
    pub(crate) fn pause(&self, index: usize) -> Result<()> {
        let (paused, others): (Vec<_>, Vec<_>) =
            self.nodes.iter().enumerate().partition(|(number, _)| *number == index);
        for (_, up) in paused {
            up.node.signal(Signal::STOP)?;
        }
        self.addresses.send_replace(others.iter().map(|(_, up)| up.address).collect());
        Ok(())
    }

    /// It goes on. Callers turn to it alone, until they are told of all.
    pub(crate) fn resume(&self, index: usize) -> Result<()> {
        if let Some(up) = self.nodes.get(index) {
            up.node.signal(Signal::CONT)?;
            self.addresses.send_replace(vec![up.address]);
        }
        Ok(())
    }

    /// Kills one of them.
    pub(crate) async fn kill(&mut self, index: usize) -> Result<()> {
        if index < self.nodes.len() {
            let mut up = self.nodes.remove(index);
            // Callers find out by themselves.
            up.node.kill().await?;
            self.tell();
        }
        Ok(())
    }

    pub(crate) async fn kill_all(&mut self) -> Result<()> {
        for up in &mut self.nodes {
            up.node.kill().await?;
        }
        self.forget();
        Ok(())
    }

    /// Ends all of them in good order.
    pub(crate) async fn stop_all(&mut self) -> Result<()> {
        for up in &mut self.nodes {
            up.node.stop().await?;
        }
        self.forget();
        Ok(())
    }

    fn forget(&mut self) {
        self.nodes.clear();
        self.tell();
    }

    /// Forgets those that have ended by themselves, and says how many they are.
    pub(crate) fn bury(&mut self) -> usize {
        let before = self.nodes.len();
        self.nodes.retain_mut(|up| !up.node.is_gone());
        self.tell();
        before - self.nodes.len()
    }

    /// How their logs are read from now on, where they are pipes.
    pub(crate) fn read_logs(&self, reading: Reading) {
        for up in &self.nodes {
            up.node.read_log(reading);
        }
    }

    /// Whether one of them has said this.
    pub(crate) fn has_said(&self, what: &str) -> Result<bool> {
        for up in &self.nodes {
            if up.node.has_said(what)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Replaces all of them by as many that nothing is wrong with.
    pub(crate) async fn replace(&mut self, count: usize) -> Result<()> {
        self.kill_all().await?;
        self.start(count, &Faults::none()).await.when("after the trouble")
    }
}
