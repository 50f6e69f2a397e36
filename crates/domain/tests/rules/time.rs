//! When something happened.

use dealog_domain::{Facts, Occurred, Standing, occurred_at};
use dealog_events::{StreamId, Timestamp};

use crate::support::{Common, DEAL, now, val};

fn at(hour: u32) -> Timestamp {
    val(&format!("2026-03-02T{hour:02}:00:00Z"))
}

#[test]
fn unless_said_otherwise_it_happened_now() {
    assert_eq!(Occurred::default(), Occurred::Now);
    assert_eq!(occurred_at(Occurred::Now, None, at(9)), Ok(at(9)));
    assert_eq!(occurred_at(Occurred::Now, Some(at(8)), at(9)), Ok(at(9)));
}

#[test]
fn time_never_runs_backwards_where_the_last_event_lies_ahead_of_the_clock() {
    assert_eq!(occurred_at(Occurred::Now, Some(at(10)), at(9)), Ok(at(10)));
}

#[test]
fn it_may_have_happened_in_the_past() {
    assert_eq!(occurred_at(Occurred::At(at(3)), None, at(9)), Ok(at(3)));
    assert_eq!(occurred_at(Occurred::At(at(3)), Some(at(2)), at(9)), Ok(at(3)));
}

#[test]
fn it_may_have_happened_at_the_same_instant_as_the_last_event_or_right_now() {
    assert_eq!(occurred_at(Occurred::At(at(3)), Some(at(3)), at(9)), Ok(at(3)));
    assert_eq!(occurred_at(Occurred::At(at(9)), Some(at(3)), at(9)), Ok(at(9)));
}

#[test]
fn nothing_happened_in_the_future() {
    let refused = Err(Common::InFuture { occurred_at: at(10), now: at(9) }.into());
    assert_eq!(occurred_at(Occurred::At(at(10)), None, at(9)), refused);
    assert_eq!(occurred_at(Occurred::AtOrAfterLast(at(10)), None, at(9)), refused);
    assert_eq!(occurred_at(Occurred::At(at(10)), Some(at(11)), at(9)), refused);
}

#[test]
fn nothing_happened_before_what_happened_last() {
    let refused = Err(Common::BeforeLast { occurred_at: at(3), last: at(4) }.into());
    assert_eq!(occurred_at(Occurred::At(at(3)), Some(at(4)), at(9)), refused);
}

#[test]
fn a_source_that_knows_only_days_is_put_after_the_last_event() {
    assert_eq!(occurred_at(Occurred::AtOrAfterLast(at(3)), None, at(9)), Ok(at(3)));
    assert_eq!(occurred_at(Occurred::AtOrAfterLast(at(3)), Some(at(2)), at(9)), Ok(at(3)));
    assert_eq!(occurred_at(Occurred::AtOrAfterLast(at(3)), Some(at(4)), at(9)), Ok(at(4)));
    assert_eq!(occurred_at(Occurred::AtOrAfterLast(at(3)), Some(at(10)), at(9)), Ok(at(10)));
}

#[test]
fn everybody_may_date_something_back_by_some_days_and_only_some_further() {
    let seller = Standing { backdates: false, ..Standing::FULL };
    let may = |standing, time: &str| {
        Facts::new(StreamId::Deal(DEAL), now()).of(standing).reaching_back(7).may_backdate("occurred_at", val(time))
    };
    let (limit, before) = ("2026-02-23T09:30:00Z", "2026-02-23T09:29:59Z");
    assert_eq!(may(seller, limit), Ok(()));
    assert_eq!(
        may(seller, before),
        Err(Common::Backdated { field: "occurred_at", time: val(before), earliest: val(limit) }.into())
    );
    assert_eq!(may(Standing::FULL, "2001-01-01T00:00:00Z"), Ok(()));
}
