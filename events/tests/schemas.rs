//! The JSON Schemas in `schemas/` are what services in other languages build on. They are generated from the types and
//! checked in, so that every change of the contract shows in review; these tests keep the folder and the types in step.
//!
//! `DEALOG_RENEW=1 cargo test -p dealog-events --test schemas` writes the schemas of the versions that are written today.
//! Those of older versions are only ever read: the events they describe are in logs for good.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

use dealog_events::{EventType, event_types};

const RENEW: &str = "DEALOG_RENEW=1 cargo test -p dealog-events --test schemas";

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("schemas")
}

fn file_name(event_type: &str, schema: u16) -> String {
    format!("{event_type}.v{schema}.json")
}

/// The text of the file for `event_type` as it is written today.
fn generated(event_type: &EventType) -> String {
    format!("{}\n", serde_json::to_string_pretty(&(event_type.json_schema)()).unwrap())
}

/// Every file of the folder: name and text.
fn checked_in() -> BTreeMap<String, String> {
    let read = |entry: std::io::Result<fs::DirEntry>| {
        let entry = entry.unwrap();
        (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap())
    };
    match fs::read_dir(folder()) {
        Ok(entries) => entries.map(read).collect(),
        Err(_) => BTreeMap::new(),
    }
}

/// Writes the schemas of present versions where the caller asked for it. Nothing else in the folder is touched.
fn renew_if_asked() {
    if std::env::var_os("DEALOG_RENEW").is_none_or(|asked| asked != "1") {
        return;
    }
    fs::create_dir_all(folder()).unwrap();
    for event_type in event_types() {
        fs::write(folder().join(file_name(event_type.name, event_type.schema)), generated(event_type)).unwrap();
    }
}

// One test for the three ways to differ: a renewal must be over before the folder is read.
#[test]
fn the_folder_holds_the_schema_of_every_version_and_nothing_else() {
    renew_if_asked();
    let files = checked_in();
    let mut faults = Vec::new();

    for event_type in event_types() {
        let name = file_name(event_type.name, event_type.schema);
        match files.get(&name) {
            None => faults.push(format!("schemas/{name} is missing. Write it: {RENEW}")),
            Some(text) if *text != generated(event_type) => faults.push(format!(
                "schemas/{name} is not what the type says. If version {} is in no release yet, renew it: {RENEW}\n    \
                 If it is, raise the version in `events!`, add an upcaster and leave this file alone",
                event_type.schema
            )),
            Some(_) => {}
        }
        for older in 1..event_type.schema {
            let name = file_name(event_type.name, older);
            if !files.contains_key(&name) {
                faults.push(format!("schemas/{name} is missing. It describes events in logs: take it from history"));
            }
        }
    }

    let known: BTreeSet<String> =
        event_types().flat_map(|known| (1..=known.schema).map(|schema| file_name(known.name, schema))).collect();
    for name in files.keys().filter(|name| !known.contains(*name)) {
        faults.push(format!("schemas/{name} belongs to no event type. Delete it, or bring its type back"));
    }

    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn every_schema_is_itself_valid_and_closed() {
    for event_type in event_types() {
        let schema = serde_json::to_value((event_type.json_schema)()).unwrap();
        jsonschema::meta::validate(&schema).unwrap_or_else(|error| panic!("{}: {error}", event_type.name));
        let forms = schema["oneOf"].as_array().cloned().unwrap_or_else(|| vec![schema.clone()]);
        for form in forms {
            assert_eq!(form["type"], "object", "{}: data is always an object", event_type.name);
            assert_eq!(form["additionalProperties"], false, "{}: unknown fields are refused", event_type.name);
        }
    }
}

#[test]
fn event_types_are_named_once_and_after_their_category() {
    let mut seen = BTreeSet::new();
    for event_type in event_types() {
        assert!(seen.insert(event_type.name), "{} is there twice", event_type.name);
        assert!(event_type.schema >= 1, "{}: versions count from 1", event_type.name);
        let (category, what) = event_type.name.split_once('.').expect("a dotted name");
        let fit = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        assert!(fit(category) && fit(what), "{}", event_type.name);
    }
}
