//! The table: each question with what was aimed at, and what both took.

use std::{fmt::Write as _, time::Duration};

use super::{
    fold::Snapshot,
    log::Written,
    questions::{Asked, Figure, Past},
};
use crate::table::{number, rate};

const FOLD_EVENTS_PER_SECOND_MIN: f64 = 800_000.0;
const BYTES_A_DEAL_MAX: f64 = 400.0;

/// What both took for one question, in milliseconds.
pub(super) struct Line {
    pub(super) asked: Asked,
    pub(super) dealog_ms: f64,
    pub(super) duckdb_ms: f64,
}

/// All that a run found.
pub(super) struct Report {
    /// The day, the machine and the versions.
    pub(super) here: String,
    pub(super) duckdb: String,
    pub(super) runs: usize,
    pub(super) deals: usize,
    pub(super) events: u64,
    /// How the log was written; none where an earlier run wrote it.
    pub(super) written: Option<Written>,
    pub(super) log_bytes: u64,
    pub(super) fold: Duration,
    /// What the image takes; none where the system does not tell.
    pub(super) megabytes: Option<f64>,
    pub(super) snapshot: Snapshot,
    pub(super) lines: Vec<Line>,
}

/// What is aimed at: milliseconds at most, and how many times as fast as DuckDB, where 1 means ahead of it.
#[derive(Clone, Copy)]
struct Target {
    ms_max: f64,
    times_min: f64,
}

impl Target {
    fn of(figure: Figure) -> Self {
        let (ms_max, times_min) = match figure {
            Figure::Pipeline | Figure::Columns | Figure::Forecast => (8.0, 5.0),
            Figure::QuarterFunnel | Figure::WinRateByOwner => (10.0, 3.0),
            Figure::Funnel | Figure::WinRateByMonth | Figure::Cycle => (30.0, 1.0),
            Figure::TimeInStage => (100.0, 10.0),
            Figure::Series => (500.0, 1.0),
        };
        Self { ms_max, times_min }
    }

    const PAST: Self = Self { ms_max: 60.0, times_min: 1.0 };

    fn text(self, dealog_ms: f64, ratio: f64) -> String {
        let times = if self.times_min > 1.0 { format!("{} times as fast", self.times_min) } else { "ahead".to_owned() };
        let ms = aimed(&format!("≤ {}", self.ms_max), dealog_ms <= self.ms_max);
        format!("{ms}, {}", aimed(&times, ratio > 1.0 && ratio >= self.times_min))
    }
}

/// A target, marked where it was missed.
fn aimed(text: &str, reached: bool) -> String {
    if reached { text.to_owned() } else { format!("**missed:** {text}") }
}

impl Line {
    fn ratio(&self) -> f64 {
        self.duckdb_ms / self.dealog_ms
    }
}

impl Report {
    pub(super) fn markdown(&self) -> String {
        let mut text = String::new();
        // A String takes whatever is written to it.
        let _ = writeln!(text, "{}\n", self.how());
        for line in self.beside() {
            let _ = writeln!(text, "- {line}");
        }
        text.push_str("\n| query | target ms | Dealog ms | DuckDB ms | ratio |\n| --- | --- | ---: | ---: | ---: |\n");
        for line in self.lines.iter().filter(|line| line.asked.past == Past::Now) {
            row(&mut text, &line.asked.title(), Target::of(line.asked.figure), line, line.ratio());
            if line.asked.figure == Figure::Cycle {
                self.past(&mut text);
            }
        }
        text
    }

    fn how(&self) -> String {
        let debug =
            if cfg!(debug_assertions) { "**A debug build: these figures say nothing about Dealog.** " } else { "" };
        let Self { here, duckdb, runs, deals, events, .. } = self;
        format!(
            "{debug}{here}, DuckDB {duckdb} with 2 threads on Parquet files. A log of {deals} deals, {events} events over six years. \
             Medians of {runs} runs on warm data; all numbers of both are equal.",
            deals = number(*deals as f64),
            events = number(*events as f64),
        )
    }

    /// What is measured beside the questions.
    fn beside(&self) -> Vec<String> {
        let events_of = |took: Duration| rate(usize::try_from(self.events).unwrap_or(usize::MAX), took);
        let folded = events_of(self.fold);
        let fold = aimed("≥ 800,000", folded >= FOLD_EVENTS_PER_SECOND_MIN);
        let image = match self.megabytes {
            None => "image: this system does not tell how much memory a process has".to_owned(),
            Some(megabytes) => {
                let bytes = megabytes * 1e6 / self.deals as f64;
                let target = aimed("≤ 400", bytes <= BYTES_A_DEAL_MAX);
                format!(
                    "image: {} bytes a deal ({target}), by how much the resident memory of the process grew, beyond what \
                     reading the log takes: {} MB",
                    number(bytes),
                    number(megabytes),
                )
            }
        };
        let Snapshot { write_ms, read_ms, bytes } = self.snapshot;
        vec![
            format!(
                "log: {}; {} bytes an event on the disk",
                match &self.written {
                    Some(written) => format!(
                        "appended at {} events/s, one event a command, commits shared",
                        number(events_of(written.took))
                    ),
                    None => "that of an earlier run".to_owned(),
                },
                number(self.log_bytes as f64 / self.events as f64),
            ),
            format!("fold of the log without a snapshot: {} events/s ({fold})", number(folded)),
            image,
            format!(
                "snapshot: {} MB, written in {} ms, read in {} ms",
                number(bytes as f64 / 1e6),
                number(write_ms),
                number(read_ms),
            ),
        ]
    }

    /// All questions about the past in one row: the slowest of them, and the least ratio.
    fn past(&self, text: &mut String) {
        let past = || self.lines.iter().filter(|line| line.asked.past != Past::Now);
        let slowest = past().max_by(|one, other| one.dealog_ms.total_cmp(&other.dealog_ms));
        let closest = past().min_by(|one, other| one.ratio().total_cmp(&other.ratio()));
        let (Some(slowest), Some(closest)) = (slowest, closest) else { return };
        let title = format!(
            "any of these as of two years ago, known at the middle of the log, and both: at most (the slowest: {}; least ratio: {})",
            slowest.asked.title(),
            closest.asked.title(),
        );
        row(text, &title, Target::PAST, slowest, closest.ratio());
    }
}

fn row(text: &mut String, title: &str, target: Target, line: &Line, ratio: f64) {
    let Line { dealog_ms, duckdb_ms, .. } = line;
    let target = target.text(*dealog_ms, ratio);
    let _ = writeln!(text, "| {title} | {target} | {dealog_ms:.1} | {duckdb_ms:.1} | {ratio:.1} |");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(figure: Figure, past: Past, dealog_ms: f64, duckdb_ms: f64) -> Line {
        Line { asked: Asked { figure, past }, dealog_ms, duckdb_ms }
    }

    fn report(lines: Vec<Line>) -> Report {
        Report {
            here: "here".into(),
            duckdb: "2".into(),
            runs: 9,
            deals: 1_000,
            events: 8_000,
            written: Some(Written { events: 8_000, took: Duration::from_secs(1) }),
            log_bytes: 4_000_000,
            fold: Duration::from_millis(20),
            megabytes: Some(0.3),
            snapshot: Snapshot { write_ms: 1.0, read_ms: 2.0, bytes: 100_000 },
            lines,
        }
    }

    #[test]
    fn a_missed_target_is_marked_and_each_part_of_it_by_itself() {
        let markdown = report(vec![line(Figure::Pipeline, Past::Now, 7.0, 28.0)]).markdown();
        assert!(markdown.contains("| pipeline | ≤ 8, **missed:** 5 times as fast | 7.0 | 28.0 | 4.0 |"), "{markdown}");
        assert!(markdown.contains("400,000 events/s (**missed:** ≥ 800,000)"), "{markdown}");
        assert!(markdown.contains("300 bytes a deal (≤ 400)"), "{markdown}");
    }

    #[test]
    fn the_row_of_the_past_has_the_slowest_and_the_least_ratio() {
        let lines = vec![
            line(Figure::Cycle, Past::Now, 20.0, 40.0),
            line(Figure::Pipeline, Past::AsOf, 50.0, 200.0),
            line(Figure::Cycle, Past::Both, 30.0, 27.0),
        ];
        let markdown = report(lines).markdown();
        let row = markdown.lines().last().unwrap();
        assert!(row.ends_with("| ≤ 60, **missed:** ahead | 50.0 | 200.0 | 0.9 |"), "{row}");
        assert!(row.contains("slowest: pipeline, as_of; least ratio: cycle of six years, both"), "{row}");
    }
}
