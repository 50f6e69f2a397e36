//! Read models against the event log.
//!
//! `plain` answers each question about lists, cards and boards once more, from the definitions and the events alone; `story` makes up
//! companies and what happens to them. `logs` holds one against the other: now, as of an instant, as known at a position, and both.
//! The rest are named cases: what histories invite, mistakes that other systems make in their figures, and what may happen to a
//! worker, to a build and to a lease.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod board;
mod cases;
mod company;
mod databases;
mod dice;
mod leases;
mod logs;
mod memory;
mod mistakes;
mod plain;
mod postgres;
mod runtime;
mod several;
mod story;
mod trouble;
mod verified;
mod versions;
