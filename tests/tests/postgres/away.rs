//! The database is gone, or says nothing any more: a server tells so at once, and in its own words.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use dealog_test_postgres::Postgres;
use dealog_tests::{Answer, Data, PATIENCE, Raw, Server, deal, until, workload::FOUNDING};
use serde_json::json;

/// What whoever asks for health waits for.
const READY_WITHIN: Duration = Duration::from_secs(2);
/// What a scrape takes on a busy machine: far less than a database is waited for.
const METRICS_WITHIN: Duration = Duration::from_secs(1);

/// The position of one deal in a new company.
const KNOWN: u64 = FOUNDING as u64 + 1;

/// A way to a server that can swallow what it should carry: nothing arrives, and nothing is refused.
struct Way {
    port: u16,
    swallows: Arc<AtomicBool>,
}

impl Way {
    fn to(url: &str) -> Self {
        let address = url.rsplit_once('@').unwrap().1.split_once('/').unwrap().0.to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let swallows = Arc::new(AtomicBool::new(false));
        let shared = Arc::clone(&swallows);
        thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { return };
                let Ok(server) = TcpStream::connect(&address) else { continue };
                for (from, to) in [(client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client)] {
                    let swallows = Arc::clone(&shared);
                    thread::spawn(move || carry(from, to, &swallows));
                }
            }
        });
        Self { port, swallows }
    }

    /// The same address by this way.
    fn url(&self, url: &str) -> String {
        let (before, rest) = url.rsplit_once('@').unwrap();
        let (_, database) = rest.split_once('/').unwrap();
        let database = database.split('?').next().unwrap();
        format!("{before}@127.0.0.1:{}/{database}?sslmode=disable", self.port)
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, swallows: &AtomicBool) {
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut bytes) {
        if !swallows.load(Ordering::SeqCst) && to.write_all(&bytes[..length]).is_err() {
            return;
        }
    }
    if !swallows.load(Ordering::SeqCst) {
        let _ = to.shutdown(std::net::Shutdown::Both);
    }
}

fn within(time: Duration, ask: impl Fn() -> Answer) -> Answer {
    let begun = Instant::now();
    let answer = ask();
    assert!(begun.elapsed() < time, "it took {:?}: {}", begun.elapsed(), answer.text);
    answer
}

fn is_told_at_once(server: &Server) {
    for _ in 0..3 {
        let ask = || within(READY_WITHIN, || server.get("/health/ready"));
        let ready = until("it should notice", PATIENCE, || Some(ask()).filter(|ready| ready.status == 503));
        assert_eq!(ready.body["ready"], false, "{}", ready.text);
        for word in ["error", "refused", "127.0.0.1", "pool"] {
            assert!(!ready.text.contains(word), "`{word}` in {}", ready.text);
        }
        let measured = within(METRICS_WITHIN, || server.get("/metrics")).expect(200);
        let says = |line: &str| assert!(measured.text.lines().any(|found| found == line), "{line}: {}", measured.text);
        says(&format!("dealog_log_position {KNOWN}"));
        says(&format!("dealog_projection_position{{projection=\"deals\"}} {KNOWN}"));
        says("dealog_databases_answer 0");
    }
}

fn comes_right(server: &Server) {
    until("the server should be ready again", PATIENCE, || (server.get("/health/ready").status == 200).then_some(()));
    until("a command should be carried out again", PATIENCE, || {
        (server.post("/v1/deals", &deal("After all", &json!({}))).status == 201).then_some(())
    });
}

/// A server with a deal, whose read models have it, and which has been asked for its metrics.
fn with_a_deal(data: &Data, args: &[&str]) -> Server {
    let server = Server::start(data, args).ready();
    let created = server.post("/v1/deals", &deal("Known before", &json!({}))).expect(201);
    assert_eq!(created.position(), KNOWN);
    server.get(&format!("/v1/deals?min_position={}", created.position())).expect(200);
    server.get("/metrics").expect(200);
    server
}

#[test]
fn a_server_whose_database_has_stopped_says_so_in_time_and_comes_right() {
    let postgres = Postgres::start();
    let data = Data::within(postgres.fresh());
    let server = with_a_deal(&data, &[]);
    postgres.crash();
    is_told_at_once(&server);
    postgres.start_again();
    comes_right(&server);
    server.stop();
}

#[test]
fn a_server_whose_database_says_nothing_any_more_says_so_in_time() {
    let data = Data::on_postgres();
    let way = Way::to(data.database().unwrap());
    let server = with_a_deal(&data, &["--database", &way.url(data.database().unwrap())]);
    way.swallows.store(true, Ordering::SeqCst);
    is_told_at_once(&server);
    server.kill9();
}

#[test]
fn a_stop_takes_no_longer_than_it_may_where_the_database_says_nothing_any_more() {
    const SHUTDOWN_SECONDS: u64 = 1;
    // `shutdown_seconds`, the five seconds that the end may take, and something for a busy machine.
    const STOPPED_WITHIN: Duration = Duration::from_secs(SHUTDOWN_SECONDS + 5 + 2);
    let data = Data::on_postgres();
    data.set(&format!("shutdown_seconds = {SHUTDOWN_SECONDS}"));
    let way = Way::to(data.database().unwrap());
    let server = with_a_deal(&data, &["--database", &way.url(data.database().unwrap())]);
    way.swallows.store(true, Ordering::SeqCst);
    // Both the log and the read models are being read.
    let asked: Vec<_> = ["GET /v1/deals?min_position=1", "GET /v1/events?after=0"]
        .map(|request| Raw::sending(server.address(), &format!("{request} HTTP/1.1\r\nHost: localhost\r\n\r\n")))
        .into();
    let begun = Instant::now();
    server.terminate();
    let log = server.over();
    assert!(begun.elapsed() < STOPPED_WITHIN, "it took {:?}: {log}", begun.elapsed());
    drop(asked);
}
