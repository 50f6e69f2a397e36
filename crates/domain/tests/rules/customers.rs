//! The rules of a customer.

use dealog_domain::{
    Patch,
    customer::{Change, CustomerKind, Register},
};
use dealog_events::{
    FieldValue, StreamId,
    customer::{FieldSet, Registered, Renamed},
};

use crate::support::*;

fn register() -> Register {
    Register { kind: CustomerKind::Organisation, name: val("Acme"), sector: None, fields: [].into() }
}

fn rename(name: &str) -> Change {
    Change { name: Patch::Set(val(name)), ..Change::default() }
}

fn set_region(patch: Patch<FieldValue>) -> Change {
    Change { name: Patch::Keep, fields: [(val("region"), patch)].into() }
}

#[test]
fn a_customer_becomes_known() {
    given([]).when(register()).then([registered()]);
}

#[test]
fn a_customer_becomes_known_with_all_that_is_said_of_it() {
    let fields = || [(val("region"), field_text("West"))].into();
    given([])
        .in_a_company()
        .when(Register { sector: Some(val("Trade")), fields: fields(), ..register() })
        .then([Registered::Organisation { name: val("Acme"), sector: Some(val("Trade")), fields: fields() }.into()]);
}

#[test]
fn a_customer_becomes_known_once() {
    given([registered()]).when(register()).rejected(Common::AlreadyExists(StreamId::Customer(ACME)));
}

#[test]
fn only_a_customer_that_is_known_changes() {
    given([]).when(rename("Acme Ltd")).rejected(Common::NotFound(StreamId::Customer(ACME)));
}

#[test]
fn a_customer_is_renamed_to_another_name() {
    given([registered()]).when(rename("Acme Ltd")).then([Renamed { from: val("Acme"), to: val("Acme Ltd") }.into()]);
    given([registered()]).when(rename("Acme")).then_nothing();
}

#[test]
fn a_field_is_set_changed_and_emptied() {
    let west = || FieldSet { field: val("region"), from: None, to: Some(field_text("West")) };
    given([registered()]).in_a_company().when(set_region(Patch::Set(field_text("West")))).then([west().into()]);
    given([registered(), west().into()]).in_a_company().when(set_region(Patch::Set(field_text("West")))).then_nothing();
    given([registered(), west().into()]).in_a_company().when(set_region(Patch::Keep)).then_nothing();
    given([registered(), west().into()])
        .in_a_company()
        .when(set_region(Patch::Set(field_text("East"))))
        .then([FieldSet { field: val("region"), from: Some(field_text("West")), to: Some(field_text("East")) }.into()]);
    given([registered(), west().into()]).in_a_company().when(set_region(Patch::Clear)).then([FieldSet {
        field: val("region"),
        from: Some(field_text("West")),
        to: None,
    }
    .into()]);
    given([registered()]).in_a_company().when(set_region(Patch::Clear)).then_nothing();
}

#[test]
fn the_fields_of_a_customer_are_those_defined_for_customers() {
    let refused = || Common::UnknownField { field: val("remark"), allowed: vals(&["region"]) };
    given([])
        .in_a_company()
        .when(Register { fields: [(val("remark"), field_text("good"))].into(), ..register() })
        .rejected(refused());
    given([registered()])
        .in_a_company()
        .when(Change { name: Patch::Keep, fields: [(val("remark"), Patch::Set(field_text("good")))].into() })
        .rejected(refused());
}

#[test]
fn the_values_of_a_customer_fit_their_fields() {
    given([registered()])
        .in_a_company()
        .when(Change { name: Patch::Keep, fields: [(val("region"), Patch::Set(FieldValue::Integer(1)))].into() })
        .rejected(Common::FieldValue { field: val("region"), expected: "a text of 1 to 1,000 characters".into() });
}
