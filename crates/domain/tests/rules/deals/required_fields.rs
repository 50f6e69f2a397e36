//! What a stage asks of a deal that enters it.

use dealog_domain::{
    Patch,
    deal::{Change, Create, Transfer},
};
use dealog_events::{
    CampaignId, Event, FieldValue, Label, StreamId,
    deal::{CampaignChanged, Created, CustomerLinked, ExpectedCloseChanged, FieldSet, OwnerAssigned, SourceChanged},
};
use uuid::Uuid;

use crate::support::*;

/// Each field that can be required, with an event that fills it.
fn fillings() -> Vec<(&'static str, Event)> {
    let source: Option<Label> = Some(val("Trade fair"));
    vec![
        ("amount", amount_changed(None, Some(eur(5)))),
        ("customer", CustomerLinked { from: None, to: Some(ACME) }.into()),
        ("owner", OwnerAssigned { from: None, to: Some(ANNA) }.into()),
        ("expected_close", ExpectedCloseChanged { from: None, to: Some(val("2026-06-30")) }.into()),
        ("source", SourceChanged { from: None, to: source }.into()),
        ("campaign", CampaignChanged { from: None, to: Some(CampaignId(Uuid::from_u128(0xca))) }.into()),
        (
            "fields.approved",
            FieldSet { field: val("approved"), from: None, to: Some(FieldValue::Boolean(false)) }.into(),
        ),
    ]
}

#[test]
fn a_stage_is_not_entered_before_its_fields_are_filled() {
    for (field, filled) in fillings() {
        let required = || [requires("offer_made", &[field])];
        given([created()])
            .in_a_company()
            .and(StreamId::Pipeline(SALES), required())
            .when(move_to("offer_made"))
            .rejected(DealRejection::FieldsMissing { missing: vals(&[field]) });
        given([created(), filled])
            .in_a_company()
            .and(StreamId::Pipeline(SALES), required())
            .when(move_to("offer_made"))
            .then([moved("first_contact", "offer_made")]);
    }
}

#[test]
fn the_refusal_lists_all_missing_fields() {
    given([created_at(eur(5))])
        .in_a_company()
        .and(StreamId::Pipeline(SALES), [requires("offer_made", &["fields.size", "amount", "owner", "customer"])])
        .when(move_to("offer_made"))
        .rejected(DealRejection::FieldsMissing { missing: vals(&["customer", "owner", "fields.size"]) });
}

#[test]
fn a_gate_cannot_be_jumped_over() {
    let asks = || [requires("qualified", &["customer"])];
    let missing = || DealRejection::FieldsMissing { missing: vals(&["customer"]) };
    let company = |events: Vec<Event>| given(events).in_a_company().and(StreamId::Pipeline(SALES), asks());
    // By a move, by a reopening, by a transfer, or from the start.
    company(vec![created()]).when(move_to("offer_made")).rejected(missing());
    company(vec![created(), lost("first_contact")]).when(reopen_into("offer_made")).rejected(missing());
    company(vec![created_in(STRICT, "first_contact")])
        .when(Transfer { stage: Some(val("offer_made")), ..transfer_to(SALES) })
        .rejected(missing());
    company(Vec::new()).when(Create { stage: Some(val("offer_made")), ..create() }).rejected(missing());
    // What lies behind, and what can no longer be entered, asks for nothing.
    company(vec![created(), moved("first_contact", "needs_found")])
        .when(move_to("offer_made"))
        .then([moved("needs_found", "offer_made")]);
    company(vec![created()])
        .and(StreamId::Pipeline(SALES), [retired("qualified")])
        .when(move_to("offer_made"))
        .then([moved("first_contact", "offer_made")]);
}

#[test]
fn going_back_enters_a_stage_too() {
    given([created(), moved("first_contact", "offer_made")])
        .in_a_company()
        .and(StreamId::Pipeline(SALES), [requires("qualified", &["customer"])])
        .when(move_to("qualified"))
        .rejected(DealRejection::FieldsMissing { missing: vals(&["customer"]) });
}

#[test]
fn a_new_deal_brings_what_its_stage_requires() {
    let company =
        || given([]).in_a_company().and(StreamId::Pipeline(SALES), [requires("first_contact", &["amount", "source"])]);
    company().when(create()).rejected(DealRejection::FieldsMissing { missing: vals(&["amount", "source"]) });
    company().when(Create { amount: Some(eur(5)), source: Some(val("Web")), ..create() }).then([Created {
        amount: Some(eur(5)),
        source: Some(val("Web")),
        ..bare()
    }
    .into()]);
}

#[test]
fn what_the_present_stage_requires_cannot_be_emptied() {
    let customer = Some(ACME);
    let empty = || Change { customer: Patch::Clear, ..Change::default() };
    let company = |events: Vec<Event>| {
        given(events)
            .in_a_company()
            .and(StreamId::Pipeline(SALES), [requires("first_contact", &["customer"])])
            .and(StreamId::Pipeline(SALES), [requires("qualified", &["amount"])])
    };
    let created = || Created { customer, ..bare() }.into();
    company(vec![created()])
        .when(empty())
        .rejected(DealRejection::StageNeeds { stage: val("first_contact"), needed: vals(&["customer"]) });
    // The stage before asks no more, and nobody asks it of a closed deal.
    let emptied = || CustomerLinked { from: customer, to: None }.into();
    company(vec![created(), moved("first_contact", "qualified")]).when(empty()).then([emptied()]);
    company(vec![created(), lost("first_contact")]).when(empty()).then([emptied()]);
    // What was empty before the stage asked for it may stay so.
    company(vec![bare().into()]).when(empty()).then_nothing();
}

#[test]
fn leaving_a_stage_asks_for_nothing_of_that_stage() {
    given([created()])
        .in_a_company()
        .and(StreamId::Pipeline(SALES), [requires("first_contact", &["customer"])])
        .when(move_to("qualified"))
        .then([moved("first_contact", "qualified")]);
}

#[test]
fn winning_asks_for_the_fields_of_every_stage() {
    given([created_at(eur(5))])
        .in_a_company()
        .and(
            StreamId::Pipeline(SALES),
            [
                requires("first_contact", &["source"]),
                requires("offer_made", &["customer", "amount"]),
                requires("contract", &["fields.approved", "customer"]),
            ],
        )
        .when(win())
        .rejected(DealRejection::FieldsMissing { missing: vals(&["customer", "source", "fields.approved"]) });
}

#[test]
fn a_win_without_an_amount_lists_what_else_is_missing() {
    given([created()])
        .in_a_company()
        .and(StreamId::Pipeline(SALES), [requires("offer_made", &["customer"])])
        .when(win())
        .rejected(DealRejection::FieldsMissing { missing: vals(&["amount", "customer"]) });
}

#[test]
fn winning_does_not_ask_for_the_fields_of_retired_stages() {
    given([created_at(eur(5))])
        .in_a_company()
        .and(StreamId::Pipeline(SALES), [requires("offer_made", &["customer"]), retired("offer_made")])
        .when(win())
        .then([won("first_contact", eur(5))]);
}

#[test]
fn the_amount_that_comes_with_a_win_fills_the_amount() {
    given([created()])
        .in_a_company()
        .and(StreamId::Pipeline(SALES), [requires("contract", &["amount"])])
        .when(win_at(eur(5)))
        .then([amount_changed(None, Some(eur(5))), won("first_contact", eur(5))]);
}
