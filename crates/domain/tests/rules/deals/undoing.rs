//! Undoing the last command on a deal.

use dealog_domain::{
    Standing, State,
    deal::{Change, Undo},
};
use dealog_events::{
    Event, StreamId,
    deal::{Closing, Course, Created, Outcome, OwnerAssigned, Restored, TitleChanged, Undone},
};

use crate::support::*;

fn undo() -> Undo {
    Undo::default()
}

fn undone(index: usize, events: usize, restores: Vec<Restored>) -> Event {
    let events = (index..index + events).map(position).collect();
    Undone { command: command(index), events, restores, reason: None }.into()
}

fn course(stage: &str, entered: usize) -> Course {
    Course { pipeline: SALES, stage: val(stage), entered_at: at(entered), closing: None }
}

fn win_of(owner: Option<dealog_events::UserId>) -> Closing {
    Closing {
        outcome: Outcome::Won,
        closed_at: now(),
        owner,
        contract: None,
        reason: None,
        counted: None,
        competitor: None,
        duplicate_of: None,
    }
}

#[test]
fn a_move_is_undone_as_if_it_had_never_been() {
    let moves = [created(), moved("first_contact", "qualified"), moved("qualified", "contract")];
    let restores = vec![Restored::Course { from: course("contract", 2), to: course("qualified", 1) }];
    given(moves.clone()).when(undo()).then([undone(2, 1, restores.clone())]);
    let with_undo = [&moves[..], &[undone(2, 1, restores)]].concat();
    assert_eq!(folded(StreamId::Deal(DEAL), &with_undo), folded(StreamId::Deal(DEAL), &moves[..2]));
}

#[test]
fn all_events_of_a_command_are_undone_together() {
    let happened = vec![created(), amount_changed(None, Some(eur(5))), won("first_contact", eur(5))];
    let closed = Course { closing: Some(win_of(None)), ..course("first_contact", 0) };
    let restores = vec![
        Restored::Course { from: closed, to: course("first_contact", 0) },
        Restored::Amount { from: Some(eur(5)), to: None },
        Restored::Currency { from: Some(val("EUR")), to: None },
    ];
    given(happened).together(2).when(undo()).then([undone(1, 2, restores)]);
}

#[test]
fn a_reopening_is_undone_with_the_closing_that_it_ended() {
    let happened = vec![
        Created { owner: Some(ANNA), ..bare() }.into(),
        amount_changed(None, Some(eur(5))),
        won("first_contact", eur(5)),
        reopened("qualified", Outcome::Won),
    ];
    let closed = Course { closing: Some(win_of(Some(ANNA))), ..course("first_contact", 0) };
    let restores = vec![Restored::Course { from: course("qualified", 3), to: closed }];
    given(happened).when(undo()).then([undone(3, 1, restores)]);
}

#[test]
fn attributes_are_restored_each_with_what_it_was() {
    let title = TitleChanged { from: val("200 licences"), to: val("300 licences") };
    let owner = OwnerAssigned { from: None, to: Some(ANNA) };
    let restores = vec![
        Restored::Title { from: title.to.clone(), to: title.from.clone() },
        Restored::Owner { from: Some(ANNA), to: None },
    ];
    given([created(), title.into(), owner.into()]).together(2).when(undo()).then([undone(1, 2, restores)]);
}

#[test]
fn neither_the_creation_nor_an_undo_can_be_undone() {
    given([created()]).when(undo()).rejected(DealRejection::CreationIsLast);
    let restores = vec![Restored::Course { from: course("qualified", 1), to: course("first_contact", 0) }];
    given([created(), moved("first_contact", "qualified"), undone(1, 1, restores)])
        .when(undo())
        .rejected(DealRejection::UndoIsLast);
}

#[test]
fn a_command_that_is_named_is_undone_only_if_nothing_has_happened_since() {
    let moves = || [created(), moved("first_contact", "qualified"), moved("qualified", "contract")];
    let restores = vec![Restored::Course { from: course("contract", 2), to: course("qualified", 1) }];
    let of = |index| Undo { command: Some(command(index)), ..undo() };
    given(moves()).when(of(2)).then([undone(2, 1, restores)]);
    given(moves()).when(of(1)).rejected(DealRejection::NotTheLast { since: vec!["deal.stage_moved"] });
    given(moves()).when(of(7)).rejected(DealRejection::NoSuchCommand { command: command(7) });
}

#[test]
fn a_seller_takes_back_an_own_slip_and_no_closing_of_another() {
    let seller = Standing {
        own_deals_of: Some(ANNA),
        backdates: false,
        changes_closed_deals: false,
        uses_reserve: false,
        ..Standing::FULL
    };
    let won = || {
        let created = Created { owner: Some(ANNA), amount: Some(eur(5)), ..bare() };
        given([created.into(), won("first_contact", eur(5))]).in_a_company().of(seller)
    };
    assert!(won().last_by(ANNA).when(undo()).is_accepted());
    won().last_by(BORIS).when(undo()).rejected(DealRejection::ClosedNotYours { was: Outcome::Won });
    // On an open deal, anyone who works it may undo any command, also one of somebody else.
    let renamed = TitleChanged { from: val("200 licences"), to: val("300 licences") };
    let open = || [Created { owner: Some(ANNA), ..bare() }.into(), renamed.clone().into()];
    assert!(given(open()).in_a_company().of(seller).last_by(BORIS).when(undo()).is_accepted());
    given([created(), renamed.into()]).in_a_company().of(seller).when(undo()).rejected(DealRejection::NotYours);
}

#[test]
fn a_deal_whose_first_amount_was_undone_takes_one_in_another_currency() {
    let restores = vec![
        Restored::Amount { from: Some(eur(5)), to: None },
        Restored::Currency { from: Some(val("EUR")), to: None },
    ];
    let events = vec![created(), amount_changed(None, Some(eur(5))), undone(1, 1, restores)];
    let State::Deal(Some(deal)) = folded(StreamId::Deal(DEAL), &events) else { panic!("no deal") };
    assert_eq!((deal.amount, deal.currency), (None, None));
    let dollars = Change { amount: dealog_domain::Patch::Set(usd(5)), ..Change::default() };
    given(events)
        .in_a_company()
        .and(StreamId::Settings, [currency_set("USD")])
        .when(dollars)
        .then([amount_changed(None, Some(usd(5)))]);
}
