//! Places where a test breaks a process on purpose, by name.
//!
//! They are there only with the feature `failpoints`, and a release build with it does not compile. What happens at which is
//! said in the environment variable `FAILPOINTS`, as in `log-before-commit=3*off->return(abort)`: the fourth time the process
//! ends there at once. `return` fails as a database that is gone, `return(pass)` only says that the process came by, and the
//! crate `fail` knows `panic`, `sleep` and more.

#[cfg(all(feature = "failpoints", not(debug_assertions)))]
compile_error!("failpoints are for tests: a release is built without the feature `failpoints`");

#[cfg(feature = "failpoints")]
use std::io::Write as _;

/// Takes `FAILPOINTS` from the environment, for the rest of the process.
#[cfg(feature = "failpoints")]
pub fn set_up() {
    // What it gives back would take them away again when it is dropped.
    std::mem::forget(fail::FailScenario::setup());
}

/// A place that a process comes by. Gives an error where it is to fail there.
#[cfg(feature = "failpoints")]
pub fn pass(name: &str) -> Result<(), sqlx::Error> {
    fail::fail_point!(name, |argument| {
        let argument = argument.unwrap_or_default();
        // Whoever set it finds out that it was come by.
        tracing::warn!(argument, "the failpoint {name}");
        match argument.as_str() {
            "abort" => {
                // What was logged is written by another thread, which would end before it came to that.
                let _ = writeln!(std::io::stderr(), "the failpoint {name} ends the process");
                std::process::abort()
            }
            "pass" => Ok(()),
            _ => Err(sqlx::Error::Io(std::io::Error::other(format!("the failpoint {name}")))),
        }
    });
    Ok(())
}

/// Nothing.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
#[allow(clippy::inline_always, clippy::unnecessary_wraps, reason = "nothing is to be left of it")]
pub fn pass(_: &str) -> Result<(), sqlx::Error> {
    Ok(())
}
