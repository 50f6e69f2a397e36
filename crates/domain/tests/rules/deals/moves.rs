//! Moves within a pipeline.

use dealog_domain::deal::Move;
use dealog_events::{
    Event, StreamId,
    deal::{Outcome, StageMoved},
    pipeline::{Archived, StagesReordered},
};

use crate::support::*;

fn moved_strictly(from: &str, to: &str) -> Event {
    StageMoved { pipeline: STRICT, from: val(from), to: val(to), reason: None }.into()
}

#[test]
fn a_deal_moves_forward() {
    given([created()]).in_a_company().when(move_to("qualified")).then([moved("first_contact", "qualified")]);
}

#[test]
fn a_deal_moves_back() {
    given([created(), moved("first_contact", "offer_made")])
        .in_a_company()
        .when(move_to("qualified"))
        .then([moved("offer_made", "qualified")]);
}

#[test]
fn a_deal_may_skip_stages() {
    given([created()]).in_a_company().when(move_to("contract")).then([moved("first_contact", "contract")]);
}

#[test]
fn a_move_says_why() {
    let happened = StageMoved {
        pipeline: SALES,
        from: val("first_contact"),
        to: val("qualified"),
        reason: Some(val("They called")),
    };
    given([created()])
        .in_a_company()
        .when(Move { stage: val("qualified"), reason: Some(val("They called")) })
        .then([happened.into()]);
}

#[test]
fn moving_to_the_present_stage_is_no_event() {
    given([created(), moved("first_contact", "qualified")])
        .in_a_company()
        .when(Move { stage: val("qualified"), reason: Some(val("They called")) })
        .then_nothing();
}

#[test]
fn moving_to_the_present_stage_is_no_event_even_when_it_is_retired() {
    given([created()])
        .in_a_company()
        .and(StreamId::Pipeline(SALES), [retired("first_contact")])
        .when(move_to("first_contact"))
        .then_nothing();
}

#[test]
fn a_won_deal_does_not_move() {
    given([created_at(eur(1)), won("first_contact", eur(1))])
        .in_a_company()
        .when(move_to("qualified"))
        .rejected(DealRejection::Closed { was: Outcome::Won });
}

#[test]
fn a_lost_deal_does_not_move_even_to_where_it_is() {
    for to in ["first_contact", "qualified"] {
        given([created(), lost("first_contact")])
            .in_a_company()
            .when(move_to(to))
            .rejected(DealRejection::Closed { was: Outcome::Lost });
    }
}

#[test]
fn a_deal_moves_to_stages_of_its_own_pipeline_only() {
    given([created()])
        .in_a_company()
        .when(move_to("delivered"))
        .rejected(PipelineRejection::StageNotOpen { stage: val("delivered"), allowed: vals(&STAGES) });
}

#[test]
fn nothing_enters_a_retired_stage() {
    given([created()])
        .in_a_company()
        .and(StreamId::Pipeline(SALES), [retired("qualified"), retired("contract")])
        .when(move_to("qualified"))
        .rejected(PipelineRejection::StageNotOpen {
            stage: val("qualified"),
            allowed: vals(&["first_contact", "needs_found", "offer_made", "negotiation"]),
        });
}

#[test]
fn a_deal_leaves_a_retired_stage() {
    given([created()])
        .in_a_company()
        .and(StreamId::Pipeline(SALES), [retired("first_contact")])
        .when(move_to("qualified"))
        .then([moved("first_contact", "qualified")]);
}

#[test]
fn a_deal_in_an_archived_pipeline_still_moves() {
    given([created()])
        .in_a_company()
        .and(StreamId::Pipeline(SALES), [Archived {}.into()])
        .when(move_to("qualified"))
        .then([moved("first_contact", "qualified")]);
}

#[test]
fn where_skipping_is_forbidden_a_deal_moves_to_the_next_stage() {
    given([created_in(STRICT, "qualified")])
        .in_a_company()
        .when(move_to("needs_found"))
        .then([moved_strictly("qualified", "needs_found")]);
}

#[test]
fn where_skipping_is_forbidden_a_deal_passes_over_no_stage() {
    given([created_in(STRICT, "qualified")])
        .in_a_company()
        .when(move_to("offer_made"))
        .rejected(PipelineRejection::SkipsStages { from: val("qualified"), next: val("needs_found") });
}

#[test]
fn where_skipping_is_forbidden_a_deal_still_moves_back_any_way() {
    given([created_in(STRICT, "contract")])
        .in_a_company()
        .when(move_to("first_contact"))
        .then([moved_strictly("contract", "first_contact")]);
}

#[test]
fn a_retired_stage_is_none_to_skip() {
    let company = || {
        given([created_in(STRICT, "qualified")])
            .in_a_company()
            .and(StreamId::Pipeline(STRICT), [retired("needs_found")])
    };
    company().when(move_to("offer_made")).then([moved_strictly("qualified", "offer_made")]);
    company()
        .when(move_to("negotiation"))
        .rejected(PipelineRejection::SkipsStages { from: val("qualified"), next: val("offer_made") });
}

#[test]
fn a_retired_stage_keeps_its_place_when_a_deal_goes_on_from_it() {
    let company = || {
        given([created_in(STRICT, "qualified")]).in_a_company().and(StreamId::Pipeline(STRICT), [retired("qualified")])
    };
    company().when(move_to("needs_found")).then([moved_strictly("qualified", "needs_found")]);
    company()
        .when(move_to("offer_made"))
        .rejected(PipelineRejection::SkipsStages { from: val("qualified"), next: val("needs_found") });
}

#[test]
fn what_is_skipped_follows_the_present_order_of_the_stages() {
    let reordered = StagesReordered {
        from: vals(&STAGES),
        to: vals(&["first_contact", "contract", "qualified", "needs_found", "offer_made", "negotiation"]),
    };
    given([created_in(STRICT, "first_contact")])
        .in_a_company()
        .and(StreamId::Pipeline(STRICT), [reordered.into()])
        .when(move_to("contract"))
        .then([moved_strictly("first_contact", "contract")]);
}
