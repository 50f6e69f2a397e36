//! The numbers of an answer by name, so that they can be compared with those of another program.
//!
//! Stages are numbered through all pipelines in order (`stage 7.deals`), pipelines too. Amounts are minor units, rates and days are
//! hundredths and ten-thousandths as they are given. A number that is zero or null is left out, since SQL gives no row for it.

use std::collections::BTreeMap;

use dealog_figures::{
    AllPipelines, CohortFunnels, Columns, CycleFigures, Cycles, Days, ForecastFigures, ForecastPart, Grouped, Series,
    StageTotals, TimesInStages, Total, WinRateFigures,
};

/// Numbers by name.
pub(super) type Numbers = BTreeMap<String, i64>;

/// Collects them.
#[derive(Default)]
struct Found(Numbers);

impl Found {
    fn put(&mut self, of: &str, name: &str, number: i64) {
        if number != 0 {
            self.0.insert(format!("{of}.{name}"), number);
        }
    }

    fn total(&mut self, of: &str, name: &str, total: Total) {
        // No sum of the log comes near this.
        self.put(of, name, i64::try_from(total.minor).unwrap_or(i64::MAX));
    }

    fn days(&mut self, of: &str, name: &str, days: Option<Days>) {
        self.put(of, name, days.map_or(0, |days| days.hundredths));
    }

    fn totals(&mut self, of: &str, totals: &StageTotals) {
        self.put(of, "deals", totals.deals);
        self.total(of, "amount", totals.amount);
        self.total(of, "weighted", totals.weighted);
        self.put(of, "without_amount", totals.without_amount);
        self.put(of, "stale", totals.stale);
        self.put(of, "overdue", totals.overdue);
    }

    fn part(&mut self, of: &str, part: &ForecastPart) {
        self.put(of, "deals", part.deals);
        self.put(of, "without_amount", part.without_amount);
        self.total(of, "amount", part.amount);
        self.total(of, "weighted", part.weighted);
    }

    fn pipelines(&mut self, figures: &AllPipelines, prefix: &str) {
        let mut stages = 0..;
        for (number, pipeline) in figures.pipelines.iter().enumerate() {
            for (stage, number) in pipeline.stages.iter().zip(&mut stages) {
                let of = format!("{prefix}stage {number}");
                self.totals(&of, &stage.totals);
                self.days(&of, "age_mean", stage.age_days_mean);
                self.days(&of, "age_median", stage.age_days_p50);
            }
            let of = format!("{prefix}pipeline {number}");
            self.put(&of, "won", pipeline.closed.won);
            self.total(&of, "won_amount", pipeline.closed.won_amount);
            self.put(&of, "lost", pipeline.closed.lost);
            self.put(&of, "excluded", pipeline.closed.excluded);
        }
    }
}

pub(super) fn pipeline(figures: &AllPipelines) -> Numbers {
    let mut found = Found::default();
    found.pipelines(figures, "");
    found.0
}

/// Each point by its month: `2024-03 stage 7.deals`.
pub(super) fn series(series: &Series<AllPipelines>) -> Numbers {
    let mut found = Found::default();
    for point in &series.points {
        found.pipelines(&point.grouped.figures, &format!("{} ", point.interval));
    }
    found.0
}

pub(super) fn columns(columns: &Columns) -> Numbers {
    let mut found = Found::default();
    for (number, column) in columns.columns.iter().enumerate() {
        found.totals(&format!("stage {number}"), &column.totals);
    }
    found.0
}

pub(super) fn forecast(figures: &ForecastFigures) -> Numbers {
    let mut found = Found::default();
    found.put("booked", "deals", figures.booked.deals);
    found.total("booked", "amount", figures.booked.amount);
    found.part("open", &figures.open);
    found.part("expected", &figures.expected);
    found.part("overdue", &figures.overdue);
    found.part("unscheduled", &figures.unscheduled);
    let categories = &figures.categories;
    found.part("commit", &categories.commit.part);
    found.part("best_case", &categories.best_case.part);
    found.part("pipeline", &categories.pipeline.part);
    found.part("omitted", &categories.omitted);
    found.total("historical", "amount", figures.historical);
    found.total("historical_in_period", "amount", figures.historical_in_period);
    found.0
}

pub(super) fn funnel(figures: &CohortFunnels) -> Numbers {
    let mut found = Found::default();
    let mut stages = 0..;
    for (number, funnel) in figures.funnels.iter().enumerate() {
        let of = format!("pipeline {number}");
        found.put(&of, "entered", funnel.entered);
        found.put(&of, "open", funnel.open);
        found.put(&of, "won", funnel.won);
        found.put(&of, "lost", funnel.lost);
        found.put(&of, "left", funnel.left);
        found.put(&of, "excluded", funnel.excluded);
        for (stage, number) in funnel.stages.iter().zip(&mut stages) {
            let of = format!("stage {number}");
            found.put(&of, "reached", stage.reached);
            found.put(&of, "open_in", stage.open_in);
            found.put(&of, "lost_from", stage.lost_from);
            found.put(&of, "left_from", stage.left_from);
        }
    }
    found.0
}

/// Groups are named by what they are called: `Seller 7.won`, `2024-03.won`.
pub(super) fn win_rate(grouped: &Grouped<WinRateFigures>) -> Numbers {
    let mut found = Found::default();
    for group in &grouped.groups {
        let of = group.key.iter().map(|key| key.name.as_deref().unwrap_or("nobody")).collect::<String>();
        found.put(&of, "won", group.figures.won);
        found.put(&of, "lost", group.figures.lost);
        found.total(&of, "won_amount", group.figures.won_amount);
        found.total(&of, "lost_amount", group.figures.lost_amount);
        found.put(&of, "lost_without_amount", group.figures.lost_without_amount);
    }
    found.0
}

pub(super) fn cycle(figures: &Cycles) -> Numbers {
    let mut found = Found::default();
    let mut put = |of: &str, figures: &CycleFigures| {
        found.put(of, "deals", figures.deals);
        found.days(of, "mean", figures.days_mean);
        found.days(of, "median", figures.days_median);
    };
    put("won", &figures.won);
    put("lost", &figures.lost);
    found.0
}

pub(super) fn time_in_stage(figures: &TimesInStages) -> Numbers {
    let mut found = Found::default();
    let stages = figures.pipelines.iter().flat_map(|pipeline| &pipeline.stages);
    for (number, stage) in stages.enumerate() {
        let of = format!("stage {number}");
        found.put(&of, "deals", stage.deals);
        found.put(&of, "here", stage.in_it_now);
        found.days(&of, "completed_mean", stage.days_completed_mean);
        found.days(&of, "so_far_mean", stage.days_so_far_mean);
        found.days(&of, "median", stage.days_median);
        found.days(&of, "p90", stage.days_p90);
    }
    found.0
}

/// The first few names under which two answers differ, with both numbers; none where they agree.
pub(super) fn differences(dealog: &Numbers, duckdb: &Numbers) -> Vec<String> {
    let names: std::collections::BTreeSet<&String> = dealog.keys().chain(duckdb.keys()).collect();
    let number = |numbers: &Numbers, name: &String| numbers.get(name).copied().unwrap_or(0);
    let both = names.into_iter().map(|name| (name, number(dealog, name), number(duckdb, name)));
    let unequal = both.filter(|(_, dealog, duckdb)| dealog != duckdb);
    unequal.map(|(name, dealog, duckdb)| format!("{name}: Dealog {dealog}, DuckDB {duckdb}")).take(8).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_one_of_two_answers_lacks_is_a_difference() {
        let numbers =
            |pairs: &[(&str, i64)]| pairs.iter().map(|(name, number)| ((*name).to_owned(), *number)).collect();
        let (one, other) = (numbers(&[("a.deals", 1), ("b.deals", 2)]), numbers(&[("a.deals", 1), ("c.deals", 3)]));
        assert_eq!(differences(&one, &one), Vec::<String>::new());
        assert_eq!(differences(&one, &other), ["b.deals: Dealog 2, DuckDB 0", "c.deals: Dealog 0, DuckDB 3"]);
    }
}
