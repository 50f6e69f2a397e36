//! What only a server can do: to be shared, to be of the wrong kind, to be unreachable.

use dealog_projections::{Database, ProjectionError, models::Lists};
use dealog_test_postgres::Fresh;

use crate::{
    databases::{On, TestDatabase, rows_of, worker},
    dice::Dice,
    memory::MemoryStore,
    story,
};

#[tokio::test]
async fn the_same_log_gives_the_same_rows_in_both_databases() {
    let mut test = TestDatabase::new(On::Postgres).await;
    for seed in 60..65 {
        let mut dice = Dice::new(seed);
        let log = story::story(&mut dice).await.log();
        let store = MemoryStore::holding(Vec::new());
        let mut worker = worker(store.clone(), &test.database, dice.below(50) + 1).await.unwrap();
        store.extend(&log);
        worker.catch_up().await.unwrap();
        let (found, expected) = (test.rows().await, rows_of(&log).await);
        for (row, expected) in found.iter().zip(&expected) {
            assert_eq!(row, expected, "seed {seed}: a row on PostgreSQL, and on SQLite");
        }
        assert_eq!(found.len(), expected.len(), "seed {seed}");
        test.anew().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_processes_may_open_an_empty_database_at_once() {
    let server = Fresh::new().await;
    let opening: Vec<_> = (0..8)
        .map(|_| {
            let url = server.url().to_owned();
            tokio::spawn(async move { Database::postgres(&url).await })
        })
        .collect();
    for opened in opening {
        let lists = Lists::new(opened.await.unwrap().unwrap());
        assert_eq!(lists.position().await.unwrap().0, 0);
    }
}

#[tokio::test]
async fn a_database_whose_texts_cannot_hold_all_characters_is_refused() {
    let server = Fresh::new().await;
    let (address, name) = server.url().rsplit_once('/').unwrap();
    let name = name.split('?').next().unwrap();
    let create = format!("CREATE DATABASE {name}_old TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'");
    server.execute(&create).await.unwrap();
    let refused = Database::postgres(&format!("{address}/{name}_old")).await;
    server.execute(&format!("DROP DATABASE {name}_old WITH (FORCE)")).await.unwrap();
    let error = refused.unwrap_err();
    assert!(matches!(error, ProjectionError::Encoding(_)), "{error}");
    assert!(error.to_string().contains("LATIN1") && error.to_string().contains("CREATE DATABASE"), "{error}");
}

#[tokio::test]
async fn an_address_that_leads_nowhere_is_named_without_its_password() {
    // Nobody listens on port 1.
    for url in [
        "postgres://dealog:sesame@127.0.0.1:1/company",
        "postgres://dealog:sesame@127.0.0.1:one/company",
        "mysql://dealog:sesame@127.0.0.1:1/company",
        "dealog:sesame@127.0.0.1",
    ] {
        let error = Database::postgres(url).await.unwrap_err();
        let told = format!("{error} {error:?}");
        assert!(matches!(error, ProjectionError::Connect { .. }), "{told}");
        assert!(!told.contains("sesame"), "{told}");
    }
    let error = Database::postgres("postgres://dealog:sesame@127.0.0.1:1/company").await.unwrap_err();
    assert!(error.to_string().contains("127.0.0.1:1/company"), "{error}");
}
