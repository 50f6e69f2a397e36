//! `known_at`: the position up to which events had been recorded.

use dealog_events::{Position, Timestamp, When};

use crate::{KnownAt, Queries, QueryError, Wrong};

impl Queries {
    /// The position that `known_at` means. A day is one of the company's time zone now.
    pub(crate) async fn known(&self, known_at: KnownAt) -> Result<Position, QueryError> {
        let head = self.store.head().await?;
        match known_at {
            KnownAt::Position(position) if (1..=head.position.0).contains(&position.0) => Ok(position),
            KnownAt::Position(position) => {
                let last = head.position;
                let message = format!("known_at {position} is not a position of the log, which has 1 to {last}");
                Err(Wrong::BeyondHead { field: "known_at".into(), message }.into())
            }
            KnownAt::When(when) => {
                // Another server, whose clock is ahead, may have recorded more than this one's clock knows of.
                let now = (self.clock)().max(head.recorded_at);
                let (begins, ends) = self.ends(when, now).await?;
                if begins > now {
                    let message = format!("known_at lies ahead of now, {now}: nothing is known of it");
                    return Err(Wrong::InFuture { field: "known_at".into(), message }.into());
                }
                let position = self.recorded_by(ends, head.position).await?;
                if position == Position::ZERO {
                    return Err(Wrong::field("known_at", format!("nothing had been recorded by {ends}")).into());
                }
                Ok(position)
            }
        }
    }

    /// The first and the last instant of what is meant.
    async fn ends(&self, when: When, now: Timestamp) -> Result<(Timestamp, Timestamp), QueryError> {
        self.wait_for(None).await?;
        let zone = self.figures.ask(move |image| image.moment(None, None, now)).await??.zone;
        Ok((when.start(zone), when.end(zone).min(now)))
    }

    /// The last position that had been recorded by `at`. Times of recording never run backwards, so halving finds it.
    async fn recorded_by(&self, at: Timestamp, head: Position) -> Result<Position, QueryError> {
        let (mut recorded, mut not_yet) = (0, head.0 + 1);
        while recorded + 1 < not_yet {
            let middle = recorded + (not_yet - recorded) / 2;
            match self.store.read(Position(middle - 1), 1, &[]).await?.first() {
                Some(event) if event.recorded_at <= at => recorded = middle,
                _ => not_yet = middle,
            }
        }
        Ok(Position(recorded))
    }
}
