//! How a deal is won.

use dealog_domain::deal::Win;
use dealog_events::{
    StreamId,
    deal::{Outcome, Won},
};

use crate::support::*;

#[test]
fn a_deal_is_won_at_its_amount() {
    given([created_at(eur(1_200)), moved("first_contact", "contract")])
        .in_a_company()
        .when(win())
        .then([won("contract", eur(1_200))]);
}

#[test]
fn a_deal_is_won_from_any_stage() {
    let happened =
        Won { pipeline: STRICT, stage: val("first_contact"), amount: eur(5), closed_at: now(), contract: None };
    given([created_in(STRICT, "first_contact"), amount_changed(None, Some(eur(5)))])
        .in_a_company()
        .when(win())
        .then([happened.into()]);
}

#[test]
fn a_deal_is_won_from_a_retired_stage() {
    given([created_at(eur(5))])
        .in_a_company()
        .and(StreamId::Pipeline(SALES), [retired("first_contact")])
        .when(win())
        .then([won("first_contact", eur(5))]);
}

#[test]
fn a_win_names_its_contract() {
    let happened = Won {
        pipeline: SALES,
        stage: val("first_contact"),
        amount: eur(5),
        closed_at: now(),
        contract: Some(val("2026/17")),
    };
    given([created_at(eur(5))])
        .in_a_company()
        .when(Win { contract: Some(val("2026/17")), ..win() })
        .then([happened.into()]);
}

#[test]
fn winning_needs_an_amount() {
    given([created()]).in_a_company().when(win()).rejected(DealRejection::AmountMissing);
    given([created_at(eur(5)), amount_changed(Some(eur(5)), None)])
        .in_a_company()
        .when(win())
        .rejected(DealRejection::AmountMissing);
}

#[test]
fn a_win_may_bring_the_amount() {
    given([created()])
        .in_a_company()
        .when(win_at(eur(900)))
        .then([amount_changed(None, Some(eur(900))), won("first_contact", eur(900))]);
}

#[test]
fn a_win_at_another_amount_changes_the_amount_first() {
    given([created_at(eur(1_200))])
        .in_a_company()
        .when(win_at(eur(900)))
        .then([amount_changed(Some(eur(1_200)), Some(eur(900))), won("first_contact", eur(900))]);
}

#[test]
fn a_win_at_the_same_amount_changes_nothing_first() {
    given([created_at(eur(1_200))]).in_a_company().when(win_at(eur(1_200))).then([won("first_contact", eur(1_200))]);
}

#[test]
fn a_deal_is_won_for_nothing_too() {
    given([created_at(eur(0))]).in_a_company().when(win()).then([won("first_contact", eur(0))]);
}

#[test]
fn a_won_deal_is_not_won_again() {
    given([created_at(eur(5)), won("first_contact", eur(5))])
        .in_a_company()
        .when(win())
        .rejected(DealRejection::Closed { was: Outcome::Won });
}

#[test]
fn a_lost_deal_is_not_won() {
    given([created_at(eur(5)), lost("first_contact")])
        .in_a_company()
        .when(win())
        .rejected(DealRejection::Closed { was: Outcome::Lost });
}

#[test]
fn a_reopened_deal_is_won_again() {
    given([created_at(eur(5)), lost("first_contact"), reopened("qualified", Outcome::Lost)])
        .in_a_company()
        .when(win())
        .then([won("qualified", eur(5))]);
}
