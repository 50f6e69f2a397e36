//! Where the binary is.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

use serde_json::Value;

/// The binary under test: the one that `BINARY_UNDER_TEST` names, or else one that is built now, once.
pub fn binary() -> &'static Path {
    // A failure is kept too: what cannot be built is not built again for each test.
    static BINARY: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let found = BINARY.get_or_init(|| match env::var_os("BINARY_UNDER_TEST").map(PathBuf::from) {
        Some(named) if named.is_file() => Ok(named),
        Some(named) => Err(format!(
            "BINARY_UNDER_TEST names {}, and there is no such file: build it with `cargo build -p dealog`",
            named.display()
        )),
        None => build(),
    });
    found.as_ref().unwrap_or_else(|reason| panic!("{reason}"))
}

fn build() -> Result<PathBuf, String> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--package", "dealog", "--message-format", "json-render-diagnostics"])
        .current_dir(repository())
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo can be run");
    if !output.status.success() {
        return Err("the binary under test could not be built: see the compiler's messages".into());
    }
    // Cargo itself says where it put the binary, whatever the target folder is.
    let messages = String::from_utf8_lossy(&output.stdout);
    let executable = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == "dealog")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from));
    executable.ok_or_else(|| "cargo does not say where it put the binary `dealog`".into())
}

/// The root of the repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are a folder of the repository").to_owned()
}

/// The binary with none of this process's own `DEALOG_` variables, which would be settings to it, run in a folder of its
/// own, since a `dealog.toml` there is read.
pub fn command(folder: &Path) -> Command {
    clean(Command::new(binary()), folder)
}

/// The same on a disk that takes no more: no file it writes becomes longer than this. Writing beyond fails, as it does on a
/// full disk, once the signal that comes with it is ignored.
pub(crate) fn limited_command(folder: &Path, file_bytes_max: u64) -> Command {
    const BLOCK_BYTES: u64 = 512;
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; ulimit -S -f \"$0\" && exec \"$@\""]);
    command.arg((file_bytes_max / BLOCK_BYTES).to_string()).arg(binary());
    clean(command, folder)
}

/// The same under a limit of the shell's, such as `ulimit -n 100`.
pub(crate) fn command_under(folder: &Path, limit: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{limit} && exec \"$@\""), "sh"]).arg(binary());
    clean(command, folder)
}

fn clean(mut command: Command, folder: &Path) -> Command {
    command.current_dir(folder);
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("DEALOG_")) {
        command.env_remove(name);
    }
    command
}
