//! Ids, streams, actors, counters.

use crate::*;

#[test]
fn an_id_is_a_hyphenated_uuid_and_nothing_else() {
    fn check<T>(what: &str)
    where
        T: FromStr<Err = Invalid> + ToString + Serialize + DeserializeOwned + PartialEq + Debug,
    {
        assert_round_trip(&UUID.parse::<T>().unwrap());
        assert_eq!(UUID.to_uppercase().parse::<T>().unwrap().to_string(), UUID, "written in lower case");
        for unfit in other_spellings() {
            assert_refused::<T>(&unfit, &format!("is not the id of a {what}"));
        }
    }
    check::<DealId>("deal");
    check::<PipelineId>("pipeline");
    check::<CustomerId>("customer");
    check::<UserId>("user");
    check::<TeamId>("team");
    check::<CampaignId>("campaign");
}

/// What is no UUID, or one in a spelling that is not ours.
pub(crate) fn other_spellings() -> Vec<String> {
    let mut others = vec![
        UUID.replace('-', ""),
        format!("{{{UUID}}}"),
        format!("urn:uuid:{UUID}"),
        format!(" {UUID}"),
        UUID[..35].into(),
    ];
    others.extend(
        ["", "1", "deal-1", "0192f3a4_5b6c_7d8e_9f00_112233445566", "0192f3a4-5b6c-7d8e-9f00-11223344556g"]
            .map(Into::into),
    );
    others
}

pub(crate) fn streams(id: Uuid) -> [StreamId; 6] {
    [
        StreamId::Deal(DealId(id)),
        StreamId::Pipeline(PipelineId(id)),
        StreamId::Customer(CustomerId(id)),
        StreamId::User(UserId(id)),
        StreamId::Team(TeamId(id)),
        StreamId::Settings,
    ]
}

pub(crate) fn actors(id: Uuid) -> [Actor; 5] {
    [Actor::User(UserId(id)), Actor::Service(id), Actor::Rule(id), Actor::Import(id), Actor::Local]
}

#[test]
fn a_stream_is_named_by_its_category_and_id() {
    let streams = streams(UUID.parse().unwrap());
    let names = streams.map(|stream| stream.to_string());
    let with_id = ["deal", "pipeline", "customer", "user", "team"].map(|category| format!("{category}-{UUID}"));
    assert_eq!(names[..5], with_id);
    assert_eq!(names[5], "settings");
    assert_eq!(streams[..5].iter().map(|stream| stream.id()).collect::<Vec<_>>(), [UUID.parse().ok(); 5]);
    assert_eq!(streams[5].id(), None, "the only stream of its category");
    let categories: BTreeSet<Category> = streams.iter().map(|stream| stream.category()).collect();
    assert_eq!(categories.len(), streams.len());
}

#[test]
fn what_names_no_stream_is_refused() {
    for unfit in ["", "deal", "settings-", "Settings", "Deal-x", "robot-1", "-", UUID, "$all"] {
        assert_refused::<StreamId>(unfit, "is not a stream");
    }
    assert_refused::<StreamId>(&format!("settings-{UUID}"), "is not a stream");
    assert_refused::<StreamId>(&format!("deal:{UUID}"), "is not");
    for other in other_spellings() {
        assert_refused::<StreamId>(&format!("deal-{other}"), "is not the id of a deal");
    }
}

#[test]
fn an_actor_is_a_kind_and_a_uuid_or_local() {
    let names = actors(UUID.parse().unwrap()).map(|actor| actor.to_string());
    assert_eq!(names[..4], ["user", "service", "rule", "import"].map(|kind| format!("{kind}:{UUID}")));
    assert_eq!(names[4], "local");
    for unfit in ["", "Local", "local:", "user", "user:", "root:1", UUID, ":"] {
        assert_refused::<Actor>(unfit, "is not an actor");
    }
    assert_refused::<Actor>(&format!("local:{UUID}"), "is not an actor");
    assert_refused::<Actor>(&format!("user-{UUID}"), "is not an actor");
}

#[test]
fn an_actor_has_one_spelling() {
    for kind in ["user", "service", "rule", "import"] {
        for other in other_spellings() {
            assert_refused::<Actor>(&format!("{kind}:{other}"), "is not an actor");
        }
    }
}

#[test]
fn positions_and_versions_count_from_one_and_are_plain_numbers_in_json() {
    assert_eq!((Position::ZERO.next(), Version::ZERO.next()), (Position(1), Version(1)));
    assert_eq!(json(&Position(u64::MAX)), u64::MAX.to_string());
    assert_eq!(from_json::<Version>("7"), Ok(Version(7)));
    for unfit in ["-1", "1.0", r#""1""#, "null", "18446744073709551616"] {
        assert!(from_json::<Position>(unfit).is_err(), "{unfit}");
    }
}
