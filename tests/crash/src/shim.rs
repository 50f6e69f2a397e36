//! A disk that fails or forgets, and a clock that jumps, by a library that is put before the C library of a process.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    os::unix::fs::{FileExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    broken::{Result, When as _, ensure},
    place::Faults,
};

/// Whether this system has `LD_PRELOAD`.
pub(crate) const IS_POSSIBLE: bool = cfg!(target_os = "linux");

const SOURCE: &str = include_str!("shim.c");

/// What the processes do that were started with it. The fields of `struct control` in the source.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Control {
    pub(crate) clock_offset_ns: i64,
    /// The error number that calls fail with; none fail if 0.
    pub(crate) error: i64,
    /// Whether `fsync` fails, or else `write`.
    pub(crate) syncs: bool,
    pub(crate) calls_before: i64,
    pub(crate) calls_failing: i64,
}

pub(crate) struct Shim {
    library: PathBuf,
    path: PathBuf,
    control: File,
}

impl Shim {
    /// Compiles it into this folder.
    pub(crate) fn build(folder: &Path) -> Result<Self> {
        let (source, library, path) = (folder.join("shim.c"), folder.join("shim.so"), folder.join("shim.control"));
        fs::write(&source, SOURCE)?;
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-Wall", "-o"]).arg(&library).arg(&source).arg("-ldl");
        let output = compiler.output().when("the C compiler (cc), which the shim needs")?;
        ensure!(output.status.success(), "the shim does not compile: {}", String::from_utf8_lossy(&output.stderr));
        let control = OpenOptions::new().create(true).truncate(true).write(true).open(&path)?;
        // PostgreSQL may run as somebody else.
        control.set_permissions(Permissions::from_mode(0o666))?;
        let shim = Self { library, path, control };
        shim.set(Control::default())?;
        Ok(shim)
    }

    /// For a process whose clock is to jump, and whose files with `file` in their path are to fail.
    pub(crate) fn faults(&self, file: &str) -> Faults {
        let path = |path: &Path| path.display().to_string();
        let faults = Faults::none().with("LD_PRELOAD", path(&self.library));
        faults.with("SHIM_CONTROL", path(&self.path)).with("SHIM_FILE", file)
    }

    /// For a process whose databases are to be put back to what an fsync had brought to the disk: `unsynced` is the folder
    /// for all that has been written since.
    pub(crate) fn forgetful(&self, file: &str, unsynced: &Path) -> Faults {
        self.faults(file).with("SHIM_UNSYNCED", unsynced.display().to_string())
    }

    /// What happens from now on.
    pub(crate) fn set(&self, control: Control) -> Result<()> {
        let Control { clock_offset_ns, error, syncs, calls_before, calls_failing } = control;
        let fields = [clock_offset_ns, error, i64::from(syncs), calls_before, calls_failing];
        let bytes: Vec<u8> = fields.iter().flat_map(|field| field.to_ne_bytes()).collect();
        Ok(self.control.write_all_at(&bytes, 0)?)
    }
}
