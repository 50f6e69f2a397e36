//! Companies and questions made up at random. Whatever the rules allow may happen, in any order and often at the very
//! same instant; what they refuse is simply not in the log.

use dealog_domain::{Command, Occurred, Patch, deal, pipeline, settings, team, user};
use dealog_events::{
    CampaignId, Currency, CustomerId, Envelope, Money, PipelineId, Slug, StreamId, TeamId, Timestamp, UserId,
    pipeline::{ForecastCategory, RequiredField, Stage},
};
use dealog_projections::deals::query::{AmountRange, By, Filter, Grouping, Range, Scope, When};
use uuid::Uuid;

use crate::{
    answers::Question,
    company::{
        ACME, ANNA, BOLT, BORIS, CLARA, Company, DAY, HOUR, NORTH, PARTNERS, RENEWALS, SALES, SECOND, SOUTH, deal_id,
        lose, money, percent, reason, stage, val,
    },
    dice::Dice,
    plain::Log,
};

const PIPELINES: [PipelineId; 3] = [SALES, RENEWALS, PARTNERS];
const USERS: [UserId; 3] = [ANNA, BORIS, CLARA];
const TEAMS: [TeamId; 2] = [NORTH, SOUTH];
const CUSTOMERS: [CustomerId; 2] = [ACME, BOLT];
const CAMPAIGNS: [CampaignId; 2] = [CampaignId(Uuid::from_u128(0x51)), CampaignId(Uuid::from_u128(0x52))];
const SOURCES: [&str; 2] = ["Trade fair", "Web"];
const REASONS: [&str; 3] = ["price", "silence", "duplicate"];
const SLUGS: [&str; 5] = ["lead", "met", "offer", "talks", "contract"];
const ZONES: [&str; 5] = ["UTC", "Europe/Riga", "Asia/Tokyo", "America/St_Johns", "Pacific/Kiritimati"];
const CATEGORIES: [ForecastCategory; 4] =
    [ForecastCategory::Omitted, ForecastCategory::Pipeline, ForecastCategory::BestCase, ForecastCategory::Commit];

/// A company, and what has happened to it.
pub(crate) struct Story {
    company: Company,
    currency: Currency,
    deals: usize,
    deals_max: usize,
    /// Pipelines that were there from the beginning.
    pipelines: usize,
    /// How much longer than in a lively company all takes.
    pace: i64,
}

/// A company in which much has happened.
pub(crate) async fn story(dice: &mut Dice) -> Company {
    let currency: Currency = val(dice.pick(&["EUR", "EUR", "JPY", "KWD"]));
    let mut story = Story {
        company: Company::empty(),
        currency,
        deals: 0,
        deals_max: dice.below(6) + 3,
        pipelines: dice.below(2) + 1,
        pace: dice.pick(&[1, 1, 6]),
    };
    story.begin(dice).await;
    for _ in 0..dice.between(30, 150) {
        story.pass_time(dice);
        let (stream, command) = story.wish(dice);
        let occurred = story.occurred(dice);
        let _ = story.company.try_to(stream, command, occurred).await;
    }
    story.pass_time(dice);
    story.company
}

impl Story {
    async fn begin(&mut self, dice: &mut Dice) {
        let change = settings::Change {
            reporting_currency: Some(self.currency),
            time_zone: dice.maybe(70, |dice| val(dice.pick(&ZONES))),
            loss_reasons: Some(REASONS.map(|slug| reason(slug, slug != "duplicate")).to_vec()),
            fields: None,
        };
        self.company.settings(change).await;
        // Names in another order than ids, and two of the same.
        for (user, name) in USERS.into_iter().zip(["Someone", "Anyone", "Anyone"]) {
            self.company.invite(user, name).await;
        }
        for (id, name) in TEAMS.into_iter().zip(["Two", "One"]) {
            self.company.team(id, team::Command::Form(team::Form { name: val(name) })).await;
            self.company.team(id, team::Command::AddMember(dice.pick(&USERS))).await;
        }
        for id in CUSTOMERS {
            let register = dealog_domain::customer::Register {
                kind: dealog_domain::customer::CustomerKind::default(),
                name: val("Customer"),
                sector: None,
                fields: dealog_events::Fields::new(),
            };
            let command = Command::Customer(dealog_domain::customer::Command::Register(register));
            self.company.ask(StreamId::Customer(id), command).await;
        }
        // The last one is set up later, or never.
        for id in &PIPELINES[..self.pipelines] {
            self.company.ask(StreamId::Pipeline(*id), define(dice)).await;
            self.company.wait(SECOND);
        }
    }

    fn pass_time(&mut self, dice: &mut Dice) {
        let micros = match dice.weighed(&[35, 5, 25, 25, 10]) {
            0 => 0,
            1 => 1,
            2 => dice.between(1, DAY),
            3 => dice.between(1, 4 * 24) * HOUR,
            _ => dice.between(1, 25) * DAY * self.pace,
        };
        self.company.wait(micros);
    }

    /// Mostly now; sometimes earlier, or at the very instant of something else.
    fn occurred(&self, dice: &mut Dice) -> Occurred {
        let now = self.company.now();
        let earlier = |micros: i64| now.saturating_add_micros(-micros);
        match dice.weighed(&[60, 15, 15, 10]) {
            0 => Occurred::Now,
            1 => Occurred::AtOrAfterLast(dice.pick(&self.company.log()).occurred_at),
            2 => Occurred::At(earlier(dice.between(0, 10 * DAY))),
            _ => Occurred::AtOrAfterLast(earlier(dice.between(0, 90 * DAY))),
        }
    }

    fn wish(&mut self, dice: &mut Dice) -> (StreamId, Command) {
        if self.deals == 0 || self.deals < self.deals_max && dice.chance(25) {
            self.deals += 1;
            return (StreamId::Deal(deal_id(self.deals)), self.create(dice));
        }
        match dice.weighed(&[80, 12, 5, 3]) {
            0 => (StreamId::Deal(deal_id(dice.below(self.deals) + 1)), self.for_deal(dice)),
            1 => {
                let id = dice.pick(&PIPELINES);
                (StreamId::Pipeline(id), self.for_pipeline(id, dice))
            }
            2 => {
                let user = dice.pick(&USERS);
                let command =
                    if dice.chance(60) { team::Command::AddMember(user) } else { team::Command::RemoveMember(user) };
                (StreamId::Team(dice.pick(&TEAMS)), Command::Team(command))
            }
            _ => self.for_others(dice),
        }
    }

    fn create(&self, dice: &mut Dice) -> Command {
        let create = deal::Create {
            title: val("Licences"),
            pipeline: dice.pick(&PIPELINES[..self.pipelines]),
            stage: dice.maybe(30, |dice| val(dice.pick(&SLUGS))),
            customer: dice.maybe(50, |dice| dice.pick(&CUSTOMERS)),
            owner: dice.maybe(80, |dice| dice.pick(&USERS)),
            amount: dice.maybe(70, |dice| self.amount(dice)),
            expected_close: dice.maybe(60, |dice| self.day(dice)),
            source: dice.maybe(50, |dice| val(dice.pick(&SOURCES))),
            campaign: dice.maybe(30, |dice| dice.pick(&CAMPAIGNS)),
            fields: dealog_events::Fields::new(),
        };
        Command::Deal(deal::Command::Create(create))
    }

    fn for_deal(&self, dice: &mut Dice) -> Command {
        let command = match dice.weighed(&[50, 26, 6, 6, 12, 10]) {
            0 => deal::Command::Move(deal::Move { stage: val(dice.pick(&SLUGS)), reason: None }),
            1 => deal::Command::Change(Box::new(self.change(dice))),
            2 => deal::Command::Win(deal::Win { amount: dice.maybe(50, |dice| self.amount(dice)), contract: None }),
            3 => deal::Command::Lose(lose(val(dice.pick(&REASONS)))),
            4 => deal::Command::Reopen(deal::Reopen {
                stage: dice.maybe(50, |dice| val(dice.pick(&SLUGS))),
                reason: val("The budget came back"),
            }),
            _ => deal::Command::Transfer(deal::Transfer {
                pipeline: dice.pick(&PIPELINES),
                stage: dice.maybe(50, |dice| val(dice.pick(&SLUGS))),
            }),
        };
        Command::Deal(command)
    }

    fn change(&self, dice: &mut Dice) -> deal::Change {
        let mut change = deal::Change::default();
        for _ in 0..=dice.below(3) {
            match dice.below(9) {
                0 => change.title = Some(val(dice.pick(&["Licences", "Support"]))),
                1 => change.customer = patch(dice, |dice| dice.pick(&CUSTOMERS)),
                2 => change.owner = patch(dice, |dice| dice.pick(&USERS)),
                3 => change.amount = patch(dice, |dice| self.amount(dice)),
                4 => change.expected_close = patch(dice, |dice| self.day(dice)),
                5 if dice.chance(30) => change.probability = Patch::Clear,
                5 => change.probability = Patch::Set(percent(dice.pick(&[0, 33, 100]))),
                6 => change.forecast_category = patch(dice, |dice| dice.pick(&CATEGORIES)),
                7 => change.source = patch(dice, |dice| val(dice.pick(&SOURCES))),
                _ => change.campaign = patch(dice, |dice| dice.pick(&CAMPAIGNS)),
            }
        }
        change
    }

    fn for_pipeline(&self, id: PipelineId, dice: &mut Dice) -> Command {
        let known = Log::read(&self.company.log()).pipelines(i64::MAX);
        let Some(known) = known.into_iter().find(|pipeline| pipeline.id == id) else { return define(dice) };
        let slugs: Vec<Slug> = known.stages.into_iter().map(|placed| placed.stage.slug).collect();
        let command = match dice.weighed(&[35, 30, 15, 19, 1]) {
            0 => pipeline::Command::AddStage(pipeline::AddStage {
                stage: a_stage(dice.pick(&SLUGS), dice),
                after: dice.maybe(70, |dice| dice.pick(&slugs)),
            }),
            1 => {
                let to = a_stage("lead", dice);
                let revise = pipeline::ReviseStage {
                    name: None,
                    probability: dice.maybe(60, |_| to.probability),
                    stale_after_days: to.stale_after_days.map_or(Patch::Clear, Patch::Set),
                    required_fields: Some(to.required_fields),
                    forecast_category: dice.maybe(60, |_| to.forecast_category),
                };
                pipeline::Command::ReviseStage(dice.pick(&slugs), revise)
            }
            2 => pipeline::Command::RetireStage(dice.pick(&slugs)),
            3 => {
                let mut stages = slugs;
                for last in (1..stages.len()).rev() {
                    stages.swap(last, dice.below(last + 1));
                }
                pipeline::Command::Reorder(pipeline::Reorder { stages })
            }
            _ => pipeline::Command::Archive,
        };
        Command::Pipeline(command)
    }

    fn for_others(&mut self, dice: &mut Dice) -> (StreamId, Command) {
        match dice.weighed(&[5, 1, 2, 2]) {
            0 => {
                let change =
                    settings::Change { time_zone: Some(val(dice.pick(&ZONES))), ..settings::Change::default() };
                (StreamId::Settings, Command::Settings(settings::Command::Change(change)))
            }
            1 => {
                self.currency = val("USD");
                let change =
                    settings::Change { reporting_currency: Some(self.currency), ..settings::Change::default() };
                (StreamId::Settings, Command::Settings(settings::Command::Change(change)))
            }
            2 => {
                let change = dealog_domain::customer::Change {
                    name: Some(val(dice.pick(&["Acme", "Bolt"]))),
                    ..dealog_domain::customer::Change::default()
                };
                let command = Command::Customer(dealog_domain::customer::Command::Change(change));
                (StreamId::Customer(dice.pick(&CUSTOMERS)), command)
            }
            _ => (StreamId::User(CLARA), Command::User(user::Command::Deactivate)),
        }
    }

    fn amount(&self, dice: &mut Dice) -> Money {
        let minor = match dice.weighed(&[6, 1, 1]) {
            0 => dice.between(1, 500_000),
            1 => 0,
            _ => dealog_events::AMOUNT_MAX,
        };
        money(minor, self.currency)
    }

    fn day(&self, dice: &mut Dice) -> chrono::NaiveDate {
        let time = self.company.now().saturating_add_micros(dice.between(-30, 60) * DAY);
        time.utc().date_naive()
    }
}

/// Sets four times out of five, else empties.
fn patch<T>(dice: &mut Dice, choose: impl FnOnce(&mut Dice) -> T) -> Patch<T> {
    if dice.chance(80) { Patch::Set(choose(dice)) } else { Patch::Clear }
}

fn define(dice: &mut Dice) -> Command {
    let first = dice.below(2);
    let last = first + dice.below(4);
    let stages = SLUGS[first..=last].iter().map(|slug| a_stage(slug, dice)).collect();
    let define = pipeline::Define { name: val("Pipeline"), stages, skipping_allowed: dice.chance(85) };
    Command::Pipeline(pipeline::Command::Define(define))
}

fn a_stage(slug: &str, dice: &mut Dice) -> Stage {
    let required = dice.maybe(10, |dice| dice.pick(&[RequiredField::Amount, RequiredField::Owner]));
    Stage {
        stale_after_days: dice.maybe(60, |dice| dice.pick(&[0, 1, 7, 30])),
        forecast_category: dice.pick(&CATEGORIES),
        required_fields: required.into_iter().collect(),
        ..stage(slug, dice.pick(&[0, 10, 35, 50, 99, 100]))
    }
}

/// An instant to ask about: of an event, a microsecond beside one, now, or anything between.
pub(crate) fn instant(company: &Company, dice: &mut Dice) -> Timestamp {
    let event = dice.pick(&company.log()).occurred_at;
    match dice.weighed(&[3, 1, 1, 1, 2]) {
        0 => event,
        1 => event.saturating_add_micros(-1),
        2 => event.saturating_add_micros(1),
        3 => company.now(),
        _ => {
            let first = crate::company::beginning().micros() - DAY;
            Timestamp::from_micros(dice.between(first, company.now().micros())).unwrap()
        }
    }
}

fn when(company: &Company, dice: &mut Dice) -> When {
    let instant = instant(company, dice);
    if dice.chance(40) { When::Day(instant.utc().date_naive()) } else { When::Instant(instant) }
}

fn range(company: &Company, dice: &mut Dice, bounded: usize) -> Range {
    let mut bounds = [dice.maybe(bounded, |dice| when(company, dice)), dice.maybe(bounded, |dice| when(company, dice))];
    // Mostly the right way round.
    let key = |when: &Option<When>| when.map(|when| when.start(dealog_events::TimeZone::UTC));
    if bounds.iter().all(Option::is_some) && dice.chance(95) {
        bounds.sort_by_key(key);
    }
    Range { from: bounds[0], to: bounds[1] }
}

pub(crate) fn question(company: &Company, dice: &mut Dice) -> Question {
    let mut filter = Filter::default();
    if dice.chance(60) {
        for _ in 0..=dice.below(2) {
            match dice.below(8) {
                0 => filter.pipeline = Some(a_pipeline(company, dice)),
                1 => filter.owner = Some(dice.pick(&USERS)),
                2 => filter.team = Some(dice.pick(&TEAMS)),
                3 => filter.customer = Some(dice.pick(&CUSTOMERS)),
                4 => filter.source = Some(val(dice.pick(&SOURCES))),
                5 => filter.campaign = Some(dice.pick(&CAMPAIGNS)),
                6 => filter.created = range(company, dice, 70),
                _ => filter.amount = amounts(company, dice),
            }
        }
    }
    let as_of = dice.maybe(90, |dice| when(company, dice));
    Question {
        scope: Scope { now: company.now(), as_of, filter },
        period: range(company, dice, 80),
        forecast: range(company, dice, 70),
        by: grouping(dice),
    }
}

fn grouping(dice: &mut Dice) -> Grouping {
    let first = dice.maybe(70, |dice| dice.pick(&By::ALL));
    let second = dice.maybe(40, |dice| dice.pick(&By::ALL)).filter(|second| first != Some(*second));
    Grouping { by: [first, second], groups_max: 1_000 }
}

fn a_pipeline(company: &Company, dice: &mut Dice) -> PipelineId {
    let pipelines = Log::read(&company.log()).pipelines(i64::MAX);
    dice.pick(&pipelines.into_iter().map(|pipeline| pipeline.id).collect::<Vec<_>>())
}

/// Amounts are compared in one currency only.
fn amounts(company: &Company, dice: &mut Dice) -> AmountRange {
    let currency_sets =
        company.log().iter().filter(|event| event.event_type == "settings.reporting_currency_set").count();
    if currency_sets > 1 {
        return AmountRange::default();
    }
    let minor = |dice: &mut Dice| dice.maybe(70, |dice| dice.between(0, 500_000));
    AmountRange { from: minor(dice), to: minor(dice) }
}

/// Whether some deal stood by then in a stage that its pipeline had only later.
pub(crate) fn stands_in_a_later_stage(events: &[Envelope], at: i64) -> bool {
    let by_then: Vec<Envelope> = events.iter().filter(|event| event.occurred_at.micros() <= at).cloned().collect();
    let log = Log::read(&by_then);
    let pipelines = log.pipelines(at);
    let visits = log.deals(at).into_iter().flat_map(|deal| deal.visits);
    visits.into_iter().any(|visit| {
        let pipeline = pipelines.iter().find(|pipeline| pipeline.id == visit.pipeline);
        pipeline.is_none_or(|pipeline| pipeline.place(&visit.stage).is_none())
    })
}
