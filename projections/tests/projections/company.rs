//! A company at work: commands through the real handlers, on a log in memory and a clock that is told the time.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use dealog_commands::{CommandError, Commands, Limits, Meta, Request};
use dealog_domain::{Command, Occurred, Patch, Rejection, deal, pipeline, settings, team, user};
use dealog_events::{
    Actor, Currency, CustomerId, DealId, Envelope, Label, Money, PipelineId, Probability, StreamId, TeamId, Timestamp,
    UserId,
    pipeline::{ForecastCategory, Stage},
    settings::LossReason,
    user::Role,
};
use uuid::Uuid;

use crate::memory::MemoryStore;

pub(crate) const SECOND: i64 = 1_000_000;
pub(crate) const HOUR: i64 = 3_600 * SECOND;
pub(crate) const DAY: i64 = 24 * HOUR;

pub(crate) const SALES: PipelineId = PipelineId(Uuid::from_u128(0x11));
pub(crate) const RENEWALS: PipelineId = PipelineId(Uuid::from_u128(0x12));
pub(crate) const PARTNERS: PipelineId = PipelineId(Uuid::from_u128(0x13));
pub(crate) const ANNA: UserId = UserId(Uuid::from_u128(0x21));
pub(crate) const BORIS: UserId = UserId(Uuid::from_u128(0x22));
pub(crate) const CLARA: UserId = UserId(Uuid::from_u128(0x23));
pub(crate) const NORTH: TeamId = TeamId(Uuid::from_u128(0x31));
pub(crate) const SOUTH: TeamId = TeamId(Uuid::from_u128(0x32));
pub(crate) const ACME: CustomerId = CustomerId(Uuid::from_u128(0x41));
pub(crate) const BOLT: CustomerId = CustomerId(Uuid::from_u128(0x42));

/// A value from its text.
pub(crate) fn val<T: std::str::FromStr>(text: &str) -> T
where
    T::Err: std::fmt::Debug,
{
    text.parse().unwrap()
}

pub(crate) fn deal_id(number: usize) -> DealId {
    DealId(Uuid::from_u128(0x100 + number as u128))
}

pub(crate) fn eur(minor: i64) -> Money {
    money(minor, val("EUR"))
}

pub(crate) fn money(minor: i64, currency: Currency) -> Money {
    Money::from_minor(minor, currency).unwrap()
}

pub(crate) fn percent(percent: u16) -> Probability {
    Probability::from_basis_points(percent * 100).unwrap()
}

/// A stage with the chance of being won in percent.
pub(crate) fn stage(slug: &str, chance: u16) -> Stage {
    Stage {
        slug: val(slug),
        name: val(slug),
        probability: percent(chance),
        stale_after_days: None,
        required_fields: Vec::new(),
        forecast_category: ForecastCategory::Pipeline,
    }
}

pub(crate) fn reason(slug: &str, counted: bool) -> LossReason {
    LossReason { slug: val(slug), name: val(slug), counted }
}

/// When the company of every test begins.
pub(crate) fn beginning() -> Timestamp {
    val("2025-03-03T09:00:00Z")
}

pub(crate) struct Company {
    store: Arc<MemoryStore>,
    commands: Commands,
    clock: Arc<AtomicI64>,
    commands_sent: u64,
}

impl Company {
    /// One that has nothing yet.
    pub(crate) fn empty() -> Self {
        let store = MemoryStore::holding(Vec::new());
        let clock = Arc::new(AtomicI64::new(beginning().micros()));
        let told = Arc::clone(&clock);
        let time = Arc::new(move || Timestamp::from_micros(told.load(Ordering::Relaxed)).unwrap());
        let commands = Commands::new(store.clone(), time, Limits::default());
        Self { store, commands, clock, commands_sent: 0 }
    }

    /// Euros, two loss reasons that count and one that does not, Anna and Boris, and one pipeline: lead 10 %, offer 50 %
    /// and contract 90 %.
    pub(crate) async fn at_work() -> Self {
        let mut company = Self::empty();
        company
            .settings(settings::Change {
                reporting_currency: Patch::Set(val("EUR")),
                loss_reasons: Patch::Set(vec![
                    reason("price", true),
                    reason("silence", true),
                    reason("duplicate", false),
                ]),
                ..settings::Change::default()
            })
            .await;
        company.invite(ANNA, "Anna").await;
        company.invite(BORIS, "Boris").await;
        company.define(SALES, vec![stage("lead", 10), stage("offer", 50), stage("contract", 90)]).await;
        company
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.commands.now()
    }

    /// Lets time pass.
    pub(crate) fn wait(&mut self, micros: i64) {
        self.clock.fetch_add(micros, Ordering::Relaxed);
    }

    pub(crate) fn log(&self) -> Vec<Envelope> {
        self.store.events()
    }

    /// Sends a command; says whether the rules allowed it.
    pub(crate) async fn try_to(
        &mut self,
        stream: StreamId,
        command: Command,
        occurred: Occurred,
    ) -> Result<(), Rejection> {
        self.commands_sent += 1;
        let meta = Meta::keyed(Actor::Local, &self.commands_sent.to_string()).occurred(occurred);
        match self.commands.execute(&Request { stream, command, meta }).await {
            Ok(_) => Ok(()),
            Err(CommandError::Rejected(rejection)) => Err(rejection),
            Err(error) => panic!("{error}"),
        }
    }

    /// Sends a command that the rules allow.
    pub(crate) async fn ask(&mut self, stream: StreamId, command: Command) {
        self.try_to(stream, command, Occurred::Now).await.unwrap();
    }

    pub(crate) async fn settings(&mut self, change: settings::Change) {
        self.ask(StreamId::Settings, Command::Settings(settings::Command::Change(change))).await;
    }

    pub(crate) async fn invite(&mut self, user: UserId, name: &str) {
        let invite = user::Invite { name: val(name), email: None, roles: Role::Seller.into() };
        self.ask(StreamId::User(user), Command::User(user::Command::Invite(invite))).await;
    }

    pub(crate) async fn team(&mut self, team: TeamId, command: team::Command) {
        self.ask(StreamId::Team(team), Command::Team(command)).await;
    }

    pub(crate) async fn define(&mut self, pipeline: PipelineId, stages: Vec<Stage>) {
        let define = pipeline::Define { name: val("Sales"), stages, skipping_allowed: true };
        self.pipeline(pipeline, pipeline::Command::Define(define)).await;
    }

    pub(crate) async fn pipeline(&mut self, pipeline: PipelineId, command: pipeline::Command) {
        self.ask(StreamId::Pipeline(pipeline), Command::Pipeline(command)).await;
    }

    pub(crate) async fn deal(&mut self, number: usize, command: deal::Command) {
        self.ask(StreamId::Deal(deal_id(number)), Command::Deal(command)).await;
    }

    /// Begins a deal of Anna's in the first stage of the sales pipeline.
    pub(crate) async fn create(&mut self, number: usize, amount: Option<Money>) {
        self.create_as(number, deal::Create { amount, ..new_deal() }).await;
    }

    pub(crate) async fn create_as(&mut self, number: usize, create: deal::Create) {
        self.deal(number, deal::Command::Create(create)).await;
    }

    pub(crate) async fn change(&mut self, number: usize, change: deal::Change) {
        self.deal(number, deal::Command::Change(Box::new(change))).await;
    }

    pub(crate) async fn move_to(&mut self, number: usize, stage: &str) {
        self.deal(number, deal::Command::Move(deal::Move { stage: val(stage), reason: None })).await;
    }

    pub(crate) async fn win(&mut self, number: usize) {
        self.deal(number, deal::Command::Win(deal::Win::default())).await;
    }

    pub(crate) async fn lose(&mut self, number: usize, reason: &str) {
        self.deal(number, deal::Command::Lose(lose(val(reason)))).await;
    }

    pub(crate) async fn reopen(&mut self, number: usize, stage: Option<&str>) {
        let reopen = deal::Reopen { stage: stage.map(val), reason: val("The budget came back") };
        self.deal(number, deal::Command::Reopen(reopen)).await;
    }
}

pub(crate) fn new_deal() -> deal::Create {
    deal::Create {
        title: val("Licences"),
        pipeline: SALES,
        stage: None,
        customer: None,
        owner: Some(ANNA),
        amount: None,
        expected_close: None,
        source: None,
        campaign: None,
        fields: dealog_events::Fields::new(),
    }
}

pub(crate) fn lose(reason: Label) -> deal::Lose {
    deal::Lose { reason, closed_at: None, competitor: None, duplicate_of: None, note: None }
}
