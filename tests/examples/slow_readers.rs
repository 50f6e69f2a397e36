//! What slow readers of the live feed cost those who work: commands a second with and without them.
//!
//!     cargo build --release
//!     BINARY_UNDER_TEST=target/release/dealog cargo run --release --package dealog-tests --example slow_readers
//!
//! A slow reader takes 10 KiB a second, is sent away when it falls too far behind, and comes again at once where it was.
//! Rounds with and without readers follow each other in turn, so that whatever else the machine does weighs on both.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::{
    env,
    io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use dealog_tests::{Server, deal};
use serde_json::json;

const CONNECTIONS: usize = 8;
const READERS: usize = 200;
const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_secs(6);
/// A slow reader takes this many bytes in this time.
const TAKEN_BYTES: usize = 1_024;
const TAKEN_EVERY: Duration = Duration::from_millis(100);

fn main() {
    assert!(env::var_os("BINARY_UNDER_TEST").is_some(), "name a release build in BINARY_UNDER_TEST");
    let server = Server::of_a_new_company(&["--log", "warn,dealog::serve=info"]);
    let address = server.address();
    round(address, 0);
    let (mut without, mut with) = (Vec::new(), Vec::new());
    println!("commands a second, {CONNECTIONS} connections, rounds of {ROUND:?}");
    for _ in 0..ROUNDS {
        let (alone, _) = round(address, 0);
        let (beside, resumed) = round(address, READERS);
        println!("{alone:>8.0} alone {beside:>8.0} beside {READERS} slow readers, who came again {resumed} times");
        without.push(alone);
        with.push(beside);
    }
    let (without, with) = (median(without), median(with));
    println!("{without:>8.0} alone {with:>8.0} beside {READERS} slow readers: medians; ratio {:.3}", with / without);
    server.stop();
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// Commands a second beside so many slow readers, and how often these had to come again.
fn round(address: SocketAddr, readers: usize) -> (f64, usize) {
    let (done, over, resumed) = (AtomicUsize::new(0), AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|threads| {
        threads.spawn(|| read_slowly(address, readers, &over, &resumed));
        for _ in 0..CONNECTIONS {
            threads.spawn(|| work(address, &over, &done));
        }
        let (before, begun) = (done.load(Ordering::Relaxed), Instant::now());
        thread::sleep(ROUND);
        let commands = done.load(Ordering::Relaxed) - before;
        let seconds = begun.elapsed().as_secs_f64();
        over.store(true, Ordering::Relaxed);
        (f64::from(u32::try_from(commands).unwrap()) / seconds, resumed.load(Ordering::Relaxed))
    })
}

/// Creates deals one after another on one connection.
fn work(address: SocketAddr, over: &AtomicBool, done: &AtomicUsize) {
    let body = deal("One of many", &json!({})).to_string();
    let request = format!(
        "POST /v1/deals HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut answers = BufReader::new(stream.try_clone().unwrap());
    while !over.load(Ordering::Relaxed) {
        stream.write_all(request.as_bytes()).unwrap();
        let (mut line, mut length) = (String::new(), 0);
        answers.read_line(&mut line).unwrap();
        assert!(line.starts_with("HTTP/1.1 201"), "{line}");
        while line != "\r\n" {
            line.clear();
            answers.read_line(&mut line).unwrap();
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.trim().parse().unwrap();
            }
        }
        answers.read_exact(&mut vec![0; length]).unwrap();
        done.fetch_add(1, Ordering::Relaxed);
    }
}

/// Keeps so many slow readers until it is over.
fn read_slowly(address: SocketAddr, readers: usize, over: &AtomicBool, resumed: &AtomicUsize) {
    let mut readers: Vec<SlowReader> = (0..readers).map(|_| SlowReader::at(address, None)).collect();
    while !over.load(Ordering::Relaxed) {
        for reader in &mut readers {
            if !reader.take() {
                *reader = SlowReader::at(address, reader.told);
                resumed.fetch_add(1, Ordering::Relaxed);
            }
        }
        thread::sleep(TAKEN_EVERY);
    }
}

struct SlowReader {
    stream: TcpStream,
    /// The beginning of a line whose end has not come yet.
    line: Vec<u8>,
    told: Option<u64>,
}

impl SlowReader {
    fn at(address: SocketAddr, told: Option<u64>) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        let resume = told.map_or(String::new(), |id| format!("Last-Event-ID: {id}\r\n"));
        // The body of an HTTP/1.0 answer is sent as it is.
        write!(stream, "GET /v1/events/stream HTTP/1.0\r\nHost: localhost\r\n{resume}\r\n").unwrap();
        stream.set_nonblocking(true).unwrap();
        Self { stream, line: Vec::new(), told }
    }

    /// Takes a few bytes; false where the stream has ended.
    fn take(&mut self) -> bool {
        let mut buffer = [0; TAKEN_BYTES];
        let bytes = match self.stream.read(&mut buffer) {
            Ok(0) => return false,
            Ok(bytes) => &buffer[..bytes],
            Err(error) => return error.kind() == ErrorKind::WouldBlock,
        };
        for byte in bytes {
            if *byte != b'\n' {
                self.line.push(*byte);
                continue;
            }
            let id = self
                .line
                .strip_prefix(b"id: ")
                .and_then(|id| std::str::from_utf8(id).ok()?.split('-').next()?.parse().ok());
            self.told = id.or(self.told);
            self.line.clear();
        }
        true
    }
}
