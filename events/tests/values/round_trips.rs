//! What is written is read again, for many random values.

use crate::{
    ids::{actors, streams},
    time_zones::{HOUR_MICROS, zone},
    *,
};

fn any_zone() -> impl Strategy<Value = TimeZone> {
    proptest::sample::select(chrono_tz::TZ_VARIANTS.to_vec()).prop_map(|tz| zone(tz.name()))
}

/// Any day from 1970 to 2099.
fn any_day() -> impl Strategy<Value = NaiveDate> {
    (0..47_482_i32).prop_map(|days| NaiveDate::from_epoch_days(days).unwrap())
}

fn any_currency() -> impl Strategy<Value = Currency> {
    proptest::sample::select(vec!["EUR", "JPY", "BHD", "CLF", "SEK"]).prop_map(currency)
}

proptest! {
    #[test]
    fn any_money_is_itself_again_after_json(minor in 0..=AMOUNT_MAX, currency in any_currency()) {
        let money = Money::from_minor(minor, currency).unwrap();
        prop_assert_eq!(from_json::<Money>(&json(&money)), Ok(money));
        let shown = money.to_string();
        prop_assert_eq!(Money::parse(shown.split_once(' ').unwrap().0, currency), Ok(money));
    }

    #[test]
    fn any_instant_is_itself_again_after_text(micros in Timestamp::MIN.micros()..=Timestamp::MAX.micros()) {
        let time = Timestamp::from_micros(micros).unwrap();
        assert_round_trip(&time);
        prop_assert_eq!(time.to_string().len(), "2026-03-01T09:30:00.000000Z".len());
    }

    #[test]
    fn instants_sort_as_their_texts_do(
        a in Timestamp::MIN.micros()..=Timestamp::MAX.micros(),
        b in Timestamp::MIN.micros()..=Timestamp::MAX.micros(),
    ) {
        let (a, b) = (Timestamp::from_micros(a).unwrap(), Timestamp::from_micros(b).unwrap());
        prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
    }

    #[test]
    fn days_follow_each_other_without_a_gap_in_any_zone(zone in any_zone(), day in any_day()) {
        let (start, end) = (zone.day_start(day), zone.day_end(day));
        prop_assert_eq!(end.saturating_add_micros(1), zone.day_start(day.succ_opt().unwrap()));
        // A day that never was is empty.
        if start < end {
            prop_assert_eq!(zone.day_of(start), day);
            prop_assert_eq!(zone.day_of(end), day);
            prop_assert!((16 * HOUR_MICROS..=32 * HOUR_MICROS).contains(&(end.micros() - start.micros() + 1)));
        }
    }

    #[test]
    fn any_text_that_is_accepted_is_itself_again_after_json(text in any::<String>()) {
        if let Ok(note) = text.parse::<Note>() {
            assert_round_trip(&note);
        }
    }

    #[test]
    fn any_stream_and_any_actor_is_itself_again_after_text(id in any::<u128>()) {
        for stream in streams(Uuid::from_u128(id)) {
            assert_round_trip(&stream);
        }
        for actor in actors(Uuid::from_u128(id)) {
            assert_round_trip(&actor);
        }
    }

    #[test]
    fn events_of_one_command_have_ids_of_their_own(command in any::<u128>(), a in 0..1_000_usize, b in 0..1_000_usize) {
        let command = CommandId(Uuid::from_u128(command));
        prop_assert_eq!(command.event_id(a) == command.event_id(b), a == b);
    }

    #[test]
    fn no_text_makes_a_parser_panic(text in "\\PC*") {
        let _ = (text.parse::<Slug>(), text.parse::<Email>(), text.parse::<Actor>(), text.parse::<StreamId>());
        let _ = (text.parse::<Timestamp>(), text.parse::<TimeZone>(), text.parse::<DealId>(), money(&text, "EUR"));
    }
}
