//! Processes that hold leases, by name: which one it is, and whether it is still there.
//!
//! Only a process of this machine can be known to be gone, so that a server which was killed and is started again need not
//! wait for its own lease to run out. Where containers share a name of a machine but not its processes, each is a machine of
//! its own here.

use std::{fmt, fs, process::Command, sync::OnceLock};

use rustix::{
    io::Errno,
    process::{Pid, test_kill_process},
    system::uname,
};
use uuid::Uuid;

/// A process, as leases have it: `host:pid:space:run`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    host: String,
    pid: i32,
    /// What the process number is from: a run of the system, and the space within it where it has several.
    space: String,
    /// Tells processes apart that had the same number one after the other.
    run: String,
}

impl Process {
    /// This process.
    pub fn this() -> &'static Self {
        static THIS: OnceLock<Process> = OnceLock::new();
        THIS.get_or_init(|| Self {
            host: uname().nodename().to_string_lossy().into_owned(),
            pid: rustix::process::getpid().as_raw_nonzero().get(),
            space: fs::read_link("/proc/self/ns/pid")
                .map(|link| link.to_string_lossy().replace(':', ""))
                .unwrap_or_default()
                + boot().unwrap_or_default(),
            run: Uuid::now_v7().simple().to_string(),
        })
    }

    /// Whether it is known to have ended.
    pub fn is_gone(&self) -> bool {
        let this = Self::this();
        if (&self.host, &self.space) != (&this.host, &this.space) {
            return false;
        }
        if self.pid == this.pid {
            return self.run != this.run;
        }
        Pid::from_raw(self.pid).is_some_and(|pid| test_kill_process(pid) == Err(Errno::SRCH))
    }

    /// As an operator would look for it: `host:pid`.
    pub fn name(&self) -> String {
        format!("{}:{}", self.host, self.pid)
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}:{}", self.host, self.pid, self.space, self.run)
    }
}

/// Of what is not the name of a process, nothing is known.
impl From<&str> for Process {
    fn from(text: &str) -> Self {
        let mut parts = text.rsplitn(4, ':');
        let mut part = || parts.next().unwrap_or_default().to_owned();
        let (run, space, pid) = (part(), part(), part());
        Self { host: part(), pid: pid.parse().unwrap_or_default(), space, run }
    }
}

/// What this run of the system is called; none where it does not say.
pub fn boot() -> Option<&'static str> {
    static BOOT: OnceLock<Option<String>> = OnceLock::new();
    let name = || {
        let linux = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
        let name = linux.or_else(|| {
            // That is how macOS says it.
            let told = Command::new("sysctl").args(["-n", "kern.bootsessionuuid"]).output().ok()?;
            told.status.success().then(|| String::from_utf8_lossy(&told.stdout).into_owned())
        })?;
        Some(name.trim().to_owned()).filter(|name| !name.is_empty())
    };
    BOOT.get_or_init(name).as_deref()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_process_is_read_as_it_was_written() {
        let this = Process::this();
        assert_eq!(&Process::from(this.to_string().as_str()), this);
        assert!(this.name().ends_with(&format!(":{}", std::process::id())));
    }

    #[test]
    fn only_a_process_of_this_machine_that_ended_is_known_to_be_gone() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let process = Process { pid: child.id().try_into().unwrap(), ..Process::this().clone() };
        assert!(!process.is_gone(), "it runs");
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(process.is_gone());
        assert!(!Process { host: "elsewhere".into(), ..process.clone() }.is_gone());
        assert!(!Process { space: "another".into(), ..process }.is_gone());
    }

    #[test]
    fn a_run_of_the_system_has_a_name_without_a_colon() {
        let name = boot().unwrap();
        assert!(!name.is_empty() && !name.contains(':'), "{name}");
    }

    #[test]
    fn who_had_the_number_of_this_process_before_is_gone() {
        assert!(!Process::this().is_gone());
        assert!(Process { run: "an earlier one".into(), ..Process::this().clone() }.is_gone());
        assert!(!Process::from("whatever this may be").is_gone());
    }
}
