//! Connections that must move: one that takes nothing of what it is sent would keep its request, and the memory of it, for
//! ever. Nothing can be said to it any more, so it is cut.
//!
//! What is on its way to a connection is bounded too. Left alone the system lets some megabytes gather: a slow reader of
//! the live feed would be found out late, and told still later.

use std::{
    net::{IpAddr, SocketAddr},
    pin::Pin,
    time::Duration,
};

use axum::{
    extract::connect_info::Connected,
    serve::{IncomingStream, Listener},
};
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio_io_timeout::TimeoutStream;

/// What the system keeps for a connection that has not taken it yet. Enough for some megabytes a second to the other side of
/// the world.
const SEND_BUFFER_BYTES: usize = 128 * 1024;

/// The address at the other end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) IpAddr);

impl Connected<IncomingStream<'_, Moving>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Moving>) -> Self {
        Self(stream.remote_addr().ip())
    }
}

/// A listener of such connections.
pub(crate) struct Moving {
    pub(crate) listener: TcpListener,
    /// How long a connection may take nothing while something is there for it.
    pub(crate) stall: Duration,
}

impl Listener for Moving {
    type Io = Pin<Box<TimeoutStream<TcpStream>>>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.listener).await;
        // An event must not wait until the other end has acknowledged the one before, which it may take 40 ms to do.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::warn!(%error, "small answers on a connection may come late");
        }
        if let Err(error) = SockRef::from(&stream).set_send_buffer_size(SEND_BUFFER_BYTES) {
            tracing::warn!(%error, "a connection's buffer stays as large as the system has it");
        }
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(self.stall));
        (Box::pin(stream), address)
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}
