//! Right tokens are let in, and wrong ones are counted by address.

use std::net::Ipv4Addr;

use axum::http::HeaderValue;
use dealog_app::{Key, Secret, service};
use dealog_commands::{Commands, system_clock};
use dealog_events::Actor;
use dealog_store::{Token, TokenStore as _, sqlite::SqliteStore};
use uuid::Uuid;

use super::*;

async fn try_with(bearers: &Bearers, token: &str) -> Result<Caller, Problem> {
    let value = HeaderValue::try_from(format!("Bearer {token}")).unwrap();
    let headers = HeaderMap::from_iter([(header::AUTHORIZATION, value)]);
    bearers.caller(&headers, Some(Ipv4Addr::LOCALHOST.into())).await
}

#[tokio::test]
async fn a_right_secret_is_never_refused_whatever_else_comes_from_its_address() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("log.db"), dealog_store::Limits::default()).await.unwrap();
    let store = Arc::new(store);
    let commands = Commands::new(store.clone(), system_clock(), dealog_commands::Limits::default());
    let (secret, id) = (Secret::random().unwrap(), Uuid::now_v7());
    let token = Token {
        id,
        secret_hash: secret.hash(),
        actor: Actor::Service(service("ledger")),
        name: "ledger".into(),
        permissions: vec!["read".into()],
        created_at: commands.now(),
        expires_at: None,
        revoked_at: None,
        created_by: None,
        revoked_by: None,
    };
    store.add_token(&token).await.unwrap();
    let key = Key::new(store.token_key().await.unwrap());
    let access = Access::new(store, commands, dealog_app::Limits::default()).await.unwrap();
    let bearers = Bearers::new(access, &Limits::default());

    let right = secret.token(id, &key);
    for number in 0..100 {
        // The id is right, and the secret is another one.
        let wrong = Secret::random().unwrap().token(id, &key);
        let refused = try_with(&bearers, &wrong).await.unwrap_err();
        assert_eq!(refused.is_too_many(), number >= 10, "{number}");
        try_with(&bearers, &right).await.unwrap();
    }
}
