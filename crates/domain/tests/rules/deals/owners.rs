//! Whose deals a seller works.

use dealog_domain::{
    Command, Patch, Standing,
    deal::{self, Change, Create},
};
use dealog_events::{
    Event, StreamId, UserId,
    deal::{Created, Outcome, OwnerAssigned},
};

use crate::support::*;

fn created_by(owner: Option<UserId>) -> Event {
    Created { owner, amount: Some(eur(5)), ..bare() }.into()
}

/// One command of each kind that an open deal takes.
fn commands() -> [deal::Command; 5] {
    [
        deal::Command::Move(move_to("qualified")),
        deal::Command::Win(win()),
        deal::Command::Lose(lose_for("price")),
        deal::Command::Transfer(transfer_to(STRICT)),
        deal::Command::Change(Box::new(Change { title: Patch::Set(val("Another")), ..Change::default() })),
    ]
}

#[test]
fn a_seller_works_own_deals() {
    for command in commands() {
        let decided =
            given([created_by(Some(ANNA))]).in_a_company().by_seller(ANNA).when(Command::Deal(command.clone()));
        assert!(decided.is_accepted(), "{command:?}");
    }
}

#[test]
fn a_seller_works_nobody_elses_deals_and_none_without_an_owner() {
    for owner in [Some(BORIS), None] {
        for command in commands() {
            let company = given([created_by(owner)]).in_a_company().by_seller(ANNA);
            company.when(Command::Deal(command)).rejected(DealRejection::NotYours);
        }
    }
}

#[test]
fn a_seller_is_refused_a_closed_deal_of_someone_elses_for_the_owner_first() {
    let company = given([created_by(Some(BORIS)), lost("first_contact")]).in_a_company().by_seller(ANNA);
    company.when(reopen()).rejected(DealRejection::NotYours);
}

#[test]
fn a_seller_begins_own_deals_only() {
    let owned_by = |owner| Create { owner, ..create() };
    let company = || given([]).in_a_company().by_seller(ANNA);
    company().when(owned_by(Some(ANNA))).then([Created { owner: Some(ANNA), ..bare() }.into()]);
    company().when(owned_by(Some(BORIS))).rejected(DealRejection::NotYours);
}

#[test]
fn a_deal_that_a_seller_begins_without_an_owner_is_the_sellers() {
    let company = || given([]).in_a_company().and(StreamId::Pipeline(SALES), [requires("first_contact", &["owner"])]);
    company().by_seller(ANNA).when(create()).then([Created { owner: Some(ANNA), ..bare() }.into()]);
    company().when(create()).rejected(DealRejection::FieldsMissing { missing: vals(&["owner"]) });
}

#[test]
fn a_deal_that_anyone_else_begins_without_an_owner_has_none() {
    given([]).in_a_company().when(create()).then([created()]);
}

#[test]
fn a_seller_who_has_been_deactivated_begins_no_deal() {
    given([])
        .in_a_company()
        .and(StreamId::User(ANNA), [deactivated()])
        .by_seller(ANNA)
        .when(create())
        .rejected(UserRejection::Inactive { field: "owner", user: ANNA });
}

#[test]
fn a_seller_may_hand_a_deal_over_and_then_has_it_no_more() {
    let hand_over = || Change { owner: Patch::Set(BORIS), ..Change::default() };
    let handed_over: Event = OwnerAssigned { from: Some(ANNA), to: Some(BORIS) }.into();
    let before = created_by(Some(ANNA));
    given([before.clone()]).in_a_company().by_seller(ANNA).when(hand_over()).then([handed_over.clone()]);
    let after = given([before, handed_over]).in_a_company().by_seller(ANNA);
    after.when(hand_over()).rejected(DealRejection::NotYours);
}

#[test]
fn a_closed_deal_is_changed_and_reopened_by_those_who_may_and_nobody_else() {
    let company = |standing| given([created_by(Some(ANNA)), lost("first_contact")]).in_a_company().of(standing);
    let seller = Standing { own_deals_of: Some(ANNA), changes_closed_deals: false, ..Standing::FULL };
    let refused = || DealRejection::ClosedNotYours { was: Outcome::Lost };
    let rename = || Change { title: Patch::Set(val("Another")), ..Change::default() };
    company(seller).when(reopen()).rejected(refused());
    company(seller).when(rename()).rejected(refused());
    assert!(company(Standing::FULL).when(reopen()).is_accepted());
    assert!(company(Standing::FULL).when(rename()).is_accepted());
    // What changes nothing harms nobody.
    company(seller).when(Change { owner: Patch::Set(ANNA), ..Change::default() }).then_nothing();
}
