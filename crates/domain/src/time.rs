//! When something happened, as opposed to when it was recorded.

use dealog_events::Timestamp;

use crate::{Common, Rejection};

/// When a command says that it happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Occurred {
    /// Now, or with the stream's last event where that lies ahead of this clock.
    #[default]
    Now,
    /// At this instant: not after now, not before the stream's last event.
    At(Timestamp),
    /// At this instant, or with the stream's last event where that is later. For sources that know only days.
    AtOrAfterLast(Timestamp),
}

/// The instant at which the events of a command occurred. Within a stream it never runs backwards, and nothing is said to
/// have happened later than `now`.
pub fn occurred_at(wanted: Occurred, last: Option<Timestamp>, now: Timestamp) -> Result<Timestamp, Rejection> {
    let not_before_last = |time: Timestamp| last.map_or(time, |last| time.max(last));
    match wanted {
        Occurred::Now => Ok(not_before_last(now)),
        Occurred::At(time) | Occurred::AtOrAfterLast(time) if time > now => {
            Err(Common::InFuture { occurred_at: time, now }.into())
        }
        Occurred::AtOrAfterLast(time) => Ok(not_before_last(time)),
        Occurred::At(time) => match last {
            Some(last) if time < last => Err(Common::BeforeLast { occurred_at: time, last }.into()),
            _ => Ok(time),
        },
    }
}
