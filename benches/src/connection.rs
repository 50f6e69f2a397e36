//! One keep-alive connection to a server: as little client as there can be, since it shares the cores with the server.
//!
//! Requests are bytes that were put together beforehand, and of an answer no more is read than its status, its length and
//! its body.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::Result;

/// Header lines of an answer; one with more is an error.
const HEADERS_MAX: usize = 32;

/// How the answer of a stream begins.
const OK: &[u8] = b"HTTP/1.1 200 ";

pub(crate) struct Connection {
    stream: TcpStream,
    host: String,
    answer: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, host: address.to_string(), answer: Vec::new() })
    }

    pub(crate) async fn get(&mut self, path: &str) -> Result<&[u8]> {
        let request = self.request("GET", path, "");
        self.send(&request).await
    }

    pub(crate) async fn post(&mut self, path: &str, body: &Value) -> Result<Value> {
        let request = self.request("POST", path, &body.to_string());
        Ok(serde_json::from_slice(self.send(&request).await?)?)
    }

    /// Reads the stream at `path` until `take`, which is given what has come and takes what it needs no more, has enough.
    /// Any other answer is an error.
    pub(crate) async fn stream(&mut self, path: &str, mut take: impl FnMut(&mut Vec<u8>) -> bool) -> Result<()> {
        let request = self.request("GET", path, "");
        self.stream.write_all(&request).await?;
        self.answer.clear();
        let mut well = false;
        loop {
            let ended = self.stream.read_buf(&mut self.answer).await? == 0;
            well = well || self.answer.starts_with(OK);
            if ended || !well {
                return Err(format!("{path}: the stream ended after {}", String::from_utf8_lossy(&self.answer)).into());
            }
            if take(&mut self.answer) {
                return Ok(());
            }
        }
    }

    /// A request as it goes over the wire.
    pub(crate) fn request(&self, method: &str, path: &str, body: &str) -> Vec<u8> {
        let (host, length) = (&self.host, body.len());
        format!(
            "{method} {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n\
             {body}"
        )
        .into_bytes()
    }

    /// The body of the answer. Anything but success is an error: a refusal may be quick, but it is not what is measured.
    pub(crate) async fn send(&mut self, request: &[u8]) -> Result<&[u8]> {
        self.stream.write_all(request).await?;
        self.answer.clear();
        let (status, body_at) = loop {
            if self.stream.read_buf(&mut self.answer).await? == 0 {
                return Err("the server closed the connection".into());
            }
            if let Some((status, body_at, length)) = head(&self.answer)?
                && self.answer.len() >= body_at + length
            {
                break (status, body_at);
            }
        };
        let body = self.answer.get(body_at..).unwrap_or_default();
        if (200..300).contains(&status) {
            return Ok(body);
        }
        let request = String::from_utf8_lossy(request);
        Err(format!("{request}: {status}: {}", String::from_utf8_lossy(body)).into())
    }
}

/// The status of an answer, where its body begins and how long that is; none as long as that has not come.
fn head(answer: &[u8]) -> Result<Option<(u16, usize, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(body_at) = response.parse(answer)? else { return Ok(None) };
    let length = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
    let length = length.ok_or("an answer says how long it is")?;
    let length = str::from_utf8(length.value)?.parse()?;
    Ok(Some((response.code.unwrap_or_default(), body_at, length)))
}
