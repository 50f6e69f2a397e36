//! A connection that sends what no client would, byte by byte.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

/// How long an answer, or the end of a connection, may take.
const BOUND: Duration = Duration::from_secs(20);

/// A connection of bytes.
pub struct Raw(TcpStream);

impl Raw {
    pub fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&address, BOUND).expect("a connection");
        stream.set_read_timeout(Some(BOUND)).expect("a bound on reading");
        stream.set_write_timeout(Some(BOUND)).expect("a bound on writing");
        stream.set_nodelay(true).expect("small writes are sent at once");
        Self(stream)
    }

    /// The same, which has sent this.
    pub fn sending(address: SocketAddr, text: &str) -> Self {
        let mut raw = Self::open(address);
        raw.send(text);
        raw
    }

    pub fn send(&mut self, text: impl AsRef<[u8]>) {
        self.try_send(text).expect("the server takes it");
    }

    /// Sends it, unless the server has closed the connection.
    pub fn try_send(&mut self, text: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.0.write_all(text.as_ref())
    }

    /// One answer with its body, which must say how long it is; the connection stays.
    pub fn answer(&mut self) -> String {
        let mut found = Vec::new();
        let mut byte = [0];
        while !found.ends_with(b"\r\n\r\n") {
            assert_eq!(self.0.read(&mut byte).expect("an answer"), 1, "{}", String::from_utf8_lossy(&found));
            found.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&found).to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        self.0.read_exact(&mut body).expect("the whole body");
        String::from_utf8_lossy(&[found, body].concat()).into_owned()
    }

    /// All that comes until the server closes the connection, and how long that took.
    pub fn rest(&mut self) -> (String, Duration) {
        let (begun, mut found, mut bytes) = (Instant::now(), Vec::new(), [0; 4096]);
        loop {
            match self.0.read(&mut bytes) {
                Ok(0) => break,
                Ok(read) => found.extend_from_slice(&bytes[..read]),
                Err(error) if [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe].contains(&error.kind()) => break,
                Err(error) => panic!("the server does not close the connection: {error}"),
            }
        }
        (String::from_utf8_lossy(&found).into_owned(), begun.elapsed())
    }
}
