//! How a closed deal is taken up again.

use dealog_events::{StreamId, deal::Outcome, pipeline::Archived};

use crate::support::*;

#[test]
fn a_lost_deal_can_be_reopened_into_an_open_stage() {
    given([created(), moved("first_contact", "offer_made"), lost("offer_made")])
        .in_a_company()
        .when(reopen_into("qualified"))
        .then([reopened("qualified", Outcome::Lost)]);
}

#[test]
fn a_won_deal_can_be_reopened_into_an_open_stage() {
    given([created_at(eur(5)), won("first_contact", eur(5))])
        .in_a_company()
        .when(reopen_into("negotiation"))
        .then([reopened("negotiation", Outcome::Won)]);
}

#[test]
fn a_deal_goes_on_where_it_was_closed_unless_a_stage_is_named() {
    given([created(), moved("first_contact", "offer_made"), lost("offer_made")])
        .in_a_company()
        .when(reopen())
        .then([reopened("offer_made", Outcome::Lost)]);
}

#[test]
fn a_deal_is_not_reopened_into_a_retired_stage() {
    let company = || {
        given([created(), lost("first_contact")])
            .in_a_company()
            .and(StreamId::Pipeline(SALES), [retired("first_contact")])
    };
    let refused = || PipelineRejection::StageNotOpen {
        stage: val("first_contact"),
        allowed: vals(&["qualified", "needs_found", "offer_made", "negotiation", "contract"]),
    };
    company().when(reopen()).rejected(refused());
    company().when(reopen_into("first_contact")).rejected(refused());
    company().when(reopen_into("qualified")).then([reopened("qualified", Outcome::Lost)]);
}

#[test]
fn a_deal_is_reopened_into_a_stage_of_its_own_pipeline_only() {
    given([created(), lost("first_contact")])
        .in_a_company()
        .when(reopen_into("delivered"))
        .rejected(PipelineRejection::StageNotOpen { stage: val("delivered"), allowed: vals(&STAGES) });
}

#[test]
fn an_open_deal_is_not_reopened() {
    given([created()]).in_a_company().when(reopen()).rejected(DealRejection::Open);
    given([created(), lost("first_contact"), reopened("first_contact", Outcome::Lost)])
        .in_a_company()
        .when(reopen())
        .rejected(DealRejection::Open);
}

#[test]
fn reopening_enters_a_stage_and_needs_its_fields() {
    given([created(), lost("first_contact")])
        .in_a_company()
        .and(StreamId::Pipeline(SALES), [requires("first_contact", &["customer"])])
        .when(reopen())
        .rejected(DealRejection::FieldsMissing { missing: vals(&["customer"]) });
}

#[test]
fn a_deal_of_an_archived_pipeline_can_be_reopened() {
    given([created(), lost("first_contact")])
        .in_a_company()
        .and(StreamId::Pipeline(SALES), [Archived {}.into()])
        .when(reopen())
        .then([reopened("first_contact", Outcome::Lost)]);
}

#[test]
fn a_reopened_deal_moves_and_closes_again() {
    let company = || given([created(), lost("first_contact"), reopened("qualified", Outcome::Lost)]).in_a_company();
    company().when(move_to("offer_made")).then([moved("qualified", "offer_made")]);
    company().when(lose_for("price")).then([lost("qualified")]);
}
