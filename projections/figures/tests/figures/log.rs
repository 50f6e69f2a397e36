//! A log that tests write event by event, and the image folded from it.

use std::{collections::HashMap, fmt::Debug, str::FromStr};

use dealog_events::{
    Actor, Cause, CommandId, CustomerId, DealId, Envelope, Event, FieldValue, Money, PipelineId, Position, Probability,
    Slug, StreamId, TeamId, Timestamp, UserId, Version, When,
    deal::{self, DealEvent},
    pipeline::{ForecastCategory, PipelineEvent, Stage},
    settings::{
        FieldDefinition, FieldKind, FieldOwner, FieldsDefined, ReportingCurrencySet, SettingsEvent, TimeZoneSet,
    },
    team::{MemberAdded, MemberRemoved, TeamEvent},
};
use dealog_figures::{Filter, Grouping, Image, Question, Range};
use uuid::Uuid;

pub(crate) const SALES: PipelineId = PipelineId(Uuid::from_u128(0x11));
pub(crate) const RENEWALS: PipelineId = PipelineId(Uuid::from_u128(0x12));
pub(crate) const ANNA: UserId = UserId(Uuid::from_u128(0x21));
pub(crate) const BORIS: UserId = UserId(Uuid::from_u128(0x22));
pub(crate) const NORTH: TeamId = TeamId(Uuid::from_u128(0x31));
pub(crate) const SOUTH: TeamId = TeamId(Uuid::from_u128(0x32));
pub(crate) const ACME: CustomerId = CustomerId(Uuid::from_u128(0x41));
pub(crate) const STAGES: [&str; 3] = ["met", "offer", "talks"];
pub(crate) const DAY: i64 = 24 * 3_600 * 1_000_000;

pub(crate) fn val<T: FromStr<Err: Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

/// The first instant of a day of March 2026 (or of later months), UTC.
pub(crate) fn day(day: i64) -> i64 {
    val::<Timestamp>("2026-03-01T00:00:00Z").micros() + (day - 1) * DAY
}

pub(crate) fn eur(euros: i64) -> Money {
    Money::from_minor(euros * 100, val("EUR")).unwrap()
}

pub(crate) fn deal_id(number: u128) -> DealId {
    DealId(Uuid::from_u128(0x1000 + number))
}

/// A log, and the image of it.
#[derive(Default)]
pub(crate) struct Log {
    pub(crate) image: Image,
    pub(crate) now: i64,
    /// All that was appended, with when it happened.
    pub(crate) events: Vec<(i64, StreamId, Event)>,
    /// Where the events of each stream are.
    pub(crate) positions: HashMap<StreamId, Vec<Position>>,
}

impl Log {
    /// A company with two pipelines of three stages, of 10, 50 and 80 %, that are stale after ten days.
    pub(crate) fn new() -> Self {
        let mut log = Self { now: day(1), ..Self::default() };
        log.settings(SettingsEvent::ReportingCurrencySet(ReportingCurrencySet { from: None, to: val("EUR") }));
        log.settings(SettingsEvent::TimeZoneSet(TimeZoneSet { from: None, to: val("Europe/Riga") }));
        for (id, name) in [(SALES, "Sales"), (RENEWALS, "Renewals")] {
            let stages = STAGES.iter().zip([1_000, 5_000, 8_000]).map(|(slug, chance)| stage(slug, chance)).collect();
            let defined = dealog_events::pipeline::Defined { name: val(name), stages, skipping_allowed: true };
            log.append(StreamId::Pipeline(id), PipelineEvent::Defined(defined));
        }
        log
    }

    pub(crate) fn append(&mut self, stream: StreamId, event: impl Into<Event>) {
        let (event, at) = (event.into(), Timestamp::from_micros(self.now).unwrap());
        let (event_type, schema) = event.event_type();
        let envelope = Envelope {
            position: self.image.position().next(),
            event_id: Uuid::nil(),
            stream,
            version: Version(1),
            event_type: event_type.into(),
            schema,
            occurred_at: at,
            recorded_at: at,
            command_id: CommandId(Uuid::nil()),
            cause: Cause::new(Actor::Local, CommandId(Uuid::nil())),
            data: "{}".to_owned().try_into().unwrap(),
        };
        let positions = self.positions.entry(stream).or_default();
        let mut applied = event.clone();
        if let Event::Deal(DealEvent::Undone(undone)) = &mut applied {
            undone.events = positions[positions.len() - undone.events.len()..].to_vec();
        }
        positions.push(envelope.position);
        self.image.apply(&envelope, &applied).unwrap();
        self.events.push((self.now, stream, event));
    }

    /// A log of these events.
    pub(crate) fn of<'e>(events: impl IntoIterator<Item = &'e (i64, StreamId, Event)>) -> Self {
        let mut log = Self::default();
        for (at, stream, event) in events {
            log.on(*at).append(*stream, event.clone());
        }
        log
    }

    pub(crate) fn on(&mut self, at: i64) -> &mut Self {
        self.now = at;
        self
    }

    pub(crate) fn settings(&mut self, event: SettingsEvent) {
        self.append(StreamId::Settings, event);
    }

    /// A field of deals of each kind that figures know.
    pub(crate) fn fields(&mut self) {
        let kinds = [
            ("seats", FieldKind::Integer),
            ("margin", FieldKind::Decimal),
            ("renewal", FieldKind::Date),
            ("partner", FieldKind::Boolean),
            ("region", FieldKind::Choice),
            ("remark", FieldKind::Text),
        ];
        let options = || ["east", "west"].map(val).to_vec();
        let to = kinds.map(|(slug, kind)| FieldDefinition {
            slug: val(slug),
            of: FieldOwner::Deal,
            name: val(slug),
            kind,
            options: if kind == FieldKind::Choice { options() } else { Vec::new() },
        });
        self.settings(SettingsEvent::FieldsDefined(FieldsDefined { from: Vec::new(), to: to.to_vec() }));
    }

    pub(crate) fn join(&mut self, team: TeamId, user: UserId) {
        self.append(StreamId::Team(team), TeamEvent::MemberAdded(MemberAdded { user }));
    }

    pub(crate) fn leave(&mut self, team: TeamId, user: UserId) {
        self.append(StreamId::Team(team), TeamEvent::MemberRemoved(MemberRemoved { user }));
    }

    pub(crate) fn deal(&mut self, number: u128) -> DealLog<'_> {
        DealLog { log: self, stream: StreamId::Deal(deal_id(number)) }
    }
}

/// The stream of one deal.
pub(crate) struct DealLog<'l> {
    log: &'l mut Log,
    stream: StreamId,
}

impl DealLog<'_> {
    pub(crate) fn happens(self, event: DealEvent) -> Self {
        self.log.append(self.stream, event);
        self
    }

    pub(crate) fn created(self, change: impl FnOnce(&mut deal::Created)) -> Self {
        let mut created = deal::Created {
            title: val("A deal"),
            pipeline: SALES,
            stage: val(STAGES[0]),
            customer: None,
            owner: None,
            amount: None,
            expected_close: None,
            source: None,
            campaign: None,
            fields: dealog_events::Fields::new(),
        };
        change(&mut created);
        self.happens(DealEvent::Created(created))
    }

    pub(crate) fn moved(self, pipeline: PipelineId, from: &str, to: &str) -> Self {
        self.happens(DealEvent::StageMoved(deal::StageMoved { pipeline, from: val(from), to: val(to), reason: None }))
    }

    pub(crate) fn transferred(self, from: (PipelineId, &str), to: (PipelineId, &str)) -> Self {
        let place = |(pipeline, stage): (PipelineId, &str)| deal::Place { pipeline, stage: val(stage) };
        self.happens(DealEvent::Transferred(deal::Transferred { from: place(from), to: place(to) }))
    }

    pub(crate) fn won(self, pipeline: PipelineId, stage: &str, amount: Money) -> Self {
        let closed_at = Timestamp::from_micros(self.log.now).unwrap();
        self.won_at(pipeline, stage, amount, closed_at)
    }

    pub(crate) fn won_at(self, pipeline: PipelineId, stage: &str, amount: Money, closed_at: Timestamp) -> Self {
        self.happens(DealEvent::Won(deal::Won { pipeline, stage: val(stage), amount, closed_at, contract: None }))
    }

    pub(crate) fn lost(self, pipeline: PipelineId, stage: &str, reason: &str) -> Self {
        let closed_at = Timestamp::from_micros(self.log.now).unwrap();
        self.happens(DealEvent::Lost(deal::Lost {
            closed_at,
            pipeline,
            stage: val(stage),
            reason: val(reason),
            counted: reason != "error",
            competitor: None,
            duplicate_of: None,
            note: None,
        }))
    }

    pub(crate) fn reopened(self, pipeline: PipelineId, stage: &str, was: deal::Outcome) -> Self {
        let reason = val("They called");
        self.happens(DealEvent::Reopened(deal::Reopened { pipeline, stage: val(stage), was, reason }))
    }

    pub(crate) fn corrected(self, change: impl FnOnce(&mut deal::ClosingPart)) -> Self {
        let mut to = deal::ClosingPart::default();
        change(&mut to);
        // What it was before is nothing that a figure looks at.
        self.happens(DealEvent::ClosingCorrected(deal::ClosingCorrected { from: deal::ClosingPart::default(), to }))
    }

    /// Undoes the last events of the deal, so many. Where these are in the log is found out when it is appended.
    pub(crate) fn undone(self, events: usize) -> Self {
        let command = CommandId(Uuid::nil());
        let (events, restores) = (vec![Position::ZERO; events], Vec::new());
        self.happens(DealEvent::Undone(deal::Undone { command, events, restores, reason: None }))
    }

    pub(crate) fn owner(self, to: UserId) -> Self {
        self.happens(DealEvent::OwnerAssigned(deal::OwnerAssigned { from: None, to: Some(to) }))
    }

    pub(crate) fn amount(self, to: Option<Money>) -> Self {
        self.happens(DealEvent::AmountChanged(deal::AmountChanged { from: None, to }))
    }

    pub(crate) fn field(self, field: &str, to: FieldValue) -> Self {
        self.happens(DealEvent::FieldSet(deal::FieldSet { field: val(field), from: None, to: Some(to) }))
    }
}

pub(crate) fn stage(slug: &str, basis_points: u16) -> Stage {
    Stage {
        slug: val(slug),
        name: val(slug),
        probability: Probability::from_basis_points(basis_points).unwrap(),
        stale_after_days: Some(10),
        required_fields: Vec::new(),
        forecast_category: ForecastCategory::Pipeline,
    }
}

/// A question as of an instant.
pub(crate) fn as_of(at: i64) -> Question {
    Question {
        now: Timestamp::from_micros(at).unwrap(),
        as_of: Some(When::Instant(Timestamp::from_micros(at).unwrap())),
        known_at: None,
        filter: Filter::default(),
        grouping: Grouping { by: Vec::new(), groups_max: 100 },
    }
}

pub(crate) fn known(position: u64, question: Question) -> Question {
    Question { known_at: Some(Position(position)), ..question }
}

pub(crate) fn between(from: i64, to: i64) -> Range {
    let instant = |at| Some(When::Instant(Timestamp::from_micros(at).unwrap()));
    Range { from: instant(from), to: instant(to) }
}

pub(crate) fn slug(text: &str) -> Slug {
    val(text)
}
