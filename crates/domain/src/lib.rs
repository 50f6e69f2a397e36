//! The rules. What a command may do, given what has happened so far: [`decide`]. What has happened so far, given the
//! events: [`evolve`]. One module for each aggregate, and a list of them (`aggregates.rs`).
//!
//! Everything here is pure: no async, no clock, no randomness, no I/O. What a rule needs to know besides its own stream
//! (a pipeline, the settings, whether a customer exists, what time it is) it is given as [`Facts`]; which streams those
//! are, [`reads`] says beforehand, by the same declaration that the rule gets its states from. The pattern is Jérémie
//! Chassaing's decider.

mod aggregates;
pub mod customer;
pub mod deal;
mod facts;
mod fields;
mod patch;
pub mod pipeline;
mod rejection;
pub mod settings;
mod standing;
pub mod team;
mod time;
pub mod user;

pub use aggregates::{Command, Rejection, State, evolve};
pub use facts::{Facts, Recorded, decide, reads, reads_history};
pub use patch::Patch;
pub use rejection::{Common, Details, Kind};
pub use standing::Standing;
pub use time::{Occurred, occurred_at};
