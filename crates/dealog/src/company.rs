//! What a company starts with: settings and one pipeline, which it may change like any other.
//!
//! They are commands like all others, under ids and keys that never change. So founding a company twice, or being
//! interrupted halfway, comes to the same as founding it once.

#[cfg(test)]
mod tests;

use dealog_commands::{CommandError, Commands, Meta, Request, command_id};
use dealog_domain::{Command, Patch, pipeline, settings};
use dealog_events::{
    Actor, Currency, Invalid, PipelineId, Position, Probability, StreamId, TimeZone, Version,
    pipeline::{ForecastCategory, Stage},
    settings::LossReason,
};
use uuid::Uuid;

/// The pipeline that every company starts with.
const DEFAULT_PIPELINE: PipelineId = PipelineId(Uuid::from_u128(0x3f0c_7b52_9a1e_5d44_8c6b_20d1_e5f8_7a03));

/// Who founds a company: nobody who can send commands, so nobody can have used these keys.
const FOUNDER: Actor = Actor::Service(Uuid::from_u128(0x51d8_0a6e_7b43_5c29_9f10_6e2b_d7a4_c385));

const SETTINGS_KEY: &str = "found:settings";
const PIPELINE_KEY: &str = "found:pipeline";

/// Why a company could not be founded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FoundError {
    /// A command was not carried out.
    #[error("the company's first settings could not be made: {0}")]
    Command(#[from] CommandError),
    /// A text in this module is not what it should be.
    #[error("a mistake in the default company: {0}")]
    Text(#[from] Invalid),
}

/// Gives an empty log its settings and its first pipeline, or finishes what was begun. Any other log is left as it is.
/// Tells whether anything was appended.
pub(crate) async fn found(commands: &Commands, currency: Currency, time_zone: TimeZone) -> Result<bool, FoundError> {
    let ids = [SETTINGS_KEY, PIPELINE_KEY].map(|key| command_id(FOUNDER, key));
    let done = commands.store().remembered(&ids).await.map_err(CommandError::from)?;
    let begun_otherwise = done.is_empty() && {
        let head = commands.store().head().await.map_err(CommandError::from)?;
        head.position > Position::ZERO
    };
    if begun_otherwise || done.len() == ids.len() {
        return Ok(false);
    }
    for request in requests(currency, time_zone)? {
        match commands.execute(&request).await {
            Err(CommandError::Precondition { .. }) => return Ok(false),
            outcome => drop(outcome?),
        }
    }
    Ok(true)
}

/// The settings come first: no amount is accepted before there is a currency.
fn requests(currency: Currency, time_zone: TimeZone) -> Result<[Request; 2], Invalid> {
    let change = settings::Change {
        reporting_currency: Patch::Set(currency),
        time_zone: Patch::Set(time_zone),
        loss_reasons: Patch::Set(loss_reasons()?),
        fields: Patch::Keep,
    };
    let define = pipeline::Define { name: "Sales".parse()?, stages: stages()?, skipping_allowed: true };
    Ok([
        Request {
            stream: StreamId::Settings,
            command: Command::Settings(settings::Command::Change(change)),
            // Never over settings that an import has made in the meantime.
            meta: Meta { if_match: Some(vec![Version::ZERO]), ..Meta::keyed(FOUNDER, SETTINGS_KEY) },
        },
        Request {
            stream: StreamId::Pipeline(DEFAULT_PIPELINE),
            command: Command::Pipeline(pipeline::Command::Define(define)),
            meta: Meta::keyed(FOUNDER, PIPELINE_KEY),
        },
    ])
}

/// The default reasons for losing a deal.
pub(crate) fn loss_reasons() -> Result<Vec<LossReason>, Invalid> {
    [
        ("price", "Price", true),
        ("no_budget", "No budget", true),
        ("competitor", "Competitor", true),
        ("timing", "Timing", true),
        ("no_answer", "No answer", true),
        ("error", "Entered by mistake", false),
        ("duplicate", "Duplicate", false),
    ]
    .into_iter()
    .map(|(slug, name, counted)| Ok(LossReason { slug: slug.parse()?, name: name.parse()?, counted }))
    .collect()
}

/// The default pipeline's stages: from the first contact to the contract.
pub(crate) fn stages() -> Result<Vec<Stage>, Invalid> {
    [
        stage("first_contact", "First contact", 10, ForecastCategory::Pipeline),
        stage("qualified", "Qualified", 20, ForecastCategory::Pipeline),
        stage("needs_found", "Needs found", 35, ForecastCategory::Pipeline),
        stage("offer_made", "Offer made", 50, ForecastCategory::BestCase),
        stage("negotiation", "Negotiation", 70, ForecastCategory::BestCase),
        stage("contract", "Contract", 90, ForecastCategory::Commit),
    ]
    .into_iter()
    .collect()
}

/// A stage that asks for nothing.
pub(crate) fn stage(
    slug: &str,
    name: &str,
    percent: u16,
    forecast_category: ForecastCategory,
) -> Result<Stage, Invalid> {
    Ok(Stage {
        slug: slug.parse()?,
        name: name.parse()?,
        probability: Probability::from_basis_points(percent * 100)?,
        stale_after_days: None,
        required_fields: Vec::new(),
        forecast_category,
    })
}
