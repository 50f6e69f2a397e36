//! How a deal is lost.

use dealog_domain::deal::Lose;
use dealog_events::{
    DealId, Personal, StreamId,
    deal::{Created, Lost, Outcome},
    settings::LossReasonsSet,
};
use uuid::Uuid;

use crate::support::*;

#[test]
fn a_deal_is_lost_for_a_reason_of_the_list() {
    given([created(), moved("first_contact", "offer_made")]).in_a_company().when(lose_for("price")).then([loss(
        "offer_made",
        "price",
        true,
    )
    .into()]);
}

#[test]
fn a_loss_for_a_reason_that_is_not_counted_says_so() {
    given([created()]).in_a_company().when(lose_for("error")).then([loss("first_contact", "error", false).into()]);
}

#[test]
fn a_reason_that_is_not_on_the_list_is_refused_with_the_list() {
    given([created()]).in_a_company().when(lose_for("weather")).rejected(SettingsRejection::UnknownLossReason {
        reason: val("weather"),
        allowed: vals(&["price", "error", "duplicate"]),
    });
}

#[test]
fn a_company_without_a_list_loses_no_deal() {
    given([created()])
        .when(lose_for("price"))
        .rejected(SettingsRejection::UnknownLossReason { reason: val("price"), allowed: Vec::new() });
}

#[test]
fn the_list_that_counts_is_the_present_one() {
    let changed = LossReasonsSet { from: reasons(), to: vec![reason("price", false)] };
    let company = || given([created()]).in_a_company().and(StreamId::Settings, [changed.clone().into()]);
    company().when(lose_for("price")).then([loss("first_contact", "price", false).into()]);
    company()
        .when(lose_for("error"))
        .rejected(SettingsRejection::UnknownLossReason { reason: val("error"), allowed: vals(&["price"]) });
}

#[test]
fn a_loss_says_who_won_instead() {
    let happened = Lost { competitor: Some(val("Globex")), ..loss("first_contact", "price", true) };
    given([created()])
        .in_a_company()
        .when(Lose { competitor: Some(val("Globex")), ..lose_for("price") })
        .then([happened.into()]);
}

#[test]
fn a_note_on_a_loss_is_about_the_customer() {
    let note = Personal::new(StreamId::Customer(ACME), val("They went with the cheaper offer."));
    given([Created { customer: Some(ACME), ..bare() }.into()])
        .in_a_company()
        .when(Lose { note: Some(val("They went with the cheaper offer.")), ..lose_for("price") })
        .then([Lost { note: Some(note), ..loss("first_contact", "price", true) }.into()]);
}

#[test]
fn a_note_on_a_loss_without_a_customer_is_about_the_deal() {
    let note = Personal::new(StreamId::Deal(DEAL), val("Nobody answered."));
    given([created()])
        .in_a_company()
        .when(Lose { note: Some(val("Nobody answered.")), ..lose_for("price") })
        .then([Lost { note: Some(note), ..loss("first_contact", "price", true) }.into()]);
}

#[test]
fn a_duplicate_names_the_deal_it_repeats() {
    given([created()])
        .in_a_company()
        .and(StreamId::Deal(OTHER_DEAL), [created()])
        .when(Lose { duplicate_of: Some(OTHER_DEAL), ..lose_for("duplicate") })
        .then([Lost { duplicate_of: Some(OTHER_DEAL), ..loss("first_contact", "duplicate", false) }.into()]);
}

#[test]
fn a_deal_repeats_only_a_deal_that_exists() {
    let nowhere = DealId(Uuid::from_u128(0xff));
    given([created()])
        .in_a_company()
        .when(Lose { duplicate_of: Some(nowhere), ..lose_for("duplicate") })
        .rejected(Common::UnknownReference { field: "duplicate_of", stream: StreamId::Deal(nowhere) });
}

#[test]
fn a_deal_is_not_its_own_duplicate() {
    given([created()])
        .in_a_company()
        .when(Lose { duplicate_of: Some(DEAL), ..lose_for("duplicate") })
        .rejected(DealRejection::DuplicateOfItself);
}

#[test]
fn losing_needs_no_amount_and_no_fields() {
    given([created()])
        .in_a_company()
        .and(StreamId::Pipeline(SALES), [requires("first_contact", &["amount", "customer"])])
        .when(lose_for("price"))
        .then([lost("first_contact")]);
}

#[test]
fn a_closed_deal_is_not_lost() {
    given([created_at(eur(5)), won("first_contact", eur(5))])
        .in_a_company()
        .when(lose_for("price"))
        .rejected(DealRejection::Closed { was: Outcome::Won });
    given([created(), lost("first_contact")])
        .in_a_company()
        .when(lose_for("price"))
        .rejected(DealRejection::Closed { was: Outcome::Lost });
}
