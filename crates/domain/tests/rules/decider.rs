//! What holds for all aggregates, and how commands are written.

use std::{collections::BTreeSet, sync::Arc};

use dealog_domain::{
    Command, Facts, Patch, Standing, State, customer, deal, decide, evolve, pipeline, reads, settings, team, user,
};
use dealog_events::{Category, Event, StreamId, deal::ProbabilityCleared, team::Formed, user::Role};

use crate::support::*;

const CATEGORIES: [Category; 6] =
    [Category::Deal, Category::Pipeline, Category::Customer, Category::User, Category::Team, Category::Settings];

/// For each category, a command that begins a stream of it or needs none.
fn beginnings() -> [Command; 6] {
    [
        create().asked(),
        pipeline::Define { name: val("Sales"), stages: vec![stage("qualified")], skipping_allowed: true }.asked(),
        customer::Register {
            kind: customer::CustomerKind::Organisation,
            name: val("Acme"),
            sector: None,
            fields: [].into(),
        }
        .asked(),
        user::Invite { name: val("Anna"), email: None, roles: Role::Seller.into() }.asked(),
        team::Form { name: val("North") }.asked(),
        settings::Change::default().asked(),
    ]
}

#[test]
fn a_command_of_one_aggregate_is_refused_on_the_stream_of_another() {
    for category in CATEGORIES {
        for (other, command) in CATEGORIES.into_iter().zip(beginnings()) {
            let stream = own_stream(category);
            let facts = Facts::new(stream, now());
            let decision = decide(&State::empty(category), &facts, &command);
            let refused = decision == Err(Common::WrongStream(stream).into());
            assert_eq!(refused, category != other, "{command:?} for {stream}");
        }
    }
}

#[test]
fn commands_that_begin_a_stream_say_so() {
    let begins = beginnings().map(|command| command.begins_stream());
    assert_eq!(begins, [true, true, true, true, true, false]);
    for command in [move_to("qualified").asked(), win().asked(), team::Command::AddMember(ANNA).asked()] {
        assert!(!command.begins_stream());
    }
}

#[test]
fn an_event_of_another_stream_changes_nothing() {
    let deal = folded(StreamId::Deal(DEAL), &[created()]);
    let formed: Event = Formed { name: val("North") }.into();
    assert_eq!(evolve(deal.clone(), &formed), deal);
    assert_eq!(evolve(deal.clone(), &defined()), deal);
}

#[test]
fn an_event_that_comes_before_the_first_changes_nothing() {
    let cleared: Event = ProbabilityCleared { from: percent(40), to: () }.into();
    let events = [moved("first_contact", "qualified"), cleared, retired("qualified"), deactivated()];
    for event in events {
        let empty = State::empty(event.category());
        assert_eq!(evolve(empty.clone(), &event), empty);
    }
}

#[test]
fn an_event_that_names_an_unknown_stage_changes_nothing() {
    let pipeline = folded(StreamId::Pipeline(SALES), &[defined()]);
    for event in [retired("delivered"), requires("delivered", &["amount"])] {
        assert_eq!(evolve(pipeline.clone(), &event), pipeline);
    }
}

#[test]
fn a_rule_reads_no_more_than_it_needs() {
    let deal = folded(StreamId::Deal(DEAL), &[created()]);
    let read = |command: Command| reads(&deal, Standing::FULL, &command);
    let sales = StreamId::Pipeline(SALES);
    assert_eq!(read(create().asked()), [sales].into());
    assert_eq!(read(move_to("qualified").asked()), [sales].into());
    assert_eq!(read(reopen().asked()), [sales].into());
    assert_eq!(read(win().asked()), [sales].into());
    assert_eq!(read(win_at(eur(5)).asked()), [sales, StreamId::Settings].into());
    assert_eq!(read(lose_for("price").asked()), [StreamId::Settings].into());
    assert_eq!(read(transfer_to(STRICT).asked()), [StreamId::Pipeline(STRICT)].into());
    assert_eq!(read(deal::Change::default().asked()), BTreeSet::new());
    let change = deal::Change { owner: Patch::Set(ANNA), customer: Patch::Set(ACME), ..deal::Change::default() };
    assert_eq!(read(change.asked()), [StreamId::User(ANNA), StreamId::Customer(ACME)].into());
}

#[test]
fn a_rule_reads_the_seller_whose_deal_begins() {
    let seller = Standing { own_deals_of: Some(ANNA), ..Standing::FULL };
    let read = |owner| reads(&State::empty(Category::Deal), seller, &deal::Create { owner, ..create() }.asked());
    let sales = StreamId::Pipeline(SALES);
    assert_eq!(read(None), [sales, StreamId::User(ANNA)].into());
    assert_eq!(read(Some(BORIS)), [sales, StreamId::User(BORIS)].into());
}

#[test]
fn what_a_command_names_is_read_even_if_its_deal_does_not_exist() {
    let read = |command: Command| reads(&State::empty(Category::Deal), Standing::FULL, &command);
    let lose = deal::Lose { duplicate_of: Some(OTHER_DEAL), ..lose_for("price") };
    assert_eq!(read(lose.asked()), [StreamId::Settings, StreamId::Deal(OTHER_DEAL)].into());
    assert_eq!(read(move_to("qualified").asked()), BTreeSet::new(), "only the deal knows its pipeline");
}

#[test]
fn rules_of_all_aggregates_read_what_they_need() {
    let read = |command: Command, category: Category| reads(&State::empty(category), Standing::FULL, &command);
    let add = pipeline::Command::AddStage(pipeline::AddStage { stage: stage("offer"), after: None });
    assert_eq!(read(Command::Pipeline(add), Category::Pipeline), [StreamId::Settings].into());
    assert_eq!(read(pipeline::Command::Archive.asked(), Category::Pipeline), BTreeSet::new());
    let regional = customer::Change { fields: [(val("region"), Patch::Clear)].into(), ..customer::Change::default() };
    assert_eq!(read(regional.asked(), Category::Customer), [StreamId::Settings].into());
    assert_eq!(read(customer::Change::default().asked(), Category::Customer), BTreeSet::new());
    assert_eq!(read(team::Command::AddMember(ANNA).asked(), Category::Team), [StreamId::User(ANNA)].into());
    assert_eq!(read(team::Command::RemoveMember(ANNA).asked(), Category::Team), BTreeSet::new());
    assert_eq!(read(user::Command::Deactivate.asked(), Category::User), BTreeSet::new());
    assert_eq!(read(settings::Change::default().asked(), Category::Settings), BTreeSet::new());
}

#[test]
fn the_state_of_a_stream_that_a_rule_does_not_read_makes_no_difference() {
    let deal = folded(StreamId::Deal(DEAL), &[created()]);
    let command = lose_for("price").asked();
    let settings = Arc::new(folded(StreamId::Settings, &[reasons_set()]));
    let needed = Facts::new(StreamId::Deal(DEAL), now()).with(StreamId::Settings, settings);
    let pipeline = Arc::new(folded(StreamId::Pipeline(SALES), &[defined()]));
    let more = needed.clone().with(StreamId::Pipeline(SALES), pipeline);
    assert_eq!(decide(&deal, &needed, &command), decide(&deal, &more, &command));
    assert!(decide(&deal, &needed, &command).is_ok());
}

#[test]
fn in_json_an_absent_attribute_stays_and_null_empties() {
    let change: deal::Change = serde_json::from_str(
        r#"{"source": null, "owner": "00000000-0000-0000-0000-0000000000a1", "fields": {"size": "large", "remark": null}}"#,
    )
    .unwrap();
    assert_eq!(change.customer, Patch::Keep);
    assert_eq!(change.source, Patch::Clear);
    assert_eq!(change.owner, Patch::Set(ANNA));
    assert_eq!(change.fields, [(val("remark"), Patch::Clear), (val("size"), Patch::Set(field_text("large")))].into());
}

#[test]
fn in_json_a_command_with_an_unknown_member_is_refused() {
    assert!(serde_json::from_str::<deal::Move>(r#"{"stage": "qualified", "stag": "x"}"#).is_err());
    assert!(serde_json::from_str::<deal::Change>(r#"{"amont": null}"#).is_err());
    assert!(serde_json::from_str::<settings::Change>(r#"{"currency": "EUR"}"#).is_err());
}

#[test]
fn in_json_a_pipeline_allows_skipping_unless_it_says_otherwise() {
    let define: pipeline::Define = serde_json::from_str(r#"{"name": "Sales", "stages": []}"#).unwrap();
    assert!(define.skipping_allowed);
}
