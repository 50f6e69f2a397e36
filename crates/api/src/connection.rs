//! One connection: how long it may take, whichever side it is that does not move.
//!
//! A connection that sends half a head, or nothing, or takes nothing of what it is sent, would keep its place and its memory
//! for ever. Nothing can be said to it, so it is cut. There is a bound for each thing that it may be slow at:
//!
//! - `head_ms` for a head, from its first byte to its last; for the first head of a connection, from its beginning.
//! - `idle_ms` between requests.
//! - `body_ms` for a body. Its reader watches this one, and can answer (408).
//! - `write_stall_ms` in which it must take `write_bytes_min`, if there is that much for it. Otherwise an answer could be read
//!   byte by byte, and kept in memory for as long.
//!
//! What is on its way to a connection is bounded too. Left alone the system lets some megabytes gather: a slow reader of
//! the live feed would be found out late, and told still later.

use std::{
    convert::Infallible,
    future::Future,
    io,
    net::IpAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
};

use axum::{
    Router,
    body::{Body, Bytes, HttpBody},
    extract::ConnectInfo,
    http::{Request, Response},
};
use http_body::{Frame, SizeHint};
use hyper::{
    body::Incoming,
    server::conn::http1,
    service::{Service as _, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::Watcher,
    service::TowerToHyperService,
};
use ipnet::IpNet;
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep, sleep, timeout},
};

use crate::{
    Limits,
    from::{self, Hop},
    layers::complete,
    tls::Tls,
};

/// What the system keeps for a connection that has not taken it yet. Enough for some megabytes a second to the other side of
/// the world.
const SEND_BUFFER_BYTES: usize = 128 * 1024;

/// Bytes of a head beyond URL and headers: what a problem can still be told about.
const HEAD_SPARE_BYTES: usize = 24 * 1024;

/// The address of whoever sent a request: the other end of the connection, or what a proxy that is trusted says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// What all connections share.
pub(crate) struct Connections {
    pub(crate) limits: Limits,
    pub(crate) service: TowerToHyperService<Router>,
    pub(crate) trusted_proxies: Vec<IpNet>,
    pub(crate) tls: Option<Tls>,
}

impl Connections {
    /// Serves one connection to its end.
    pub(crate) async fn serve(&self, stream: TcpStream, address: IpAddr, watcher: Watcher) {
        // An event must not wait until the other end has acknowledged the one before, which it may take 40 ms to do.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "small answers on a connection may come late");
        }
        if let Err(error) = SockRef::from(&stream).set_send_buffer_size(SEND_BUFFER_BYTES) {
            tracing::debug!(%error, "a connection's buffer stays as large as the system has it");
        }
        let stream = Taken::new(stream, &self.limits);
        let Some(tls) = &self.tls else { return self.requests(stream, address, watcher).await };
        // Whoever is slow to agree on keys is as bad as whoever is slow to ask.
        match timeout(self.limits.head_time, tls.acceptor().accept(stream)).await {
            Ok(Ok(stream)) => self.requests(stream, address, watcher).await,
            Ok(Err(error)) => tracing::debug!(%error, %address, "a TLS handshake failed"),
            Err(_) => tracing::debug!(%address, "a TLS handshake took too long"),
        }
    }

    async fn requests<S>(&self, stream: S, address: IpAddr, watcher: Watcher)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let under_way = UnderWay::default();
        let stream = Timed::new(stream, self.limits.head_time, under_way.clone());
        let service = service_fn(move |mut request: Request<Incoming>| {
            let begun = under_way.begin();
            let client = from::client(&self.trusted_proxies, address, request.headers());
            request.extensions_mut().insert(Hop(address));
            request.extensions_mut().insert(ConnectInfo(Peer(client)));
            let answer = self.service.call(request);
            async move {
                let answer: Result<Response<Body>, Infallible> = answer.await;
                answer.map(|mut answer| {
                    complete(&mut answer);
                    answer.map(|body| Answering { body, _begun: begun })
                })
            }
        });
        let head_bytes = self.limits.url_bytes_max + self.limits.header_bytes_max + HEAD_SPARE_BYTES;
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.idle_time)
            .max_buf_size(head_bytes)
            .serve_connection(TokioIo::new(stream), service);
        if let Err(error) = watcher.watch(connection).await {
            tracing::debug!(%error, %address, "a connection was cut");
        }
    }
}

/// How many requests of a connection are under way: until the last byte of the answer.
#[derive(Clone, Default)]
struct UnderWay(Arc<AtomicUsize>);

/// One of them.
struct Begun(UnderWay);

impl UnderWay {
    fn begin(&self) -> Begun {
        self.0.fetch_add(1, Ordering::Relaxed);
        Begun(self.clone())
    }

    fn any(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The body of an answer; while there is more of it, the request is under way.
struct Answering {
    body: Body,
    _begun: Begun,
}

impl HttpBody for Answering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A connection that must take what it is sent. Once it does not take all of it at once, there is a window in which it must take
/// enough, and then the next; when all has been taken there is none.
struct Taken<S> {
    stream: S,
    window: std::time::Duration,
    bytes_min: usize,
    deadline: Pin<Box<Sleep>>,
    /// Bytes taken in the window, where there is one.
    taken: Option<usize>,
}

impl<S> Taken<S> {
    fn new(stream: S, limits: &Limits) -> Self {
        let deadline = Box::pin(sleep(limits.write_stall));
        Self { stream, window: limits.write_stall, bytes_min: limits.write_bytes_min, deadline, taken: None }
    }

    /// What came of a write: a window begins where nothing was taken, and ends when enough was.
    fn judge(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match (&written, &mut self.taken) {
            (Poll::Ready(Ok(bytes)), Some(taken)) => {
                *taken += bytes;
                if *taken >= self.bytes_min {
                    self.taken = None;
                }
            }
            (Poll::Pending, taken) => {
                if taken.is_none() {
                    *taken = Some(0);
                    self.deadline.as_mut().reset(Instant::now() + self.window);
                }
                ready!(self.deadline.as_mut().poll(cx));
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            _ => {}
        }
        written
    }

    /// The same of what waits until all has been taken.
    fn judge_end(&mut self, cx: &mut Context<'_>, ended: Poll<io::Result<()>>) -> Poll<io::Result<()>> {
        if ended.is_ready() {
            self.taken = None;
        }
        self.judge(cx, ended.map_ok(|()| 0)).map_ok(|_| ())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Taken<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Taken<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.judge(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.judge_end(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.judge_end(cx, shut)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.judge(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

/// A connection on which a head, once begun, must come to its end in time. hyper looks at the time between requests, and
/// counts a head that has begun as a part of it.
struct Timed<S> {
    stream: S,
    head_time: std::time::Duration,
    under_way: UnderWay,
    deadline: Pin<Box<Sleep>>,
    /// Whether the deadline counts: a head is awaited or has begun.
    counts: bool,
}

impl<S> Timed<S> {
    fn new(stream: S, head_time: std::time::Duration, under_way: UnderWay) -> Self {
        Self { stream, head_time, under_way, deadline: Box::pin(sleep(head_time)), counts: true }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Timed<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buffer);
        if this.under_way.any() {
            this.counts = false;
            return read;
        }
        if read.is_ready() {
            if !this.counts && buffer.filled().len() > before {
                this.counts = true;
                this.deadline.as_mut().reset(Instant::now() + this.head_time);
            }
            return read;
        }
        if this.counts {
            ready!(this.deadline.as_mut().poll(cx));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Poll::Pending
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Timed<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
