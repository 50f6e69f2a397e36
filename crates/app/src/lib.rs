//! What callers may ask and command, free of HTTP.
//!
//! A command goes by [`Access`], which knows who calls and what they may do, and carries it out in their name.
//!
//! A question names an instant, a position and deals as a person does: "the 1st of March", "as known in June", "worth at least
//! 1000". Here each of these is looked up once, whatever the question is about, and then a figure or a list is asked.

#![deny(clippy::print_stdout, clippy::print_stderr, reason = "a room prints nothing")]

mod access;
mod asked;
mod board;
mod error;
mod known;
mod limits;
mod lists;
mod queries;
mod reached;

pub use access::{
    Access, AccessError, Allowance, BELIEVED, Caller, Key, Mark, Permission, Refused, Secret, Terms, TooFast, service,
};
pub use asked::{Asked, KnownAt};
pub use board::{Board, BoardColumn, Card};
pub use error::{Failed, QueryError, Wrong};
pub use limits::Limits;
pub use lists::Listed;
pub use queries::Queries;
