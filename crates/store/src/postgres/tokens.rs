//! Tokens in the log's database.

use async_trait::async_trait;
use dealog_events::Timestamp;
use uuid::Uuid;

use super::{PostgresStore, read, schema::is_denied, session::in_time};
use crate::{
    StoreError,
    decode::{self, select},
    tokens::{TOKENS_MAX, Token, TokenError, TokenStore},
};

#[async_trait]
impl TokenStore for PostgresStore {
    async fn add_token(&self, token: &Token) -> Result<(), TokenError> {
        // Whoever counts them, counts alone.
        let mut transaction = self.lookups.begin_with(read::BEGIN_WITH_LOCK).await?;
        let found: i64 = sqlx::query_scalar("SELECT count(*) FROM log.tokens").fetch_one(&mut *transaction).await?;
        if usize::try_from(found).is_ok_and(|found| found >= TOKENS_MAX) {
            return Err(TokenError::TooMany);
        }
        sqlx::query(
            "INSERT INTO log.tokens (token_id, secret_hash, actor, name, permissions, created_at, expires_at, revoked_at, \
             created_by) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, NULL, $8)",
        )
        .bind(token.id)
        .bind(token.secret_hash.as_slice())
        .bind(token.actor.to_string())
        .bind(&token.name)
        .bind(token.permissions.join(" "))
        .bind(token.created_at.micros())
        .bind(token.expires_at.map(Timestamp::micros))
        .bind(&token.created_by)
        .execute(&mut *transaction)
        .await
        .map_err(denied)?;
        Ok(transaction.commit().await?)
    }

    async fn token(&self, id: Uuid) -> Result<Option<Token>, StoreError> {
        let query = sqlx::query(select!(tokens "log.tokens WHERE token_id = $1"));
        let found = async { Ok(query.bind(id).fetch_optional(&self.lookups).await?) };
        in_time(&self.limits, found).await?.as_ref().map(decode::token).transpose()
    }

    async fn tokens(&self) -> Result<Vec<Token>, StoreError> {
        let query = sqlx::query(select!(tokens "log.tokens ORDER BY created_at, token_id"));
        let found = async { Ok(query.fetch_all(&self.readers).await?) };
        in_time(&self.limits, found).await?.iter().map(decode::token).collect()
    }

    async fn has_tokens(&self) -> Result<bool, StoreError> {
        let query = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM log.tokens)");
        in_time(&self.limits, async { Ok(query.fetch_one(&self.lookups).await?) }).await
    }

    async fn revoke_token(&self, id: Uuid, at: Timestamp, by: Option<&str>) -> Result<Option<Token>, TokenError> {
        sqlx::query(
            "UPDATE log.tokens SET revoked_at = $2, revoked_by = $3 WHERE token_id = $1 AND revoked_at IS NULL",
        )
        .bind(id)
        .bind(at.micros())
        .bind(by)
        .execute(&self.lookups)
        .await
        .map_err(denied)?;
        Ok(self.token(id).await?)
    }

    async fn token_key(&self) -> Result<[u8; 32], StoreError> {
        let query = sqlx::query_scalar("SELECT key FROM log.token_key");
        let key: Vec<u8> = in_time(&self.limits, async { Ok(query.fetch_one(&self.lookups).await?) }).await?;
        decode::token_key(&key)
    }

    async fn take_token_key(&self, key: [u8; 32]) -> Result<(), StoreError> {
        sqlx::query("UPDATE log.token_key SET key = $1").bind(key.as_slice()).execute(&self.lookups).await?;
        Ok(())
    }
}

/// A role that only serves may not write tokens.
fn denied(error: sqlx::Error) -> TokenError {
    if is_denied(&error) { TokenError::Denied } else { error.into() }
}
