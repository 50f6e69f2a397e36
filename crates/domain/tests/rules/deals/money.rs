//! Amounts: one currency a deal, and only one that there is a rate for.

use dealog_domain::{
    Patch,
    deal::{Change, Create},
};
use dealog_events::{AMOUNT_MAX, Currency, Money, StreamId, deal::Outcome, settings::ReportingCurrencySet};

use crate::support::*;

fn change_to(amount: Money) -> Change {
    Change { amount: Patch::Set(amount), ..Change::default() }
}

fn without_rate() -> DealRejection {
    DealRejection::CurrencyWithoutRate { found: val("USD"), accepted: val("EUR") }
}

#[test]
fn an_amount_is_set_changed_and_cleared() {
    given([created()]).in_a_company().when(change_to(eur(5))).then([amount_changed(None, Some(eur(5)))]);
    given([created_at(eur(5))])
        .in_a_company()
        .when(change_to(eur(7)))
        .then([amount_changed(Some(eur(5)), Some(eur(7)))]);
    given([created_at(eur(5))])
        .in_a_company()
        .when(Change { amount: Patch::Clear, ..Change::default() })
        .then([amount_changed(Some(eur(5)), None)]);
}

#[test]
fn no_amount_is_accepted_before_there_is_a_reporting_currency() {
    let defined_only = |own: Vec<_>| given(own).and(StreamId::Pipeline(SALES), [defined()]);
    defined_only(vec![]).when(Create { amount: Some(eur(5)), ..create() }).rejected(DealRejection::NoReportingCurrency);
    defined_only(vec![created()]).when(change_to(eur(5))).rejected(DealRejection::NoReportingCurrency);
    defined_only(vec![created()]).when(win_at(eur(5))).rejected(DealRejection::NoReportingCurrency);
}

#[test]
fn an_amount_in_a_currency_without_a_rate_is_refused() {
    given([]).in_a_company().when(Create { amount: Some(usd(5)), ..create() }).rejected(without_rate());
    given([created()]).in_a_company().when(change_to(usd(5))).rejected(without_rate());
    given([created()]).in_a_company().when(win_at(usd(5))).rejected(without_rate());
}

#[test]
fn a_deal_keeps_its_currency() {
    let refused = || DealRejection::OtherCurrency { deal: val("EUR"), found: val("USD") };
    given([created_at(eur(5))]).in_a_company().when(change_to(usd(5))).rejected(refused());
    given([created_at(eur(5))]).in_a_company().when(win_at(usd(5))).rejected(refused());
}

#[test]
fn a_deal_keeps_its_currency_even_while_it_has_no_amount() {
    given([created(), amount_changed(None, Some(eur(5))), amount_changed(Some(eur(5)), None)])
        .in_a_company()
        .when(change_to(usd(5)))
        .rejected(DealRejection::OtherCurrency { deal: val("EUR"), found: val("USD") });
}

#[test]
fn when_the_company_reports_in_another_currency_a_deal_keeps_its_own() {
    let reports_in_usd = ReportingCurrencySet { from: Some(val("EUR")), to: val("USD") };
    let company =
        || given([created_at(eur(5))]).in_a_company().and(StreamId::Settings, [reports_in_usd.clone().into()]);
    company().when(change_to(usd(5))).rejected(DealRejection::OtherCurrency { deal: val("EUR"), found: val("USD") });
    company()
        .when(change_to(eur(7)))
        .rejected(DealRejection::CurrencyWithoutRate { found: val("EUR"), accepted: val("USD") });
    company().when(win()).then([won("first_contact", eur(5))]);
}

#[test]
fn an_amount_is_never_negative_and_never_above_the_limit() {
    let euro: Currency = val("EUR");
    assert!(Money::from_minor(-1, euro).is_err());
    assert!(Money::from_minor(AMOUNT_MAX + 1, euro).is_err());
    for minor in [0, AMOUNT_MAX] {
        let amount = Money::from_minor(minor, euro).unwrap();
        given([created()]).in_a_company().when(change_to(amount)).then([amount_changed(None, Some(amount))]);
    }
}

#[test]
fn a_closed_deal_does_not_change_its_amount() {
    let closed = [(won("first_contact", eur(5)), Outcome::Won), (lost("first_contact"), Outcome::Lost)];
    for (event, was) in closed {
        for amount in [Patch::Set(eur(7)), Patch::Clear] {
            given([created_at(eur(5)), event.clone()])
                .in_a_company()
                .when(Change { amount, ..Change::default() })
                .rejected(DealRejection::Closed { was });
        }
    }
}

#[test]
fn the_same_amount_again_is_no_event_on_a_closed_deal_either() {
    given([created_at(eur(5)), won("first_contact", eur(5))]).in_a_company().when(change_to(eur(5))).then_nothing();
}
