//! `known_at`: what had been recorded by then.

use std::str::FromStr as _;

use dealog_events::{Position, Timestamp};
use dealog_figures::When;
use dealog_projections::deals::Views;
use serde::{Deserialize, Deserializer, de};

use crate::{
    App,
    problem::Problem,
    query::{WhenText, begins, ends},
};

/// A position of the log; or an instant or local day, which mean the last position that had been recorded by then.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KnownAt(pub(crate) dealog_app::KnownAt);

impl<'de> Deserialize<'de> for KnownAt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if let Ok(position) = text.parse() {
            return Ok(Self(dealog_app::KnownAt::Position(Position(position))));
        }
        let when = WhenText::from_str(&text).map(|WhenText(when)| Self(dealog_app::KnownAt::When(when)));
        when.map_err(|_| {
            de::Error::custom(format!(
                "`{text}` is neither a position such as 120, nor a day such as 2026-03-01, nor an instant such as \
                 2026-03-01T09:30:00Z"
            ))
        })
    }
}

/// The end of what was known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known {
    /// The last position that counts.
    pub(crate) position: Position,
    /// The instant by which it had been recorded.
    pub(crate) at: Timestamp,
}

impl App {
    /// What `known_at` means; a day is read in the time zone that these read models have.
    pub(crate) async fn known(&self, views: &Views, known_at: dealog_app::KnownAt) -> Result<Known, Problem> {
        match known_at {
            dealog_app::KnownAt::Position(position) => self.known_at_position(position).await,
            dealog_app::KnownAt::When(when) => self.known_at_time(views, when).await,
        }
    }

    async fn known_at_position(&self, position: Position) -> Result<Known, Problem> {
        let before = Position(position.0.saturating_sub(1));
        let head = self.store().head().await?.position;
        let found = if position == Position::ZERO { None } else { self.store().read(before, 1, &[]).await?.pop() };
        let Some(event) = found else {
            let detail = format!("known_at {position} is not a position of the log, which has 1 to {head}");
            return Err(Problem::unprocessable("beyond_head", "known_at", detail));
        };
        Ok(Known { position, at: event.recorded_at })
    }

    async fn known_at_time(&self, views: &Views, when: When) -> Result<Known, Problem> {
        // Another server, whose clock is ahead, may have recorded more than this one's clock knows of.
        let now = self.now().max(self.store().head().await?.recorded_at);
        if begins(views, when, now).await? > now {
            let detail = format!("known_at lies ahead of now, {now}: nothing is known of it");
            return Err(Problem::unprocessable("in_future", "known_at", detail));
        }
        let at = ends(views, when, now).await?.min(now);
        let position = self.recorded_by(at).await?;
        if position == Position::ZERO {
            let detail = format!("nothing had been recorded by {at}");
            return Err(Problem::unprocessable("query", "known_at", detail));
        }
        Ok(Known { position, at })
    }

    /// The last position that had been recorded by `at`. Times of recording never run backwards, so halving finds it.
    async fn recorded_by(&self, at: Timestamp) -> Result<Position, Problem> {
        let (mut recorded, mut not_yet) = (0, self.store().head().await?.position.0 + 1);
        while recorded + 1 < not_yet {
            let middle = recorded + (not_yet - recorded) / 2;
            match self.store().read(Position(middle - 1), 1, &[]).await?.first() {
                Some(event) if event.recorded_at <= at => recorded = middle,
                _ => not_yet = middle,
            }
        }
        Ok(Position(recorded))
    }
}
