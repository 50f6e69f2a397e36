//! What goes wrong in the world: a process that is killed, a disk that is full, a file that is damaged. What was acknowledged
//! is there, what is there is right, and what cannot be done is said.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod damaged_log;
mod full_disk;
mod killed;
mod workload;

use std::path::Path;

use dealog_tests::Run;

/// `dealog` with these arguments, over this data folder.
fn dealog(data: &Path, args: &[&str]) -> Run {
    Run::within(data.parent().unwrap()).args(args).args(["--data".as_ref(), data.as_os_str()])
}
