//! Figures of small logs that can be counted by hand, and what must hold of any log.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod always;
mod cases;
mod log;
mod snapshots;
