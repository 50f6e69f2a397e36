//! The sample company's settings and its two pipelines.

use dealog_domain::{Command, Patch, pipeline, settings};
use dealog_events::{
    Actor, Currency, Invalid, PipelineId, StreamId, TimeZone, Timestamp,
    pipeline::{ForecastCategory, RequiredField, Stage},
    settings::{FieldDefinition, FieldKind, FieldOwner},
};

use super::{
    Sample, Step,
    calendar::{Calendar, minutes_later},
};
use crate::company::{self, stage};

/// Deals: for how many months the customer signs.
pub(super) const CONTRACT_LENGTH: &str = "contract_length_months";
/// Deals: where the work is to be done.
pub(super) const REGION: &str = "region";
/// What a region can be.
pub(super) const REGIONS: [&str; 4] = ["North", "East", "South", "West"];
/// Customers: how many people work there.
pub(super) const EMPLOYEES: &str = "employees";

/// The day on which the company begins to ask its customers how large they are.
pub(super) const EMPLOYEES_DAY: u32 = 240;
/// The day on which it loses patience with negotiations.
const REVISION_DAY: u32 = 400;

const TEN: u32 = 10 * 3_600;

/// A pipeline, and how long deals stay in each stage of it as a rule.
pub(super) struct Funnel {
    pub(super) id: PipelineId,
    pub(super) name: &'static str,
    pub(super) stages: Vec<Stage>,
    pub(super) usual_days: &'static [u32],
}

impl Funnel {
    /// The last stage's index.
    pub(super) fn last(&self) -> usize {
        self.stages.len().saturating_sub(1)
    }

    /// The stage number `index`.
    pub(super) fn stage(&self, index: usize) -> Result<&Stage, Invalid> {
        self.stages.get(index).ok_or_else(|| Invalid(format!("{} has no stage {index}", self.name)))
    }

    /// What is required on the way into a stage: by all that are passed, from the first on where the deal comes from elsewhere.
    pub(super) fn required_on_the_way(&self, from: Option<usize>, to: usize) -> Vec<RequiredField> {
        let first = from.map_or(0, |from| to.min(from + 1));
        let passed = self.stages.iter().take(to + 1).skip(first);
        passed.flat_map(|stage| stage.required_fields.clone()).collect()
    }

    /// What is required to win: all that any stage requires.
    pub(super) fn required_to_win(&self) -> Vec<RequiredField> {
        self.stages.iter().flat_map(|stage| stage.required_fields.clone()).collect()
    }
}

/// The default pipeline, with what the company asks of a deal from the offer on.
pub(super) fn new_business(sample: &Sample) -> Result<Funnel, Invalid> {
    let contract_length = RequiredField::Custom(CONTRACT_LENGTH.parse()?);
    let mut stages = company::stages()?;
    for (stage, days) in stages.iter_mut().zip([14, 21, 30, 30, 30, 14]) {
        stage.stale_after_days = Some(days);
        stage.required_fields = match stage.slug.as_str() {
            "offer_made" => vec![RequiredField::Amount, RequiredField::ExpectedClose],
            "contract" => vec![RequiredField::Customer, contract_length.clone()],
            _ => Vec::new(),
        };
    }
    let id = PipelineId(sample.id("pipeline:new_business"));
    Ok(Funnel { id, name: "New business", stages, usual_days: &[9, 12, 15, 13, 14, 8] })
}

/// Contracts that come to their end.
pub(super) fn renewals(sample: &Sample) -> Result<Funnel, Invalid> {
    let mut stages = vec![
        stage("due", "Due", 40, ForecastCategory::Pipeline)?,
        stage("contacted", "Contacted", 55, ForecastCategory::BestCase)?,
        stage("terms_sent", "Terms sent", 70, ForecastCategory::BestCase)?,
        stage("agreed", "Agreed", 90, ForecastCategory::Commit)?,
    ];
    for (stage, days) in stages.iter_mut().zip([30, 21, 21, 14]) {
        stage.stale_after_days = Some(days);
        if stage.slug.as_str() == "terms_sent" {
            stage.required_fields = vec![RequiredField::Amount];
        }
    }
    let id = PipelineId(sample.id("pipeline:renewals"));
    Ok(Funnel { id, name: "Renewals", stages, usual_days: &[17, 15, 17, 8] })
}

/// Settings first, then the pipelines, whose stages require a field of the settings; and what is changed later.
pub(super) fn steps(
    sample: &Sample,
    calendar: &Calendar,
    funnels: [&Funnel; 2],
    euro: Currency,
    zone: TimeZone,
    founded: Timestamp,
) -> Result<Vec<Step>, Invalid> {
    let first = settings::Change {
        reporting_currency: Patch::Set(euro),
        time_zone: Patch::Set(zone),
        loss_reasons: Patch::Set(company::loss_reasons()?),
        fields: Patch::Set(fields_of_deals()?),
    };
    let mut more = fields_of_deals()?;
    more.push(field(EMPLOYEES, FieldOwner::Customer, "Employees", FieldKind::Integer, &[])?);
    let second = settings::Change { fields: Patch::Set(more), ..settings::Change::default() };
    let ten = |day| calendar.at(calendar.day(day), TEN);

    let mut steps = vec![of_settings(sample, 1, founded, first), of_settings(sample, 2, ten(EMPLOYEES_DAY), second)];
    for (funnel, minutes) in funnels.into_iter().zip(1..) {
        let stages = funnel.stages.clone();
        let define = pipeline::Define { name: funnel.name.parse()?, stages, skipping_allowed: true };
        let now = minutes_later(founded, minutes);
        steps.push(of_pipeline(sample, funnel, "define", now, pipeline::Command::Define(define)));
    }
    let [new_business, _] = funnels;
    let revise = pipeline::ReviseStage { stale_after_days: Patch::Set(21), ..pipeline::ReviseStage::default() };
    let command = pipeline::Command::ReviseStage("negotiation".parse()?, revise);
    steps.push(of_pipeline(sample, new_business, "revise", ten(REVISION_DAY), command));
    Ok(steps)
}

fn of_settings(sample: &Sample, number: u32, now: Timestamp, change: settings::Change) -> Step {
    let command = Command::Settings(settings::Command::Change(change));
    sample.step(format!("settings:{number}"), Actor::Local, now, StreamId::Settings, command)
}

fn of_pipeline(sample: &Sample, funnel: &Funnel, name: &str, now: Timestamp, command: pipeline::Command) -> Step {
    let name = format!("pipeline:{}:{name}", funnel.name);
    sample.step(name, Actor::Local, now, StreamId::Pipeline(funnel.id), Command::Pipeline(command))
}

fn fields_of_deals() -> Result<Vec<FieldDefinition>, Invalid> {
    Ok(vec![
        field(CONTRACT_LENGTH, FieldOwner::Deal, "Contract length in months", FieldKind::Integer, &[])?,
        field(REGION, FieldOwner::Deal, "Region", FieldKind::Choice, &REGIONS)?,
    ])
}

fn field(
    slug: &str,
    of: FieldOwner,
    name: &str,
    kind: FieldKind,
    options: &[&str],
) -> Result<FieldDefinition, Invalid> {
    let options = options.iter().map(|option| option.parse()).collect::<Result<_, _>>()?;
    Ok(FieldDefinition { slug: slug.parse()?, of, name: name.parse()?, kind, options })
}
