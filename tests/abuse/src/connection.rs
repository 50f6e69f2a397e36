//! A connection to the server from an address of our choice, and as little client as possible: it shares the cores with
//! the server, and what it costs would look like the server's.

use std::net::{IpAddr, SocketAddr};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
};

use crate::broken::{Broken, Result};

/// Header lines of an answer; an answer with more is an error.
const HEADERS_MAX: usize = 64;
/// How a chunked body ends.
const LAST_CHUNK: &[u8] = b"\r\n0\r\n\r\n";

pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    received: Vec<u8>,
}

/// An answer, read to its end.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

struct Head {
    status: u16,
    /// Where the body begins.
    body_at: usize,
    /// How long it is; none where it comes in chunks.
    length: Option<usize>,
}

impl Connection {
    /// Opens a connection from one of this machine's loopback addresses.
    pub(crate) async fn open(from: IpAddr, to: SocketAddr) -> Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(SocketAddr::new(from, 0))?;
        let stream = socket.connect(to).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, received: Vec::new() })
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(bytes).await?)
    }

    /// Sends a request and reads the answer, whatever its status.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> Result<Answer> {
        self.send(request).await?;
        self.received.clear();
        loop {
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Err(Broken("the server closed the connection".into()));
            }
            if let Some(head) = head(&self.received)?
                && let Some(body) = whole_body(&self.received, &head)
            {
                return Ok(Answer { status: head.status, body: body.to_vec() });
            }
        }
    }

    /// Reads a few bytes of whatever comes. None when the server has closed the connection.
    pub(crate) async fn read_some(&mut self, bytes_max: usize) -> Result<Option<Vec<u8>>> {
        let mut bytes = vec![0; bytes_max];
        let read = self.stream.read(&mut bytes).await?;
        bytes.truncate(read);
        Ok((read > 0).then_some(bytes))
    }
}

fn head(received: &[u8]) -> Result<Option<Head>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(body_at) = response.parse(received)? else { return Ok(None) };
    let length = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
    let length = length.map(|header| Ok::<_, Broken>(str::from_utf8(header.value)?.trim().parse()?)).transpose()?;
    Ok(Some(Head { status: response.code.unwrap_or_default(), body_at, length }))
}

fn whole_body<'a>(received: &'a [u8], head: &Head) -> Option<&'a [u8]> {
    let body = received.get(head.body_at..)?;
    match head.length {
        Some(length) => body.get(..length),
        None => received.ends_with(LAST_CHUNK).then_some(body),
    }
}

/// A request as it goes over the wire.
pub(crate) fn request(method: &str, path: &str, token: Option<&str>, body: &str) -> Vec<u8> {
    let token = token.map_or(String::new(), |token| format!("Authorization: Bearer {token}\r\n"));
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\n{token}Content-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}
