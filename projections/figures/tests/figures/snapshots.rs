//! An image that was written and read again is the image that it was.

use std::collections::BTreeMap;

use dealog_events::FieldValue;
use dealog_figures::{Image, Proof, Unusable, pipeline, win_rate};
use uuid::Uuid;

use crate::log::{ANNA, Log, SALES, as_of, between, day, eur, val};

fn written() -> (Log, Proof, Vec<u8>) {
    let mut log = Log::new();
    log.fields();
    log.deal(1).created(|deal| {
        deal.owner = Some(ANNA);
        deal.amount = Some(eur(100));
        deal.expected_close = Some(val("2026-03-20"));
        // One of each kind.
        deal.fields = BTreeMap::from([
            (val("seats"), FieldValue::Integer(40)),
            (val("margin"), FieldValue::Text(val("12.50"))),
            (val("renewal"), FieldValue::Text(val("2027-03-01"))),
            (val("partner"), FieldValue::Boolean(true)),
            (val("region"), FieldValue::Text(val("east"))),
        ]);
    });
    log.on(day(2)).deal(1).moved(SALES, "met", "offer");
    log.on(day(3)).deal(1).won(SALES, "offer", eur(100));
    log.deal(2).created(|_| {});
    let proof = Proof { log_id: Uuid::from_u128(1), position: log.image.position(), event_id: Uuid::from_u128(2) };
    let mut bytes = Vec::new();
    log.image.write(&proof, &mut bytes).unwrap();
    (log, proof, bytes)
}

#[test]
fn a_snapshot_answers_what_its_image_did_and_goes_on_from_there() {
    let (mut log, proof, bytes) = written();
    let (read, found) = Image::read(bytes.as_slice()).unwrap();
    assert_eq!(found, proof);
    let mut again = Log { image: read, now: log.now, ..Log::default() };
    for log in [&mut log, &mut again] {
        log.on(day(5)).deal(2).moved(SALES, "met", "talks").owner(ANNA);
        log.deal(1).owner(crate::log::BORIS);
    }
    for question in [as_of(day(6)), as_of(day(2)), crate::log::known(7, as_of(day(6)))] {
        assert_eq!(pipeline(&log.image, &question), pipeline(&again.image, &question));
        let period = between(day(1), day(6));
        assert_eq!(win_rate(&log.image, &question, &period), win_rate(&again.image, &question, &period));
    }
}

/// A server takes up the snapshot of the one before it, so what is written must not change under the same name.
#[test]
fn whatever_changes_in_a_snapshot_changes_what_it_begins_with() {
    let (_, _, bytes) = written();
    let named = (&bytes[..16], crc32fast::hash(&bytes[16..]));
    assert_eq!(named, (&b"dealog image 004"[..], 1_350_782_082), "where the image changed, raise MAGIC's number too");
}

#[test]
fn a_snapshot_that_is_damaged_anywhere_or_cut_off_is_refused() {
    let (_, _, bytes) = written();
    for place in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[place] ^= 0x10;
        assert!(Image::read(damaged.as_slice()).is_err(), "byte {place} of {}", bytes.len());
        assert!(Image::read(&bytes[..place]).is_err(), "cut off at {place}");
    }
    assert!(matches!(Image::read(&b"something else entirely"[..]), Err(Unusable::Foreign)));
}
