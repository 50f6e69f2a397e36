//! A way between two that can be cut and stalled.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{AbortHandle, JoinSet},
};

use crate::broken::Result;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// What comes is carried on.
    Open,
    /// Nothing is carried on, and nothing lost.
    Stalled,
    /// Connections end, with whatever was under way, and there are no new ones.
    Cut,
}

/// It is there as long as this value is.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    way: watch::Sender<Way>,
    task: AbortHandle,
}

impl Proxy {
    pub(crate) async fn to(target: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let way = watch::Sender::new(Way::Open);
        let task = tokio::spawn(accept(listener, target, way.subscribe())).abort_handle();
        Ok(Self { address, way, task })
    }

    pub(crate) fn set(&self, way: Way) {
        self.way.send_replace(way);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, target: SocketAddr, way: watch::Receiver<Way>) {
    // They end with this task.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let (Ok((near, _)), false) = (accepted, *way.borrow() == Way::Cut) {
                connections.spawn(carry(near, target, way.clone()));
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn carry(near: TcpStream, target: SocketAddr, mut way: watch::Receiver<Way>) {
    let Ok(far) = TcpStream::connect(target).await else { return };
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let ((near_read, near_write), (far_read, far_write)) = (near.into_split(), far.into_split());
    let (there, back) = (way.clone(), way.clone());
    // Whichever ends first ends the connection.
    tokio::select! {
        _ = way.wait_for(|way| *way == Way::Cut) => {}
        _ = pump(near_read, far_write, there) => {}
        _ = pump(far_read, near_write, back) => {}
    }
}

async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut way: watch::Receiver<Way>,
) -> Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let bytes = from.read(&mut buffer).await?;
        if bytes == 0 {
            return Ok(());
        }
        way.wait_for(|way| *way != Way::Stalled).await?;
        to.write_all(buffer.get(..bytes).unwrap_or_default()).await?;
    }
}
