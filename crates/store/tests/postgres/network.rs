//! A network between the log and its database that cuts and stalls at the worst moment: the commit.

use std::{
    str::FromStr as _,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use dealog_store::{AppendError, EventStore as _, Limits, postgres::PostgresStore};
use dealog_test_postgres::Fresh;
use sqlx::{ConnectOptions as _, postgres::PgConnectOptions};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};

use crate::{PATIENCE, append, commands};

/// What becomes of the next commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Nothing,
    /// It does not reach the server, and the connection ends.
    CutBefore,
    /// It reaches the server, and its answer does not come back.
    CutAfter,
    /// It reaches the server only after everybody has given up waiting for it.
    Stalled,
}

/// A way to the server that does to a commit what it is told.
struct Network {
    url: String,
    next: Arc<AtomicU8>,
}

impl Network {
    async fn to(url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = PgConnectOptions::from_str(url).unwrap();
        let address = (server.get_host().to_owned(), server.get_port());
        let next = Arc::new(AtomicU8::new(Next::Nothing as u8));
        let shared = Arc::clone(&next);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, TcpStream::connect(address.clone()).await.unwrap(), Arc::clone(&shared)));
            }
        });
        // Nothing is encrypted, so that a commit can be seen.
        let url = server.host("127.0.0.1").port(port).ssl_mode(sqlx::postgres::PgSslMode::Disable).to_url_lossy();
        Self { url: url.to_string(), next }
    }

    fn at_the_next_commit(&self, next: Next) {
        self.next.store(next as u8, Ordering::SeqCst);
    }
}

async fn carry(client: TcpStream, server: TcpStream, next: Arc<AtomicU8>) {
    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
        (client.into_split(), server.into_split());
    let back = tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from_client.read(&mut bytes).await {
        let sent = &bytes[..length];
        if sent.windows(7).any(|word| word == b"COMMIT\0") {
            let next = next.swap(Next::Nothing as u8, Ordering::SeqCst);
            if next == Next::CutBefore as u8 {
                break;
            } else if next == Next::CutAfter as u8 {
                back.abort();
                to_server.write_all(sent).await.unwrap();
                // The server is at it; the answer finds nobody.
                sleep(Duration::from_millis(200)).await;
                break;
            } else if next == Next::Stalled as u8 {
                sleep(Duration::from_secs(3)).await;
            }
        }
        if to_server.write_all(sent).await.is_err() {
            break;
        }
    }
    back.abort();
}

fn impatient() -> Limits {
    let short = Duration::from_millis(500);
    Limits { database_lock_timeout: 2 * short, database_statement_timeout: short, ..Limits::default() }
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_is_acknowledged() {
    let fresh = Fresh::new().await;
    let network = Network::to(fresh.url()).await;
    let store = PostgresStore::open(&network.url, impatient()).await.unwrap();
    network.at_the_next_commit(Next::CutAfter);
    let told = timeout(PATIENCE, store.append(append())).await.unwrap().unwrap();
    assert_eq!((told.position.0, told.replayed), (1, false));
    assert_eq!(commands(&store).await.len(), 1);
    assert_eq!(store.append(append()).await.unwrap().position.0, 2);
}

#[tokio::test]
async fn a_commit_that_did_not_reach_the_server_is_refused_and_may_be_sent_again() {
    let fresh = Fresh::new().await;
    let network = Network::to(fresh.url()).await;
    let store = PostgresStore::open(&network.url, impatient()).await.unwrap();
    network.at_the_next_commit(Next::CutBefore);
    let command = append();
    let refused = timeout(PATIENCE, store.append(command.clone())).await.unwrap().unwrap_err();
    assert!(matches!(refused, AppendError::Unavailable(_)), "{refused}");
    assert!(commands(&store).await.is_empty());
    assert_eq!(store.append(command).await.unwrap().position.0, 1);
}

#[tokio::test]
async fn a_commit_that_arrives_after_it_was_given_up_writes_nothing() {
    let fresh = Fresh::new().await;
    let network = Network::to(fresh.url()).await;
    let store = PostgresStore::open(&network.url, impatient()).await.unwrap();
    network.at_the_next_commit(Next::Stalled);
    let command = append();
    let refused = timeout(PATIENCE, store.append(command.clone())).await.unwrap().unwrap_err();
    assert!(matches!(refused, AppendError::Unavailable(_)), "{refused}");
    assert_eq!(store.append(append()).await.unwrap().position.0, 1);
    // Longer than the network held it back.
    sleep(Duration::from_secs(4)).await;
    assert_eq!(commands(&store).await.len(), 1, "what was refused is there");
    assert_eq!(store.append(command).await.unwrap().position.0, 2);
}
