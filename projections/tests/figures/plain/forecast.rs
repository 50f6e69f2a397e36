//! The forecast.

use chrono::{Datelike as _, NaiveDate};
use dealog_events::pipeline::ForecastCategory;
use dealog_projections::{
    deals::query::{
        Booked, Categories, CategoryFigures, Forecast, ForecastFigures, ForecastPart, ForecastPeriod, Range, When,
    },
    figures::{DAY_MICROS, Total},
};

use super::{
    Ask, Deal, Status,
    fold::{Pipeline, Placed},
    funnel::furthest,
    half_up,
    pipeline::chance,
    weigh,
};
use crate::answers::{Answer, Refused};

impl Ask<'_> {
    pub(crate) fn forecast(&self, period: &Range) -> Answer<Forecast> {
        self.currency()?;
        let period = self.days(period)?;
        let (figures, groups) = self.grouped(|ask| ask.forecast_figures(period))?;
        Ok(Forecast { seen: self.seen(), period, figures, groups })
    }

    fn forecast_figures(&self, period: ForecastPeriod) -> Answer<ForecastFigures> {
        let (begin, end) = (self.zone.day_start(period.from).micros(), self.zone.day_start(period.to).micros());
        let won: Vec<Deal> = self.deals().into_iter().filter(|deal| deal.status == Status::Won).collect();
        let booked: Vec<&Deal> =
            won.iter().filter(|deal| deal.closing.as_ref().is_some_and(|(at, _)| begin <= *at && *at < end)).collect();
        let booked = Booked { deals: i64::try_from(booked.len()).unwrap(), amount: self.sum(booked)? };

        let open = self.open();
        let runs = begin <= self.at && self.at < end;
        let expected: Vec<&Deal> = open
            .iter()
            .filter(|deal| {
                let in_period = deal.attributes.expected_close.is_some_and(|day| period.from <= day && day < period.to);
                in_period || runs && self.overdue(deal)
            })
            .collect();
        let part = |category: ForecastCategory| {
            self.part(expected.iter().copied().filter(|deal| self.category(deal) == category))
        };
        let level = |below: Total, part: ForecastPart| CategoryFigures {
            part,
            level: Total { minor: below.minor + part.amount.minor, ..below },
        };
        let commit = level(booked.amount, part(ForecastCategory::Commit)?);
        let best_case = level(commit.level, part(ForecastCategory::BestCase)?);
        let pipeline = level(best_case.level, part(ForecastCategory::Pipeline)?);
        let omitted = part(ForecastCategory::Omitted)?;
        let mut historical = Total { minor: 0, currency: self.currency()? };
        for deal in &expected {
            historical.minor += weigh(self.sum([*deal])?.minor, self.historical_chance(deal));
        }
        Ok(ForecastFigures {
            booked,
            open: self.part(&open)?,
            expected: self.part(expected.iter().copied())?,
            categories: Categories { commit, best_case, pipeline, omitted },
            historical,
            unscheduled: self.part(open.iter().filter(|deal| deal.attributes.expected_close.is_none()))?,
        })
    }

    /// The local days of the period; without them the month of the instant asked about.
    fn days(&self, period: &Range) -> Answer<ForecastPeriod> {
        let day = |when: When| match when {
            When::Day(day) => day,
            When::Instant(time) => self.zone.day_of(time),
        };
        let from = period.from.map_or_else(|| self.today().with_day(1).unwrap(), day);
        let month_later = || {
            let (year, month) = if from.month() == 12 { (from.year() + 1, 1) } else { (from.year(), from.month() + 1) };
            (1..=from.day()).rev().find_map(|day| NaiveDate::from_ymd_opt(year, month, day)).unwrap()
        };
        let to = period.to.map_or_else(month_later, day);
        if from < to { Ok(ForecastPeriod { from, to }) } else { Err(Refused) }
    }

    fn place(&self, deal: &Deal) -> (&Pipeline, usize) {
        let mut pipelines = self.all_pipelines.iter();
        let pipeline = pipelines.find(|pipeline| pipeline.id == deal.attributes.pipeline).unwrap();
        let place = pipeline.place(&deal.attributes.stage).expect("the stage of an open deal");
        (pipeline, place)
    }

    fn stage_of(&self, deal: &Deal) -> &Placed {
        let (pipeline, place) = self.place(deal);
        &pipeline.stages[place]
    }

    fn category(&self, deal: &Deal) -> ForecastCategory {
        deal.attributes.category.unwrap_or_else(|| self.stage_of(deal).stage.forecast_category)
    }

    fn part<'d>(&self, deals: impl IntoIterator<Item = &'d Deal>) -> Answer<ForecastPart> {
        let nothing = Total { minor: 0, currency: self.currency()? };
        let mut part = ForecastPart { deals: 0, without_amount: 0, amount: nothing, weighted: nothing };
        for deal in deals {
            let amount = self.sum([deal])?.minor;
            part.deals += 1;
            part.without_amount += i64::from(deal.attributes.amount.is_none());
            part.amount.minor += amount;
            part.weighted.minor += weigh(amount, chance(self.stage_of(deal), deal));
        }
        Ok(part)
    }

    /// (won + 1) / (closed + 2), over deals of the pipeline that were closed in the year before and had reached the stage.
    fn historical_chance(&self, deal: &Deal) -> i64 {
        let (pipeline, place) = self.place(deal);
        let (mut won, mut closed) = (0, 0);
        for other in &self.all_deals {
            let Some((at, attributes)) = &other.closing else { continue };
            let lately = *at > self.at - 365 * DAY_MICROS;
            if other.status == Status::Excluded || attributes.pipeline != pipeline.id || !lately {
                continue;
            }
            if furthest(pipeline, other) >= place {
                closed += 1;
                won += i128::from(other.status == Status::Won);
            }
        }
        half_up((won + 1) * 10_000, closed + 2)
    }
}
