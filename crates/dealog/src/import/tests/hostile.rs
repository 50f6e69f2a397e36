//! Files and mappings that mean no good: they are refused in one line, and nothing of them is obeyed.

use std::{fs, os::unix::fs::symlink, process::Command};

use super::{DEALS, HEADER, MAVEN, Mapping, Options, World, skipped};
use crate::import::{
    ImportError, MappingError,
    rows::{CELL_BYTES_MAX, COLUMNS_MAX, ROW_BYTES_MAX},
};

const GOOD: &str = "A1,Ilse Brandt,GTX Basic,Fjordbank,Engaging,2017-03-01,,";

/// A message is a line, and no longer than a few lines of a terminal.
fn is_one_line(message: &str) {
    assert!(!message.contains(['\n', '\r', '\u{1b}']) && message.len() < 3_000, "{}", message.len());
}

async fn refused(world: &World) -> ImportError {
    let error = world.try_import(Options::default()).await.unwrap_err();
    is_one_line(&error.to_string());
    assert!(world.log().await.is_empty(), "something was sent");
    error
}

#[test]
fn a_mapping_names_files_of_its_folder_alone() {
    for file in ["/etc/passwd", "../sales_pipeline.csv", "parts/../../sales_pipeline.csv"] {
        for key in ["sales_pipeline.csv", "accounts.csv", "sales_teams.csv", "products.csv"] {
            let error = MAVEN.replace(key, file).parse::<Mapping>().unwrap_err();
            assert!(matches!(&error, MappingError::Unfit { key, .. } if key.ends_with("file")), "{error}");
        }
    }
    MAVEN.replace("sales_pipeline.csv", "./parts/sales_pipeline.csv").parse::<Mapping>().unwrap();
}

#[tokio::test]
async fn what_leads_out_of_the_folder_or_is_no_plain_file_is_not_read() {
    let world = World::with_deals(&[GOOD]);
    let deals = world.folder.path().join(DEALS);
    let outside = tempfile::NamedTempFile::new().unwrap();
    fs::copy(&deals, outside.path()).unwrap();
    fs::remove_file(&deals).unwrap();
    symlink(outside.path(), &deals).unwrap();
    assert!(matches!(refused(&world).await, ImportError::Elsewhere { .. }));
    for make in ["mkfifo", "mkdir"] {
        fs::remove_file(&deals).unwrap();
        assert!(Command::new(make).arg(&deals).status().unwrap().success());
        assert!(matches!(refused(&world).await, ImportError::Elsewhere { .. }), "{make}");
        if make == "mkdir" {
            fs::remove_dir(&deals).unwrap();
        }
    }
    // A link within the folder is a file of it.
    world.write("elsewhere.csv", format!("{HEADER}\n{GOOD}\n"));
    symlink("elsewhere.csv", &deals).unwrap();
    assert_eq!(world.import().await.skipped, []);
}

#[tokio::test]
async fn a_million_columns_are_refused_in_one_line() {
    let world = World::sample();
    world.write(DEALS, format!("{HEADER}{}\n{GOOD}\n", ",x".repeat(COLUMNS_MAX)));
    assert!(matches!(refused(&world).await, ImportError::TooLarge { what: "columns", .. }));
    world.write(DEALS, format!("{HEADER}{}\n{GOOD}\n", ",x".repeat(1_000_000)));
    assert!(matches!(refused(&world).await, ImportError::RowTooLong { line: 1, .. }));
    // Many that are none of those that are needed.
    world.write(DEALS, format!("x{}\n", ",\u{1b}]0;a longer name\u{7}".repeat(COLUMNS_MAX - 1)));
    assert!(matches!(refused(&world).await, ImportError::Column { .. }));
}

#[tokio::test]
async fn a_row_or_a_cell_of_ten_megabytes_is_refused_in_one_line() {
    let world = World::with_deals(&[GOOD, &format!("A2,{}", "x".repeat(10_000_000))]);
    assert!(matches!(refused(&world).await, ImportError::RowTooLong { line: 3, .. }));
    let world = World::with_deals(&[GOOD, &",".repeat(10_000_000)]);
    assert!(matches!(refused(&world).await, ImportError::RowTooLong { line: 3, .. }));
    // A quotation mark that is never closed, with rows behind it.
    let world = World::with_deals(&[GOOD, &format!("A2,\"{}", format!("{GOOD}\n").repeat(ROW_BYTES_MAX / GOOD.len()))]);
    assert!(matches!(refused(&world).await, ImportError::RowTooLong { line: 3, .. }));
}

#[tokio::test]
async fn a_row_with_a_cell_that_is_too_large_is_left_out_and_the_others_are_taken() {
    let large = "x".repeat(CELL_BYTES_MAX + 1);
    let world = World::with_deals(&[&GOOD.replace("GTX Basic", &large), &GOOD.replace("A1", "A2")]);
    let report = world.import().await;
    assert_eq!(skipped(&report).len(), 1);
    is_one_line(&report.skipped[0].to_string());
    assert_eq!(report.skipped[0].line, 2);
}

#[tokio::test]
async fn what_a_report_repeats_is_short_and_obeyed_by_no_terminal() {
    let bad = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m\u{202e}".repeat(1_000);
    let world = World::with_deals(&[&GOOD.replace("GTX Basic", &bad), &GOOD.replace("2017-03-01", &bad)]);
    let report = world.import().await;
    assert_eq!(report.skipped.len(), 2);
    for skipped in &report.skipped {
        is_one_line(&skipped.to_string());
    }
    let text = report.to_string();
    assert!(!text.contains(['\u{1b}', '\u{7}', '\u{9b}', '\u{202e}']), "{text}");
    assert!(text.contains(r"\u001b[2J"), "{text}");
}
