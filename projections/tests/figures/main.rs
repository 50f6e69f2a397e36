//! Every figure against the event log.
//!
//! `plain` computes each figure once more, from the definitions and the events alone; `random` makes up companies and
//! what happens to them. `logs` holds one against the other, two hundred times. The rest are named cases: mistakes that
//! other systems make, and what may happen to a worker, to a build and to a lease.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod answers;
mod cases;
mod checks;
mod company;
mod dice;
mod groups;
mod images;
mod leases;
mod logs;
mod memory;
mod mistakes;
mod model;
mod past;
mod plain;
mod postgres;
mod random;
mod runtime;
mod several;
mod trouble;
mod verified;
