//! One order without gaps, in which time never runs backwards.

use std::collections::{HashMap, HashSet};

use crate::{
    broken::{Result, ensure},
    log::{Event, Written},
};

pub(super) fn check(written: &[Written]) -> Result<()> {
    let mut ids = HashSet::new();
    let mut streams: HashMap<&str, &Event> = HashMap::new();
    let mut last: Option<&Event> = None;
    for Written { event, .. } in written {
        let position = event.position;
        let expected = last.map_or(1, |last| last.position + 1);
        ensure!(position == expected, "position {expected} is missing: {position} stands in its place");
        ensure!(ids.insert(&event.event_id), "position {position}: the event {} is there twice", event.event_id);
        // Both are written so that they sort as they follow each other.
        ensure!(
            last.is_none_or(|last| last.recorded_at <= event.recorded_at),
            "position {position} was recorded at {}, before the one before it",
            event.recorded_at
        );
        let before = streams.insert(&event.stream, event);
        let expected = before.map_or(1, |before| before.version + 1);
        ensure!(
            event.version == expected,
            "position {position}: {} has version {} after {}",
            event.stream,
            event.version,
            expected - 1
        );
        ensure!(
            before.is_none_or(|before| before.occurred_at <= event.occurred_at),
            "position {position} occurred at {}, before the one before it in its stream",
            event.occurred_at
        );
        last = Some(event);
    }
    Ok(())
}
