//! Open files: each connection is one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files for all else than connections: databases, their journals, connections to PostgreSQL, the listener.
const RESERVE: usize = 256;

/// Raises the number of files that this process may have open to what the system lets it, and gives how many connections
/// of `wanted` fit in with some files to spare.
pub(crate) fn allow(wanted: usize) -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
    {
        tracing::warn!(%error, "the number of open files stays as it is");
    }
    // None: as many as it likes.
    let files =
        getrlimit(Resource::Nofile).current.map_or(usize::MAX, |files| usize::try_from(files).unwrap_or(usize::MAX));
    let fit = wanted.min(files.saturating_sub(RESERVE).max(files / 2));
    if fit < wanted {
        tracing::warn!(
            files,
            connections = fit,
            wanted,
            "the system allows too few open files for connections_max: raise `ulimit -n`, or LimitNOFILE"
        );
    }
    fit
}
