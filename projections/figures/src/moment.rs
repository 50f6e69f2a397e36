//! What a question's instant means: the point in time, the position, and the company's day, time zone and currency of then.

use chrono::NaiveDate;
use dealog_events::{Currency, Position, TimeZone, Timestamp, When};

use crate::{
    Image, Unanswerable,
    definitions::{Cut, Settings},
    resolved::timestamp,
};

/// An instant that is asked about, and a position up to which everything is known, with what the company had set then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The instant asked about.
    pub at: Timestamp,
    /// The last position that counts.
    pub position: Position,
    /// The time zone of then.
    pub zone: TimeZone,
    /// The local day of the instant.
    pub today: NaiveDate,
    /// The reporting currency of then; none before one was set.
    pub currency: Option<Currency>,
}

impl Image {
    /// Looks up what a question's instant means. Without `as_of`, that is now: `now` by the clock of whoever asks, or the newest
    /// instant in the log if that is later. Without `known_at`, everything in the image is known.
    pub fn moment(
        &self,
        as_of: Option<When>,
        known_at: Option<Position>,
        now: Timestamp,
    ) -> Result<Moment, Unanswerable> {
        let position = known_at.unwrap_or(self.position());
        if position > self.position() {
            let message = format!("{position} lies beyond the end of the log, {}", self.position());
            return Err(Unanswerable::field("known_at", message));
        }
        // Positions were checked when they were folded.
        let cut_position = u32::try_from(position.0).unwrap_or(u32::MAX);
        let (at, zone) = self.instant(as_of, self.latest(now).micros(), cut_position);
        let cut = Cut { at, position: cut_position };
        let set = |settings: &&Settings| settings.currency.is_some();
        let settings = self.settings.at(cut).filter(set).or_else(|| self.settings.later(cut).find(set));
        let at = timestamp(at);
        let currency = settings.and_then(|settings| settings.currency);
        Ok(Moment { at, position, zone, today: zone.day_of(at), currency })
    }

    /// Now: the time by a clock, or the newest instant in the log if that is later.
    pub fn latest(&self, clock: Timestamp) -> Timestamp {
        clock.max(timestamp(self.newest()))
    }

    /// The instant asked about, and the time zone of then. A day ends by the last zone that had begun by that end.
    fn instant(&self, as_of: Option<When>, now: i64, position: u32) -> (i64, TimeZone) {
        let zones: Vec<(i64, Option<TimeZone>)> =
            self.settings.known(position).map(|(at, settings)| (at, settings.zone)).collect();
        // Before a setting was first made, its first value counts, as with any other definition.
        let first = zones.iter().find_map(|(_, zone)| *zone).unwrap_or(TimeZone::UTC);
        let latest = |has_begun: &dyn Fn(i64, TimeZone) -> bool| {
            let zones = zones.iter().rev().map(|(from, zone)| (*from, zone.unwrap_or(first)));
            zones.clone().find(|(from, zone)| has_begun(*from, *zone)).map_or(first, |(_, zone)| zone)
        };
        let at = as_of.map_or(now, |when| {
            let zone = latest(&|from, zone| from <= when.end(zone).micros());
            when.end(zone).micros()
        });
        (at, latest(&|from, _| from <= at))
    }
}
