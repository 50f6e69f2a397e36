//! How statements find the group of a deal: a column for each thing that is grouped by, `key_1` and `key_2`.

use chrono::{Datelike as _, Months, NaiveDate};
use dealog_events::{TimeZone, Timestamp};

use super::{
    groups::{By, Grouping},
    snapshot::Snapshot,
    sql::Sql,
};
use crate::ProjectionError;

/// What makes the groups of one answer.
pub(super) struct Keys {
    by: [Option<By>; 2],
    groups_max: usize,
    /// When teams are meant.
    at: Timestamp,
    /// In order, those in which anything happened; none unless they are grouped by.
    months: Vec<Month>,
}

/// A month in the company's time zone.
struct Month {
    first: NaiveDate,
    /// The first instant after it, in microseconds.
    end: i64,
}

/// Whose month is meant.
#[derive(Clone, Copy)]
pub(super) enum MonthOf {
    /// That of an instant: SQL in microseconds.
    Instant(&'static str),
    /// That of a day: SQL of ISO text.
    Day(&'static str),
    /// This one, given by its first day.
    This(NaiveDate),
}

impl Keys {
    /// One group of all deals.
    pub(super) const NONE: Self = Self { by: [None, None], groups_max: 1, at: Timestamp::MIN, months: Vec::new() };

    pub(super) fn groups_max(&self) -> usize {
        self.groups_max
    }

    pub(super) fn is_none(&self) -> bool {
        self.by == [None, None]
    }

    /// What is grouped by, and in which column.
    pub(super) fn by(&self) -> impl Iterator<Item = (usize, By)> {
        self.by.into_iter().enumerate().filter_map(|(place, by)| Some((place, by?)))
    }

    /// The columns, to select and to group by after others. Where nothing is grouped there are none: a column that is the
    /// same for all would still be sorted by.
    pub(super) fn columns(&self) -> &'static str {
        match self.by {
            [None, None] => "",
            [Some(_), None] => ", key_1",
            [None, Some(_)] => ", key_2",
            [Some(_), Some(_)] => ", key_1, key_2",
        }
    }

    /// `, ... AS key_1, ... AS key_2`: the group of the span called `span`.
    pub(super) fn push(&self, sql: &mut Sql, span: &str, month: MonthOf) {
        for (place, by) in self.by() {
            let key = match by {
                By::Team => "teams.ids".into(),
                By::Month => self.month(month),
                by => format!("{span}.credit_{}", by.name()),
            };
            sql.push(&format!(", {key} AS key_{}", place + 1));
        }
    }

    /// ` LEFT JOIN ...`: what the keys need besides the span called `span`.
    pub(super) fn push_join(&self, sql: &mut Sql, span: &str) {
        if self.by.contains(&Some(By::Team)) {
            sql.push(" LEFT JOIN (SELECT user_id, STRING_AGG(team, ',' ORDER BY team) AS ids FROM members");
            sql.push(" WHERE valid_from <= ").time(self.at).push(" AND valid_to > ").time(self.at);
            sql.push(&format!(" GROUP BY user_id) teams ON teams.user_id = {span}.credit_owner"));
        }
    }

    fn month(&self, month: MonthOf) -> String {
        match month {
            MonthOf::Instant(instant) => month_of_instant(instant, &self.months),
            MonthOf::Day(day) => format!("SUBSTR({day}, 1, 7)"),
            MonthOf::This(first) => literal(first),
        }
    }
}

/// The month of an instant in one of `months`. Databases do not agree on time zones, so they are told where months end; half
/// of the months are ruled out at each step.
fn month_of_instant(instant: &str, months: &[Month]) -> String {
    match months.split_at(months.len() / 2) {
        (before @ [.., last], after) => {
            let (before, after) = (month_of_instant(instant, before), month_of_instant(instant, after));
            format!("CASE WHEN {instant} < {} THEN {before} ELSE {after} END", last.end)
        }
        ([], [month, ..]) => literal(month.first),
        ([], []) => "CAST(NULL AS TEXT)".into(),
    }
}

fn literal(first: NaiveDate) -> String {
    format!("CAST('{}' AS TEXT)", first.format("%Y-%m"))
}

impl Month {
    /// The month that `time` lies in. Months begin where days do: where clocks are set back over midnight, at the first of
    /// the two.
    fn of(time: Timestamp, zone: TimeZone) -> Self {
        let day = zone.day_of(time);
        let this = day.with_day(1).unwrap_or(day);
        let next = |first: NaiveDate| first.checked_add_months(Months::new(1)).unwrap_or(NaiveDate::MAX);
        let first = if zone.day_start(next(this)) <= time { next(this) } else { this };
        Self { first, end: zone.day_start(next(first)).micros().max(time.micros() + 1) }
    }
}

impl Snapshot<'_> {
    /// What makes the groups asked for; none where nothing is to be grouped.
    pub(super) async fn keys(&mut self, grouping: &Grouping) -> Result<Option<Keys>, ProjectionError> {
        let Grouping { by, groups_max } = *grouping;
        if by == [None, None] {
            return Ok(None);
        }
        let months = if by.contains(&Some(By::Month)) { self.months().await? } else { Vec::new() };
        Ok(Some(Keys { by, groups_max, at: self.at, months }))
    }

    /// The months in which deals entered stages or left them, by the instant asked about: in these lie all creations and
    /// closings. From one to the next, so that a lone deal of long ago brings no more than its own.
    async fn months(&mut self) -> Result<Vec<Month>, ProjectionError> {
        let (mut months, mut from) = (Vec::new(), Timestamp::MIN.micros());
        while let Some(time) = self.first_happening(from).await?.filter(|time| *time <= self.at) {
            let month = Month::of(time, self.zone);
            from = month.end;
            months.push(month);
        }
        Ok(months)
    }

    /// The first instant from `from` on at which a deal entered a stage or left one.
    async fn first_happening(&mut self, from: i64) -> Result<Option<Timestamp>, ProjectionError> {
        let mut sql = Sql::default();
        sql.push("SELECT MIN(earliest) FROM (SELECT MIN(entered_at) AS earliest FROM visits");
        sql.push(" WHERE entered_at >= ").integer(from);
        sql.push(" UNION ALL SELECT MIN(left_at) FROM visits WHERE left_at >= ").integer(from).push(") firsts");
        let rows: Vec<(Option<i64>,)> = sql.fetch_all(&mut self.db).await?;
        Ok(rows.first().and_then(|row| row.0).and_then(|micros| Timestamp::from_micros(micros).ok()))
    }

    /// One month for all: that which `time` lies in.
    pub(super) fn month(&self, time: Timestamp) -> MonthOf {
        MonthOf::This(Month::of(time, self.zone).first)
    }
}
