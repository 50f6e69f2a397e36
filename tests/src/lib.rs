//! What the black-box tests stand on: the real binary, a server of it, a client, and waiting with a bound.
//!
//! The tests know Dealog as its users do: by HTTP and by the command line. Nothing here uses a crate of the rooms within.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
// A check gives back what it has checked, for more of it or for nothing; and to panic is how a check fails.
#![allow(clippy::return_self_not_must_use, clippy::missing_panics_doc)]

mod backup;
mod binary;
mod client;
#[cfg(target_os = "linux")]
mod clock;
mod company;
mod data;
mod database;
mod lines;
mod raw;
mod read_models;
mod run;
mod server;
mod subscription;
mod wait;
pub mod workload;

pub use binary::{binary, command, repository};
pub use client::{Answer, Call, Client};
#[cfg(target_os = "linux")]
pub use clock::with_clock;
pub use company::{DEFAULT_PIPELINE, company, deal};
pub use data::Data;
pub use database::{Database, Dialect};
pub use lines::Lines;
pub use raw::Raw;
pub use run::{Done, Run};
pub use server::{Server, Worker};
pub use subscription::{Message, Subscription};
pub use wait::{PATIENCE, exit_within, until};
