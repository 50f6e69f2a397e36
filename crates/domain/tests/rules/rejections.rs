//! How a refusal reads, and what it offers instead.

use std::iter::successors;

use dealog_domain::{
    Common as C, Details, Kind, Rejection, deal::Rejection as D, pipeline::Rejection as P, settings::Rejection as S,
    user::Rejection as U,
};
use dealog_events::{CommandId, StreamId, deal::Outcome};
use uuid::Uuid;

use crate::support::*;

/// One refusal of each kind.
pub(crate) fn every() -> impl Iterator<Item = Rejection> {
    successors(Some(C::NotFound(StreamId::Deal(DEAL)).into()), following)
}

/// The refusal after this one. The match has no `_`, so that a new refusal cannot be forgotten here.
fn following(rejection: &Rejection) -> Option<Rejection> {
    use Rejection as R;
    let deal = StreamId::Deal(DEAL);
    Some(match rejection {
        R::Common(C::NotFound(_)) => C::AlreadyExists(deal).into(),
        R::Common(C::AlreadyExists(_)) => C::WrongStream(deal).into(),
        R::Common(C::WrongStream(_)) => {
            C::UnknownReference { field: "customer", stream: StreamId::Customer(ACME) }.into()
        }
        R::Common(C::UnknownReference { .. }) => U::Inactive { field: "owner", user: ANNA }.into(),
        R::User(U::Inactive { .. }) => D::NotYours.into(),
        R::Deal(D::NotYours) => D::ClosedNotYours { was: Outcome::Won }.into(),
        R::Deal(D::ClosedNotYours { .. }) => {
            C::Backdated { field: "occurred_at", time: val("2026-01-01T00:00:00Z"), earliest: now() }.into()
        }
        R::Common(C::Backdated { .. }) => U::OwnRole.into(),
        R::User(U::OwnRole) => D::Closed { was: Outcome::Lost }.into(),
        R::Deal(D::Closed { .. }) => D::Open.into(),
        R::Deal(D::Open) => P::StageNotOpen { stage: val("x"), allowed: vals(&["qualified", "contract"]) }.into(),
        R::Pipeline(P::StageNotOpen { .. }) => {
            P::SkipsStages { from: val("qualified"), next: val("needs_found") }.into()
        }
        R::Pipeline(P::SkipsStages { .. }) => P::Archived.into(),
        R::Pipeline(P::Archived) => D::SamePipeline.into(),
        R::Deal(D::SamePipeline) => D::FieldsMissing { missing: vals(&["amount", "fields.size"]) }.into(),
        R::Deal(D::FieldsMissing { .. }) => D::AmountMissing.into(),
        R::Deal(D::AmountMissing) => {
            S::UnknownLossReason { reason: val("x"), allowed: vals(&["price", "error"]) }.into()
        }
        R::Settings(S::UnknownLossReason { .. }) => D::DuplicateOfItself.into(),
        R::Deal(D::DuplicateOfItself) => D::NoReportingCurrency.into(),
        R::Deal(D::NoReportingCurrency) => D::CurrencyWithoutRate { found: val("USD"), accepted: val("EUR") }.into(),
        R::Deal(D::CurrencyWithoutRate { .. }) => D::OtherCurrency { deal: val("EUR"), found: val("USD") }.into(),
        R::Deal(D::OtherCurrency { .. }) => C::UnknownField { field: val("x"), allowed: Vec::new() }.into(),
        R::Common(C::UnknownField { .. }) => {
            C::FieldValue { field: val("size"), expected: "one of: small, large".into() }.into()
        }
        R::Common(C::FieldValue { .. }) => C::InFuture { occurred_at: val("2026-03-03T00:00:00Z"), now: now() }.into(),
        R::Common(C::InFuture { .. }) => C::BeforeLast { occurred_at: val("2026-03-01T00:00:00Z"), last: now() }.into(),
        R::Common(C::BeforeLast { .. }) => C::SlugTaken { field: "stages", slug: val("qualified") }.into(),
        R::Common(C::SlugTaken { .. }) => P::NoStageLeft.into(),
        R::Pipeline(P::NoStageLeft) => P::NotAnOrder { stages: vals(&["qualified", "contract"]) }.into(),
        R::Pipeline(P::NotAnOrder { .. }) => S::FieldKindFixed { field: val("size") }.into(),
        R::Settings(S::FieldKindFixed { .. }) => S::FieldDropped { field: val("size") }.into(),
        R::Settings(S::FieldDropped { .. }) => D::DayOutOfRange { field: "expected_close" }.into(),
        R::Deal(D::DayOutOfRange { .. }) => S::FieldOptions { field: val("size") }.into(),
        R::Settings(S::FieldOptions { .. }) => {
            C::Limit { field: "stages", what: "stages of a pipeline", max: 50 }.into()
        }
        R::Common(C::Limit { .. }) => C::NeverEmpty { field: "title" }.into(),
        R::Common(C::NeverEmpty { .. }) => D::NotClosed.into(),
        R::Deal(D::NotClosed) => D::NotOfThisClosing { field: "reason", was: Outcome::Won }.into(),
        R::Deal(D::NotOfThisClosing { .. }) => D::ClosedAhead { closed_at: val("2026-03-03"), latest: now() }.into(),
        R::Deal(D::ClosedAhead { .. }) => D::ClosedTooEarly { closed_at: val("2026-03-01"), earliest: now() }.into(),
        R::Deal(D::ClosedTooEarly { .. }) => D::UndoIsLast.into(),
        R::Deal(D::UndoIsLast) => D::CreationIsLast.into(),
        R::Deal(D::CreationIsLast) => D::NoSuchCommand { command: CommandId(Uuid::nil()) }.into(),
        R::Deal(D::NoSuchCommand { .. }) => D::NotTheLast { since: vec!["deal.title_changed"] }.into(),
        R::Deal(D::NotTheLast { .. }) => D::StageNeeds { stage: val("qualified"), needed: vals(&["amount"]) }.into(),
        R::Deal(D::StageNeeds { .. }) => D::DuplicateOfDuplicate { original: OTHER_DEAL }.into(),
        R::Deal(D::DuplicateOfDuplicate { .. }) => U::WorksNoDeals { field: "owner", user: ANNA }.into(),
        R::User(U::WorksNoDeals { .. }) => return None,
        R::Customer(none) => match *none {},
        R::Team(none) => match *none {},
    })
}

/// The code, the kind, the field and what would have been allowed.
type Described = (&'static str, Kind, Option<&'static str>, &'static [&'static str]);

const DESCRIBED: [Described; 46] = [
    ("not_found", Kind::NotFound, None, &[]),
    ("already_exists", Kind::Conflict, None, &[]),
    ("wrong_stream", Kind::Invalid, None, &[]),
    ("unknown_reference", Kind::Invalid, Some("customer"), &[]),
    ("inactive_user", Kind::Invalid, Some("owner"), &[]),
    ("not_your_deal", Kind::Forbidden, Some("owner"), &[]),
    ("closed_deal_not_yours", Kind::Forbidden, Some("status"), &[]),
    ("backdated", Kind::Forbidden, Some("occurred_at"), &[]),
    ("own_role", Kind::Forbidden, Some("roles"), &[]),
    ("deal_closed", Kind::Conflict, None, &["reopen"]),
    ("deal_open", Kind::Conflict, None, &[]),
    ("stage_not_open", Kind::Invalid, Some("stage"), &["qualified", "contract"]),
    ("skips_stages", Kind::Conflict, Some("stage"), &["needs_found"]),
    ("pipeline_archived", Kind::Conflict, Some("pipeline"), &[]),
    ("same_pipeline", Kind::Invalid, Some("pipeline"), &[]),
    ("fields_missing", Kind::Invalid, Some("amount"), &[]),
    ("amount_missing", Kind::Invalid, Some("amount"), &[]),
    ("unknown_loss_reason", Kind::Invalid, Some("reason"), &["price", "error"]),
    ("duplicate_of_itself", Kind::Invalid, Some("duplicate_of"), &[]),
    ("no_reporting_currency", Kind::Conflict, Some("amount"), &[]),
    ("currency_without_rate", Kind::Invalid, Some("amount"), &["EUR"]),
    ("other_currency", Kind::Invalid, Some("amount"), &["EUR"]),
    ("unknown_field", Kind::Invalid, Some("fields.x"), &[]),
    ("field_value", Kind::Invalid, Some("fields.size"), &[]),
    ("in_future", Kind::Invalid, Some("occurred_at"), &[]),
    ("before_last", Kind::Invalid, Some("occurred_at"), &[]),
    ("slug_taken", Kind::Invalid, Some("stages"), &[]),
    ("no_stage_left", Kind::Conflict, Some("stages"), &[]),
    ("not_an_order", Kind::Invalid, Some("stages"), &["qualified", "contract"]),
    ("field_kind_fixed", Kind::Invalid, Some("fields.size"), &[]),
    ("field_dropped", Kind::Invalid, Some("fields.size"), &[]),
    ("day_out_of_range", Kind::Invalid, Some("expected_close"), &[]),
    ("field_options", Kind::Invalid, Some("fields.size"), &[]),
    ("limit", Kind::Invalid, Some("stages"), &[]),
    ("never_empty", Kind::Invalid, Some("title"), &[]),
    ("deal_not_closed", Kind::Conflict, None, &[]),
    ("not_of_this_closing", Kind::Invalid, Some("reason"), &[]),
    ("closed_ahead", Kind::Invalid, Some("closed_at"), &[]),
    ("closed_too_early", Kind::Invalid, Some("closed_at"), &[]),
    ("undo_is_last", Kind::Conflict, None, &[]),
    ("creation_is_last", Kind::Conflict, None, &["lose"]),
    ("no_such_command", Kind::Invalid, Some("command"), &[]),
    ("not_the_last", Kind::Conflict, Some("command"), &[]),
    ("stage_needs", Kind::Invalid, Some("amount"), &[]),
    ("duplicate_of_duplicate", Kind::Invalid, Some("duplicate_of"), &["00000000-0000-0000-0000-0000000000d2"]),
    ("works_no_deals", Kind::Invalid, Some("owner"), &[]),
];

#[test]
fn each_refusal_has_its_code_kind_field_and_alternatives() {
    assert_eq!(every().count(), DESCRIBED.len());
    for (rejection, (code, kind, field, allowed)) in every().zip(DESCRIBED) {
        let details = rejection.details();
        let field = field.map(str::to_owned);
        let allowed = allowed.iter().map(ToString::to_string).collect();
        assert_eq!(details, Details { code, kind, field, allowed, missing: details.missing.clone() });
    }
}

#[test]
fn a_refusal_for_missing_fields_names_them_all() {
    let missing: Vec<_> =
        every().map(|rejection| rejection.details().missing).filter(|missing| !missing.is_empty()).collect();
    assert_eq!(missing, [vec!["amount", "fields.size"], vec!["amount"]]);
}

#[test]
fn a_refusal_says_what_would_have_been_allowed() {
    let stage = P::StageNotOpen { stage: val("x"), allowed: vals(&["qualified", "contract"]) };
    assert_eq!(
        stage.to_string(),
        "`x` is not a stage of this pipeline that a deal can enter; these are: qualified, contract"
    );
    let missing = D::FieldsMissing { missing: vals(&["amount", "fields.size"]) };
    assert_eq!(missing.to_string(), "these fields must be filled first: amount, fields.size");
    let none = S::UnknownLossReason { reason: val("x"), allowed: Vec::new() };
    assert_eq!(none.to_string(), "`x` is not a loss reason; these are: (none)");
    let closed = D::Closed { was: Outcome::Won };
    assert_eq!(closed.to_string(), "the deal is won; reopen it first");
}
