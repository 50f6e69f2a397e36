//! Figures over one company whose course is dated in 2024, so that they are the same whenever they are asked for.
//!
//! Each number was worked out by hand from the course in `company.rs` and the definitions of the figures before its
//! snapshot was accepted.

mod answers;
mod company;
mod filters;
mod groups;
