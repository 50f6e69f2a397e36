//! How a deal goes over to another pipeline.

use dealog_domain::deal::Transfer;
use dealog_events::{PipelineId, StreamId, deal::Outcome, pipeline::Archived};
use uuid::Uuid;

use crate::support::*;

#[test]
fn a_deal_goes_over_into_the_stage_that_is_named() {
    given([created(), moved("first_contact", "qualified")])
        .in_a_company()
        .when(Transfer { pipeline: STRICT, stage: Some(val("offer_made")) })
        .then([transferred((SALES, "qualified"), (STRICT, "offer_made"))]);
}

#[test]
fn a_deal_goes_over_into_the_first_stage_that_can_be_entered() {
    given([created()])
        .in_a_company()
        .and(StreamId::Pipeline(STRICT), [retired("first_contact")])
        .when(transfer_to(STRICT))
        .then([transferred((SALES, "first_contact"), (STRICT, "qualified"))]);
}

#[test]
fn a_transfer_goes_to_another_pipeline() {
    for stage in [None, Some(val("contract"))] {
        given([created()])
            .in_a_company()
            .when(Transfer { pipeline: SALES, stage })
            .rejected(DealRejection::SamePipeline);
    }
}

#[test]
fn a_deal_goes_over_to_no_pipeline_that_does_not_exist() {
    let nowhere = PipelineId(Uuid::from_u128(0xff));
    given([created()])
        .in_a_company()
        .when(transfer_to(nowhere))
        .rejected(Common::UnknownReference { field: "pipeline", stream: StreamId::Pipeline(nowhere) });
}

#[test]
fn a_deal_goes_over_to_no_archived_pipeline() {
    given([created()])
        .in_a_company()
        .and(StreamId::Pipeline(STRICT), [Archived {}.into()])
        .when(transfer_to(STRICT))
        .rejected(PipelineRejection::Archived);
}

#[test]
fn a_deal_leaves_an_archived_pipeline() {
    given([created()])
        .in_a_company()
        .and(StreamId::Pipeline(SALES), [Archived {}.into()])
        .when(transfer_to(STRICT))
        .then([transferred((SALES, "first_contact"), (STRICT, "first_contact"))]);
}

#[test]
fn a_deal_goes_over_into_no_retired_or_unknown_stage() {
    let company = || given([created()]).in_a_company().and(StreamId::Pipeline(STRICT), [retired("contract")]);
    for stage in ["contract", "delivered"] {
        company().when(Transfer { pipeline: STRICT, stage: Some(val(stage)) }).rejected(
            PipelineRejection::StageNotOpen {
                stage: val(stage),
                allowed: vals(&["first_contact", "qualified", "needs_found", "offer_made", "negotiation"]),
            },
        );
    }
}

#[test]
fn a_transfer_enters_a_stage_and_needs_its_fields() {
    given([created()])
        .in_a_company()
        .and(StreamId::Pipeline(STRICT), [requires("first_contact", &["owner", "fields.size"])])
        .when(transfer_to(STRICT))
        .rejected(DealRejection::FieldsMissing { missing: vals(&["owner", "fields.size"]) });
}

#[test]
fn a_closed_deal_does_not_go_over() {
    given([created(), lost("first_contact")])
        .in_a_company()
        .when(transfer_to(STRICT))
        .rejected(DealRejection::Closed { was: Outcome::Lost });
}

#[test]
fn a_deal_that_went_over_follows_the_rules_of_its_new_pipeline() {
    given([created(), transferred((SALES, "first_contact"), (STRICT, "first_contact"))])
        .in_a_company()
        .when(move_to("contract"))
        .rejected(PipelineRejection::SkipsStages { from: val("first_contact"), next: val("qualified") });
}
