//! The rules as sentences: given what has happened, when someone asks for something, then this happens or is refused.
//! One binary, since it compiles faster than many. [`sequences`] asks for random things and checks what came of it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests may fail loudly too"
)]

mod customers;
mod deals;
mod decider;
mod pipelines;
mod rejections;
mod sequences;
mod settings;
mod support;
mod teams;
mod time;
mod users;
