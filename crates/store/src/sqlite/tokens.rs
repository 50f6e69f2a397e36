//! Tokens in the log's file.

use async_trait::async_trait;
use dealog_events::Timestamp;
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};
use uuid::Uuid;

use super::{SqliteStore, schema};
use crate::{
    StoreError,
    decode::{self, select},
    tokens::{TOKENS_MAX, Token, TokenError, TokenStore},
};

#[async_trait]
impl TokenStore for SqliteStore {
    async fn add_token(&self, token: &Token) -> Result<(), TokenError> {
        let mut connection = self.for_tokens().await?;
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        let found: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM tokens").fetch_one(&mut *transaction).await?;
        if usize::try_from(found).is_ok_and(|found| found >= TOKENS_MAX) {
            return Err(TokenError::TooMany);
        }
        sqlx::query(
            "INSERT INTO tokens (token_id, secret_hash, actor, name, permissions, created_at, expires_at, revoked_at, \
             created_by) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, NULL, ?8)",
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
        .await?;
        transaction.commit().await?;
        Ok(connection.close().await?)
    }

    async fn token(&self, id: Uuid) -> Result<Option<Token>, StoreError> {
        let row =
            sqlx::query(select!(tokens "tokens WHERE token_id = ?1")).bind(id).fetch_optional(&self.lookups).await;
        self.of_tokens(row)?.as_ref().map(decode::token).transpose()
    }

    async fn tokens(&self) -> Result<Vec<Token>, StoreError> {
        let (_snapshot, mut connection) = self.readers.take().await?;
        let rows =
            sqlx::query(select!(tokens "tokens ORDER BY created_at, token_id")).fetch_all(&mut *connection).await;
        self.of_tokens(rows)?.iter().map(decode::token).collect()
    }

    async fn has_tokens(&self) -> Result<bool, StoreError> {
        self.of_tokens(sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM tokens)").fetch_one(&self.lookups).await)
    }

    async fn revoke_token(&self, id: Uuid, at: Timestamp, by: Option<&str>) -> Result<Option<Token>, TokenError> {
        let mut connection = self.for_tokens().await?;
        sqlx::query("UPDATE tokens SET revoked_at = ?2, revoked_by = ?3 WHERE token_id = ?1 AND revoked_at IS NULL")
            .bind(id)
            .bind(at.micros())
            .bind(by)
            .execute(&mut connection)
            .await?;
        connection.close().await?;
        Ok(self.token(id).await?)
    }

    async fn token_key(&self) -> Result<[u8; 32], StoreError> {
        let key = sqlx::query_scalar("SELECT key FROM token_key").fetch_one(&self.lookups).await;
        decode::token_key(&self.of_tokens::<Vec<u8>>(key)?)
    }

    async fn take_token_key(&self, key: [u8; 32]) -> Result<(), StoreError> {
        let mut connection = self.for_tokens().await?;
        sqlx::query("UPDATE token_key SET key = ?1").bind(key.as_slice()).execute(&mut connection).await?;
        Ok(connection.close().await?)
    }
}

impl SqliteStore {
    /// What was found of tokens.
    fn of_tokens<T>(&self, found: Result<T, sqlx::Error>) -> Result<T, StoreError> {
        self.trust.judge("the tokens", found.map_err(Into::into))
    }

    /// Tokens are written too rarely to keep a connection for them.
    async fn for_tokens(&self) -> Result<SqliteConnection, StoreError> {
        self.trust.check()?;
        Ok(schema::write_options(&self.path).connect().await?)
    }
}
