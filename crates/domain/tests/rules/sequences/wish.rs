//! What someone might ask for next: mostly something sensible for the world as it is, often enough something wrong.

use std::sync::LazyLock;

use dealog_domain::{
    Command, Occurred, Patch, Standing, State,
    customer::{self, CustomerKind},
    deal, pipeline, settings, team, user,
};
use dealog_events::{
    AMOUNT_MAX, CampaignId, CommandId, CustomerId, DealId, FieldValue, Fields, Label, Money, PipelineId, Probability,
    Slug, StreamId, TeamId, Timestamp, Title, UserId, When,
    pipeline::{ForecastCategory, RequiredField, Stage},
    settings::{FieldDefinition, FieldKind, FieldOwner, LossReason},
    user::Role,
};
use uuid::Uuid;

use super::{tape::Tape, world::World};
use crate::support::{Asked, field, field_text, percent, reason, stage, val, vals};

const DEALS: [DealId; 3] = [DealId(id(0xd1)), DealId(id(0xd2)), DealId(id(0xd3))];
const PIPELINES: [PipelineId; 3] = [PipelineId(id(0xb1)), PipelineId(id(0xb2)), PipelineId(id(0xb3))];
const CUSTOMERS: [CustomerId; 3] = [CustomerId(id(0xc1)), CustomerId(id(0xc2)), CustomerId(id(0xc3))];
const USERS: [UserId; 3] = [UserId(id(0xa1)), UserId(id(0xa2)), UserId(id(0xa3))];
const TEAM: TeamId = TeamId(id(0xe1));
const CAMPAIGNS: [CampaignId; 2] = [CampaignId(id(0xca)), CampaignId(id(0xcb))];
const NOWHERE: Uuid = id(0xff);

const fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

/// Values that are used often, parsed once.
struct Pool {
    titles: Vec<Title>,
    labels: Vec<Label>,
    stages: Vec<Slug>,
    nowhere: Slug,
    reasons: Vec<LossReason>,
    fields: Vec<FieldDefinition>,
    required: Vec<RequiredField>,
    amounts: Vec<Money>,
    foreign: Money,
}

static POOL: LazyLock<Pool> = LazyLock::new(|| Pool {
    titles: vals(&["Licences", "Servers", "Training"]),
    labels: vals(&["Web", "Trade fair", "Referral"]),
    stages: vals(&["s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7"]),
    nowhere: val("nowhere"),
    reasons: vec![reason("price", true), reason("timing", true), reason("error", false), reason("duplicate", false)],
    fields: vec![
        field(FieldOwner::Deal, "budget", FieldKind::Integer),
        field(FieldOwner::Deal, "size", FieldKind::Choice),
        field(FieldOwner::Deal, "remark", FieldKind::Text),
        field(FieldOwner::Deal, "approved", FieldKind::Boolean),
        field(FieldOwner::Deal, "discount", FieldKind::Decimal),
        field(FieldOwner::Deal, "signed_on", FieldKind::Date),
        field(FieldOwner::Customer, "region", FieldKind::Text),
    ],
    required: vals(&[
        "amount",
        "customer",
        "owner",
        "expected_close",
        "source",
        "campaign",
        "fields.budget",
        "fields.size",
    ]),
    amounts: [0, 1, 10_000, 250_000, AMOUNT_MAX].map(|minor| Money::from_minor(minor, val("EUR")).unwrap()).into(),
    foreign: Money::from_minor(5_000, val("USD")).unwrap(),
});

// How companies begin.

/// Two pipelines, one of which forbids skipping, customers, users, a team and all settings. One more of each is still to
/// come.
pub(super) fn company() -> Vec<(StreamId, Command)> {
    let set_up = settings::Change {
        reporting_currency: Patch::Set(val("EUR")),
        time_zone: Patch::Keep,
        loss_reasons: Patch::Set(POOL.reasons.clone()),
        fields: Patch::Set(POOL.fields.clone()),
    };
    let mut wishes = vec![(StreamId::Settings, set_up.asked())];
    wishes.extend(company_without_settings());
    wishes.push((StreamId::Pipeline(PIPELINES[0]), requiring(3, &["amount", "fields.budget"])));
    wishes.push((StreamId::Pipeline(PIPELINES[1]), requiring(2, &["customer"])));
    wishes
}

pub(super) fn company_without_settings() -> Vec<(StreamId, Command)> {
    let pipeline = |stages: usize, skipping_allowed| {
        let stages = POOL.stages[..stages].iter().map(|slug| stage(slug.as_str())).collect();
        pipeline::Define { name: val("Sales"), stages, skipping_allowed }.asked()
    };
    vec![
        (StreamId::Pipeline(PIPELINES[0]), pipeline(5, true)),
        (StreamId::Pipeline(PIPELINES[1]), pipeline(4, false)),
        (StreamId::Customer(CUSTOMERS[0]), register()),
        (StreamId::Customer(CUSTOMERS[1]), register()),
        (StreamId::User(USERS[0]), invite()),
        (StreamId::User(USERS[1]), invite()),
        (StreamId::Team(TEAM), team::Form { name: val("North") }.asked()),
    ]
}

fn requiring(stage: usize, fields: &[&str]) -> Command {
    let required_fields = Patch::Set(vals(fields));
    let revise = pipeline::ReviseStage { required_fields, ..pipeline::ReviseStage::default() };
    pipeline::Command::ReviseStage(POOL.stages[stage].clone(), revise).asked()
}

fn register() -> Command {
    let fields = [].into();
    customer::Register { kind: CustomerKind::Organisation, name: val("Acme"), sector: None, fields }.asked()
}

fn invite() -> Command {
    user::Invite { name: val("Anna"), email: Some(val("anna@example.com")), roles: Role::Seller.into() }.asked()
}

// What is asked next.

/// A command, and the stream it is for: once in a while one of another aggregate.
pub(super) fn next(world: &World, tape: &mut Tape<'_>) -> (StreamId, Command) {
    let astray = tape.chance(2);
    let (stream, command) = match tape.weighed(&[180, 24, 14, 12, 14, 12]) {
        0 => for_deal(world, tape),
        1 => for_pipeline(world, tape),
        2 => (StreamId::Settings, for_settings(tape).asked()),
        3 => for_customer(world, tape),
        4 => for_user(world, tape),
        _ => (StreamId::Team(TEAM), for_team(world, tape)),
    };
    match stream {
        StreamId::Settings if astray => (StreamId::Deal(DEALS[0]), command),
        _ if astray => (StreamId::Settings, command),
        _ => (stream, command),
    }
}

/// Mostly now, sometimes earlier, now and then at an instant that cannot be.
pub(super) fn occurred(now: Timestamp, last: Option<Timestamp>, tape: &mut Tape<'_>) -> Occurred {
    let second = 1_000_000;
    match tape.weighed(&[220, 16, 12, 4, 4]) {
        0 => Occurred::Now,
        1 => Occurred::At(now.saturating_add_micros(-second)),
        2 => Occurred::AtOrAfterLast(now.saturating_add_micros(-60 * second)),
        3 => Occurred::At(last.unwrap_or(now).saturating_add_micros(-1)),
        _ => Occurred::At(now.saturating_add_micros(second)),
    }
}

fn for_deal(world: &World, tape: &mut Tape<'_>) -> (StreamId, Command) {
    let stream = StreamId::Deal(tape.pick(&DEALS));
    let Some(State::Deal(Some(deal))) = world.state(stream) else {
        let command = if tape.chance(12) { move_deal(world, PIPELINES[0], None, tape) } else { create(world, tape) };
        return (stream, command);
    };
    let weights = match deal.outcome {
        None => [9, 12, 4, 3, 4, 1, 1, 1, 6],
        Some(_) => [1, 5, 1, 1, 1, 9, 1, 7, 4],
    };
    let command = match tape.weighed(&weights) {
        0 => move_deal(world, deal.pipeline, Some(&deal.stage), tape),
        1 => change_deal(tape).asked(),
        2 => deal::Win { amount: maybe(tape, amount), closed_at: closed_at(world, tape), contract: maybe(tape, label) }
            .asked(),
        3 => lose(world, tape).asked(),
        4 => {
            let pipeline = pipeline(tape);
            deal::Transfer { pipeline, stage: maybe(tape, |tape| stage_of(world, pipeline, tape)) }.asked()
        }
        5 => {
            let stage = maybe(tape, |tape| stage_of(world, deal.pipeline, tape));
            deal::Reopen { stage, reason: val("The budget came back") }.asked()
        }
        7 => correct(world, tape).asked(),
        8 => undo(world, stream, tape).asked(),
        _ => create(world, tape),
    };
    (stream, command)
}

/// Something, half of the time.
fn maybe<T>(tape: &mut Tape<'_>, choose: impl FnOnce(&mut Tape<'_>) -> T) -> Option<T> {
    tape.chance(128).then(|| choose(tape))
}

fn create(world: &World, tape: &mut Tape<'_>) -> Command {
    let pipeline = pipeline(tape);
    deal::Create {
        title: tape.pick(&POOL.titles),
        pipeline,
        stage: tape.chance(64).then(|| stage_of(world, pipeline, tape)),
        customer: maybe(tape, customer),
        owner: maybe(tape, user),
        amount: maybe(tape, amount),
        expected_close: maybe(tape, day),
        source: maybe(tape, label),
        campaign: None,
        fields: if tape.chance(64) { [field_value(FieldOwner::Deal, tape)].into() } else { Fields::new() },
    }
    .asked()
}

/// To any stage of the pipeline, half of the time to the one after `from`.
fn move_deal(world: &World, pipeline: PipelineId, from: Option<&Slug>, tape: &mut Tape<'_>) -> Command {
    let stages = stages_of(world, pipeline);
    let next = stages.iter().skip_while(|slug| Some(**slug) != from).nth(1).filter(|_| tape.chance(128));
    let stage = next.map_or_else(|| stage_of(world, pipeline, tape), |slug| (*slug).clone());
    deal::Move { stage, reason: None }.asked()
}

/// Mostly none, and otherwise about now: today, yesterday, a moment ago, now and then tomorrow.
fn closed_at(world: &World, tape: &mut Tape<'_>) -> Option<When> {
    tape.chance(96).then(|| when(world, tape))
}

fn when(world: &World, tape: &mut Tape<'_>) -> When {
    let at = |seconds: i64| world.now().saturating_add_micros(seconds * 1_000_000);
    let day = |days: i64| When::Day(at(days * 86_400).utc().date_naive());
    match tape.weighed(&[12, 6, 12, 12, 3, 2]) {
        0 => day(0),
        1 => day(-1),
        2 => When::Instant(at(-1)),
        3 => When::Instant(at(-200)),
        4 => When::Instant(at(3_600)),
        _ => day(1),
    }
}

/// Corrects one or two things.
fn correct(world: &World, tape: &mut Tape<'_>) -> deal::CorrectClosing {
    let mut correct = deal::CorrectClosing::default();
    for _ in 0..=tape.below(2) {
        match tape.below(5) {
            0 => correct.closed_at = Patch::Set(when(world, tape)),
            1 => correct.amount = Patch::Set(amount(tape)),
            2 => correct.contract = patch(tape, label),
            3 => correct.reason = Patch::Set((&tape.pick(&POOL.reasons).slug).into()),
            _ => correct.owner = patch(tape, user),
        }
    }
    if tape.chance(4) {
        correct.amount = Patch::Clear;
    }
    correct
}

/// The last command, whichever it is; sometimes one by name, which may be another.
fn undo(world: &World, stream: StreamId, tape: &mut Tape<'_>) -> deal::Undo {
    let commands = world.commands(stream);
    let command = match tape.weighed(&[24, 4, 3, 1]) {
        0 => None,
        1 => commands.first().copied(),
        2 => commands.get(1).copied(),
        _ => Some(CommandId(NOWHERE)),
    };
    deal::Undo { command, reason: None }
}

fn lose(world: &World, tape: &mut Tape<'_>) -> deal::Lose {
    deal::Lose {
        closed_at: closed_at(world, tape),
        reason: if tape.chance(16) { (&POOL.nowhere).into() } else { (&tape.pick(&POOL.reasons).slug).into() },
        competitor: None,
        duplicate_of: tape.chance(64).then(|| tape.pick(&DEALS)),
        note: tape.chance(64).then(|| val("They went with the cheaper offer.")),
    }
}

/// Changes one to three attributes.
fn change_deal(tape: &mut Tape<'_>) -> deal::Change {
    let mut change = deal::Change::default();
    for _ in 0..=tape.below(3) {
        match tape.below(13) {
            0 => change.title = Patch::Set(tape.pick(&POOL.titles)),
            1 => change.customer = patch(tape, customer),
            2 => change.owner = patch(tape, user),
            3 | 11 | 12 => change.amount = patch(tape, amount),
            4 => change.expected_close = patch(tape, day),
            5 => change.probability = patch(tape, probability),
            6 => change.forecast_category = patch(tape, category),
            7 => change.source = patch(tape, label),
            8 => change.campaign = patch(tape, |tape| tape.pick(&CAMPAIGNS)),
            _ => {
                let (field, value) = field_value(FieldOwner::Deal, tape);
                change.fields.insert(field, patch(tape, |_| value));
            }
        }
    }
    change
}

/// Sets three times out of four, else empties.
fn patch<T>(tape: &mut Tape<'_>, choose: impl FnOnce(&mut Tape<'_>) -> T) -> Patch<T> {
    if tape.chance(64) { Patch::Clear } else { Patch::Set(choose(tape)) }
}

fn for_pipeline(world: &World, tape: &mut Tape<'_>) -> (StreamId, Command) {
    let id = tape.pick(&PIPELINES);
    let stream = StreamId::Pipeline(id);
    let weights =
        if world.state(stream).is_some() { [5, 7, 4, 3, 1, 1, 2, 2, 1] } else { [1, 1, 1, 1, 1, 24, 1, 1, 1] };
    let command = match tape.weighed(&weights) {
        0 => {
            let stage = a_stage(tape);
            pipeline::AddStage { stage, after: maybe(tape, |tape| stage_of(world, id, tape)) }.asked()
        }
        1 => pipeline::Command::ReviseStage(stage_of(world, id, tape), revise(tape)).asked(),
        2 => pipeline::Command::RetireStage(stage_of(world, id, tape)).asked(),
        3 => reorder(world, id, tape).asked(),
        4 => pipeline::Command::Archive.asked(),
        5 => define(tape).asked(),
        6 => pipeline::Command::ReinstateStage(stage_of(world, id, tape)).asked(),
        7 => pipeline::Command::Unarchive.asked(),
        _ => pipeline::Change { name: Patch::Set(tape.pick(&POOL.titles)) }.asked(),
    };
    (stream, command)
}

fn define(tape: &mut Tape<'_>) -> pipeline::Define {
    let count = match tape.weighed(&[60, 60, 60, 8, 2]) {
        3 => 0,
        4 => pipeline::STAGES_MAX + 1,
        some => some + 1,
    };
    let plain = |number: usize| match POOL.stages.get(number) {
        Some(slug) => Stage { required_fields: Vec::new(), ..stage(slug.as_str()) },
        None => stage(&format!("s{number}")),
    };
    let mut stages: Vec<Stage> = (0..count).map(plain).collect();
    if tape.chance(128) {
        stages.push(a_stage(tape));
    }
    pipeline::Define { name: tape.pick(&POOL.titles), stages, skipping_allowed: tape.chance(128) }
}

fn a_stage(tape: &mut Tape<'_>) -> Stage {
    let slug = tape.pick(&POOL.stages);
    Stage { required_fields: required(tape), probability: probability(tape), ..stage(slug.as_str()) }
}

fn required(tape: &mut Tape<'_>) -> Vec<RequiredField> {
    let mut required: Vec<_> = (0..tape.below(3)).map(|_| tape.pick(&POOL.required)).collect();
    if tape.chance(8) {
        // Nobody's, or a field of customers.
        required.push(RequiredField::Custom(tape.pick(&[POOL.nowhere.clone(), POOL.fields[6].slug.clone()])));
    }
    required
}

fn revise(tape: &mut Tape<'_>) -> pipeline::ReviseStage {
    let mut revise = pipeline::ReviseStage::default();
    match tape.below(5) {
        0 => revise.name = Patch::Set(tape.pick(&POOL.titles)),
        1 => revise.probability = Patch::Set(probability(tape)),
        2 => revise.stale_after_days = patch(tape, |tape| tape.pick(&[7, 14])),
        3 => revise.required_fields = Patch::Set(required(tape)),
        _ => revise.forecast_category = Patch::Set(category(tape)),
    }
    revise
}

/// Turns the order by some places; sometimes a stage is left out, invented or named twice.
fn reorder(world: &World, pipeline: PipelineId, tape: &mut Tape<'_>) -> pipeline::Reorder {
    let mut stages: Vec<Slug> = stages_of(world, pipeline).into_iter().cloned().collect();
    if !stages.is_empty() {
        let by = tape.below(stages.len());
        stages.rotate_left(by);
    }
    match tape.weighed(&[26, 2, 2, 2]) {
        0 => {}
        1 => drop(stages.pop()),
        2 => stages.iter_mut().take(1).for_each(|slug| slug.clone_from(&POOL.nowhere)),
        _ => stages.extend_from_within(..stages.len().min(1)),
    }
    pipeline::Reorder { stages }
}

fn for_settings(tape: &mut Tape<'_>) -> settings::Change {
    let mut change = settings::Change::default();
    match tape.weighed(&[7, 2, 6, 8]) {
        0 => {
            change.reporting_currency =
                Patch::Set(if tape.chance(90) { POOL.foreign } else { POOL.amounts[0] }.currency());
        }
        1 => change.time_zone = Patch::Set(val(tape.pick(&["UTC", "Europe/Riga", "Asia/Tokyo"]))),
        2 => change.loss_reasons = Patch::Set(loss_reasons(tape)),
        _ => change.fields = Patch::Set(fields(tape)),
    }
    change
}

/// Two or more of the pool, one of them sometimes counted otherwise, listed twice, or far too many.
fn loss_reasons(tape: &mut Tape<'_>) -> Vec<LossReason> {
    let mut reasons = POOL.reasons[tape.below(3)..].to_vec();
    match tape.weighed(&[40, 10, 6, 2]) {
        0 => {}
        1 => reasons[0].counted ^= true,
        2 => reasons.push(reasons[0].clone()),
        _ => reasons.extend((0..settings::LOSS_REASONS_MAX).map(|number| reason(&format!("r{number}"), true))),
    }
    reasons
}

/// All of the pool but perhaps the last ones, one of them sometimes unfit.
fn fields(tape: &mut Tape<'_>) -> Vec<FieldDefinition> {
    let mut fields = POOL.fields.clone();
    fields.rotate_right(tape.below(2));
    fields.truncate(fields.len() - tape.below(3));
    match tape.weighed(&[40, 10, 4, 4, 4, 4]) {
        0 => {}
        1 => fields[0].name = tape.pick(&POOL.titles),
        2 => fields.push(fields[0].clone()),
        3 => fields[2].kind = FieldKind::Boolean,
        4 => fields[2].options.clone_from(&POOL.labels),
        _ => fields.iter_mut().for_each(|field| field.options.clear()),
    }
    fields
}

fn for_customer(world: &World, tape: &mut Tape<'_>) -> (StreamId, Command) {
    let stream = StreamId::Customer(tape.pick(&CUSTOMERS));
    let registers = if world.state(stream).is_some() { 16 } else { 232 };
    if tape.chance(registers) {
        return (stream, register());
    }
    let mut change =
        customer::Change { name: maybe(tape, |tape| tape.pick(&POOL.titles)).into(), ..customer::Change::default() };
    if tape.chance(192) {
        let (field, value) = field_value(FieldOwner::Customer, tape);
        change.fields.insert(field, patch(tape, |_| value));
    }
    (stream, change.asked())
}

fn for_user(world: &World, tape: &mut Tape<'_>) -> (StreamId, Command) {
    let stream = StreamId::User(tape.pick(&USERS));
    let weights = if world.state(stream).is_some() { [1, 8, 3, 2] } else { [9, 1, 1, 1] };
    let command = match tape.weighed(&weights) {
        0 => invite(),
        1 => {
            let role = tape.pick(&[Role::Seller, Role::Manager, Role::Seller, Role::Analyst, Role::Admin]);
            let more = maybe(tape, |tape| tape.pick(&[Role::Seller, Role::Manager]));
            let roles = [Some(role), more].into_iter().flatten().collect::<Vec<_>>().try_into().unwrap();
            let name = maybe(tape, |tape| tape.pick(&POOL.titles)).into();
            user::Change { name, roles: Patch::Set(roles) }.asked()
        }
        2 => user::Command::Deactivate.asked(),
        _ => user::Command::Reactivate.asked(),
    };
    (stream, command)
}

fn for_team(world: &World, tape: &mut Tape<'_>) -> Command {
    let weights = if world.state(StreamId::Team(TEAM)).is_some() { [1, 9, 6, 2] } else { [9, 1, 1, 1] };
    match tape.weighed(&weights) {
        0 => team::Form { name: tape.pick(&POOL.titles) }.asked(),
        1 => team::Command::AddMember(user(tape)).asked(),
        2 => team::Command::RemoveMember(user(tape)).asked(),
        _ => team::Change { name: Patch::Set(tape.pick(&POOL.titles)) }.asked(),
    }
}

// Values.

fn pipeline(tape: &mut Tape<'_>) -> PipelineId {
    PIPELINES[tape.weighed(&[5, 5, 2])]
}

/// Mostly one that was there from the start.
fn customer(tape: &mut Tape<'_>) -> CustomerId {
    [CUSTOMERS[0], CUSTOMERS[1], CUSTOMERS[2], CustomerId(NOWHERE)][tape.weighed(&[9, 9, 4, 1])]
}

/// Mostly someone who may do everything; sometimes a seller, and sometimes an admin who is not the only one.
pub(super) fn standing(tape: &mut Tape<'_>) -> Standing {
    match tape.weighed(&[212, 32, 12]) {
        0 => Standing::FULL,
        1 => Standing {
            own_deals_of: Some(user(tape)),
            own_role_of: None,
            backdates: false,
            changes_closed_deals: false,
            uses_reserve: false,
        },
        _ => Standing { own_role_of: Some(user(tape)), ..Standing::FULL },
    }
}

fn user(tape: &mut Tape<'_>) -> UserId {
    [USERS[0], USERS[1], USERS[2], UserId(NOWHERE)][tape.weighed(&[9, 9, 4, 1])]
}

fn amount(tape: &mut Tape<'_>) -> Money {
    if tape.chance(24) { POOL.foreign } else { tape.pick(&POOL.amounts) }
}

fn label(tape: &mut Tape<'_>) -> Label {
    tape.pick(&POOL.labels)
}

fn day(tape: &mut Tape<'_>) -> chrono::NaiveDate {
    match tape.weighed(&[20, 20, 1]) {
        0 => val("2026-06-30"),
        1 => val("2026-07-31"),
        _ => val("+12026-07-31"),
    }
}

fn probability(tape: &mut Tape<'_>) -> Probability {
    percent(tape.pick(&[0, 35, 100]))
}

fn category(tape: &mut Tape<'_>) -> ForecastCategory {
    tape.pick(&[ForecastCategory::Omitted, ForecastCategory::BestCase, ForecastCategory::Commit])
}

fn stages_of(world: &World, pipeline: PipelineId) -> Vec<&Slug> {
    match world.state(StreamId::Pipeline(pipeline)) {
        Some(State::Pipeline(Some(pipeline))) => pipeline.stages.iter().map(|placed| &placed.stage.slug).collect(),
        _ => Vec::new(),
    }
}

/// A stage of the pipeline, retired or not; sometimes one that it has not.
fn stage_of(world: &World, pipeline: PipelineId, tape: &mut Tape<'_>) -> Slug {
    let stages = stages_of(world, pipeline);
    if stages.is_empty() || tape.chance(8) {
        return POOL.nowhere.clone();
    }
    tape.pick(&stages).clone()
}

/// A field and a value, mostly one that fits.
fn field_value(of: FieldOwner, tape: &mut Tape<'_>) -> (Slug, FieldValue) {
    let first = match of {
        FieldOwner::Deal => tape.below(6),
        FieldOwner::Customer => 6,
    };
    let definition = &POOL.fields[first];
    let slug = if tape.chance(8) { POOL.nowhere.clone() } else { definition.slug.clone() };
    let value = if tape.chance(12) { field_text("neither") } else { fitting(definition.kind, tape) };
    (slug, value)
}

fn fitting(kind: FieldKind, tape: &mut Tape<'_>) -> FieldValue {
    let text = |tape: &mut Tape<'_>, texts: &[&str]| field_text(texts[tape.below(texts.len())]);
    match kind {
        FieldKind::Text => text(tape, &["good", "\"bad\" \\ \n ❤"]),
        FieldKind::Integer => FieldValue::Integer(tape.pick(&[0, -7, i64::MAX, i64::MIN])),
        FieldKind::Decimal => text(tape, &["12.50", "-0.5", "7"]),
        FieldKind::Boolean => FieldValue::Boolean(tape.chance(128)),
        FieldKind::Date => text(tape, &["2026-03-01", "2028-02-29"]),
        FieldKind::Choice => text(tape, &["small", "large"]),
    }
}
