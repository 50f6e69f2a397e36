//! Statements that can be read whole: a text with the names of its parts and values in it, which are filled in when it is asked.
//!
//! ```sql
//! SELECT d.* FROM deals d WHERE :seen AND d.created_position < :before ORDER BY d.created_position DESC LIMIT :limit
//! ```
//!
//! A part (`:seen`) is a condition that depends on the question. It is another such text, so its values are bound like all others:
//! nothing that a caller sent is ever in the text.

use sqlx::{AnyConnection, AssertSqlSafe, FromRow, any::AnyRow};

use super::history::FOREVER;

/// A text with names in it, and what they stand for.
#[derive(Debug, Clone, Default)]
pub(super) struct Statement {
    text: String,
    values: Vec<(&'static str, Value)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    Integer(i64),
    Text(String),
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl Statement {
    /// A text of the program's own. In it `:forever` stands for the end of what has not ended: a number in the text and no
    /// bound value, because a partial index answers only questions that name its condition.
    pub(super) fn new(text: &str) -> Self {
        Self { text: replace(text, "forever", &FOREVER.to_string()), values: Vec::new() }
    }

    /// Puts a part in the place of its name.
    pub(super) fn part(mut self, name: &str, part: Self) -> Self {
        self.text = replace(&self.text, name, &part.text);
        for value in part.values {
            if !self.values.contains(&value) {
                self.values.push(value);
            }
        }
        self
    }

    /// Binds a value to its name. A name stands for one value in the whole statement.
    #[expect(private_bounds, reason = "who binds a value names no type")]
    pub(super) fn value(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.values.push((name, value.into()));
        self
    }

    /// Adds another condition.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.text = format!("{} AND {}", self.text, other.text);
        self.values.extend(other.values);
        self
    }

    pub(super) async fn fetch_all<R>(self, db: &mut AnyConnection) -> Result<Vec<R>, sqlx::Error>
    where
        R: for<'r> FromRow<'r, AnyRow> + Send + Unpin,
    {
        let (text, values) = self.numbered();
        let mut query = sqlx::query_as(AssertSqlSafe(text));
        for value in values {
            query = match value {
                Value::Integer(value) => query.bind(value),
                Value::Text(value) => query.bind(value),
            };
        }
        query.fetch_all(db).await
    }

    /// The first row, where there is one.
    pub(super) async fn fetch_one<R>(self, db: &mut AnyConnection) -> Result<Option<R>, sqlx::Error>
    where
        R: for<'r> FromRow<'r, AnyRow> + Send + Unpin,
    {
        Ok(self.fetch_all(db).await?.into_iter().next())
    }

    /// The text with numbers in the places of names, as databases want it, and the values by number.
    fn numbered(self) -> (String, Vec<Value>) {
        let (mut text, mut values) = (self.text, Vec::new());
        for (name, value) in self.values {
            let number = format!("${}", values.len() + 1);
            text = replace(&text, name, &number);
            values.push(value);
        }
        (text, values)
    }
}

/// Puts `with` in the place of every `:name`, and of no longer name.
fn replace(text: &str, name: &str, with: &str) -> String {
    let mut pieces = text.split(':');
    let mut replaced = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        if let Some(rest) = piece.strip_prefix(name).filter(|rest| !rest.starts_with(is_word)) {
            replaced.push_str(with);
            replaced.push_str(rest);
        } else {
            replaced.push(':');
            replaced.push_str(piece);
        }
    }
    replaced
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_and_values_take_the_places_of_their_names() {
        let seen = Statement::new("d.valid_from <= :until AND d.valid_to > :until").value("until", 7);
        let statement =
            Statement::new("SELECT d.* FROM deals d WHERE :seen AND d.owner = :own AND d.x = :owner LIMIT 1")
                .part("seen", seen.clone())
                .part("seen", seen)
                .value("owner", "a:until".to_owned())
                .value("own", 9);
        let (text, values) = statement.numbered();
        assert_eq!(
            text,
            "SELECT d.* FROM deals d WHERE d.valid_from <= $1 AND d.valid_to > $1 AND d.owner = $3 AND d.x = $2 LIMIT 1"
        );
        assert_eq!(values, [Value::Integer(7), Value::Text("a:until".into()), Value::Integer(9)]);
    }
}
