//! The rules of a pipeline.

use dealog_domain::{
    Patch,
    pipeline::{AddStage, Change, Command, Define, Reorder, ReviseStage, STAGES_MAX},
};
use dealog_events::{
    Event, StreamId,
    pipeline::{
        Archived, ForecastCategory, Renamed, Stage, StageAdded, StageReinstated, StageRevised, StagesReordered,
        Unarchived,
    },
};

use crate::support::*;

fn define(slugs: &[&str]) -> Define {
    Define { name: val("Sales"), stages: slugs.iter().map(|slug| stage(slug)).collect(), skipping_allowed: true }
}

fn numbered(count: usize) -> Vec<Stage> {
    (0..count).map(|number| stage(&format!("s{number}"))).collect()
}

fn add(slug: &str) -> AddStage {
    AddStage { stage: stage(slug), after: None }
}

fn revise(slug: &str, revise: ReviseStage) -> Command {
    Command::ReviseStage(val(slug), revise)
}

fn retire(slug: &str) -> Command {
    Command::RetireStage(val(slug))
}

fn reorder(slugs: &[&str]) -> Reorder {
    Reorder { stages: vals(slugs) }
}

fn requiring(slug: &str, required: &[&str]) -> Stage {
    Stage { required_fields: vals(required), ..stage(slug) }
}

fn unknown_field(field: &str) -> Common {
    let allowed = vals(&["remark", "licences", "discount", "approved", "trial_ends", "size"]);
    Common::UnknownField { field: val(field), allowed }
}

#[test]
fn a_pipeline_is_defined_with_its_stages() {
    given([]).when(define(&STAGES)).then([defined()]);
}

#[test]
fn a_pipeline_is_defined_once() {
    given([defined()]).when(define(&STAGES)).rejected(Common::AlreadyExists(StreamId::Pipeline(SALES)));
}

#[test]
fn nothing_but_define_begins_a_pipeline() {
    let commands = [
        Command::AddStage(add("kick_off")),
        revise("qualified", ReviseStage::default()),
        retire("qualified"),
        Command::Reorder(reorder(&STAGES)),
        Command::Archive,
    ];
    for command in commands {
        given([]).when(command).rejected(Common::NotFound(StreamId::Pipeline(SALES)));
    }
}

#[test]
fn a_pipeline_has_a_stage_from_the_first() {
    given([]).when(define(&[])).rejected(PipelineRejection::NoStageLeft);
}

#[test]
fn the_stages_of_a_new_pipeline_have_different_names() {
    given([])
        .when(define(&["qualified", "contract", "qualified"]))
        .rejected(Common::SlugTaken { field: "stages", slug: val("qualified") });
}

#[test]
fn a_pipeline_has_a_limit_of_stages() {
    let limit = || Common::Limit { field: "stages", what: "stages of a pipeline", max: STAGES_MAX };
    let full = || Define { stages: numbered(STAGES_MAX), ..define(&[]) };
    let happened: Event = dealog_events::pipeline::Defined { stages: numbered(STAGES_MAX), ..sales() }.into();
    given([]).when(full()).then([happened.clone()]);
    given([]).when(Define { stages: numbered(STAGES_MAX + 1), ..define(&[]) }).rejected(limit());
    given([happened]).when(add("one_more")).rejected(limit());
}

#[test]
fn a_stage_requires_only_fields_that_are_defined() {
    let stage = || requiring("kick_off", &["amount", "fields.colour"]);
    given([]).in_a_company().when(Define { stages: vec![stage()], ..define(&[]) }).rejected(unknown_field("colour"));
    given([defined()]).in_a_company().when(AddStage { stage: stage(), after: None }).rejected(unknown_field("colour"));
    given([defined()])
        .in_a_company()
        .when(revise(
            "contract",
            ReviseStage { required_fields: Patch::Set(stage().required_fields), ..ReviseStage::default() },
        ))
        .rejected(unknown_field("colour"));
}

#[test]
fn a_stage_requires_no_field_of_customers() {
    given([defined()])
        .in_a_company()
        .when(AddStage { stage: requiring("kick_off", &["fields.region"]), after: None })
        .rejected(unknown_field("region"));
}

#[test]
fn a_stage_requires_fields_that_are_defined() {
    let added = requiring("kick_off", &["amount", "fields.size"]);
    given([defined()]).in_a_company().when(AddStage { stage: added.clone(), after: None }).then([StageAdded {
        stage: added,
        after: Some(val("contract")),
    }
    .into()]);
}

#[test]
fn a_stage_is_added_at_the_end_or_after_another() {
    given([defined()]).when(add("kick_off")).then([StageAdded {
        stage: stage("kick_off"),
        after: Some(val("contract")),
    }
    .into()]);
    given([defined()]).when(AddStage { after: Some(val("qualified")), ..add("demo") }).then([StageAdded {
        stage: stage("demo"),
        after: Some(val("qualified")),
    }
    .into()]);
}

#[test]
fn an_added_stage_stands_after_the_one_it_follows() {
    let added = StageAdded { stage: stage("demo"), after: Some(val("qualified")) };
    given([defined(), added.into()])
        .when(reorder(&["first_contact", "qualified", "demo", "needs_found", "offer_made", "negotiation", "contract"]))
        .then_nothing();
}

#[test]
fn a_stage_may_follow_a_retired_one() {
    given([defined(), retired("qualified")])
        .when(AddStage { after: Some(val("qualified")), ..add("demo") })
        .then([StageAdded { stage: stage("demo"), after: Some(val("qualified")) }.into()]);
}

#[test]
fn a_stage_follows_only_a_stage_of_the_pipeline() {
    given([defined()])
        .when(AddStage { after: Some(val("delivered")), ..add("demo") })
        .rejected(PipelineRejection::StageNotOpen { stage: val("delivered"), allowed: vals(&STAGES) });
}

#[test]
fn the_name_of_a_stage_is_used_once_for_ever() {
    let taken = || Common::SlugTaken { field: "stage", slug: val("qualified") };
    given([defined()]).when(add("qualified")).rejected(taken());
    given([defined(), retired("qualified")]).when(add("qualified")).rejected(taken());
}

#[test]
fn a_stage_is_described_anew() {
    let to = Stage {
        name: val("Signing"),
        probability: percent(90),
        stale_after_days: Some(14),
        required_fields: vals(&["amount"]),
        forecast_category: ForecastCategory::Commit,
        ..stage("contract")
    };
    let asked = ReviseStage {
        name: Patch::Set(val("Signing")),
        probability: Patch::Set(percent(90)),
        stale_after_days: Patch::Set(14),
        required_fields: Patch::Set(vals(&["amount"])),
        forecast_category: Patch::Set(ForecastCategory::Commit),
    };
    let revised: Event = StageRevised { from: stage("contract"), to: to.clone() }.into();
    given([defined()]).when(revise("contract", asked.clone())).then([revised.clone()]);
    given([defined(), revised.clone()]).when(revise("contract", asked)).then_nothing();
    given([defined(), revised])
        .when(revise("contract", ReviseStage { stale_after_days: Patch::Clear, ..ReviseStage::default() }))
        .then([StageRevised { from: to.clone(), to: Stage { stale_after_days: None, ..to } }.into()]);
}

#[test]
fn a_retired_stage_can_still_be_described_anew() {
    let asked = ReviseStage { name: Patch::Set(val("Old contract")), ..ReviseStage::default() };
    let to = Stage { name: val("Old contract"), ..stage("contract") };
    given([defined(), retired("contract")]).when(revise("contract", asked)).then([StageRevised {
        from: stage("contract"),
        to,
    }
    .into()]);
}

#[test]
fn a_revision_of_nothing_is_no_event() {
    given([defined()]).when(revise("contract", ReviseStage::default())).then_nothing();
}

#[test]
fn only_a_stage_of_the_pipeline_is_revised_or_retired() {
    let unknown = || PipelineRejection::StageNotOpen { stage: val("delivered"), allowed: vals(&STAGES) };
    given([defined()]).when(revise("delivered", ReviseStage::default())).rejected(unknown());
    given([defined()]).when(retire("delivered")).rejected(unknown());
}

#[test]
fn a_stage_is_retired_once() {
    given([defined()]).when(retire("qualified")).then([retired("qualified")]);
    given([defined(), retired("qualified")]).when(retire("qualified")).then_nothing();
}

#[test]
fn the_last_stage_that_can_be_entered_is_not_retired() {
    let all_but_contract = STAGES[..5].iter().map(|slug| retired(slug));
    given([defined()].into_iter().chain(all_but_contract))
        .when(retire("contract"))
        .rejected(PipelineRejection::NoStageLeft);
}

#[test]
fn stages_are_put_into_another_order() {
    let mut order = STAGES;
    order.swap(1, 4);
    let reordered: Event = StagesReordered { from: vals(&STAGES), to: vals(&order) }.into();
    given([defined()]).when(reorder(&order)).then([reordered.clone()]);
    given([defined(), reordered]).when(reorder(&order)).then_nothing();
}

#[test]
fn a_retired_stage_keeps_its_place_in_the_order() {
    given([defined(), retired("qualified")]).when(reorder(&STAGES)).then_nothing();
}

#[test]
fn the_order_names_each_stage_once() {
    let invented = ["first_contact", "qualified", "needs_found", "offer_made", "negotiation", "delivered"];
    let repeated = ["first_contact", "qualified", "needs_found", "offer_made", "negotiation", "negotiation"];
    let all_and_one_again =
        ["first_contact", "qualified", "needs_found", "offer_made", "negotiation", "contract", "contract"];
    for wrong in [&STAGES[..5], &invented, &repeated, &all_and_one_again, &[]] {
        given([defined()]).when(reorder(wrong)).rejected(PipelineRejection::NotAnOrder { stages: vals(&STAGES) });
    }
    given([defined(), retired("contract")])
        .when(reorder(&STAGES[..5]))
        .rejected(PipelineRejection::NotAnOrder { stages: vals(&STAGES) });
}

#[test]
fn a_pipeline_is_archived_once() {
    given([defined()]).when(Command::Archive).then([Archived {}.into()]);
    given([defined(), Archived {}.into()]).when(Command::Archive).then_nothing();
}

#[test]
fn a_pipeline_is_renamed() {
    let rename = |name: &str| Change { name: Patch::Set(val(name)) };
    let renamed = Renamed { from: val("Sales"), to: val("New business") };
    given([defined()]).when(rename("New business")).then([renamed.into()]);
    given([defined()]).when(rename("Sales")).then_nothing();
}

#[test]
fn archiving_and_retiring_can_be_reversed() {
    given([defined(), Archived {}.into()]).when(Command::Unarchive).then([Unarchived {}.into()]);
    given([defined()]).when(Command::Unarchive).then_nothing();
    let reinstate = || Command::ReinstateStage(val("qualified"));
    let reinstated = StageReinstated { stage: val("qualified") };
    given([defined(), retired("qualified")]).when(reinstate()).then([reinstated.clone().into()]);
    given([defined(), retired("qualified"), reinstated.into()]).when(reinstate()).then_nothing();
    let unknown = || PipelineRejection::StageNotOpen { stage: val("nowhere"), allowed: vals(&STAGES) };
    given([defined()]).when(Command::ReinstateStage(val("nowhere"))).rejected(unknown());
}
