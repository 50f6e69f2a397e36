//! When a deal was closed, and correcting what was said of it.

use dealog_domain::{
    Patch, Standing,
    deal::{CorrectClosing, Lose, Win},
};
use dealog_events::{
    Event, StreamId, Timestamp, When,
    deal::{ClosingCorrected, ClosingPart, Lost, Outcome, OwnerAssigned, Won},
    settings::TimeZoneSet,
};

use crate::support::*;

const SELLER: Standing =
    Standing { backdates: false, changes_closed_deals: false, uses_reserve: false, ..Standing::FULL };

/// A deal that was created on 20 February and had its title changed on the 22nd, at half past nine in the morning, UTC.
fn open() -> Vec<Event> {
    let title = |from, to| dealog_events::deal::TitleChanged { from: val(from), to: val(to) }.into();
    vec![created_at(eur(5)), title("200 licences", "300 licences"), title("300 licences", "400 licences")]
}

fn in_riga() -> Event {
    TimeZoneSet { from: None, to: val("Europe/Riga") }.into()
}

fn won_on(closed_at: &str) -> Event {
    let (pipeline, stage) = (SALES, val("first_contact"));
    Won { pipeline, stage, amount: eur(5), closed_at: val(closed_at), contract: None }.into()
}

fn win_on(when: &str) -> Win {
    Win { closed_at: Some(val(when)), ..win() }
}

fn lose_on(when: &str) -> Lose {
    Lose { closed_at: Some(val(when)), ..lose_for("price") }
}

#[test]
fn a_deal_is_closed_when_someone_says_so_unless_they_say_when_it_was() {
    given(open()).in_a_company().when(win()).then([won("first_contact", eur(5))]);
    // A date that is given takes precedence over the time of the command.
    given(open()).in_a_company().when(win_on("2026-02-20T12:00:00Z")).then([won_on("2026-02-20T12:00:00Z")]);
    let lost = Lost { closed_at: val("2026-02-21T08:00:00Z"), ..loss("first_contact", "price", true) };
    given(open()).in_a_company().when(lose_on("2026-02-21T08:00:00Z")).then([lost.into()]);
}

#[test]
fn a_day_means_its_end_where_the_company_is_or_now_if_it_has_not_ended() {
    let company = || given(open()).in_a_company().and(StreamId::Settings, [in_riga()]);
    company().when(win_on("2026-02-25")).then([won_on("2026-02-25T21:59:59.999999Z")]);
    company().when(win_on("2026-03-02")).then([won_on("2026-03-02T09:30:00Z")]);
    let lost = Lost { closed_at: val("2026-02-25T21:59:59.999999Z"), ..loss("first_contact", "price", true) };
    company().when(lose_on("2026-02-25")).then([lost.into()]);
}

#[test]
fn a_deal_is_not_closed_before_it_was_open_nor_ahead_of_what_happens() {
    let company = |events| given(events).in_a_company();
    let early = |when: &str, earliest: Timestamp| DealRejection::ClosedTooEarly { closed_at: val(when), earliest };
    company(open()).when(win_on("2026-02-19")).rejected(early("2026-02-19", at(0)));
    company(open()).when(lose_on("2026-02-20T09:29:59Z")).rejected(early("2026-02-20T09:29:59Z", at(0)));
    company(open()).when(win_on("2026-02-20")).then([won_on("2026-02-20T23:59:59.999999Z")]);
    for ahead in ["2026-03-03", "2026-03-02T09:30:00.000001Z"] {
        let refused = DealRejection::ClosedAhead { closed_at: val(ahead), latest: now() };
        company(open()).when(win_on(ahead)).rejected(refused.clone());
        company(open()).when(lose_on(ahead)).rejected(refused);
    }
    // The day of a reopening is the first that counts again.
    let again = || vec![created_at(eur(5)), lost("first_contact"), reopened("first_contact", Outcome::Lost)];
    company(again()).when(win_on("2026-02-21")).rejected(early("2026-02-21", at(2)));
    company(again()).when(win_on("2026-02-22")).then([won_on("2026-02-22T23:59:59.999999Z")]);
}

#[test]
fn to_date_a_closing_far_back_takes_the_permission_to() {
    let (back, limit) = ("2026-02-22T09:00:00Z", "2026-02-23T09:30:00Z");
    let refused = || Common::Backdated { field: "closed_at", time: val(back), earliest: val(limit) };
    given(open()).in_a_company().of(SELLER).when(win_on(back)).rejected(refused());
    given(open()).in_a_company().of(SELLER).when(lose_on(back)).rejected(refused());
    given(open()).in_a_company().of(SELLER).when(win_on(limit)).then([won_on(limit)]);
    given(open()).in_a_company().when(win_on(back)).then([won_on(back)]);
}

/// A deal of Anna's that was won on 24 February.
fn won_by_anna() -> Vec<Event> {
    let mut events = open();
    events.push(OwnerAssigned { from: None, to: Some(ANNA) }.into());
    events.push(won_on("2026-02-24T09:30:00Z"));
    events
}

fn corrected(from: ClosingPart, to: ClosingPart) -> Event {
    ClosingCorrected { from, to }.into()
}

#[test]
fn what_was_said_of_a_win_can_be_corrected_and_says_what_it_was() {
    let command = CorrectClosing {
        closed_at: Patch::Set(val("2026-02-23")),
        amount: Patch::Set(eur(7)),
        contract: Patch::Set(val("2026/17")),
        owner: Patch::Set(BORIS),
        ..CorrectClosing::default()
    };
    let part = |closed_at: &str, amount, contract: Option<&str>, owner| ClosingPart {
        closed_at: Some(val(closed_at)),
        amount: Some(eur(amount)),
        contract: Some(contract.map(val)),
        owner: Some(Some(owner)),
        ..ClosingPart::default()
    };
    let from = part("2026-02-24T09:30:00Z", 5, None, ANNA);
    let to = part("2026-02-23T23:59:59.999999Z", 7, Some("2026/17"), BORIS);
    let correction = corrected(from, to);
    given(won_by_anna()).in_a_company().when(command.clone()).then([correction.clone()]);
    // Asked again, all is as it asks. The owner is still Anna.
    let mut events = won_by_anna();
    events.push(correction);
    given(events.clone()).in_a_company().when(command).then_nothing();
    let state = folded(StreamId::Deal(DEAL), &events);
    let dealog_domain::State::Deal(Some(deal)) = state else { panic!("{state:?}") };
    assert_eq!((deal.owner, deal.amount), (Some(ANNA), Some(eur(7))));
}

#[test]
fn the_reason_of_a_loss_is_corrected_with_whether_it_counts() {
    let lost = vec![created(), lost("first_contact")];
    let to = |reason: &str| CorrectClosing { reason: Patch::Set(val(reason)), ..CorrectClosing::default() };
    let part = |reason: &str, counted| ClosingPart { reason: Some(val(reason)), counted, ..ClosingPart::default() };
    given(lost.clone())
        .in_a_company()
        .when(to("error"))
        .then([corrected(part("price", Some(true)), part("error", Some(false)))]);
    given(lost.clone()).in_a_company().when(to("price")).then_nothing();
    given(lost).in_a_company().when(to("luck")).rejected(SettingsRejection::UnknownLossReason {
        reason: val("luck"),
        allowed: vals(&["price", "error", "duplicate"]),
    });
}

#[test]
fn a_closing_has_what_a_win_or_a_loss_has() {
    let lost = || vec![created(), lost("first_contact")];
    let of = |field, was| DealRejection::NotOfThisClosing { field, was };
    let amount = CorrectClosing { amount: Patch::Set(eur(7)), ..CorrectClosing::default() };
    given(lost()).in_a_company().when(amount.clone()).rejected(of("amount", Outcome::Lost));
    let contract = CorrectClosing { contract: Patch::Set(val("2026/17")), ..CorrectClosing::default() };
    given(lost()).in_a_company().when(contract).rejected(of("contract", Outcome::Lost));
    let reason = CorrectClosing { reason: Patch::Set(val("price")), ..CorrectClosing::default() };
    given(won_by_anna()).in_a_company().when(reason).rejected(of("reason", Outcome::Won));
    given(open()).in_a_company().when(amount).rejected(DealRejection::NotClosed);
}

#[test]
fn a_correction_has_the_bounds_of_a_closing() {
    let on = |when: &str| CorrectClosing { closed_at: Patch::Set(val::<When>(when)), ..CorrectClosing::default() };
    given(won_by_anna())
        .in_a_company()
        .when(on("2026-02-19"))
        .rejected(DealRejection::ClosedTooEarly { closed_at: val("2026-02-19"), earliest: at(0) });
    given(won_by_anna())
        .in_a_company()
        .when(on("2026-03-03"))
        .rejected(DealRejection::ClosedAhead { closed_at: val("2026-03-03"), latest: now() });
    let dollars = CorrectClosing { amount: Patch::Set(usd(7)), ..CorrectClosing::default() };
    given(won_by_anna())
        .in_a_company()
        .when(dollars)
        .rejected(DealRejection::OtherCurrency { deal: val("EUR"), found: val("USD") });
    for (field, nothing) in [
        ("closed_at", CorrectClosing { closed_at: Patch::Clear, ..CorrectClosing::default() }),
        ("amount", CorrectClosing { amount: Patch::Clear, ..CorrectClosing::default() }),
    ] {
        given(won_by_anna()).in_a_company().when(nothing).rejected(Common::NeverEmpty { field });
    }
}

#[test]
fn to_correct_a_closing_takes_the_permission_to_change_closed_deals() {
    let contract = || CorrectClosing { contract: Patch::Set(val("2026/17")), ..CorrectClosing::default() };
    let refused = DealRejection::ClosedNotYours { was: Outcome::Won };
    given(won_by_anna()).in_a_company().of(SELLER).when(contract()).rejected(refused);
    given(won_by_anna())
        .in_a_company()
        .of(Standing { own_deals_of: Some(BORIS), ..Standing::FULL })
        .when(contract())
        .rejected(DealRejection::NotYours);
}
