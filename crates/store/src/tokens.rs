//! Tokens: who may call. They live in the log's database, beside the log and not in it.

use async_trait::async_trait;
use dealog_events::{Actor, Timestamp};
use uuid::Uuid;

use crate::StoreError;

/// Tokens that a company may have, revoked ones too.
pub const TOKENS_MAX: usize = 10_000;

/// What is kept of a token. Its secret is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Names it, in lists and in the token itself.
    pub id: Uuid,
    /// SHA-256 of the secret. That is 256 random bits, so there is nothing a slow hash would protect.
    pub secret_hash: [u8; 32],
    /// In whose name it speaks: a user or a service.
    pub actor: Actor,
    /// What it is called.
    pub name: String,
    /// What a service may do, by names that the log knows nothing of; empty for a user, whose role says it.
    pub permissions: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is worth nothing any more.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// Who made it, such as `local:olga`; not recorded by earlier versions.
    pub created_by: Option<String>,
    /// Who revoked it.
    pub revoked_by: Option<String>,
}

impl Token {
    /// Whether it is worth anything at `now`.
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|expires_at| now < expires_at)
    }
}

/// Where tokens are kept.
#[async_trait]
pub trait TokenStore: Send + Sync {
    /// Keeps a new one.
    async fn add_token(&self, token: &Token) -> Result<(), TokenError>;

    /// The one with this id.
    async fn token(&self, id: Uuid) -> Result<Option<Token>, StoreError>;

    /// All of them, the oldest first.
    async fn tokens(&self) -> Result<Vec<Token>, StoreError>;

    /// Whether there is one, be it revoked.
    async fn has_tokens(&self) -> Result<bool, StoreError>;

    /// Revokes a token in the name of `by`; nobody's where an earlier version revoked it, which did not record that. It is told
    /// as it is then; none where there is no such token. Revoked again, it stays as it is.
    async fn revoke_token(&self, id: Uuid, at: Timestamp, by: Option<&str>) -> Result<Option<Token>, TokenError>;

    /// The log's own key, by which a token that was given out for this log is told from any other.
    async fn token_key(&self) -> Result<[u8; 32], StoreError>;

    /// Takes over the key of the log that this one is a copy of. Refused by the database once there are tokens here.
    async fn take_token_key(&self, key: [u8; 32]) -> Result<(), StoreError>;
}

/// Why a token was not kept or revoked.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The limit is reached.
    #[error("there are {TOKENS_MAX} tokens, revoked ones included, and more are not allowed")]
    TooMany,
    /// The role that this runs as may not write tokens.
    #[error(
        "this role serves the log and may not give or revoke tokens: run `dealog token` as the role that owns the log \
         (--database postgres://OWNER@HOST/DATABASE)"
    )]
    Denied,
    /// The log's database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for TokenError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}
