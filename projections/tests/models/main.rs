//! Lists, cards and boards against the event log.
//!
//! `plain` answers each question once more, from the definitions and the events alone; `story` makes up companies and what
//! happens to them. `logs` holds one against the other: now, as of an instant, as known at a position, and both. `cases` are the
//! mistakes that histories invite.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod cases;
#[allow(dead_code, reason = "shared with the tests of figures")]
#[path = "../figures/company.rs"]
mod company;
mod databases;
#[allow(dead_code, reason = "shared with the tests of figures")]
#[path = "../figures/dice.rs"]
mod dice;
mod logs;
#[allow(dead_code, reason = "shared with the tests of figures")]
#[path = "../figures/memory.rs"]
mod memory;
mod plain;
mod story;
