//! What keeps the models of a database: it follows the log, and builds new tables beside those that are there.
//!
//! All models that have tables are written together, in one transaction for each batch of events, and stand at one position: a
//! query may join any of them. [`Worker`] is the whole of it, for a process. Within it
//!
//! - `follow.rs` follows the log for the models that have tables, under one lease for all;
//! - `batch.rs` writes a batch into all of them;
//! - `make.rs` sees to the models that have none of their version, each by itself, while the others are followed;
//! - `build.rs` builds the tables of one, and `swap.rs` puts them in place, at the position of the others;
//! - `standing.rs` writes down how each model stands, where every process can see it, and `status.rs` tells it in this one;
//! - `snapshot.rs` says at which position a query that joins models sees them.

mod batch;
mod build;
pub(crate) mod checkpoint;
mod follow;
mod lease;
mod make;
mod snapshot;
pub(crate) mod standing;
mod status;
mod swap;
mod worker;

pub use checkpoint::{Checkpoint, checkpoint};
pub use snapshot::position_of;
pub(crate) use snapshot::positions_of;
pub use standing::{Build, Standing, Stop};
pub use status::{ModelStatus, Watch};
pub use worker::{Limits, Worker};
