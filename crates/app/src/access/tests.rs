//! What reaches the database, counted where it is asked.

use std::sync::atomic::AtomicUsize;

use async_trait::async_trait;
use dealog_commands::system_clock;
use dealog_events::Timestamp;
use dealog_store::{EventStore, TokenError, sqlite::SqliteStore};
use tempfile::TempDir;

use super::*;

/// The tokens of a log, and how often they were looked up.
struct Counting {
    store: Arc<SqliteStore>,
    asked: AtomicUsize,
}

#[async_trait]
impl TokenStore for Counting {
    async fn add_token(&self, token: &Token) -> Result<(), TokenError> {
        self.store.add_token(token).await
    }
    async fn token(&self, id: Uuid) -> Result<Option<Token>, StoreError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.store.token(id).await
    }
    async fn tokens(&self) -> Result<Vec<Token>, StoreError> {
        self.store.tokens().await
    }
    async fn has_tokens(&self) -> Result<bool, StoreError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.store.has_tokens().await
    }
    async fn revoke_token(&self, id: Uuid, at: Timestamp, by: Option<&str>) -> Result<Option<Token>, TokenError> {
        self.store.revoke_token(id, at, by).await
    }
    async fn token_key(&self) -> Result<[u8; 32], StoreError> {
        self.store.token_key().await
    }
    async fn take_token_key(&self, key: [u8; 32]) -> Result<(), StoreError> {
        self.store.take_token_key(key).await
    }
}

struct Place {
    _folder: TempDir,
    access: Access,
    tokens: Arc<Counting>,
}

impl Place {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("log.db"), dealog_store::Limits::default()).await.unwrap();
        let store = Arc::new(store);
        let log: Arc<dyn EventStore> = store.clone();
        let commands = Commands::new(log, system_clock(), dealog_commands::Limits::default());
        let tokens = Arc::new(Counting { store, asked: AtomicUsize::new(0) });
        let access = Access::new(tokens.clone(), commands, Limits::default()).await.unwrap();
        Self { _folder: folder, access, tokens }
    }

    /// Gives out a token to a service.
    async fn token(&self) -> String {
        let (secret, id) = (Secret::random().unwrap(), Uuid::now_v7());
        let token = Token {
            id,
            secret_hash: secret.hash(),
            actor: Actor::Service(service("ledger")),
            name: "ledger".into(),
            permissions: vec!["read".into()],
            created_at: self.access.commands.now(),
            expires_at: None,
            revoked_at: None,
            created_by: None,
            revoked_by: None,
        };
        self.tokens.add_token(&token).await.unwrap();
        secret.token(id, &self.access.key)
    }
}

/// Tokens as someone makes them up: `id` with another secret or check, or nothing of a token that there is.
fn made_up(right: &str) -> Vec<String> {
    let parts: Vec<&str> = right.split('_').collect();
    let (id, secret, check) = (parts[1], parts[2], parts[3]);
    let another = Key::new([1; 32]);
    (0..100)
        .flat_map(|number: u32| {
            [
                format!("dealog_{id}_{number:064x}_{check}"),
                format!("dealog_{id}_{secret}_{number:032x}"),
                Secret::random().unwrap().token(Uuid::now_v7(), &another),
            ]
        })
        .collect()
}

#[tokio::test]
async fn tokens_that_were_never_given_out_do_not_reach_the_database() {
    let place = Place::new().await;
    let right = place.token().await;
    let asked = place.tokens.asked.load(Ordering::Relaxed);
    for wrong in made_up(&right) {
        let refused = place.access.with_token(&wrong).await.unwrap_err();
        assert!(matches!(refused, AccessError::Refused(Refused::BadToken { token: None, .. })), "{refused}");
    }
    assert_eq!(place.tokens.asked.load(Ordering::Relaxed), asked);
    place.access.with_token(&right).await.unwrap();
    assert_eq!(place.tokens.asked.load(Ordering::Relaxed), asked + 1);
}

#[tokio::test]
async fn once_there_are_tokens_requests_without_one_do_not_reach_the_database() {
    let place = Place::new().await;
    assert!(place.access.is_open().await.unwrap());
    place.token().await;
    place.access.open.invalidate_all();
    assert!(!place.access.is_open().await.unwrap());
    let asked = place.tokens.asked.load(Ordering::Relaxed);
    // Nor do they once the moment is over for which anything is believed.
    place.access.open.invalidate_all();
    let refused = place.access.without_token().await.unwrap_err();
    assert!(matches!(refused, AccessError::Refused(Refused::NoToken)), "{refused}");
    assert_eq!(place.tokens.asked.load(Ordering::Relaxed), asked);
}
