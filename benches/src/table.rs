//! The table: one line for each thing measured.

use std::{fmt::Write as _, time::Duration};

/// A line of the table.
#[derive(Debug)]
pub(crate) struct Line {
    what: String,
    targets: Vec<Target>,
    reached: String,
    /// The bare database, and what part of it was reached.
    raw: Option<(String, f64)>,
}

impl Line {
    /// Of what the bare database has nothing to set against.
    pub(crate) fn alone(what: String, reached: String, targets: impl IntoIterator<Item = Target>) -> Self {
        Self { what, targets: targets.into_iter().collect(), reached, raw: None }
    }

    /// Of times in milliseconds, which may be so many times the bare database's.
    pub(crate) fn times(what: String, reached: &[f64], raw: &[f64], times_max: f64) -> Self {
        let [reached, raw] = [reached, raw].map(|times| median(times.to_vec()));
        Self {
            what,
            targets: vec![Target { text: format!("≤ {times_max} times raw"), reached: reached <= raw * times_max }],
            reached: format!("p50 {reached:.2} ms"),
            raw: Some((format!("{raw:.2} ms"), reached / raw)),
        }
    }

    #[must_use]
    pub(crate) fn aiming(mut self, target: Target) -> Self {
        self.targets.push(target);
        self
    }

    /// Says this besides what was reached.
    #[must_use]
    pub(crate) fn telling(mut self, more: &str) -> Self {
        self.reached.push_str(more);
        self
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
        Self { text: format!("≥ {percent_min} % of raw"), reached: ratio * 100.0 >= f64::from(percent_min) }
    }

    /// What is kept of a rate when something else goes on.
    pub(crate) fn rate_kept(ratio: f64, percent_min: u32) -> Self {
        Self { text: format!("≥ {percent_min} % of that"), reached: ratio * 100.0 >= f64::from(percent_min) }
    }

    pub(crate) fn at_least(value: f64, min: u32) -> Self {
        Self { text: format!("≥ {}/s", number(min.into())), reached: value >= f64::from(min) }
    }

    pub(crate) fn below(value: f64, max: u32, unit: &str) -> Self {
        Self { text: format!("< {max} {unit}"), reached: value < f64::from(max) }
    }

    /// The same, of a part of what is measured.
    pub(crate) fn of(self, part: &str) -> Self {
        Self { text: format!("{part} {}", self.text), ..self }
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

    pub(crate) fn rate(&self) -> f64 {
        median(self.dealog.clone())
    }

    pub(crate) fn line(&self, what: String, unit: &str) -> Line {
        Line {
            what,
            targets: Vec::new(),
            reached: format!("{} {unit}", number(self.rate())),
            raw: Some((number(median(self.bare.clone())), self.ratio())),
        }
    }
}

pub(crate) fn markdown(lines: &[Line]) -> String {
    let mut text = "| | target | reached | raw | ratio to raw |\n| --- | --- | ---: | ---: | ---: |\n".to_owned();
    for Line { what, targets, reached, raw } in lines {
        let shown = |Target { text, reached }: &Target| {
            if *reached { text.clone() } else { format!("**missed:** {text}") }
        };
        let targets = targets.iter().map(shown).collect::<Vec<_>>().join(", ");
        let (raw, ratio) =
            raw.as_ref().map(|(raw, ratio)| (raw.as_str(), format!("{:.0} %", ratio * 100.0))).unwrap_or_default();
        // A String takes whatever is written to it.
        let _ = writeln!(text, "| {what} | {targets} | {reached} | {raw} | {ratio} |");
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
    fn a_line_says_what_was_aimed_at_and_what_of_it_was_missed() {
        let pair = Pair { dealog: vec![1_234_567.0], bare: vec![2_469_134.0] };
        let line = pair.line("appends".into(), "events/s");
        let line = line.aiming(Target::at_least_percent(pair.ratio(), 60)).aiming(Target::at_least(pair.rate(), 1_000));
        let table = markdown(&[line]);
        let expected = "| appends | **missed:** ≥ 60 % of raw, ≥ 1,000/s | 1,234,567 events/s | 2,469,134 | 50 % |\n";
        assert!(table.ends_with(expected), "{table}");
    }

    #[test]
    fn times_are_reached_where_they_are_short() {
        let line = |reached| markdown(&[Line::times("one".into(), &[reached], &[1.0], 1.5)]);
        assert!(line(1.4).ends_with("| one | ≤ 1.5 times raw | p50 1.40 ms | 1.00 ms | 140 % |\n"), "{}", line(1.4));
        assert!(line(1.6).contains("**missed:**"));
    }
}
