//! Deals closed in a period, which win rate, losses, cycle and velocity are about.

use crate::{
    group::{Groups, Tally, Time},
    resolved::Resolved,
    step::Status,
    times::Candidates,
    walk::DealAt,
};

/// Deals that were closed and count.
pub(crate) const COUNTED: &[Status] = &[Status::Won, Status::Lost];

/// Adds every deal that has one of these statuses, and was closed in the period, to its group.
pub(crate) fn tally<T: Tally + Send>(
    resolved: &Resolved<'_>,
    statuses: &[Status],
    (from, to): (i64, i64),
    add: impl Fn(&mut T, &DealAt<'_>) + Sync,
) -> Groups<T> {
    let add = |groups: &mut Groups<T>, at: &DealAt<'_>| {
        let state = at.state;
        let counts = statuses.contains(&state.status) && (from..to).contains(&state.since);
        if counts && resolved.wanted_stage(state.stage).is_some() {
            groups.add(resolved, at, Time::At(state.since), |tally| add(tally, at));
        }
    };
    resolved.tally(&Candidates::closed((from, to)), add, Groups::merge)
}
