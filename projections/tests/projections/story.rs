//! Companies and questions made up at random. Whatever the rules allow may happen, in any order and often at the very same instant;
//! what they refuse is simply not in the log.

use std::collections::BTreeMap;

use dealog_domain::{Command, Occurred, Patch, customer, deal, pipeline, settings, team, user};
use dealog_events::{
    CampaignId, CustomerId, FieldValue, Fields, PipelineId, Position, Slug, StreamId, TeamId, Timestamp, UserId, When,
    pipeline::{ForecastCategory, Stage},
    settings::{FieldDefinition, FieldKind, FieldOwner},
    user::Role,
};
use dealog_projections::models::{
    Seeing,
    deals::{DealQuery, DealStatus, Filter},
};
use uuid::Uuid;

use crate::{
    company::{
        ACME, ANNA, BOLT, BORIS, CLARA, Company, DAY, HOUR, NORTH, PARTNERS, RENEWALS, SALES, SOUTH, beginning,
        deal_id, eur, lose, new_deal, percent, reason, stage, val,
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
const SLUGS: [&str; 5] = ["lead", "met", "offer", "talks", "contract"];
const ZONES: [&str; 3] = ["UTC", "Europe/Riga", "Pacific/Kiritimati"];
const CATEGORIES: [ForecastCategory; 4] =
    [ForecastCategory::Omitted, ForecastCategory::Pipeline, ForecastCategory::BestCase, ForecastCategory::Commit];
/// The company's own field, of deals and of customers.
const FIELD: &str = "note";

/// A company in which much has happened.
pub(crate) async fn story(dice: &mut Dice) -> Company {
    let mut story = Story { company: Company::empty(), deals: 0, deals_max: dice.below(8) + 4 };
    story.begin(dice).await;
    for _ in 0..dice.between(40, 160) {
        story.pass_time(dice);
        let (stream, command) = story.wish(dice);
        let occurred = story.occurred(dice);
        let created = matches!(command, Command::Deal(deal::Command::Create(_)));
        let done = story.company.try_to(stream, command, occurred).await;
        story.deals += usize::from(created && done.is_ok());
    }
    story.company
}

struct Story {
    company: Company,
    deals: usize,
    deals_max: usize,
}

impl Story {
    async fn begin(&mut self, dice: &mut Dice) {
        let field = |of| FieldDefinition {
            slug: val(FIELD),
            of,
            name: val("Note"),
            kind: FieldKind::Text,
            options: Vec::new(),
        };
        let change = settings::Change {
            reporting_currency: Patch::Set(val("EUR")),
            time_zone: dice.maybe(50, |dice| val(dice.pick(&ZONES))).into(),
            loss_reasons: Patch::Set(vec![reason("price", true), reason("duplicate", false)]),
            fields: Patch::Set(vec![field(FieldOwner::Deal), field(FieldOwner::Customer)]),
        };
        self.company.settings(change).await;
        // Most are there from the beginning, the others later or never.
        for (user, name) in USERS.into_iter().zip(["Anna", "Boris", "Clara"]) {
            if user == ANNA || dice.chance(70) {
                self.company.invite(user, name).await;
            }
        }
        for id in TEAMS {
            self.company.team(id, team::Command::Form(team::Form { name: val("Team") })).await;
        }
        self.company.ask(StreamId::Customer(ACME), register(dice)).await;
        for id in [SALES, RENEWALS] {
            if id == SALES || dice.chance(60) {
                self.company.ask(StreamId::Pipeline(id), define(dice)).await;
            }
        }
    }

    fn pass_time(&mut self, dice: &mut Dice) {
        let micros = match dice.weighed(&[35, 5, 25, 25, 10]) {
            0 => 0,
            1 => 1,
            2 => dice.between(1, DAY),
            3 => dice.between(1, 4 * 24) * HOUR,
            _ => dice.between(1, 25) * DAY,
        };
        self.company.wait(micros);
    }

    /// Mostly now; sometimes earlier, or at the very instant of something else.
    fn occurred(&self, dice: &mut Dice) -> Occurred {
        let now = self.company.now();
        let earlier = |micros: i64| now.saturating_add_micros(-micros);
        match dice.weighed(&[50, 20, 15, 15]) {
            0 => Occurred::Now,
            1 => Occurred::AtOrAfterLast(dice.pick(&self.company.log()).occurred_at),
            2 => Occurred::At(earlier(dice.between(0, 10 * DAY))),
            _ => Occurred::AtOrAfterLast(earlier(dice.between(0, 90 * DAY))),
        }
    }

    fn wish(&mut self, dice: &mut Dice) -> (StreamId, Command) {
        if self.deals == 0 || self.deals < self.deals_max && dice.chance(20) {
            return (StreamId::Deal(deal_id(self.deals + 1)), self.create(dice));
        }
        match dice.weighed(&[70, 12, 6, 4, 5, 3]) {
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
            3 => (StreamId::User(dice.pick(&USERS)), for_user(dice)),
            4 => (StreamId::Customer(dice.pick(&CUSTOMERS)), for_customer(dice)),
            _ => {
                let change = settings::Change {
                    time_zone: dice.maybe(60, |dice| val(dice.pick(&ZONES))).into(),
                    loss_reasons: dice.maybe(40, |_| vec![reason("price", true)]).into(),
                    ..settings::Change::default()
                };
                (StreamId::Settings, Command::Settings(settings::Command::Change(change)))
            }
        }
    }

    fn create(&self, dice: &mut Dice) -> Command {
        Command::Deal(deal::Command::Create(deal::Create {
            pipeline: if dice.chance(70) { SALES } else { RENEWALS },
            stage: dice.maybe(30, |dice| val(dice.pick(&SLUGS))),
            customer: dice.maybe(50, |dice| dice.pick(&CUSTOMERS)),
            owner: dice.maybe(80, |dice| dice.pick(&USERS)),
            amount: dice.maybe(70, |dice| eur(dice.between(0, 500_000))),
            expected_close: dice.maybe(60, |dice| self.day(dice)),
            source: dice.maybe(50, |dice| val(dice.pick(&SOURCES))),
            campaign: dice.maybe(30, |dice| dice.pick(&CAMPAIGNS)),
            fields: dice.maybe(30, |dice| (val(FIELD), text(dice))).into_iter().collect::<Fields>(),
            ..new_deal()
        }))
    }

    fn for_deal(&self, dice: &mut Dice) -> Command {
        let command = match dice.weighed(&[45, 38, 6, 8, 14, 10, 8, 6]) {
            0 => deal::Command::Move(deal::Move { stage: val(dice.pick(&SLUGS)), reason: None }),
            1 => deal::Command::Change(Box::new(self.change(dice))),
            2 => deal::Command::Win(deal::Win {
                amount: dice.maybe(50, |dice| eur(dice.between(0, 500_000))),
                contract: dice.maybe(50, |_| val("C-1")),
                closed_at: dice.maybe(40, |dice| self.when(dice)),
            }),
            3 => deal::Command::Lose(deal::Lose {
                competitor: dice.maybe(50, |_| val("Rival")),
                duplicate_of: dice.maybe(30, |dice| deal_id(dice.below(self.deals) + 1)),
                closed_at: dice.maybe(40, |dice| self.when(dice)),
                ..lose(val(dice.pick(&["price", "duplicate"])))
            }),
            4 => deal::Command::Reopen(deal::Reopen {
                stage: dice.maybe(50, |dice| val(dice.pick(&SLUGS))),
                reason: val("The budget came back"),
            }),
            5 => deal::Command::Transfer(deal::Transfer {
                pipeline: dice.pick(&PIPELINES),
                stage: dice.maybe(50, |dice| val(dice.pick(&SLUGS))),
            }),
            6 => deal::Command::CorrectClosing(self.correction(dice)),
            _ => deal::Command::Undo(deal::Undo::default()),
        };
        Command::Deal(command)
    }

    /// Something of a win, or of a loss, or of either.
    fn correction(&self, dice: &mut Dice) -> deal::CorrectClosing {
        let mut correction = deal::CorrectClosing::default();
        match dice.below(5) {
            0 => correction.amount = Patch::Set(eur(dice.between(0, 500_000))),
            1 => correction.contract = patch(dice, |_| val("C-2")),
            2 => correction.reason = Patch::Set(val(dice.pick(&["price", "duplicate"]))),
            3 => correction.owner = patch(dice, |dice| dice.pick(&USERS)),
            _ => correction.closed_at = Patch::Set(self.when(dice)),
        }
        correction
    }

    /// A few days ago, or just now.
    fn when(&self, dice: &mut Dice) -> When {
        let time = self.company.now().saturating_add_micros(-dice.between(0, 10) * DAY);
        if dice.chance(50) { When::Instant(time) } else { When::Day(time.utc().date_naive()) }
    }

    fn change(&self, dice: &mut Dice) -> deal::Change {
        let mut change = deal::Change::default();
        for _ in 0..=dice.below(3) {
            match dice.below(10) {
                0 => change.title = Patch::Set(val(dice.pick(&["Licences", "Support"]))),
                1 => change.customer = patch(dice, |dice| dice.pick(&CUSTOMERS)),
                2 => change.owner = patch(dice, |dice| dice.pick(&USERS)),
                3 => change.amount = patch(dice, |dice| eur(dice.between(0, 500_000))),
                4 => change.expected_close = patch(dice, |dice| self.day(dice)),
                5 => change.probability = patch(dice, |dice| percent(dice.pick(&[0, 33, 100]))),
                6 => change.forecast_category = patch(dice, |dice| dice.pick(&CATEGORIES)),
                7 => change.source = patch(dice, |dice| val(dice.pick(&SOURCES))),
                8 => change.fields = note(dice),
                _ => change.campaign = patch(dice, |dice| dice.pick(&CAMPAIGNS)),
            }
        }
        change
    }

    fn for_pipeline(&self, id: PipelineId, dice: &mut Dice) -> Command {
        let Some(known) = Log::read(&self.company.log()).pipeline(id, &Seeing::default()) else { return define(dice) };
        let slugs: Vec<Slug> = known.stages.into_iter().map(|stage| stage.stage.slug).collect();
        let command = match dice.weighed(&[40, 25, 12, 22, 1, 6, 1, 4]) {
            0 => pipeline::Command::AddStage(pipeline::AddStage {
                stage: a_stage(dice.pick(&SLUGS), dice),
                after: dice.maybe(70, |dice| dice.pick(&slugs)),
            }),
            1 => {
                let to = a_stage("lead", dice);
                let revise = pipeline::ReviseStage {
                    name: dice.maybe(40, |dice| val(dice.pick(&["Lead", "Enquiry"]))).into(),
                    probability: dice.maybe(60, |_| to.probability).into(),
                    stale_after_days: to.stale_after_days.map_or(Patch::Clear, Patch::Set),
                    required_fields: Patch::Keep,
                    forecast_category: dice.maybe(60, |_| to.forecast_category).into(),
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
            4 => pipeline::Command::Archive,
            5 => pipeline::Command::ReinstateStage(dice.pick(&slugs)),
            6 => pipeline::Command::Unarchive,
            _ => pipeline::Command::Change(pipeline::Change { name: Patch::Set(val(dice.pick(&["Sales", "Trade"]))) }),
        };
        Command::Pipeline(command)
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

fn text(dice: &mut Dice) -> FieldValue {
    FieldValue::Text(val(dice.pick(&["one", "two \"quoted\"", "€ ünïcode"])))
}

fn note(dice: &mut Dice) -> BTreeMap<Slug, Patch<FieldValue>> {
    BTreeMap::from([(val(FIELD), patch(dice, text))])
}

fn register(dice: &mut Dice) -> Command {
    Command::Customer(customer::Command::Register(customer::Register {
        kind: customer::CustomerKind::default(),
        name: val(dice.pick(&["Acme", "Bolt"])),
        sector: dice.maybe(50, |_| val("Steel")),
        fields: Fields::new(),
    }))
}

fn for_customer(dice: &mut Dice) -> Command {
    if dice.chance(30) {
        return register(dice);
    }
    let name = dice.maybe(60, |dice| val(dice.pick(&["Acme", "Bolt", "Cog"])));
    Command::Customer(customer::Command::Change(customer::Change { name: name.into(), fields: note(dice) }))
}

fn for_user(dice: &mut Dice) -> Command {
    let command = match dice.weighed(&[6, 6, 1, 1]) {
        0 => user::Command::Invite(user::Invite {
            name: val(dice.pick(&["Boris", "Clara"])),
            email: dice.maybe(50, |_| val("someone@example.com")),
            roles: Role::Seller.into(),
        }),
        1 => user::Command::Change(user::Change {
            name: dice.maybe(30, |dice| val(dice.pick(&["Dora", "Emil"]))).into(),
            roles: Patch::Set(dice.pick(&[Role::Seller, Role::Manager]).into()),
        }),
        2 => user::Command::Deactivate,
        _ => user::Command::Reactivate,
    };
    Command::User(command)
}

fn define(dice: &mut Dice) -> Command {
    let first = dice.below(2);
    let last = first + dice.below(4);
    let stages = SLUGS[first..=last].iter().map(|slug| a_stage(slug, dice)).collect();
    let define = pipeline::Define { name: val("Pipeline"), stages, skipping_allowed: dice.chance(85) };
    Command::Pipeline(pipeline::Command::Define(define))
}

fn a_stage(slug: &str, dice: &mut Dice) -> Stage {
    Stage {
        stale_after_days: dice.maybe(60, |dice| dice.pick(&[0, 1, 7, 30])),
        forecast_category: dice.pick(&CATEGORIES),
        ..stage(slug, dice.pick(&[0, 10, 35, 50, 99, 100]))
    }
}

/// What a question looks at: often an instant of an event, or a microsecond beside one, and a position of one.
pub(crate) fn seeing(company: &Company, dice: &mut Dice) -> Seeing {
    let as_of = dice.maybe(75, |dice| instant(company, dice));
    let head = company.log().len();
    let known = dice.maybe(60, |dice| Position(dice.below(head + 2) as u64));
    Seeing { as_of, known }
}

fn instant(company: &Company, dice: &mut Dice) -> Timestamp {
    let event = dice.pick(&company.log()).occurred_at;
    match dice.weighed(&[3, 1, 1, 1, 2]) {
        0 => event,
        1 => event.saturating_add_micros(-1),
        2 => event.saturating_add_micros(1),
        3 => company.now(),
        _ => {
            let first = beginning().micros() - 100 * DAY;
            Timestamp::from_micros(dice.between(first, company.now().micros())).unwrap()
        }
    }
}

/// Which deals, in pages of two.
pub(crate) fn query(company: &Company, dice: &mut Dice) -> DealQuery {
    let mut filter = Filter::default();
    if dice.chance(70) {
        for _ in 0..=dice.below(2) {
            match dice.below(8) {
                0 => filter.pipeline = Some(dice.pick(&PIPELINES)),
                1 => filter.owner = Some(dice.pick(&USERS)),
                2 => filter.team = Some(dice.pick(&TEAMS)),
                3 => filter.customer = Some(dice.pick(&CUSTOMERS)),
                4 => filter.source = Some(val(dice.pick(&SOURCES))),
                5 => filter.campaign = Some(dice.pick(&CAMPAIGNS)),
                6 => {
                    filter.created_from = dice.maybe(60, |dice| instant(company, dice));
                    filter.created_to = dice.maybe(60, |dice| instant(company, dice));
                }
                _ => {
                    filter.amount_from = dice.maybe(60, |dice| dice.between(0, 500_000));
                    filter.amount_to = dice.maybe(60, |dice| dice.between(0, 500_000));
                }
            }
        }
    }
    DealQuery {
        filter,
        status: dice.maybe(30, |dice| dice.pick(&[DealStatus::Open, DealStatus::Won, DealStatus::Lost])),
        stage: dice.maybe(20, |dice| val(dice.pick(&SLUGS))),
        ..DealQuery::default()
    }
}
