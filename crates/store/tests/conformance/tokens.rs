//! Who may call.

use dealog_events::{Actor, UserId};
use dealog_store::{Limits, Token};
use uuid::Uuid;

use crate::backend::{Backend, at};

fn token() -> Token {
    Token {
        id: Uuid::now_v7(),
        secret_hash: [7; 32],
        actor: Actor::Service(Uuid::now_v7()),
        name: "Ledger of Müller & Co".into(),
        permissions: vec!["read".into(), "log".into()],
        created_at: at(0),
        expires_at: Some(at(100)),
        revoked_at: None,
        created_by: Some("local:olga".into()),
        revoked_by: None,
    }
}

pub(crate) async fn a_token_comes_back_as_it_was_given<B: Backend>() {
    let place = B::new().await;
    let store = place.open().await;
    let service = token();
    let user = Token { actor: Actor::User(UserId(Uuid::now_v7())), permissions: vec![], expires_at: None, ..token() };
    for token in [&service, &user] {
        store.add_token(token).await.unwrap();
        assert_eq!(store.token(token.id).await.unwrap().as_ref(), Some(token));
    }
    assert_eq!(store.token(Uuid::now_v7()).await.unwrap(), None);
    assert_eq!(store.tokens().await.unwrap(), [service, user]);
}

pub(crate) async fn a_token_added_beside_a_running_server_is_seen_by_it<B: Backend>() {
    let place = B::new().await;
    let (server, other) = (place.open().await, place.open_with(Limits::default()).await);
    assert!(!server.has_tokens().await.unwrap());
    let token = token();
    other.add_token(&token).await.unwrap();
    assert!(server.has_tokens().await.unwrap());
    assert_eq!(server.token(token.id).await.unwrap(), Some(token));
}

pub(crate) async fn a_token_is_revoked_once_and_kept<B: Backend>() {
    let place = B::new().await;
    let store = place.open().await;
    let token = token();
    store.add_token(&token).await.unwrap();
    let revoked = Token { revoked_at: Some(at(5)), revoked_by: Some("local:boris".into()), ..token.clone() };
    assert_eq!(store.revoke_token(token.id, at(5), Some("local:boris")).await.unwrap().as_ref(), Some(&revoked));
    assert_eq!(store.revoke_token(token.id, at(6), Some("local:anna")).await.unwrap().as_ref(), Some(&revoked));
    assert_eq!(store.revoke_token(Uuid::now_v7(), at(6), Some("local:anna")).await.unwrap(), None);
    // Who has had tokens does not fall back to having none.
    assert!(store.has_tokens().await.unwrap());
    assert_eq!([at(4), at(5), at(100)].map(|now| token.is_valid(now)), [true, true, false]);
    assert_eq!([at(4), at(5), at(100)].map(|now| revoked.is_valid(now)), [false; 3]);
}

pub(crate) async fn each_log_has_a_key_of_its_own_which_stays_once_there_are_tokens<B: Backend>() {
    let (place, other) = (B::new().await, B::new().await);
    let (store, other) = (place.open().await, other.open().await);
    let key = store.token_key().await.unwrap();
    assert_ne!(key, other.token_key().await.unwrap());
    assert_eq!(key, place.open().await.token_key().await.unwrap());
    store.take_token_key([3; 32]).await.unwrap();
    store.add_token(&token()).await.unwrap();
    assert!(store.take_token_key([4; 32]).await.is_err());
    assert_eq!(store.token_key().await.unwrap(), [3; 32]);
}

pub(crate) async fn the_database_refuses_to_alter_or_delete_a_token<B: Backend>() {
    let place = B::new().await;
    let store = place.open().await;
    let token = token();
    store.add_token(&token).await.unwrap();
    for attempt in [
        "DELETE FROM tokens",
        "UPDATE tokens SET actor = 'local'",
        "UPDATE tokens SET expires_at = NULL, revoked_at = 1",
        "UPDATE tokens SET permissions = permissions || ' settings'",
        "UPDATE tokens SET created_by = 'local:boris', revoked_at = 1",
        "UPDATE token_key SET key = (SELECT secret_hash FROM tokens)",
        "DELETE FROM token_key",
        "INSERT INTO token_key SELECT 1, secret_hash FROM tokens",
    ] {
        assert!(place.sql(attempt).await.is_err(), "{attempt}");
    }
    store.revoke_token(token.id, at(5), Some("local:boris")).await.unwrap();
    assert!(place.sql("UPDATE tokens SET revoked_at = NULL").await.is_err());
    assert!(store.add_token(&token).await.is_err(), "a revoked token came back");
}
