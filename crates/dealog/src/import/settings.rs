//! What the company must have set before the rows can come: added to what it has, never instead of it.

use dealog_commands::{CommandError, Commands, Meta, Request};
use dealog_domain::{
    Command, State, evolve,
    settings::{Change, Command as SettingsCommand, Settings},
};
use dealog_events::{StreamId, Version, settings::FieldDefinition};

use super::{ImportError, mapping::Mapping, plan::Ids};

/// How often it is tried while others change the settings too.
const ATTEMPTS_MAX: u32 = 10;
/// Events read at once.
const PAGE_EVENTS: usize = 1_000;

/// Adds to the settings what the mapping needs and they lack; returns how many events that took.
pub(super) async fn merge(commands: &Commands, ids: Ids, mapping: &Mapping) -> Result<u64, ImportError> {
    for attempt in 1_u32.. {
        let (settings, version) = present(commands).await?;
        let Some(change) = missing(&settings, mapping)? else { return Ok(0) };
        // The version is part of the key: what is missing again after someone took it out is another command.
        let key = format!("settings@{version}");
        let day = mapping.source.time_zone.day_start(mapping.source.since.0);
        let meta = ids.meta(&key, &"", day);
        let command = Command::Settings(SettingsCommand::Change(change));
        let request = Request {
            stream: StreamId::Settings,
            command,
            // The lists are sent whole: what someone else added meanwhile must not get lost.
            meta: Meta { if_match: Some(vec![version]), ..meta },
        };
        match commands.execute(&request).await {
            Ok(outcome) => return Ok(u64::from(outcome.events)),
            Err(CommandError::Precondition { .. }) if attempt < ATTEMPTS_MAX => {}
            Err(source) => return Err(ImportError::Setup { what: "the settings", source }),
        }
    }
    Ok(0)
}

async fn present(commands: &Commands) -> Result<(Settings, Version), ImportError> {
    let (mut state, mut version) = (State::Settings(Settings::default()), Version::ZERO);
    loop {
        let page = commands.store().read_stream(StreamId::Settings, version, PAGE_EVENTS).await?;
        for envelope in &page {
            let event = envelope.event().map_err(|source| ImportError::Setup {
                what: "the settings",
                source: CommandError::Unreadable { position: envelope.position, source },
            })?;
            (state, version) = (evolve(state, &event), envelope.version);
        }
        if page.is_empty() {
            break;
        }
    }
    match state {
        State::Settings(settings) => Ok((settings, version)),
        _ => Ok((Settings::default(), version)),
    }
}

/// What has to change; none where the company has it all.
fn missing(settings: &Settings, mapping: &Mapping) -> Result<Option<Change>, ImportError> {
    let source = &mapping.source;
    if let Some(company) = settings.reporting_currency.filter(|company| *company != source.currency) {
        return Err(ImportError::Currency { company, source_currency: source.currency });
    }
    let mut reasons = settings.loss_reasons.clone();
    for reason in &mapping.loss_reasons {
        if !reasons.iter().any(|present| present.slug == reason.slug) {
            reasons.push(reason.clone());
        }
    }
    let mut fields = settings.fields.clone();
    for field in mapping.fields() {
        add_field(&mut fields, field)?;
    }
    let change = Change {
        reporting_currency: settings.reporting_currency.is_none().then_some(source.currency).into(),
        time_zone: settings.time_zone.is_none().then_some(source.time_zone).into(),
        loss_reasons: (reasons != settings.loss_reasons).then_some(reasons).into(),
        fields: (fields != settings.fields).then_some(fields).into(),
    };
    Ok((change != Change::default()).then_some(change))
}

/// A field that is there stays as the company has it, but for options to choose that it lacks.
fn add_field(fields: &mut Vec<FieldDefinition>, wanted: FieldDefinition) -> Result<(), ImportError> {
    let Some(present) = fields.iter_mut().find(|field| field.of == wanted.of && field.slug == wanted.slug) else {
        fields.push(wanted);
        return Ok(());
    };
    if present.kind != wanted.kind {
        return Err(ImportError::FieldKind { field: wanted.slug, company: present.kind, mapped: wanted.kind });
    }
    for option in wanted.options {
        if !present.options.contains(&option) {
            present.options.push(option);
        }
    }
    Ok(())
}
