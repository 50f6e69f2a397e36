//! What the binary says of itself.

use dealog_tests::{Run, repository};

fn run(args: &[&str]) -> Run {
    Run::within(&repository()).args(args)
}

#[test]
fn every_command_explains_itself() {
    let help = run(&["--help"]).succeed().stdout;
    let commands: Vec<&str> = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next().filter(|name| !name.is_empty()))
        .collect();
    for expected in ["serve", "demo", "import", "replay", "rebuild", "work"] {
        assert!(commands.contains(&expected), "{expected} is not in the help: {help}");
    }
    for command in commands.iter().filter(|command| **command != "help") {
        let help = run(&[command, "--help"]).succeed().stdout;
        assert!(help.contains("Usage: dealog"), "{command}: {help}");
        for option in ["--data <DIR>", "--config <FILE>", "--log <FILTER>"] {
            assert!(help.contains(option), "{command} does not tell of {option}: {help}");
        }
    }
}

#[test]
fn the_version_is_told() {
    assert!(run(&["--version"]).succeed().stdout.starts_with("dealog "));
}

#[test]
fn what_is_not_understood_is_answered_with_where_to_read_on() {
    for args in [&["sell"][..], &["serve", "--port", "80"], &["replay", "--from", "one"], &["import"], &[]] {
        let done = run(args).end();
        assert_eq!((done.code, done.stdout.as_str()), (2, ""), "{args:?}");
        assert!(done.stderr.contains("--help"), "{args:?}: {}", done.stderr);
    }
}
