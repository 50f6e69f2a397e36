//! Tables as Rust structs: the columns, the SQL that makes them, and the JSON that fills them, from one declaration.
//!
//! Only what both databases and sqlx's `Any` driver know: BIGINT (microseconds, minor units, basis points, 0 or 1) and
//! TEXT, each with or without NULL.

use std::fmt::Write as _;

use serde::Serialize;
use sqlx::{AnyConnection, AssertSqlSafe};

use crate::dialect::Dialect;

/// A type that a column can have.
pub(crate) trait Column {
    const SQL: &'static str;
}

impl Column for i64 {
    const SQL: &'static str = "BIGINT NOT NULL";
}
impl Column for Option<i64> {
    const SQL: &'static str = "BIGINT";
}
impl Column for String {
    const SQL: &'static str = "TEXT NOT NULL";
}
impl Column for Option<String> {
    const SQL: &'static str = "TEXT";
}

/// What rows are found by.
pub(crate) trait Key: Serialize + Sync {
    const SQL: &'static str;
}

impl Key for i64 {
    const SQL: &'static str = "BIGINT";
}
impl Key for String {
    const SQL: &'static str = "TEXT";
}
impl Key for &str {
    const SQL: &'static str = "TEXT";
}

/// A row of a table.
pub(crate) trait Row: Serialize {
    const TABLE: &'static str;
    const KEY: &'static str;
    /// Names and SQL types.
    const COLUMNS: &'static [(&'static str, &'static str)];
}

/// Declares a row: a struct whose fields are the columns, written as a JSON array in their order.
macro_rules! table {
    ($(#[$meta:meta])* $table:literal ($key:literal) $name:ident { $($(#[$column_meta:meta])* $column:ident: $type:ty),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub(crate) struct $name { $($(#[$column_meta])* pub(crate) $column: $type),+ }

        impl $crate::table::Row for $name {
            const TABLE: &'static str = $table;
            const KEY: &'static str = $key;
            const COLUMNS: &'static [(&'static str, &'static str)] =
                &[$((stringify!($column), <$type as $crate::table::Column>::SQL)),+];
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeSeq as _;
                let mut row = serializer.serialize_seq(None)?;
                $(row.serialize_element(&self.$column)?;)+
                row.end()
            }
        }

        impl sqlx::FromRow<'_, sqlx::any::AnyRow> for $name {
            fn from_row(row: &sqlx::any::AnyRow) -> Result<Self, sqlx::Error> {
                use sqlx::Row as _;
                Ok(Self { $($column: row.try_get(stringify!($column))?),+ })
            }
        }
    };
}

/// `CREATE TABLE` for a row type.
pub(crate) fn create<R: Row>(dialect: Dialect) -> String {
    let mut sql = format!("CREATE TABLE {} (", R::TABLE);
    for (name, sql_type) in R::COLUMNS {
        let sql_type = if *name == R::KEY { dialect.key(sql_type) } else { dialect.column(sql_type) };
        let _ = write!(sql, "{name} {sql_type}, ");
    }
    let _ = write!(sql, "PRIMARY KEY ({}))", R::KEY);
    sql
}

/// Rows of a statement.
const ROWS_MAX: usize = 2_000;

/// Writes rows with one statement for some thousands of them, over those with the same key. The database takes the rows as
/// one JSON text: binding each value of thousands of rows costs more than parsing that text.
pub(crate) async fn upsert<'r, R: Row + 'r>(
    db: &mut AnyConnection,
    rows: impl IntoIterator<Item = &'r R>,
) -> Result<(), sqlx::Error> {
    let rows: Vec<&R> = rows.into_iter().collect();
    let sql = upsert_sql::<R>(Dialect::of(db));
    let json = async |rows: Option<&[&R]>| rows.map(serde_json::to_string).transpose();
    let encode = |error: serde_json::Error| sqlx::Error::Encode(error.into());
    let mut chunks = rows.chunks(ROWS_MAX);
    let mut next = json(chunks.next()).await.map_err(encode)?;
    while let Some(text) = next {
        // The next text is made while the database, in a thread of its own, is at this one.
        let written = sqlx::query(AssertSqlSafe(sql.as_str())).bind(text).execute(&mut *db);
        let (written, following) = tokio::join!(written, json(chunks.next()));
        written?;
        next = following.map_err(encode)?;
    }
    Ok(())
}

fn upsert_sql<R: Row>(dialect: Dialect) -> String {
    let names: Vec<&str> = R::COLUMNS.iter().map(|(name, _)| *name).collect();
    let columns = R::COLUMNS.iter().enumerate();
    let values: Vec<String> = columns.map(|(index, (_, sql_type))| dialect.field(index, sql_type)).collect();
    // A key that is set, even to what it is, has its index entry written anew.
    let updates: Vec<String> = names
        .iter()
        .filter(|name| !R::KEY.split(", ").any(|key| key == **name))
        .map(|name| format!("{name} = excluded.{name}"))
        .collect();
    format!(
        "INSERT INTO {} ({}) SELECT {} FROM {} WHERE true ON CONFLICT ({}) DO UPDATE SET {}",
        R::TABLE,
        names.join(", "),
        values.join(", "),
        dialect.rows(),
        R::KEY,
        updates.join(", ")
    )
}

/// The rows whose `column` is one of `keys`.
pub(crate) async fn find<R, K: Key>(db: &mut AnyConnection, column: &str, keys: &[K]) -> Result<Vec<R>, sqlx::Error>
where
    R: Row + for<'r> sqlx::FromRow<'r, sqlx::any::AnyRow> + Send + Unpin,
{
    let json = serde_json::to_string(keys).map_err(|error| sqlx::Error::Encode(error.into()))?;
    let items = Dialect::of(db).items("$1", K::SQL);
    let sql = format!("SELECT {} FROM {} WHERE {column} IN ({items})", columns::<R>(), R::TABLE);
    sqlx::query_as(AssertSqlSafe(sql)).bind(json).fetch_all(db).await
}

/// The columns of a row, for a SELECT.
pub(crate) fn columns<R: Row>() -> String {
    R::COLUMNS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}
