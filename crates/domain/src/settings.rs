//! What a company sets for itself.

use std::{collections::HashSet, ops::Deref, sync::LazyLock};

use dealog_events::{
    Currency, Event, Label, Slug, StreamId, TimeZone,
    settings::{
        FieldDefinition, FieldKind, FieldsDefined, LossReason, LossReasonsSet, ReportingCurrencySet, SettingsEvent,
        TimeZoneSet,
    },
};
use serde::Deserialize;

use crate::{
    Common, Details, Kind, Patch, Standing,
    aggregates::Aggregate,
    facts::{Found, Rule},
    rejection::list,
};

/// Loss reasons that a company may have.
pub const LOSS_REASONS_MAX: usize = 100;
/// Fields that a company may define.
pub const FIELDS_MAX: usize = 200;
/// Options that a field may offer.
pub const OPTIONS_MAX: usize = 200;
/// Bytes of the texts of a whole list. A change of a list carries it twice, before and after, and is one event.
pub const LIST_BYTES_MAX: usize = 24 * 1024;

/// The settings as they stand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// The currency of all figures. None until it is set; no amount is accepted before.
    pub reporting_currency: Option<Currency>,
    /// Where days begin and end; UTC until it is set.
    pub time_zone: Option<TimeZone>,
    /// Why deals are lost.
    pub loss_reasons: Vec<LossReason>,
    /// The company's own fields.
    pub fields: Vec<FieldDefinition>,
}

impl Settings {
    /// A loss reason by its slug, or by what people call it.
    pub(crate) fn loss_reason(&self, named: &Label) -> Result<&LossReason, Rejection> {
        let by_slug = self.loss_reasons.iter().find(|reason| reason.slug.as_str() == named.as_str());
        let by_name = || self.loss_reasons.iter().find(|reason| reason.name.as_str() == named.as_str());
        by_slug.or_else(by_name).ok_or_else(|| Rejection::UnknownLossReason {
            reason: named.clone(),
            allowed: self.loss_reasons.iter().map(|reason| reason.slug.clone()).collect(),
        })
    }
}

/// How a rule names the settings' stream: there is only one, so it takes no id.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TheSettings;

impl From<TheSettings> for StreamId {
    fn from(TheSettings: TheSettings) -> Self {
        Self::Settings
    }
}

impl Deref for Found<TheSettings> {
    type Target = Settings;

    fn deref(&self) -> &Settings {
        static UNSET: LazyLock<Settings> = LazyLock::new(Settings::default);
        self.state().unwrap_or(&UNSET)
    }
}

/// What can be asked of the settings.
#[derive(Debug, Clone)]
pub enum Command {
    /// Change some of them.
    Change(Change),
}

/// Settings to change; those that are absent stay as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = ChangeSettings))]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// The currency of all figures.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Currency>))]
    pub reporting_currency: Patch<Currency>,
    /// Where days begin and end.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<TimeZone>))]
    pub time_zone: Patch<TimeZone>,
    /// The whole list of loss reasons.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Vec<LossReason>>))]
    pub loss_reasons: Patch<Vec<LossReason>>,
    /// The whole list of the company's own fields.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Vec<FieldDefinition>>))]
    pub fields: Patch<Vec<FieldDefinition>>,
}

/// Why a change of the settings was refused, or of what follows them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// A reason that is not on the company's list.
    #[error("`{reason}` is not a loss reason; these are: {}", list(allowed))]
    UnknownLossReason {
        /// What was given.
        reason: Label,
        /// The company's list.
        allowed: Vec<Slug>,
    },
    /// A field whose values would change their meaning.
    #[error("the field `{field}` keeps its kind; define another field instead")]
    FieldKindFixed {
        /// The field.
        field: Slug,
    },
    /// A field that would be gone while deals, customers or stages still have it.
    #[error("the field `{field}` stays: the list must have it too; it may be called something else")]
    FieldDropped {
        /// The field.
        field: Slug,
    },
    /// A field that has choices but offers none, or offers some and has none.
    #[error("the field `{field}` needs options if it is a choice, and has none otherwise")]
    FieldOptions {
        /// The field.
        field: Slug,
    },
}

impl Rejection {
    pub(crate) fn details(&self) -> Details {
        let of_field = |code, field: &Slug| Details::new(Kind::Invalid, code).field(format!("fields.{field}"));
        match self {
            Self::UnknownLossReason { allowed, .. } => {
                Details::new(Kind::Invalid, "unknown_loss_reason").field("reason").allowed(allowed)
            }
            Self::FieldKindFixed { field } => of_field("field_kind_fixed", field),
            Self::FieldDropped { field } => of_field("field_dropped", field),
            Self::FieldOptions { field } => of_field("field_options", field),
        }
    }
}

impl Aggregate for Settings {
    type Command = Command;
    type Event = SettingsEvent;

    fn begins_stream(command: &Command) -> bool {
        match command {
            // There are settings from the start, and most changes are not the first.
            Command::Change(_) => false,
        }
    }

    fn rule<'a>(&'a self, _: Standing, command: &'a Command) -> Rule<'a> {
        match command {
            Command::Change(change) => Rule::alone(move |_| self::change(self, change)),
        }
    }

    fn evolve(mut self, event: &SettingsEvent) -> Self {
        match event {
            SettingsEvent::ReportingCurrencySet(event) => self.reporting_currency = Some(event.to),
            SettingsEvent::TimeZoneSet(event) => self.time_zone = Some(event.to),
            SettingsEvent::LossReasonsSet(event) => self.loss_reasons.clone_from(&event.to),
            SettingsEvent::FieldsDefined(event) => self.fields.clone_from(&event.to),
        }
        self
    }
}

fn change(settings: &Settings, change: &Change) -> Result<Vec<Event>, crate::Rejection> {
    let mut events: Vec<Event> = Vec::new();
    if let Some(to) =
        change.reporting_currency.given("reporting_currency")?.filter(|to| settings.reporting_currency != Some(**to))
    {
        events.push(ReportingCurrencySet { from: settings.reporting_currency, to: *to }.into());
    }
    if let Some(to) = change.time_zone.given("time_zone")?.filter(|to| settings.time_zone != Some(**to)) {
        events.push(TimeZoneSet { from: settings.time_zone, to: *to }.into());
    }
    if let Some(to) = change.loss_reasons.given("loss_reasons")?.filter(|to| settings.loss_reasons != **to) {
        check_loss_reasons(to)?;
        events.push(LossReasonsSet { from: settings.loss_reasons.clone(), to: to.clone() }.into());
    }
    if let Some(to) = change.fields.given("fields")?.filter(|to| settings.fields != **to) {
        check_fields(&settings.fields, to)?;
        events.push(FieldsDefined { from: settings.fields.clone(), to: to.clone() }.into());
    }
    Ok(events)
}

fn check_loss_reasons(reasons: &[LossReason]) -> Result<(), Common> {
    if reasons.len() > LOSS_REASONS_MAX {
        return Err(Common::Limit { field: "loss_reasons", what: "loss reasons", max: LOSS_REASONS_MAX });
    }
    check_bytes(
        "loss_reasons",
        reasons.iter().map(|reason| size(&[reason.slug.as_str(), reason.name.as_str()])).sum(),
    )?;
    let mut seen = HashSet::new();
    match reasons.iter().find(|reason| !seen.insert(&reason.slug)) {
        Some(twice) => Err(Common::SlugTaken { field: "loss_reasons", slug: twice.slug.clone() }),
        None => Ok(()),
    }
}

fn check_fields(present: &[FieldDefinition], fields: &[FieldDefinition]) -> Result<(), crate::Rejection> {
    if fields.len() > FIELDS_MAX {
        return Err(Common::Limit { field: "fields", what: "fields", max: FIELDS_MAX }.into());
    }
    check_bytes("fields", fields.iter().map(field_size).sum())?;
    let mut seen = HashSet::new();
    for field in fields {
        if !seen.insert((field.of == dealog_events::settings::FieldOwner::Deal, &field.slug)) {
            return Err(Common::SlugTaken { field: "fields", slug: field.slug.clone() }.into());
        }
        if field.options.len() > OPTIONS_MAX {
            return Err(Common::Limit { field: "fields", what: "options of a field", max: OPTIONS_MAX }.into());
        }
        if (field.kind == FieldKind::Choice) == field.options.is_empty() {
            return Err(Rejection::FieldOptions { field: field.slug.clone() }.into());
        }
        let before = present.iter().find(|before| before.of == field.of && before.slug == field.slug);
        if before.is_some_and(|before| before.kind != field.kind) {
            return Err(Rejection::FieldKindFixed { field: field.slug.clone() }.into());
        }
    }
    let stays =
        |before: &&FieldDefinition| fields.iter().any(|field| field.of == before.of && field.slug == before.slug);
    if let Some(gone) = present.iter().find(|before| !stays(before)) {
        return Err(Rejection::FieldDropped { field: gone.slug.clone() }.into());
    }
    Ok(())
}

/// About what an item takes in an event: its texts, and as much again for names and braces as any item has.
fn size(texts: &[&str]) -> usize {
    const AROUND: usize = 72;
    texts.iter().map(|text| text.len()).sum::<usize>() + AROUND
}

fn field_size(field: &FieldDefinition) -> usize {
    const AROUND_OPTION: usize = 3;
    let options: usize = field.options.iter().map(|option| option.as_str().len() + AROUND_OPTION).sum();
    size(&[field.slug.as_str(), field.name.as_str()]) + options
}

fn check_bytes(field: &'static str, bytes: usize) -> Result<(), Common> {
    if bytes > LIST_BYTES_MAX {
        return Err(Common::Limit { field, what: "bytes of text in the list", max: LIST_BYTES_MAX });
    }
    Ok(())
}
