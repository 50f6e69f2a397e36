//! Values against the definitions of the company's own fields.

use std::collections::BTreeMap;

use dealog_events::{
    FieldValue, Fields, Slug,
    settings::{FieldDefinition, FieldKind, FieldOwner},
};

use crate::{
    Common, Patch, Rejection,
    facts::{For, Found},
    settings::{Settings, TheSettings},
};

/// Fields that a command fills, with the settings that define what they take; nothing if it fills none.
pub(crate) fn filled<V>(fields: &BTreeMap<Slug, V>) -> Option<(For<&BTreeMap<Slug, V>>, TheSettings)> {
    (!fields.is_empty()).then_some((For(fields), TheSettings))
}

/// What a rule is given for them.
pub(crate) type Filled<'a, V> = Option<(&'a BTreeMap<Slug, V>, Found<TheSettings>)>;

/// Checks that `field` exists for `owner` and takes `value`.
pub(crate) fn check(settings: &Settings, owner: FieldOwner, field: &Slug, value: &FieldValue) -> Result<(), Rejection> {
    let mine = || settings.fields.iter().filter(|definition| definition.of == owner);
    let Some(definition) = mine().find(|definition| definition.slug == *field) else {
        let allowed = mine().map(|definition| definition.slug.clone()).collect();
        return Err(Common::UnknownField { field: field.clone(), allowed }.into());
    };
    if fits(definition, value) {
        return Ok(());
    }
    Err(Common::FieldValue { field: field.clone(), expected: expected(definition) }.into())
}

/// A field with its value before and after.
pub(crate) type Changed = (Slug, Option<FieldValue>, Option<FieldValue>);

/// What these patches change. Values that stay as they are are not checked again: their field may have changed since.
pub(crate) fn changed(
    settings: &Settings,
    owner: FieldOwner,
    present: &Fields,
    patches: &BTreeMap<Slug, Patch<FieldValue>>,
) -> Result<Vec<Changed>, Rejection> {
    let mut changed = Vec::new();
    for (field, patch) in patches {
        let from = present.get(field);
        let Some(to) = patch.change(from) else { continue };
        if let Some(value) = &to {
            check(settings, owner, field, value)?;
        }
        changed.push((field.clone(), from.cloned(), to));
    }
    Ok(changed)
}

fn fits(definition: &FieldDefinition, value: &FieldValue) -> bool {
    match (definition.kind, value) {
        (FieldKind::Text, FieldValue::Text(_))
        | (FieldKind::Integer, FieldValue::Integer(_))
        | (FieldKind::Boolean, FieldValue::Boolean(_)) => true,
        (FieldKind::Decimal, FieldValue::Text(text)) => is_decimal(text.as_str()),
        (FieldKind::Date, FieldValue::Text(text)) => is_day(text.as_str()),
        (FieldKind::Choice, FieldValue::Text(text)) => {
            definition.options.iter().any(|option| option.as_str() == text.as_str())
        }
        _ => false,
    }
}

/// A day has one spelling, so that days can be compared as text: parsing alone would take `2026-03- 1` too.
fn is_day(text: &str) -> bool {
    dealog_events::parse_day(text).is_ok()
}

fn is_decimal(text: &str) -> bool {
    let digits =
        |part: &str, max: usize| !part.is_empty() && part.len() <= max && part.bytes().all(|b| b.is_ascii_digit());
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    match unsigned.split_once('.') {
        Some((whole, fraction)) => digits(whole, 18) && digits(fraction, 9),
        None => digits(unsigned, 18),
    }
}

fn expected(definition: &FieldDefinition) -> String {
    match definition.kind {
        FieldKind::Text => "a text of 1 to 1,000 characters".into(),
        FieldKind::Integer => "a whole number".into(),
        FieldKind::Decimal => "a decimal number as a text, such as \"12.50\"".into(),
        FieldKind::Boolean => "true or false".into(),
        FieldKind::Date => "a day as a text, such as \"2026-03-01\"".into(),
        FieldKind::Choice => {
            let options: Vec<&str> = definition.options.iter().map(dealog_events::Text::as_str).collect();
            format!("one of: {}", options.join(", "))
        }
    }
}
