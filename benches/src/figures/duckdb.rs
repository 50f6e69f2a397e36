//! Asking DuckDB: the questions go to `duckdb/figures.py` in a file, and its answers come back in another.

use std::{fs, path::Path, process::Command};

use dealog_events::Position;
use dealog_tests::repository;
use serde_json::Value;

use super::{numbers::Numbers, questions::Asked};
use crate::Result;

/// What DuckDB answered.
pub(super) struct Answered {
    pub(super) version: String,
    /// In the order of the questions.
    pub(super) answers: Vec<Answer>,
}

/// The numbers of one answer, and the median of the milliseconds that it took.
pub(super) struct Answer {
    pub(super) numbers: Numbers,
    pub(super) ms: f64,
}

/// Asks each question so many times on the tables in a folder, which it makes Parquet files of.
pub(super) fn answers(folder: &Path, asked: &[Asked], middle: Position, runs: usize) -> Result<Answered> {
    let questions: Vec<Value> = asked.iter().map(|asked| asked.to_json(middle)).collect();
    fs::write(folder.join("questions.json"), serde_json::to_vec(&questions)?)?;
    let script = repository().join("benches/duckdb/run");
    let status = Command::new(&script).arg(folder).arg(runs.to_string()).status();
    let status = status.map_err(|error| format!("{}: {error}", script.display()))?;
    if !status.success() {
        return Err(format!("{}: {status}", script.display()).into());
    }
    let answered: Value = serde_json::from_slice(&fs::read(folder.join("answers.json"))?)?;
    let version = answered.get("version").and_then(Value::as_str).unwrap_or_default().to_owned();
    let answers = answered.get("answers").and_then(Value::as_array).into_iter().flatten();
    let answers = answers.map(answer).collect::<Result<Vec<_>>>()?;
    if answers.len() != asked.len() {
        return Err(format!("DuckDB gave {} answers to {} questions", answers.len(), asked.len()).into());
    }
    Ok(Answered { version, answers })
}

fn answer(answer: &Value) -> Result<Answer> {
    let part = |name| answer.get(name).ok_or_else(|| format!("an answer of DuckDB's has no {name}"));
    let ms = part("ms")?.as_f64().ok_or("a time of DuckDB's that is not a number")?;
    Ok(Answer { numbers: serde_json::from_value(part("numbers")?.clone())?, ms })
}
