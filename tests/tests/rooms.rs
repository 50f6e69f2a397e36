//! The rooms of the workspace: which crate may know which. One way only, as ARCHITECTURE.md draws it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use dealog_tests::repository;
use serde_json::Value;

/// Each room with the rooms right below it. Whatever lies below those is below it too.
const ROOMS: [(&str, &[&str]); 15] = [
    ("dealog-events", &[]),
    ("dealog-domain", &["dealog-events"]),
    ("dealog-store", &["dealog-events"]),
    ("dealog-commands", &["dealog-domain", "dealog-store"]),
    ("dealog-figures", &["dealog-events"]),
    ("dealog-followers", &["dealog-store"]),
    ("dealog-projections", &["dealog-figures", "dealog-followers"]),
    ("dealog-app", &["dealog-commands", "dealog-projections"]),
    ("dealog-api", &["dealog-app"]),
    ("dealog", &["dealog-api"]),
    // A database for each test of whichever room asks for one.
    ("dealog-test-postgres", &[]),
    // It knows the binary, and none of the rooms within.
    ("dealog-tests", &["dealog-test-postgres"]),
    // It breaks the binary, and knows it from outside.
    ("dealog-crash", &["dealog-tests"]),
    // It misuses the binary, and knows it from outside.
    ("dealog-abuse", &["dealog-tests"]),
    // It measures rooms from within as well as the binary from outside.
    ("dealog-benches", &["dealog-commands", "dealog-projections", "dealog-tests"]),
];

/// What waits, reads or writes. Rules and events do none of it.
const IMPURE: [&str; 10] =
    ["async-trait", "axum", "futures-util", "hyper", "rand", "reqwest", "rusqlite", "sqlx", "tokio", "tower-http"];

/// Each crate of the workspace with its dependencies, without those of its tests.
fn crates() -> BTreeMap<String, BTreeSet<String>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(repository())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let name = |of: &Value| of["name"].as_str().unwrap().to_owned();
    let normal = |package: &Value| {
        let dependencies = package["dependencies"].as_array().unwrap();
        dependencies.iter().filter(|dependency| dependency["kind"].is_null()).map(name).collect()
    };
    metadata["packages"].as_array().unwrap().iter().map(|package| (name(package), normal(package))).collect()
}

fn below(room: &str) -> BTreeSet<&'static str> {
    let (_, right_below) = ROOMS
        .iter()
        .find(|(name, _)| *name == room)
        .unwrap_or_else(|| panic!("{room} is a new room: say in this test, and in ARCHITECTURE.md, what it may know"));
    right_below.iter().flat_map(|under| below(under).into_iter().chain([*under])).collect()
}

#[test]
fn crates_depend_only_on_rooms_below_them() {
    let crates = crates();
    assert_eq!(crates.len(), ROOMS.len(), "a room is gone: {:?}", crates.keys());
    for (name, dependencies) in &crates {
        let below = below(name);
        for dependency in dependencies.iter().filter(|dependency| crates.contains_key(*dependency)) {
            assert!(below.contains(dependency.as_str()), "{name} must not depend on {dependency}; it may on {below:?}");
        }
    }
}

#[test]
fn each_room_uses_those_right_below_it() {
    let crates = crates();
    for (name, right_below) in ROOMS {
        for under in right_below {
            assert!(crates[name].contains(*under), "{name} no longer depends on {under}: draw the rooms anew");
        }
    }
}

#[test]
fn events_and_rules_know_nothing_of_input_output_or_waiting() {
    let crates = crates();
    for room in ["dealog-events", "dealog-domain", "dealog-figures"] {
        for impure in IMPURE {
            assert!(!crates[room].contains(impure), "{room} must not depend on {impure}");
        }
    }
}
