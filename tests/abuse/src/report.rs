//! What was measured, as a table, and whether it is within the bounds.

use std::time::Duration;

use comfy_table::{Table, presets};

use crate::{
    Seen,
    measure::{Holdings, Latencies},
};

/// Under attack, the slowest hundredth of what those who work ask for takes less than this many times as long as alone.
const ATTACKED_TIMES_MAX: u32 = 5;
/// Afterwards, less than this many times.
const AGAIN_TIMES_MAX: u32 = 2;
/// A request alone takes a millisecond or two, of which a small multiple says nothing: this much is always allowed.
const ALLOWED: Duration = Duration::from_millis(5);
/// What the server holds in memory at most.
const PEAK_MB_MAX: u64 = 400;
/// Files that may be open afterwards beyond those before: connections of pools that were opened meanwhile.
const FILES_MORE_MAX: usize = 16;
/// `/metrics` may be so many times as long afterwards: the attacks meet routes and answers that work alone does not.
const METRICS_TIMES_MAX: usize = 3;

/// All that was measured.
pub(crate) struct Report {
    pub(crate) alone: Seen,
    pub(crate) attacked: Seen,
    pub(crate) again: Seen,
    pub(crate) before: Holdings,
    pub(crate) during: Holdings,
    pub(crate) after: Holdings,
    pub(crate) ready: bool,
}

/// Which bounds hold.
pub(crate) struct Bounds {
    /// Those on how long someone waits.
    pub(crate) latency: bool,
}

impl Report {
    /// Prints it. Whether all bounds were kept.
    pub(crate) fn print(&self, bounds: &Bounds) -> bool {
        let mut table = Table::new();
        table.load_style(presets::ASCII_MARKDOWN);
        table.set_header([
            "",
            "alone: p50, p99",
            "under attack",
            "p99 against alone",
            "alone again",
            "requests under attack",
        ]);
        let mut passed = Vec::new();
        for (who, of) in self.workers() {
            let [alone, attacked, again] = of;
            let times = attacked.percentile(99).as_secs_f64() / alone.percentile(99).as_secs_f64().max(f64::EPSILON);
            table.add_row([
                who.to_owned(),
                shown(alone),
                shown(attacked),
                format!("{times:.1} times"),
                shown(again),
                attacked.len().to_string(),
            ]);
            if attacked.len() == 0 {
                passed.push(format!("the {who} got nothing done"));
            }
            if bounds.latency {
                passed.extend(slower(who, "under attack", alone, attacked, ATTACKED_TIMES_MAX));
                passed.extend(slower(who, "afterwards", alone, again, AGAIN_TIMES_MAX));
            }
        }
        println!("{table}");
        let Self { before, during, after, .. } = self;
        println!(
            "memory: {} MB before, {} under attack, {} afterwards, {} at most; open files: {}, {}, {}; /metrics: {}, {}, {} bytes",
            before.resident_mb,
            during.resident_mb,
            after.resident_mb,
            after.peak_mb,
            before.files,
            during.files,
            after.files,
            before.metrics_bytes,
            during.metrics_bytes,
            after.metrics_bytes,
        );
        passed.extend(self.others());
        for passed in &passed {
            println!("NOT KEPT: {passed}");
        }
        passed.is_empty()
    }

    fn workers(&self) -> [(&'static str, [&Latencies; 3]); 3] {
        let Self { alone, attacked, again, .. } = self;
        [
            ("seller", [&alone.seller, &attacked.seller, &again.seller]),
            ("analyst", [&alone.analyst, &attacked.analyst, &again.analyst]),
            ("subscriber", [&alone.subscriber, &attacked.subscriber, &again.subscriber]),
        ]
    }

    /// Bounds that have nothing to do with how fast the machine is.
    fn others(&self) -> Vec<String> {
        let Self { before, after, .. } = self;
        let mut passed = Vec::new();
        for (when, seen) in [("alone", &self.alone), ("under attack", &self.attacked), ("alone again", &self.again)] {
            passed.extend(seen.failures.iter().map(|failure| format!("{when}: {failure}")));
            if seen.failures_more > 0 {
                passed.push(format!("{when}: and {} failures more", seen.failures_more));
            }
        }
        if after.peak_mb > PEAK_MB_MAX {
            passed.push(format!("the server held {} MB; at most {PEAK_MB_MAX} are allowed", after.peak_mb));
        }
        if after.files > before.files + FILES_MORE_MAX {
            passed.push(format!("{} files are open afterwards, and {} were before", after.files, before.files));
        }
        if after.metrics_bytes == 0 || after.metrics_bytes > before.metrics_bytes * METRICS_TIMES_MAX {
            let (before, after) = (before.metrics_bytes, after.metrics_bytes);
            passed.push(format!("/metrics has {after} bytes afterwards, and {before} before"));
        }
        if !self.ready {
            passed.push("the server says afterwards that it is not ready".into());
        }
        passed
    }
}

fn slower(who: &str, when: &str, alone: &Latencies, then: &Latencies, times_max: u32) -> Option<String> {
    let [alone, then] = [alone, then].map(|latencies| latencies.percentile(99));
    let bound = (alone * times_max).max(alone + ALLOWED);
    (then > bound).then(|| format!("the {who}'s p99 {when} is {}; at most {} are allowed", millis(then), millis(bound)))
}

fn shown(latencies: &Latencies) -> String {
    format!("{}, {}", millis(latencies.percentile(50)), millis(latencies.percentile(99)))
}

fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1_000.0)
}
