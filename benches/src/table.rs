//! The table: one line for each thing measured.

use std::{fmt::Write as _, time::Duration};

/// A line of the table.
#[derive(Debug)]
pub(crate) struct Line {
    what: String,
    dealog: String,
    /// The bare database.
    bare: Option<String>,
    ratio: Option<f64>,
    target: Option<Target>,
}

impl Line {
    /// Of what the bare database has nothing to set against.
    pub(crate) fn alone(what: String, dealog: String, target: Option<Target>) -> Self {
        Self { what, dealog, bare: None, ratio: None, target }
    }
}

/// What was aimed at, and whether it was reached.
#[derive(Debug)]
pub(crate) struct Target {
    text: String,
    reached: bool,
}

impl Target {
    pub(crate) fn at_least_percent(ratio: f64, percent_min: u32) -> Self {
        Self { text: format!("≥ {percent_min} %"), reached: ratio * 100.0 >= f64::from(percent_min) }
    }

    pub(crate) fn below(value: f64, max: u32, unit: &str) -> Self {
        Self { text: format!("< {max} {unit}"), reached: value < f64::from(max) }
    }
}

/// A rate of Dealog's and of the bare database's, measured in turns.
#[derive(Debug, Default)]
pub(crate) struct Pair {
    pub(crate) dealog: Vec<f64>,
    pub(crate) bare: Vec<f64>,
}

impl Pair {
    /// Of the rounds' ratios: what slowed one round slowed both.
    pub(crate) fn ratio(&self) -> f64 {
        median(self.dealog.iter().zip(&self.bare).map(|(dealog, bare)| dealog / bare).collect())
    }

    pub(crate) fn line(&self, what: String, unit: &str, percent_min: Option<u32>) -> Line {
        let ratio = self.ratio();
        Line {
            what,
            dealog: format!("{} {unit}", number(median(self.dealog.clone()))),
            bare: Some(number(median(self.bare.clone()))),
            ratio: Some(ratio),
            target: percent_min.map(|min| Target::at_least_percent(ratio, min)),
        }
    }
}

pub(crate) fn markdown(lines: &[Line]) -> String {
    let mut text = "| | Dealog | bare SQLite | ratio | target |\n| --- | ---: | ---: | ---: | --- |\n".to_owned();
    for Line { what, dealog, bare, ratio, target } in lines {
        let ratio = ratio.map(|ratio| format!("{:.0} %", ratio * 100.0)).unwrap_or_default();
        let target = target
            .as_ref()
            .map(|Target { text, reached }| format!("{text}: {}", if *reached { "reached" } else { "**missed**" }));
        let (bare, target) = (bare.as_deref().unwrap_or_default(), target.unwrap_or_default());
        // A String takes whatever is written to it.
        let _ = writeln!(text, "| {what} | {dealog} | {bare} | {ratio} | {target} |");
    }
    text
}

/// So many in a second.
pub(crate) fn rate(count: usize, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}

/// The middle one. Zero of nothing, which no measurement gives.
pub(crate) fn median(values: Vec<f64>) -> f64 {
    percentile(values, 50)
}

/// The least value that so many percent of all do not exceed.
pub(crate) fn percentile(mut values: Vec<f64>, percent: usize) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let rank = (values.len() * percent).div_ceil(100);
    values.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

pub(crate) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

/// A whole number with commas.
pub(crate) fn number(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_value_that_was_measured() {
        let hundred: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert!((percentile(hundred.clone(), 99) - 99.0).abs() < f64::EPSILON);
        assert!((median(hundred) - 50.0).abs() < f64::EPSILON);
        assert!((median(vec![7.0]) - 7.0).abs() < f64::EPSILON);
    }

    #[test]
    fn the_ratio_is_that_of_the_rounds_and_not_of_their_medians() {
        let pair = Pair { dealog: vec![10.0, 100.0, 3.0], bare: vec![20.0, 100.0, 4.0] };
        assert!((pair.ratio() - 0.75).abs() < f64::EPSILON);
    }

    #[test]
    fn a_line_says_what_was_aimed_at_and_whether_it_was_reached() {
        let pair = Pair { dealog: vec![1_234_567.0], bare: vec![2_469_134.0] };
        let table = markdown(&[pair.line("appends".into(), "events/s", Some(60))]);
        assert!(
            table.ends_with("| appends | 1,234,567 events/s | 2,469,134 | 50 % | ≥ 60 %: **missed** |\n"),
            "{table}"
        );
    }
}
