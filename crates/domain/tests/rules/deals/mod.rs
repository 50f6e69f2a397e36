//! The rules of a deal, by topic.

mod changes;
mod closings;
mod creating;
mod losing;
mod money;
mod moves;
mod owners;
mod reopening;
mod required_fields;
mod transfers;
mod undoing;
mod winning;
