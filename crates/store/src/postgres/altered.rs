//! Whether the schema of the log is still what Dealog made: its tables, triggers, functions, constraints and what roles may do.
//!
//! All that the log promises against whoever holds the database rests on these, so a log that lacks one is not appended to. What
//! there should be is a list of facts in `facts.txt`, as the same question finds them in a log that was just made. It asks for
//! what the catalog stores rather than for texts that differ between versions of PostgreSQL.

use std::collections::BTreeSet;

use sqlx::PgConnection;

use crate::StoreError;

/// What is found in a log as Dealog makes it, with a role that serves it.
const FACTS: &str = include_str!("facts.txt");

/// All that is found, a line for each fact: the kind and the name, and behind a colon what it is. What a role may do names the
/// role before it, in another column.
const FIND: &str = include_str!("facts.sql");

/// What a role may do begins so. It need not be granted to any.
const MAY: &str = "may ";
/// An index that is there to be fast and refuses nothing: administrators may add their own.
const PLAIN_INDEX: &str = "plain index ";

/// Differences that are told; more would not help.
const TOLD_MAX: usize = 5;

/// Refuses a log whose schema is not what Dealog made.
pub(super) async fn refuse(connection: &mut PgConnection) -> Result<(), StoreError> {
    let found = facts(connection).await?;
    let differences = differences(&found);
    if differences.is_empty() {
        return Ok(());
    }
    let told = differences.iter().take(TOLD_MAX).cloned().collect::<Vec<_>>().join("; ");
    let more = differences.len().saturating_sub(TOLD_MAX);
    Err(StoreError::Altered(if more == 0 { told } else { format!("{told}; and {more} more") }))
}

/// What is there: who may do it, where that is what it is about, and the fact.
async fn facts(connection: &mut PgConnection) -> Result<Vec<(Option<String>, String)>, StoreError> {
    Ok(sqlx::query_as(FIND).fetch_all(connection).await?)
}

/// What is not as it should be, each in a few words.
fn differences(found: &[(Option<String>, String)]) -> BTreeSet<String> {
    let expected: BTreeSet<&str> = FACTS.lines().collect();
    let there: BTreeSet<&str> = found.iter().map(|(_, fact)| fact.as_str()).collect();
    let names = |facts: &BTreeSet<&str>| facts.iter().map(|fact| name(fact)).map(ToOwned::to_owned).collect();
    let (expected_names, names): (BTreeSet<String>, BTreeSet<String>) = (names(&expected), names(&there));
    let lacking = expected.difference(&there).filter(|fact| !fact.starts_with(MAY)).map(|fact| {
        let name = name(fact);
        if names.contains(name) { format!("{name} is altered") } else { format!("{name} is missing") }
    });
    let added = found.iter().filter(|(_, fact)| !expected.contains(fact.as_str())).filter_map(|(who, fact)| {
        let name = name(fact);
        match who {
            Some(who) => Some(format!("{who} {fact}")),
            None if expected_names.contains(name) => Some(format!("{name} is altered")),
            None if name.starts_with(PLAIN_INDEX) => None,
            None => Some(format!("{name} is not Dealog's")),
        }
    });
    lacking.chain(added).collect()
}

/// What a fact is about.
fn name(fact: &str) -> &str {
    fact.split_once(": ").map_or(fact, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use std::env;

    use dealog_test_postgres::Fresh;
    use uuid::Uuid;

    use super::*;
    use crate::{Limits, postgres::schema, postgres::session::Session};

    #[tokio::test]
    async fn the_facts_are_those_of_a_log_that_was_just_made() {
        let fresh = Fresh::new().await;
        let role = format!("role_{}", Uuid::now_v7().simple());
        fresh.execute(&format!("CREATE ROLE {role}")).await.unwrap();
        let mut connection = Session::new(fresh.url(), Limits::default()).unwrap().connect().await.unwrap();
        schema::bring_up(&mut connection, Uuid::now_v7()).await.unwrap();
        schema::grant(&mut connection, &role).await.unwrap();
        let found = facts(&mut connection).await.unwrap();
        let found: BTreeSet<_> = found.into_iter().map(|(_, fact)| fact + "\n").collect();
        fresh.execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await.unwrap();
        let found = String::from_iter(found);
        if env::var_os("DEALOG_RENEW").is_some() {
            std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/src/postgres/facts.txt"), found).unwrap();
            return;
        }
        assert_eq!(found, FACTS, "`DEALOG_RENEW=1 scripts/postgres cargo test -p dealog-store facts` writes them anew");
    }
}
