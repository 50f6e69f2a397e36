//! A command line that comes to an end.

use std::{
    ffi::OsStr,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use crate::{Lines, command, exit_within};

/// How long a command may take. An import or a sample in a debug build on a busy machine takes a while.
const BOUND: Duration = Duration::from_mins(2);

/// A command line to run.
pub struct Run(Command);

/// What came of it.
#[derive(Debug)]
pub struct Done {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    /// `dealog` in this folder.
    pub fn within(folder: &Path) -> Self {
        Self(command(folder))
    }

    /// A command that is made up elsewhere.
    pub(crate) fn of(command: Command) -> Self {
        Self(command)
    }

    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.0.args(args);
        self
    }

    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.0.env(name, value);
        self
    }

    /// Runs it to its end.
    pub fn end(mut self) -> Done {
        let mut child = self.0.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = Lines::of(child.stdout.take().unwrap());
        let stderr = Lines::of(child.stderr.take().unwrap());
        let status = exit_within(&mut child, BOUND);
        Done { code: status.code().unwrap_or(-1), stdout: stdout.all(), stderr: stderr.all() }
    }

    /// Runs it to its end, which must be a good one.
    pub fn succeed(self) -> Done {
        let done = self.end();
        assert_eq!(done.code, 0, "{}\n{}", done.stdout, done.stderr);
        done
    }

    /// Runs it to its end, which must be an error, told on standard error and nowhere else.
    pub fn fail(self) -> String {
        let done = self.end();
        assert_eq!(done.code, 1, "{}\n{}", done.stdout, done.stderr);
        assert_eq!(done.stdout, "");
        // Behind what was logged until then.
        let begins = |(at, _): &(usize, &str)| *at == 0 || done.stderr[..*at].ends_with('\n');
        let told = done.stderr.match_indices("error: ").find(begins);
        let (at, begin) = told.unwrap_or_else(|| panic!("no error is told: {}", done.stderr));
        done.stderr[at + begin.len()..].to_owned()
    }
}
