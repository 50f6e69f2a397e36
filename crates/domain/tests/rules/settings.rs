//! The rules of the settings.

use dealog_domain::{
    Patch,
    settings::{Change, FIELDS_MAX, LIST_BYTES_MAX, LOSS_REASONS_MAX, OPTIONS_MAX},
};
use dealog_events::{
    Event,
    settings::{
        FieldDefinition, FieldKind, FieldOwner, FieldsDefined, LossReasonsSet, ReportingCurrencySet, TimeZoneSet,
    },
};

use crate::support::*;

fn reasons_to(reasons: Vec<dealog_events::settings::LossReason>) -> Change {
    Change { loss_reasons: Patch::Set(reasons), ..Change::default() }
}

fn fields_to(fields: Vec<FieldDefinition>) -> Change {
    Change { fields: Patch::Set(fields), ..Change::default() }
}

fn deal_field(slug: &str, kind: FieldKind) -> FieldDefinition {
    field(FieldOwner::Deal, slug, kind)
}

#[test]
fn each_setting_that_changes_is_an_event() {
    let asked = || Change {
        reporting_currency: Patch::Set(val("EUR")),
        time_zone: Patch::Set(val("Europe/Riga")),
        loss_reasons: Patch::Set(reasons()),
        fields: Patch::Set(fields()),
    };
    let happened: Vec<Event> = vec![
        currency_set("EUR"),
        TimeZoneSet { from: None, to: val("Europe/Riga") }.into(),
        reasons_set(),
        fields_defined(),
    ];
    given([]).when(asked()).then(happened.clone());
    given(happened).when(asked()).then_nothing();
}

#[test]
fn a_change_of_nothing_is_no_event() {
    given([]).when(Change::default()).then_nothing();
}

#[test]
fn a_change_says_what_was_before() {
    let zone = |from, to| -> Event { TimeZoneSet { from, to }.into() };
    let (riga, tokyo) = (val("Europe/Riga"), val("Asia/Tokyo"));
    let mut more = fields();
    more.push(deal_field("colour", FieldKind::Text));
    given([currency_set("EUR"), zone(None, riga), reasons_set(), fields_defined()])
        .when(Change {
            reporting_currency: Patch::Set(val("USD")),
            time_zone: Patch::Set(tokyo),
            loss_reasons: Patch::Set(vec![]),
            fields: Patch::Set(more.clone()),
        })
        .then([
            ReportingCurrencySet { from: Some(val("EUR")), to: val("USD") }.into(),
            zone(Some(riga), tokyo),
            LossReasonsSet { from: reasons(), to: vec![] }.into(),
            FieldsDefined { from: fields(), to: more }.into(),
        ]);
}

#[test]
fn another_order_of_loss_reasons_is_another_list() {
    let mut turned = reasons();
    turned.reverse();
    given([reasons_set()])
        .when(reasons_to(turned.clone()))
        .then([LossReasonsSet { from: reasons(), to: turned }.into()]);
}

#[test]
fn a_loss_reason_is_listed_once() {
    given([])
        .when(reasons_to(vec![reason("price", true), reason("error", false), reason("price", false)]))
        .rejected(Common::SlugTaken { field: "loss_reasons", slug: val("price") });
}

#[test]
fn there_is_a_limit_of_loss_reasons() {
    let many = |count: usize| (0..count).map(|number| reason(&format!("r{number}"), true)).collect::<Vec<_>>();
    given([]).when(reasons_to(many(LOSS_REASONS_MAX))).then([LossReasonsSet {
        from: vec![],
        to: many(LOSS_REASONS_MAX),
    }
    .into()]);
    given([]).when(reasons_to(many(LOSS_REASONS_MAX + 1))).rejected(Common::Limit {
        field: "loss_reasons",
        what: "loss reasons",
        max: LOSS_REASONS_MAX,
    });
}

#[test]
fn a_field_is_defined_once_for_deals_and_once_for_customers() {
    given([])
        .when(fields_to(vec![deal_field("size", FieldKind::Text), deal_field("size", FieldKind::Text)]))
        .rejected(Common::SlugTaken { field: "fields", slug: val("size") });
    let both = || vec![deal_field("size", FieldKind::Text), field(FieldOwner::Customer, "size", FieldKind::Integer)];
    given([]).when(fields_to(both())).then([FieldsDefined { from: vec![], to: both() }.into()]);
}

#[test]
fn a_field_keeps_its_kind() {
    let kind_changed = || fields_to(vec![deal_field("size", FieldKind::Text)]);
    given([fields_defined()]).when(kind_changed()).rejected(SettingsRejection::FieldKindFixed { field: val("size") });
}

#[test]
fn a_field_stays_on_the_list() {
    let (gone, rest) = (fields()[0].slug.clone(), fields()[1..].to_vec());
    given([fields_defined()]).when(fields_to(rest)).rejected(SettingsRejection::FieldDropped { field: gone });
}

#[test]
fn a_list_of_settings_fits_into_one_event() {
    let wide = |number: usize| FieldDefinition {
        options: (0..100).map(|option| val(&format!("{}{option:02}", "ы".repeat(40)))).collect(),
        ..deal_field(&format!("f{number}"), FieldKind::Choice)
    };
    given([]).when(fields_to((0..5).map(wide).collect())).rejected(Common::Limit {
        field: "fields",
        what: "bytes of text in the list",
        max: LIST_BYTES_MAX,
    });
}

#[test]
fn a_field_of_the_same_name_elsewhere_may_be_of_another_kind() {
    let mut more = fields();
    more.push(field(FieldOwner::Customer, "size", FieldKind::Text));
    given([fields_defined()]).when(fields_to(more.clone())).then([FieldsDefined { from: fields(), to: more }.into()]);
}

#[test]
fn a_field_has_options_if_and_only_if_it_is_a_choice() {
    let without = FieldDefinition { options: vec![], ..deal_field("size", FieldKind::Choice) };
    let with = FieldDefinition { options: vals(&["small"]), ..deal_field("size", FieldKind::Text) };
    for wrong in [without, with] {
        given([]).when(fields_to(vec![wrong])).rejected(SettingsRejection::FieldOptions { field: val("size") });
    }
}

#[test]
fn a_choice_gets_other_options() {
    let more = FieldDefinition { options: vals(&["small", "large", "huge"]), ..deal_field("size", FieldKind::Choice) };
    let from = || vec![deal_field("size", FieldKind::Choice)];
    given([FieldsDefined { from: vec![], to: from() }.into()])
        .when(fields_to(vec![more.clone()]))
        .then([FieldsDefined { from: from(), to: vec![more] }.into()]);
}

#[test]
fn there_is_a_limit_of_fields_and_of_options() {
    let many = |count: usize| (0..count).map(|number| deal_field(&format!("f{number}"), FieldKind::Text)).collect();
    given([]).when(fields_to(many(FIELDS_MAX))).then([FieldsDefined { from: vec![], to: many(FIELDS_MAX) }.into()]);
    given([]).when(fields_to(many(FIELDS_MAX + 1))).rejected(Common::Limit {
        field: "fields",
        what: "fields",
        max: FIELDS_MAX,
    });
    let options = (0..=OPTIONS_MAX).map(|number| val(&format!("option {number}"))).collect();
    given([])
        .when(fields_to(vec![FieldDefinition { options, ..deal_field("size", FieldKind::Choice) }]))
        .rejected(Common::Limit { field: "fields", what: "options of a field", max: OPTIONS_MAX });
}
