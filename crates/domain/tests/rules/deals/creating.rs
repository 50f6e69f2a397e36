//! How a deal begins.

use dealog_domain::{deal::Command, deal::Create};
use dealog_events::{
    CampaignId, CustomerId, FieldValue, PipelineId, StreamId, UserId, deal::Created, pipeline::Archived,
};
use uuid::Uuid;

use crate::support::*;

const NOWHERE: Uuid = Uuid::from_u128(0xff);

#[test]
fn a_deal_begins_in_the_stage_it_names() {
    given([])
        .in_a_company()
        .when(Create { stage: Some(val("needs_found")), ..create() })
        .then([created_in(SALES, "needs_found")]);
}

#[test]
fn a_deal_that_names_no_stage_begins_in_the_first() {
    given([]).in_a_company().when(create()).then([created_in(SALES, "first_contact")]);
}

#[test]
fn a_deal_that_names_no_stage_passes_over_retired_ones() {
    given([])
        .in_a_company()
        .and(StreamId::Pipeline(SALES), [retired("first_contact")])
        .when(create())
        .then([created_in(SALES, "qualified")]);
}

#[test]
fn a_deal_may_begin_anywhere_in_a_pipeline_that_forbids_skipping() {
    given([])
        .in_a_company()
        .when(Create { pipeline: STRICT, stage: Some(val("contract")), ..create() })
        .then([created_in(STRICT, "contract")]);
}

#[test]
fn a_deal_begins_with_all_that_is_known_of_it() {
    let campaign = CampaignId(Uuid::from_u128(0xca));
    let asked = Create {
        customer: Some(ACME),
        owner: Some(ANNA),
        amount: Some(eur(1_200)),
        expected_close: Some(val("2026-06-30")),
        source: Some(val("Trade fair")),
        campaign: Some(campaign),
        fields: [(val("licences"), FieldValue::Integer(200))].into(),
        ..create()
    };
    let happened = Created {
        customer: Some(ACME),
        owner: Some(ANNA),
        amount: Some(eur(1_200)),
        expected_close: Some(val("2026-06-30")),
        source: Some(val("Trade fair")),
        campaign: Some(campaign),
        fields: [(val("licences"), FieldValue::Integer(200))].into(),
        ..bare()
    };
    given([]).in_a_company().when(asked).then([happened.into()]);
}

#[test]
fn a_deal_begins_once() {
    given([created()]).in_a_company().when(create()).rejected(Common::AlreadyExists(StreamId::Deal(DEAL)));
}

#[test]
fn nothing_but_create_begins_a_deal() {
    let commands = [
        Command::Move(move_to("qualified")),
        Command::Win(win_at(eur(1))),
        Command::Lose(lose_for("price")),
        Command::Reopen(reopen()),
        Command::Transfer(transfer_to(STRICT)),
        Command::Change(Box::default()),
    ];
    for command in commands {
        given([]).in_a_company().when(command).rejected(Common::NotFound(StreamId::Deal(DEAL)));
    }
}

#[test]
fn a_deal_needs_a_pipeline_that_exists() {
    let pipeline = PipelineId(NOWHERE);
    given([])
        .in_a_company()
        .when(Create { pipeline, ..create() })
        .rejected(Common::UnknownReference { field: "pipeline", stream: StreamId::Pipeline(pipeline) });
}

#[test]
fn an_archived_pipeline_takes_no_new_deals() {
    given([])
        .in_a_company()
        .and(StreamId::Pipeline(SALES), [Archived {}.into()])
        .when(create())
        .rejected(PipelineRejection::Archived);
}

#[test]
fn no_deal_begins_in_a_retired_stage() {
    given([])
        .in_a_company()
        .and(StreamId::Pipeline(SALES), [retired("qualified")])
        .when(Create { stage: Some(val("qualified")), ..create() })
        .rejected(PipelineRejection::StageNotOpen {
            stage: val("qualified"),
            allowed: vals(&["first_contact", "needs_found", "offer_made", "negotiation", "contract"]),
        });
}

#[test]
fn no_deal_begins_in_a_stage_that_its_pipeline_has_not() {
    given([])
        .in_a_company()
        .when(Create { stage: Some(val("delivered")), ..create() })
        .rejected(PipelineRejection::StageNotOpen { stage: val("delivered"), allowed: vals(&STAGES) });
}

#[test]
fn the_customer_of_a_new_deal_exists() {
    let customer = CustomerId(NOWHERE);
    given([])
        .in_a_company()
        .when(Create { customer: Some(customer), ..create() })
        .rejected(Common::UnknownReference { field: "customer", stream: StreamId::Customer(customer) });
}

#[test]
fn the_owner_of_a_new_deal_exists() {
    let owner = UserId(NOWHERE);
    given([])
        .in_a_company()
        .when(Create { owner: Some(owner), ..create() })
        .rejected(Common::UnknownReference { field: "owner", stream: StreamId::User(owner) });
}

#[test]
fn the_owner_of_a_new_deal_is_active() {
    given([])
        .in_a_company()
        .and(StreamId::User(ANNA), [deactivated()])
        .when(Create { owner: Some(ANNA), ..create() })
        .rejected(UserRejection::Inactive { field: "owner", user: ANNA });
}

#[test]
fn the_fields_of_a_new_deal_are_defined_and_fit() {
    given([])
        .in_a_company()
        .when(Create { fields: [(val("region"), field_text("West"))].into(), ..create() })
        .rejected(Common::UnknownField {
            field: val("region"),
            allowed: vals(&["remark", "licences", "discount", "approved", "trial_ends", "size"]),
        });
    given([])
        .in_a_company()
        .when(Create { fields: [(val("licences"), field_text("many"))].into(), ..create() })
        .rejected(Common::FieldValue { field: val("licences"), expected: "a whole number".into() });
}
