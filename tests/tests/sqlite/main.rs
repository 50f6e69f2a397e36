//! What can go wrong with the files of SQLite: a full disk, damage of every kind, a kill while one of them is swapped.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod backup;
mod damaged_log;
mod damaged_views;
mod full_disk;
mod journals;
mod private_files;
mod restored;
mod stop;
mod swap;
