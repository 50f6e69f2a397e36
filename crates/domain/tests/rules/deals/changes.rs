//! Changes of a deal's attributes.

use dealog_domain::{Patch, deal::Change};
use dealog_events::{
    CampaignId, CustomerId, Event, FieldValue, StreamId, UserId,
    deal::{
        CampaignChanged, Created, CustomerLinked, ExpectedCloseChanged, FieldSet, ForecastCategorySet, OwnerAssigned,
        ProbabilityCleared, ProbabilitySet, SourceChanged, TitleChanged,
    },
    pipeline::ForecastCategory,
    settings::FieldsDefined,
};
use uuid::Uuid;

use crate::support::*;

const FAIR: CampaignId = CampaignId(Uuid::from_u128(0xca));

fn nothing() -> Change {
    Change::default()
}

/// A deal that has everything.
fn full() -> Event {
    Created {
        customer: Some(ACME),
        owner: Some(ANNA),
        amount: Some(eur(5)),
        expected_close: Some(val("2026-06-30")),
        source: Some(val("Web")),
        campaign: Some(FAIR),
        fields: [(val("licences"), FieldValue::Integer(200))].into(),
        ..bare()
    }
    .into()
}

/// Everything filled in, as [`full`] has it.
fn filling() -> Change {
    Change {
        title: Patch::Keep,
        customer: Patch::Set(ACME),
        owner: Patch::Set(ANNA),
        amount: Patch::Set(eur(5)),
        expected_close: Patch::Set(val("2026-06-30")),
        probability: Patch::Set(percent(40)),
        forecast_category: Patch::Set(ForecastCategory::Commit),
        source: Patch::Set(val("Web")),
        campaign: Patch::Set(FAIR),
        fields: [(val("licences"), Patch::Set(FieldValue::Integer(200)))].into(),
    }
}

/// Everything emptied that can be.
fn emptying() -> Change {
    Change {
        title: Patch::Keep,
        customer: Patch::Clear,
        owner: Patch::Clear,
        amount: Patch::Clear,
        expected_close: Patch::Clear,
        probability: Patch::Clear,
        forecast_category: Patch::Clear,
        source: Patch::Clear,
        campaign: Patch::Clear,
        fields: [(val("licences"), Patch::Clear)].into(),
    }
}

#[test]
fn each_attribute_that_is_filled_is_an_event() {
    given([created()]).in_a_company().when(filling()).then([
        CustomerLinked { from: None, to: Some(ACME) }.into(),
        OwnerAssigned { from: None, to: Some(ANNA) }.into(),
        SourceChanged { from: None, to: Some(val("Web")) }.into(),
        CampaignChanged { from: None, to: Some(FAIR) }.into(),
        amount_changed(None, Some(eur(5))),
        ExpectedCloseChanged { from: None, to: Some(val("2026-06-30")) }.into(),
        ProbabilitySet { from: None, to: percent(40) }.into(),
        ForecastCategorySet { from: None, to: Some(ForecastCategory::Commit) }.into(),
        FieldSet { field: val("licences"), from: None, to: Some(FieldValue::Integer(200)) }.into(),
    ]);
}

#[test]
fn each_attribute_that_is_emptied_is_an_event() {
    let by_hand = [
        ProbabilitySet { from: None, to: percent(40) }.into(),
        ForecastCategorySet { from: None, to: Some(ForecastCategory::Commit) }.into(),
    ];
    given([full()].into_iter().chain(by_hand)).in_a_company().when(emptying()).then([
        CustomerLinked { from: Some(ACME), to: None }.into(),
        OwnerAssigned { from: Some(ANNA), to: None }.into(),
        SourceChanged { from: Some(val("Web")), to: None }.into(),
        CampaignChanged { from: Some(FAIR), to: None }.into(),
        amount_changed(Some(eur(5)), None),
        ExpectedCloseChanged { from: Some(val("2026-06-30")), to: None }.into(),
        ProbabilityCleared { from: percent(40), to: () }.into(),
        ForecastCategorySet { from: Some(ForecastCategory::Commit), to: None }.into(),
        FieldSet { field: val("licences"), from: Some(FieldValue::Integer(200)), to: None }.into(),
    ]);
}

#[test]
fn what_is_already_so_is_no_event() {
    let probability = Patch::Keep;
    let forecast_category = Patch::Keep;
    given([full()]).in_a_company().when(Change { probability, forecast_category, ..filling() }).then_nothing();
    given([created()])
        .in_a_company()
        .when(Change { title: Patch::Set(val("200 licences")), ..nothing() })
        .then_nothing();
}

#[test]
fn emptying_what_is_empty_is_no_event() {
    given([created()]).in_a_company().when(emptying()).then_nothing();
}

#[test]
fn a_change_of_nothing_is_no_event() {
    given([full()]).in_a_company().when(nothing()).then_nothing();
}

#[test]
fn a_deal_gets_another_title() {
    given([created()])
        .in_a_company()
        .when(Change { title: Patch::Set(val("300 licences")), ..nothing() })
        .then([TitleChanged { from: val("200 licences"), to: val("300 licences") }.into()]);
}

#[test]
fn a_change_says_what_was_before() {
    given([full()])
        .in_a_company()
        .when(Change { source: Patch::Set(val("Trade fair")), owner: Patch::Set(BORIS), ..nothing() })
        .then([
            OwnerAssigned { from: Some(ANNA), to: Some(BORIS) }.into(),
            SourceChanged { from: Some(val("Web")), to: Some(val("Trade fair")) }.into(),
        ]);
}

#[test]
fn a_refused_part_refuses_the_whole_change() {
    let customer = CustomerId(Uuid::from_u128(0xff));
    given([created()])
        .in_a_company()
        .when(Change { title: Patch::Set(val("300 licences")), customer: Patch::Set(customer), ..nothing() })
        .rejected(Common::UnknownReference { field: "customer", stream: StreamId::Customer(customer) });
}

#[test]
fn a_deal_is_given_to_no_one_who_does_not_exist() {
    let owner = UserId(Uuid::from_u128(0xff));
    given([created()])
        .in_a_company()
        .when(Change { owner: Patch::Set(owner), ..nothing() })
        .rejected(Common::UnknownReference { field: "owner", stream: StreamId::User(owner) });
}

#[test]
fn a_deal_is_given_to_no_deactivated_user() {
    given([created()])
        .in_a_company()
        .and(StreamId::User(BORIS), [deactivated()])
        .when(Change { owner: Patch::Set(BORIS), ..nothing() })
        .rejected(UserRejection::Inactive { field: "owner", user: BORIS });
}

#[test]
fn the_deal_of_a_deactivated_user_is_handed_over() {
    given([full()])
        .in_a_company()
        .and(StreamId::User(ANNA), [deactivated()])
        .when(Change { owner: Patch::Set(BORIS), ..nothing() })
        .then([OwnerAssigned { from: Some(ANNA), to: Some(BORIS) }.into()]);
}

#[test]
fn a_closed_deal_changes_all_but_its_amount() {
    let change = Change { amount: Patch::Keep, title: Patch::Set(val("300 licences")), ..filling() };
    given([created_at(eur(5)), won("first_contact", eur(5))]).in_a_company().when(change).then([
        TitleChanged { from: val("200 licences"), to: val("300 licences") }.into(),
        CustomerLinked { from: None, to: Some(ACME) }.into(),
        OwnerAssigned { from: None, to: Some(ANNA) }.into(),
        SourceChanged { from: None, to: Some(val("Web")) }.into(),
        CampaignChanged { from: None, to: Some(FAIR) }.into(),
        ExpectedCloseChanged { from: None, to: Some(val("2026-06-30")) }.into(),
        ProbabilitySet { from: None, to: percent(40) }.into(),
        ForecastCategorySet { from: None, to: Some(ForecastCategory::Commit) }.into(),
        FieldSet { field: val("licences"), from: None, to: Some(FieldValue::Integer(200)) }.into(),
    ]);
}

#[test]
fn a_probability_set_by_hand_stays_through_moves() {
    let set = ProbabilitySet { from: None, to: percent(40) };
    let happened = [
        created(),
        set.into(),
        moved("first_contact", "contract"),
        transferred((SALES, "contract"), (STRICT, "qualified")),
        lost("qualified"),
    ];
    let again = Change { probability: Patch::Set(percent(40)), ..nothing() };
    given(happened.clone()).in_a_company().when(again).then_nothing();
    let other = Change { probability: Patch::Set(percent(60)), ..nothing() };
    given(happened)
        .in_a_company()
        .when(other)
        .then([ProbabilitySet { from: Some(percent(40)), to: percent(60) }.into()]);
}

#[test]
fn a_cleared_probability_is_set_from_none_again() {
    let set = ProbabilitySet { from: None, to: percent(40) };
    let cleared = ProbabilityCleared { from: percent(40), to: () };
    given([created(), set.clone().into(), cleared.into()])
        .in_a_company()
        .when(Change { probability: Patch::Set(percent(40)), ..nothing() })
        .then([set.into()]);
}

#[test]
fn a_move_sets_no_probability() {
    given([created(), moved("first_contact", "contract")])
        .in_a_company()
        .when(Change { probability: Patch::Set(percent(50)), ..nothing() })
        .then([ProbabilitySet { from: None, to: percent(50) }.into()]);
}

#[test]
fn a_field_that_is_not_defined_is_refused_with_those_that_are() {
    given([created()])
        .in_a_company()
        .when(Change { fields: [(val("colour"), Patch::Set(field_text("red")))].into(), ..nothing() })
        .rejected(Common::UnknownField {
            field: val("colour"),
            allowed: vals(&["remark", "licences", "discount", "approved", "trial_ends", "size"]),
        });
}

#[test]
fn a_field_of_customers_is_none_of_a_deal() {
    given([created()])
        .in_a_company()
        .when(Change { fields: [(val("region"), Patch::Set(field_text("West")))].into(), ..nothing() })
        .rejected(Common::UnknownField {
            field: val("region"),
            allowed: vals(&["remark", "licences", "discount", "approved", "trial_ends", "size"]),
        });
}

#[test]
fn a_value_fits_the_kind_of_its_field() {
    let fitting = [
        ("remark", field_text("anything")),
        ("licences", FieldValue::Integer(-3)),
        ("discount", field_text("12.50")),
        ("discount", field_text("-0.000000001")),
        ("discount", field_text("999999999999999999")),
        ("approved", FieldValue::Boolean(false)),
        ("trial_ends", field_text("2028-02-29")),
        ("size", field_text("large")),
    ];
    for (field, value) in fitting {
        given([created()])
            .in_a_company()
            .when(Change { fields: [(val(field), Patch::Set(value.clone()))].into(), ..nothing() })
            .then([FieldSet { field: val(field), from: None, to: Some(value) }.into()]);
    }
}

#[test]
fn a_value_of_another_kind_is_refused_with_what_the_field_takes() {
    let text = "a text of 1 to 1,000 characters";
    let decimal = "a decimal number as a text, such as \"12.50\"";
    let day = "a day as a text, such as \"2026-03-01\"";
    let unfit = [
        ("remark", FieldValue::Integer(1), text),
        ("remark", FieldValue::Boolean(true), text),
        ("licences", field_text("3"), "a whole number"),
        ("discount", FieldValue::Integer(12), decimal),
        ("discount", field_text("12,50"), decimal),
        ("discount", field_text("12."), decimal),
        ("discount", field_text(".5"), decimal),
        ("discount", field_text("--1"), decimal),
        ("discount", field_text("1e3"), decimal),
        ("discount", field_text("0.0000000001"), decimal),
        ("discount", field_text("1234567890123456789"), decimal),
        ("approved", field_text("true"), "true or false"),
        ("trial_ends", field_text("2026-02-29"), day),
        ("trial_ends", field_text("2026-3-1"), day),
        ("trial_ends", field_text("2026-03- 1"), day),
        ("trial_ends", field_text("+2026-3-01"), day),
        ("trial_ends", field_text("01.03.2026"), day),
        ("trial_ends", field_text("2026-03-01T00:00"), day),
        ("size", field_text("medium"), "one of: small, large"),
    ];
    for (field, value, expected) in unfit {
        given([created()])
            .in_a_company()
            .when(Change { fields: [(val(field), Patch::Set(value))].into(), ..nothing() })
            .rejected(Common::FieldValue { field: val(field), expected: expected.into() });
    }
}

#[test]
fn a_field_that_is_no_longer_defined_can_still_be_emptied() {
    let undefined = FieldsDefined { from: fields(), to: Vec::new() };
    given([full()])
        .in_a_company()
        .and(StreamId::Settings, [undefined.into()])
        .when(Change { fields: [(val("licences"), Patch::Clear)].into(), ..nothing() })
        .then([FieldSet { field: val("licences"), from: Some(FieldValue::Integer(200)), to: None }.into()]);
}
