//! How a refusal reads, and what it offers instead.

use std::iter::successors;

use dealog_domain::{Kind, Rejection};
use dealog_events::{StreamId, deal::Outcome};

use crate::support::*;

/// One refusal of each kind.
pub(crate) fn every() -> impl Iterator<Item = Rejection> {
    successors(Some(Rejection::NotFound(StreamId::Deal(DEAL))), following)
}

/// The refusal after this one. The match has no `_`, so that a new refusal cannot be forgotten here.
fn following(rejection: &Rejection) -> Option<Rejection> {
    use Rejection as R;
    let deal = StreamId::Deal(DEAL);
    Some(match rejection {
        R::NotFound(_) => R::AlreadyExists(deal),
        R::AlreadyExists(_) => R::WrongStream(deal),
        R::WrongStream(_) => R::UnknownReference { field: "customer", stream: StreamId::Customer(ACME) },
        R::UnknownReference { .. } => R::InactiveUser { field: "owner", user: ANNA },
        R::InactiveUser { .. } => R::NotYourDeal,
        R::NotYourDeal => R::ClosedDealNotYours { was: Outcome::Won },
        R::ClosedDealNotYours { .. } => R::Backdated { occurred_at: val("2026-01-01T00:00:00Z"), earliest: now() },
        R::Backdated { .. } => R::OwnRole,
        R::OwnRole => R::DealClosed { was: Outcome::Lost },
        R::DealClosed { .. } => R::DealOpen,
        R::DealOpen => R::StageNotOpen { stage: val("x"), allowed: vals(&["qualified", "contract"]) },
        R::StageNotOpen { .. } => R::SkipsStages { from: val("qualified"), next: val("needs_found") },
        R::SkipsStages { .. } => R::PipelineArchived,
        R::PipelineArchived => R::SamePipeline,
        R::SamePipeline => R::FieldsMissing { missing: vals(&["amount", "fields.size"]) },
        R::FieldsMissing { .. } => R::AmountMissing,
        R::AmountMissing => R::UnknownLossReason { reason: val("x"), allowed: vals(&["price", "error"]) },
        R::UnknownLossReason { .. } => R::DuplicateOfItself,
        R::DuplicateOfItself => R::NoReportingCurrency,
        R::NoReportingCurrency => R::CurrencyWithoutRate { found: val("USD"), accepted: val("EUR") },
        R::CurrencyWithoutRate { .. } => R::OtherCurrency { deal: val("EUR"), found: val("USD") },
        R::OtherCurrency { .. } => R::UnknownField { field: val("x"), allowed: Vec::new() },
        R::UnknownField { .. } => R::FieldValue { field: val("size"), expected: "one of: small, large".into() },
        R::FieldValue { .. } => R::InFuture { occurred_at: val("2026-03-03T00:00:00Z"), now: now() },
        R::InFuture { .. } => R::BeforeLast { occurred_at: val("2026-03-01T00:00:00Z"), last: now() },
        R::BeforeLast { .. } => R::SlugTaken { field: "stages", slug: val("qualified") },
        R::SlugTaken { .. } => R::NoStageLeft,
        R::NoStageLeft => R::NotAnOrder { stages: vals(&["qualified", "contract"]) },
        R::NotAnOrder { .. } => R::FieldKindFixed { field: val("size") },
        R::FieldKindFixed { .. } => R::FieldDropped { field: val("size") },
        R::FieldDropped { .. } => R::DayOutOfRange { field: "expected_close" },
        R::DayOutOfRange { .. } => R::FieldOptions { field: val("size") },
        R::FieldOptions { .. } => R::Limit { field: "stages", what: "stages of a pipeline", max: 50 },
        R::Limit { .. } => return None,
    })
}

/// The code, the kind, the field and what would have been allowed.
type Described = (&'static str, Kind, Option<&'static str>, &'static [&'static str]);

const DESCRIBED: [Described; 34] = [
    ("not_found", Kind::NotFound, None, &[]),
    ("already_exists", Kind::Conflict, None, &[]),
    ("wrong_stream", Kind::Invalid, None, &[]),
    ("unknown_reference", Kind::Invalid, Some("customer"), &[]),
    ("inactive_user", Kind::Invalid, Some("owner"), &[]),
    ("not_your_deal", Kind::Forbidden, Some("owner"), &[]),
    ("closed_deal_not_yours", Kind::Forbidden, Some("status"), &[]),
    ("backdated", Kind::Forbidden, Some("occurred_at"), &[]),
    ("own_role", Kind::Forbidden, Some("role"), &[]),
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
];

#[test]
fn each_refusal_has_its_code_kind_field_and_alternatives() {
    assert_eq!(every().count(), DESCRIBED.len());
    for (rejection, (code, kind, field, allowed)) in every().zip(DESCRIBED) {
        assert_eq!(rejection.code(), code);
        assert_eq!(rejection.kind(), kind, "{code}");
        assert_eq!(rejection.field().as_deref(), field, "{code}");
        assert_eq!(rejection.allowed(), allowed, "{code}");
    }
}

#[test]
fn a_refusal_for_missing_fields_names_them_all() {
    let missing: Vec<_> = every().map(|rejection| rejection.missing()).filter(|missing| !missing.is_empty()).collect();
    assert_eq!(missing, [["amount", "fields.size"]]);
}

#[test]
fn a_refusal_says_what_would_have_been_allowed() {
    let stage = Rejection::StageNotOpen { stage: val("x"), allowed: vals(&["qualified", "contract"]) };
    assert_eq!(
        stage.to_string(),
        "`x` is not a stage of this pipeline that a deal can enter; these are: qualified, contract"
    );
    let missing = Rejection::FieldsMissing { missing: vals(&["amount", "fields.size"]) };
    assert_eq!(missing.to_string(), "these fields must be filled first: amount, fields.size");
    let none = Rejection::UnknownLossReason { reason: val("x"), allowed: Vec::new() };
    assert_eq!(none.to_string(), "`x` is not a loss reason; these are: (none)");
    let closed = Rejection::DealClosed { was: Outcome::Won };
    assert_eq!(closed.to_string(), "the deal is won; reopen it first");
}
