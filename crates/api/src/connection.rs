//! Connections that must move: one that takes nothing of what it is sent would keep its request, and the memory of it, for
//! ever. Nothing can be said to it any more, so it is cut.

use std::{
    net::{IpAddr, SocketAddr},
    pin::Pin,
    time::Duration,
};

use axum::{
    extract::connect_info::Connected,
    serve::{IncomingStream, Listener},
};
use tokio::net::{TcpListener, TcpStream};
use tokio_io_timeout::TimeoutStream;

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
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(self.stall));
        (Box::pin(stream), address)
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}
