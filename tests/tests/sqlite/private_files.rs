//! The files of a company are for one user alone.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use dealog_tests::{Data, Server, deal};
use serde_json::json;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// The binary over this data, begun by a shell with this mask.
fn under(mask: &str, data: &Data, args: &[&str]) -> Command {
    let binary = data.command();
    let mut command = Command::new("sh");
    command.args(["-c", "umask \"$0\" && exec \"$@\"", mask]).arg(binary.get_program()).args(args);
    command.current_dir(data.home()).envs(binary.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command
}

fn is_private(folder: &Path) -> usize {
    assert_eq!(mode(folder), 0o700, "{}", folder.display());
    let files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    for file in &files {
        assert_eq!(mode(file), 0o600, "{}", file.display());
    }
    files.len()
}

#[test]
fn all_that_is_made_is_private_whatever_the_mask() {
    for mask in ["000", "022", "077"] {
        let data = Data::on_sqlite();
        let serve = || Server::of(under(mask, &data, &["serve", "--listen", "127.0.0.1:0"])).ready();
        let server = serve();
        server.post("/v1/deals", &deal("Private", &json!({}))).expect(201);
        // Two databases, the journals of both with their indexes, and the locks.
        assert!(is_private(&data.folder()) >= 7);
        let backup = data.home().join("copy.db");
        let done = under(mask, &data, &["backup", "copy.db"]).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        assert_eq!(mode(&backup), 0o600);
        server.kill9();
        is_private(&data.folder());

        assert!(under(mask, &data, &["rebuild"]).status().unwrap().success());
        is_private(&data.folder());
        let server = serve();
        server.post("/v1/deals", &deal("Private again", &json!({}))).expect(201);
        is_private(&data.folder());
        let log = server.stop();
        assert!(!log.contains("can read the data"), "{log}");
    }
}

#[test]
fn what_others_may_get_at_is_named_at_a_start() {
    let data = Data::on_sqlite();
    Server::start(&data, &[]).ready().stop();
    let (folder, log) = (data.folder(), data.folder().join("log.db"));
    set_mode(&folder, 0o755);
    set_mode(&log, 0o640);
    let server = Server::start(&data, &[]);
    server.logged("others than its owner can read the data");
    for named in [". (0755)", "log.db (0640)"] {
        assert!(server.has_logged(named), "{named}");
    }
    assert!(!server.has_logged("views.db (0"));
    server.stop();
    assert_eq!((mode(&folder), mode(&log)), (0o755, 0o640), "nothing is changed: it may be meant so");
}
