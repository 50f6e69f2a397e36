//! What a question looks at.

use dealog_events::{Position, Timestamp};

use super::{
    history::{END, FOREVER},
    statement::Statement,
};

/// What a question looks at: all that there is now, or what was, or what was known. The caller looks it up once, so queries need no
/// clock and no calendar.
///
/// Within a stream neither positions nor times run backwards. So what had happened by an instant, what had been recorded up to a
/// position, and what is both, are each a beginning of the stream. A thing is what it was after the last event of that beginning:
/// its row has begun by both measures, and its successor has not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seeing {
    /// Only what had happened by this instant. Without it all that there is, however late: another server's clock may be ahead.
    pub as_of: Option<Timestamp>,
    /// Only what had been recorded up to this position; all that there is, if none is named.
    pub known: Option<Position>,
}

impl Seeing {
    /// Whether live rows are all that is needed.
    pub(super) fn is_now(&self) -> bool {
        self.as_of.is_none() && self.known.is_none()
    }

    /// The last instant that is seen, in microseconds.
    pub(super) fn until(&self) -> i64 {
        self.as_of.map_or(END, Timestamp::micros)
    }

    /// The last position that is seen. A live row ends after it, whatever it is.
    pub(super) fn known_position(&self) -> i64 {
        self.known.map_or(END, |known| i64::try_from(known.0).unwrap_or(END).min(END))
    }

    /// The condition for the one row of each history that is in force, in a table called `alias`.
    ///
    /// Who asks about one measure gets a condition on that one alone, so that an index can find the rows. `+` keeps databases from
    /// going through all that had begun by a position, which they would do if they took beginnings and ends for independent.
    pub(super) fn in_force(&self, alias: &str) -> Statement {
        let condition = match (self.as_of, self.known) {
            (None, None) => format!("{alias}.ended = {FOREVER}"),
            (Some(_), None) => format!("{alias}.valid_from <= :until AND {alias}.valid_to > :until"),
            (None, Some(_)) => format!("+{alias}.began <= :known AND {alias}.ended > :known"),
            (Some(_), Some(_)) => format!(
                "{alias}.valid_from <= :until AND +{alias}.began <= :known AND ({alias}.valid_to > :until OR {alias}.ended > :known)"
            ),
        };
        let mut condition = Statement::new(&condition);
        if self.as_of.is_some() {
            condition = condition.value("until", self.until());
        }
        if self.known.is_some() {
            condition = condition.value("known", self.known_position());
        }
        condition
    }
}
