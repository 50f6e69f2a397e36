//! The company that the tests are about, and the words they are written in: given, and, when, then, rejected.

use std::{collections::HashMap, fmt::Debug, str::FromStr, sync::Arc};

use dealog_domain::{
    Command, Facts, Recorded, Rejection, Standing, State, customer, deal, decide, evolve, pipeline, reads,
    reads_history, settings, team, user,
};
use dealog_events::{
    Actor, Category, CommandId, CustomerId, DealId, Event, FieldValue, Money, Personal, PipelineId, Position,
    Probability, StreamId, TeamId, Timestamp, UserId,
    customer::Registered,
    deal::{AmountChanged, Created, Lost, Outcome, Place, Reopened, StageMoved, Transferred, Won},
    pipeline::{Defined, ForecastCategory, RequiredField, Stage, StageRetired, StageRevised},
    settings::{
        FieldDefinition, FieldKind, FieldOwner, FieldsDefined, LossReason, LossReasonsSet, ReportingCurrencySet,
    },
    user::{Deactivated, Invited, Role},
};
use uuid::Uuid;

pub(crate) use dealog_domain::{
    Common, deal::Rejection as DealRejection, pipeline::Rejection as PipelineRejection,
    settings::Rejection as SettingsRejection, user::Rejection as UserRejection,
};

/// The deal that commands for deals are for.
pub(crate) const DEAL: DealId = DealId(Uuid::from_u128(0xd1));
/// Another one.
pub(crate) const OTHER_DEAL: DealId = DealId(Uuid::from_u128(0xd2));
/// The pipeline that commands for pipelines are for, and that deals begin in. It allows skipping.
pub(crate) const SALES: PipelineId = PipelineId(Uuid::from_u128(0xb1));
/// A pipeline that forbids to skip stages.
pub(crate) const STRICT: PipelineId = PipelineId(Uuid::from_u128(0xb2));
/// The customer that commands for customers are for.
pub(crate) const ACME: CustomerId = CustomerId(Uuid::from_u128(0xc1));
/// The user that commands for users are for.
pub(crate) const ANNA: UserId = UserId(Uuid::from_u128(0xa1));
/// Another one.
pub(crate) const BORIS: UserId = UserId(Uuid::from_u128(0xa2));
/// The team that commands for teams are for.
pub(crate) const NORTH: TeamId = TeamId(Uuid::from_u128(0xe1));

/// The stages of both pipelines, in order.
pub(crate) const STAGES: [&str; 6] =
    ["first_contact", "qualified", "needs_found", "offer_made", "negotiation", "contract"];

/// Any value that has a text form.
pub(crate) fn val<T: FromStr<Err: Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

/// Any values that have a text form.
pub(crate) fn vals<T: FromStr<Err: Debug>>(texts: &[&str]) -> Vec<T> {
    texts.iter().map(|text| val(text)).collect()
}

pub(crate) fn eur(units: i64) -> Money {
    Money::from_minor(units * 100, val("EUR")).unwrap()
}

pub(crate) fn usd(units: i64) -> Money {
    Money::from_minor(units * 100, val("USD")).unwrap()
}

pub(crate) fn percent(percent: u16) -> Probability {
    Probability::from_basis_points(percent * 100).unwrap()
}

pub(crate) fn field_text(text: &str) -> FieldValue {
    FieldValue::Text(val(text))
}

/// What has happened before a command.
pub(crate) struct Given {
    own: Vec<Event>,
    /// How many of the last events came of one command.
    together: usize,
    /// Who asked for the last command.
    by: Actor,
    others: HashMap<StreamId, Vec<Event>>,
    standing: Standing,
}

/// What has happened to the stream that the command will be for.
pub(crate) fn given(events: impl IntoIterator<Item = Event>) -> Given {
    Given {
        own: events.into_iter().collect(),
        together: 1,
        by: Actor::Local,
        others: HashMap::new(),
        standing: Standing::FULL,
    }
}

impl Given {
    /// What has happened to another stream, after what was said of it already.
    pub(crate) fn and(mut self, stream: StreamId, events: impl IntoIterator<Item = Event>) -> Self {
        self.others.entry(stream).or_default().extend(events);
        self
    }

    /// A company at work: two pipelines, one currency, loss reasons and fields, a customer and two users.
    pub(crate) fn in_a_company(self) -> Self {
        self.and(StreamId::Pipeline(SALES), [defined()])
            .and(StreamId::Pipeline(STRICT), [Defined { skipping_allowed: false, ..sales() }.into()])
            .and(StreamId::Settings, [currency_set("EUR"), reasons_set(), fields_defined()])
            .and(StreamId::Customer(ACME), [registered()])
            .and(StreamId::User(ANNA), [invited(ANNA)])
            .and(StreamId::User(BORIS), [invited(BORIS)])
    }

    /// So many of the last events came of one command.
    pub(crate) fn together(self, together: usize) -> Self {
        Self { together, ..self }
    }

    /// This user asked for the last command.
    pub(crate) fn last_by(self, user: UserId) -> Self {
        Self { by: Actor::User(user), ..self }
    }

    /// The events of the command's own stream as the log has them: an event a day, each of a command of its own unless they came
    /// [`together`](Self::together).
    fn history(&self) -> Arc<[Recorded]> {
        let last = self.own.len().saturating_sub(self.together);
        let recorded = |(index, event): (usize, &Event)| Recorded {
            position: position(index),
            command: command(index.min(last)),
            actor: if index < last { Actor::Local } else { self.by },
            at: at(index),
            event: event.clone(),
        };
        self.own.iter().enumerate().map(recorded).collect()
    }

    /// The one who asks works no deals but this user's: a seller.
    pub(crate) fn by_seller(self, user: UserId) -> Self {
        self.of(Standing { own_deals_of: Some(user), ..Standing::FULL })
    }

    /// The one who asks stands here.
    pub(crate) fn of(self, standing: Standing) -> Self {
        Self { standing, ..self }
    }

    /// Decides `command`, with no more facts than the streams that [`reads`] names: a rule that looks at another one
    /// finds nothing there.
    pub(crate) fn when(mut self, command: impl Asked) -> Decided {
        let command = command.asked();
        let stream = stream_for(&command);
        let state = folded(stream, &self.own);
        let mut facts = Facts::new(stream, now()).of(self.standing).reaching_back(BACKDATE_DAYS);
        if reads_history(&state, self.standing, &command) {
            facts = facts.with_history(self.history());
        }
        self.others.insert(stream, self.own);
        for read in reads(&state, self.standing, &command) {
            let events = self.others.get(&read).map(Vec::as_slice).unwrap_or_default();
            facts = facts.with(read, Arc::new(folded(read, events)));
        }
        Decided { decision: decide(&state, &facts, &command) }
    }
}

/// What came of a command.
pub(crate) struct Decided {
    decision: Result<Vec<Event>, Rejection>,
}

impl Decided {
    /// It was not refused.
    pub(crate) fn is_accepted(&self) -> bool {
        self.decision.is_ok()
    }

    /// It led to exactly these events.
    #[track_caller]
    pub(crate) fn then(self, events: impl IntoIterator<Item = Event>) {
        assert_eq!(self.decision, Ok(events.into_iter().collect()));
    }

    /// All was already as it asked.
    #[track_caller]
    pub(crate) fn then_nothing(self) {
        self.then([]);
    }

    /// It was refused.
    #[track_caller]
    pub(crate) fn rejected(self, rejection: impl Into<Rejection>) {
        assert_eq!(self.decision, Err(rejection.into()));
    }
}

/// The state of `stream` after `events`.
pub(crate) fn folded(stream: StreamId, events: &[Event]) -> State {
    events.iter().fold(State::empty(stream.category()), evolve)
}

pub(crate) fn now() -> Timestamp {
    val("2026-03-02T09:30:00Z")
}

/// How far back those reach who have no permission to reach further.
pub(crate) const BACKDATE_DAYS: u32 = 7;

/// When the event of this index happened in the history of a stream: a day after the one before.
pub(crate) fn at(index: usize) -> Timestamp {
    let day = 24 * 60 * 60 * 1_000_000;
    val::<Timestamp>("2026-02-20T09:30:00Z").saturating_add_micros(i64::try_from(index).unwrap() * day)
}

/// Where it is in the log.
pub(crate) fn position(index: usize) -> Position {
    Position(100 + index as u64)
}

/// The command that it came of.
pub(crate) fn command(index: usize) -> CommandId {
    CommandId(Uuid::from_u128(0xc0 + index as u128))
}

fn stream_for(command: &Command) -> StreamId {
    match command {
        Command::Deal(_) => own_stream(Category::Deal),
        Command::Pipeline(_) => own_stream(Category::Pipeline),
        Command::Customer(_) => own_stream(Category::Customer),
        Command::User(_) => own_stream(Category::User),
        Command::Team(_) => own_stream(Category::Team),
        Command::Settings(_) => own_stream(Category::Settings),
    }
}

/// The stream of each category that commands are for.
pub(crate) fn own_stream(category: Category) -> StreamId {
    match category {
        Category::Deal => StreamId::Deal(DEAL),
        Category::Pipeline => StreamId::Pipeline(SALES),
        Category::Customer => StreamId::Customer(ACME),
        Category::User => StreamId::User(ANNA),
        Category::Team => StreamId::Team(NORTH),
        Category::Settings => StreamId::Settings,
    }
}

/// Whatever can be asked.
pub(crate) trait Asked {
    fn asked(self) -> Command;
}

macro_rules! asked {
    ($($type:ty => |$command:ident| $wrapped:expr),+ $(,)?) => {
        $(impl Asked for $type {
            fn asked(self) -> Command {
                let $command = self;
                $wrapped
            }
        })+
    };
}

asked!(
    Command => |command| command,
    deal::Command => |command| Command::Deal(command),
    deal::Create => |command| Command::Deal(deal::Command::Create(command)),
    deal::Move => |command| Command::Deal(deal::Command::Move(command)),
    deal::Win => |command| Command::Deal(deal::Command::Win(command)),
    deal::Lose => |command| Command::Deal(deal::Command::Lose(command)),
    deal::Reopen => |command| Command::Deal(deal::Command::Reopen(command)),
    deal::Transfer => |command| Command::Deal(deal::Command::Transfer(command)),
    deal::CorrectClosing => |command| Command::Deal(deal::Command::CorrectClosing(command)),
    deal::Undo => |command| Command::Deal(deal::Command::Undo(command)),
    deal::Change => |command| Command::Deal(deal::Command::Change(Box::new(command))),
    pipeline::Command => |command| Command::Pipeline(command),
    pipeline::Define => |command| Command::Pipeline(pipeline::Command::Define(command)),
    pipeline::AddStage => |command| Command::Pipeline(pipeline::Command::AddStage(command)),
    pipeline::Reorder => |command| Command::Pipeline(pipeline::Command::Reorder(command)),
    customer::Register => |command| Command::Customer(customer::Command::Register(command)),
    customer::Change => |command| Command::Customer(customer::Command::Change(command)),
    user::Command => |command| Command::User(command),
    user::Invite => |command| Command::User(user::Command::Invite(command)),
    user::Change => |command| Command::User(user::Command::Change(command)),
    team::Change => |command| Command::Team(team::Command::Change(command)),
    pipeline::Change => |command| Command::Pipeline(pipeline::Command::Change(command)),
    team::Command => |command| Command::Team(command),
    team::Form => |command| Command::Team(team::Command::Form(command)),
    settings::Change => |command| Command::Settings(settings::Command::Change(command)),
);

// What happened to a deal.

pub(crate) fn bare() -> Created {
    Created {
        title: val("200 licences"),
        pipeline: SALES,
        stage: val("first_contact"),
        customer: None,
        owner: None,
        amount: None,
        expected_close: None,
        source: None,
        campaign: None,
        fields: [].into(),
    }
}

pub(crate) fn created() -> Event {
    bare().into()
}

pub(crate) fn created_at(amount: Money) -> Event {
    Created { amount: Some(amount), ..bare() }.into()
}

pub(crate) fn created_in(pipeline: PipelineId, stage: &str) -> Event {
    Created { pipeline, stage: val(stage), ..bare() }.into()
}

pub(crate) fn moved(from: &str, to: &str) -> Event {
    StageMoved { pipeline: SALES, from: val(from), to: val(to), reason: None }.into()
}

pub(crate) fn amount_changed(from: Option<Money>, to: Option<Money>) -> Event {
    AmountChanged { from, to }.into()
}

pub(crate) fn won(stage: &str, amount: Money) -> Event {
    Won { pipeline: SALES, stage: val(stage), amount, closed_at: now(), contract: None }.into()
}

pub(crate) fn loss(stage: &str, reason: &str, counted: bool) -> Lost {
    Lost {
        pipeline: SALES,
        stage: val(stage),
        reason: val(reason),
        counted,
        closed_at: now(),
        competitor: None,
        duplicate_of: None,
        note: None,
    }
}

pub(crate) fn lost(stage: &str) -> Event {
    loss(stage, "price", true).into()
}

pub(crate) fn reopened(stage: &str, was: Outcome) -> Event {
    Reopened { pipeline: SALES, stage: val(stage), was, reason: val("The budget came back") }.into()
}

pub(crate) fn transferred(from: (PipelineId, &str), to: (PipelineId, &str)) -> Event {
    let place = |(pipeline, stage): (PipelineId, &str)| Place { pipeline, stage: val(stage) };
    Transferred { from: place(from), to: place(to) }.into()
}

// What can be asked of a deal.

pub(crate) fn create() -> deal::Create {
    deal::Create {
        title: val("200 licences"),
        pipeline: SALES,
        stage: None,
        customer: None,
        owner: None,
        amount: None,
        expected_close: None,
        source: None,
        campaign: None,
        fields: [].into(),
    }
}

pub(crate) fn move_to(stage: &str) -> deal::Move {
    deal::Move { stage: val(stage), reason: None }
}

pub(crate) fn win() -> deal::Win {
    deal::Win::default()
}

pub(crate) fn win_at(amount: Money) -> deal::Win {
    deal::Win { amount: Some(amount), ..win() }
}

pub(crate) fn lose_for(reason: &str) -> deal::Lose {
    deal::Lose { reason: val(reason), closed_at: None, competitor: None, duplicate_of: None, note: None }
}

pub(crate) fn reopen() -> deal::Reopen {
    deal::Reopen { stage: None, reason: val("The budget came back") }
}

pub(crate) fn reopen_into(stage: &str) -> deal::Reopen {
    deal::Reopen { stage: Some(val(stage)), ..reopen() }
}

pub(crate) fn transfer_to(pipeline: PipelineId) -> deal::Transfer {
    deal::Transfer { pipeline, stage: None }
}

// What happened to the company.

pub(crate) fn stage(slug: &str) -> Stage {
    Stage {
        slug: val(slug),
        name: val(slug),
        probability: percent(50),
        stale_after_days: None,
        required_fields: Vec::new(),
        forecast_category: ForecastCategory::Pipeline,
    }
}

pub(crate) fn sales() -> Defined {
    Defined { name: val("Sales"), stages: STAGES.map(stage).into(), skipping_allowed: true }
}

pub(crate) fn defined() -> Event {
    sales().into()
}

/// A stage that asked for nothing asks for these.
pub(crate) fn requires(slug: &str, required: &[&str]) -> Event {
    let required_fields: Vec<RequiredField> = vals(required);
    StageRevised { from: stage(slug), to: Stage { required_fields, ..stage(slug) } }.into()
}

pub(crate) fn retired(stage: &str) -> Event {
    StageRetired { stage: val(stage) }.into()
}

pub(crate) fn currency_set(code: &str) -> Event {
    ReportingCurrencySet { from: None, to: val(code) }.into()
}

pub(crate) fn reason(slug: &str, counted: bool) -> LossReason {
    LossReason { slug: val(slug), name: val(slug), counted }
}

pub(crate) fn reasons() -> Vec<LossReason> {
    vec![reason("price", true), reason("error", false), reason("duplicate", false)]
}

pub(crate) fn reasons_set() -> Event {
    LossReasonsSet { from: Vec::new(), to: reasons() }.into()
}

pub(crate) fn field(of: FieldOwner, slug: &str, kind: FieldKind) -> FieldDefinition {
    let options = if kind == FieldKind::Choice { vals(&["small", "large"]) } else { Vec::new() };
    FieldDefinition { slug: val(slug), of, name: val(slug), kind, options }
}

/// One deal field of each kind, and one of customers.
pub(crate) fn fields() -> Vec<FieldDefinition> {
    vec![
        field(FieldOwner::Deal, "remark", FieldKind::Text),
        field(FieldOwner::Deal, "licences", FieldKind::Integer),
        field(FieldOwner::Deal, "discount", FieldKind::Decimal),
        field(FieldOwner::Deal, "approved", FieldKind::Boolean),
        field(FieldOwner::Deal, "trial_ends", FieldKind::Date),
        field(FieldOwner::Deal, "size", FieldKind::Choice),
        field(FieldOwner::Customer, "region", FieldKind::Text),
    ]
}

pub(crate) fn fields_defined() -> Event {
    FieldsDefined { from: Vec::new(), to: fields() }.into()
}

pub(crate) fn registered() -> Event {
    Registered::Organisation { name: val("Acme"), sector: None, fields: [].into() }.into()
}

pub(crate) fn invited(user: UserId) -> Event {
    let name = Personal::new(StreamId::User(user), val("Anna"));
    Invited { name, email: None, roles: Role::Seller.into() }.into()
}

pub(crate) fn deactivated() -> Event {
    Deactivated {}.into()
}
