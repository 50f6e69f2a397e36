//! SQL put together from fixed texts, with every value bound.

use dealog_events::Timestamp;
use sqlx::{AnyConnection, AssertSqlSafe, FromRow, any::AnyRow};

/// The sum of microseconds as two columns, whole seconds and the rest: those of many deals over years do not fit into one of
/// 64 bits. [`sum_micros`] puts them together.
pub(super) fn select_micros(micros: &str) -> String {
    format!("CAST(SUM(({micros}) / 1000000) AS BIGINT), CAST(SUM(({micros}) % 1000000) AS BIGINT)")
}

/// What [`select_micros`] selects, in microseconds.
pub(super) fn sum_micros(seconds: i64, rest: i64) -> i128 {
    i128::from(seconds) * 1_000_000 + i128::from(rest)
}

/// A statement under construction.
#[derive(Default)]
pub(super) struct Sql {
    text: String,
    values: Vec<Value>,
}

enum Value {
    Integer(i64),
    Text(String),
}

impl Sql {
    /// A text of the program's own. Never what a caller sent.
    pub(super) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// A bound number.
    pub(super) fn integer(&mut self, value: i64) -> &mut Self {
        self.bind(Value::Integer(value))
    }

    /// A bound instant, in microseconds.
    pub(super) fn time(&mut self, value: Timestamp) -> &mut Self {
        self.integer(value.micros())
    }

    /// A bound text.
    pub(super) fn text(&mut self, value: impl Into<String>) -> &mut Self {
        self.bind(Value::Text(value.into()))
    }

    fn bind(&mut self, value: Value) -> &mut Self {
        self.values.push(value);
        self.text.push('$');
        self.text.push_str(&self.values.len().to_string());
        self
    }

    pub(super) async fn fetch_all<R>(self, db: &mut AnyConnection) -> Result<Vec<R>, sqlx::Error>
    where
        R: for<'r> FromRow<'r, AnyRow> + Send + Unpin,
    {
        let mut query = sqlx::query_as(AssertSqlSafe(self.text));
        for value in self.values {
            query = match value {
                Value::Integer(value) => query.bind(value),
                Value::Text(value) => query.bind(value),
            };
        }
        query.fetch_all(db).await
    }
}
