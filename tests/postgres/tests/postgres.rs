//! What is committed is there after every way in which the server can be broken here.

#![allow(missing_docs, clippy::unwrap_used)]

use std::time::{Duration, Instant};

use dealog_test_postgres::{Fresh, Postgres};
use sqlx::{Connection as _, PgConnection};
use tokio::{runtime::Runtime, time::sleep};

const RECOVERY: Duration = Duration::from_mins(1);

async fn rows(database: &Fresh) -> Result<i64, sqlx::Error> {
    let mut connection = PgConnection::connect(database.url()).await?;
    sqlx::query_scalar("SELECT count(*) FROM notes").fetch_one(&mut connection).await
}

#[test]
fn a_server_that_is_crashed_or_loses_a_process_comes_back_with_what_was_committed() {
    let runtime = Runtime::new().unwrap();
    let server = Postgres::start();
    let database = server.fresh();
    runtime.block_on(database.execute("CREATE TABLE notes (note TEXT); INSERT INTO notes VALUES ('kept')")).unwrap();

    server.crash();
    assert!(runtime.block_on(rows(&database)).is_err(), "it is still there");
    server.start_again();
    assert_eq!(runtime.block_on(rows(&database)).unwrap(), 1);

    let lonely = server.fresh();
    assert!(!server.kill_backend(lonely.url(), 0), "nobody was ever connected there");
    let mut connection = runtime.block_on(PgConnection::connect(database.url())).unwrap();
    assert!(server.kill_backend(database.url(), 3));
    assert!(runtime.block_on(connection.ping()).is_err(), "the connection outlived its process");
    let begun = Instant::now();
    let kept = runtime.block_on(async {
        loop {
            match rows(&database).await {
                Ok(rows) => return rows,
                Err(error) => assert!(begun.elapsed() < RECOVERY, "{error}"),
            }
            sleep(Duration::from_millis(20)).await;
        }
    });
    assert_eq!(kept, 1);
}
