//! The answers computed plainly: each stream up to where the question stops, and a fold of that. No SQL and no code of the models,
//! only the shapes of their answers.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use dealog_events::{
    CustomerId, DealId, Envelope, Event, FieldValue, Fields, PipelineId, Position, Probability, Slug, StreamId, TeamId,
    TimeZone, Timestamp, UserId, Version,
    customer::{CustomerEvent, Registered},
    deal::DealEvent,
    pipeline::{PipelineEvent, Stage},
    settings::SettingsEvent,
    team::TeamEvent,
    user::UserEvent,
};
use dealog_figures::{BoardCard, DAY_MICROS, Days, Moment, Seen};
use dealog_projections::models::{
    Seeing,
    company::{Pipeline, PipelineStage, Settings, Team, User},
    customers::Customer,
    deals::{CardDeal, Deal, DealQuery, DealStatus, Filter},
};

use crate::board::{Board, Column};

/// A log that has been read.
pub(crate) struct Log(Vec<(Envelope, Event)>);

impl Log {
    pub(crate) fn read(events: &[Envelope]) -> Self {
        Self(events.iter().map(|envelope| (envelope.clone(), envelope.event().unwrap())).collect())
    }

    /// The position that an answer speaks of.
    pub(crate) fn position(&self, seeing: &Seeing) -> Position {
        seeing.known.map_or(self.head(), |known| known.min(self.head()))
    }

    pub(crate) fn head(&self) -> Position {
        self.0.last().map_or(Position::ZERO, |(last, _)| last.position)
    }

    /// All streams of a kind, in the order in which they began.
    fn streams<T>(&self, id: impl Fn(StreamId) -> Option<T>) -> Vec<T> {
        self.0
            .iter()
            .filter(|(event, _)| event.version == Version(1))
            .filter_map(|(event, _)| id(event.stream))
            .collect()
    }

    fn stream(&self, stream: StreamId) -> impl Iterator<Item = &(Envelope, Event)> {
        self.0.iter().filter(move |(event, _)| event.stream == stream)
    }

    /// The beginning of a stream that is seen.
    fn beginning(&self, stream: StreamId, seeing: &Seeing) -> Vec<&(Envelope, Event)> {
        self.stream(stream).take_while(|(event, _)| is_seen(event, seeing)).collect()
    }

    /// The same of a definition: before it, its first event counts as soon as that is known.
    fn definition(&self, stream: StreamId, seeing: &Seeing) -> Vec<&(Envelope, Event)> {
        let beginning = self.beginning(stream, seeing);
        if beginning.is_empty() { self.known(stream, seeing).into_iter().take(1).collect() } else { beginning }
    }

    fn known(&self, stream: StreamId, seeing: &Seeing) -> Vec<&(Envelope, Event)> {
        self.stream(stream).filter(|(event, _)| is_known(event, seeing)).collect()
    }

    pub(crate) fn customers(&self, seeing: &Seeing) -> Vec<Customer> {
        let ids = self.streams(|stream| if let StreamId::Customer(id) = stream { Some(id) } else { None });
        ids.into_iter().rev().filter_map(|id| self.customer(id, seeing)).collect()
    }

    pub(crate) fn customer(&self, id: CustomerId, seeing: &Seeing) -> Option<Customer> {
        let mut customer = None;
        for (envelope, event) in self.definition(StreamId::Customer(id), seeing) {
            let Event::Customer(event) = event else { panic!("{event:?}") };
            match event {
                CustomerEvent::Registered(Registered::Organisation { name, sector, fields }) => {
                    customer = Some(Customer {
                        id,
                        version: Version(1),
                        kind: "organisation".into(),
                        name: name.to_string(),
                        sector: sector.as_ref().map(ToString::to_string),
                        fields: fields.clone(),
                    });
                }
                CustomerEvent::Renamed(event) => customer.as_mut().unwrap().name = event.to.to_string(),
                CustomerEvent::FieldSet(event) => {
                    set(&mut customer.as_mut().unwrap().fields, &event.field, event.to.as_ref());
                }
            }
            customer.as_mut().unwrap().version = envelope.version;
        }
        customer
    }

    pub(crate) fn users(&self, seeing: &Seeing) -> Vec<User> {
        let ids = self.streams(|stream| if let StreamId::User(id) = stream { Some(id) } else { None });
        ids.into_iter().rev().filter_map(|id| self.user(id, seeing)).collect()
    }

    pub(crate) fn user(&self, id: UserId, seeing: &Seeing) -> Option<User> {
        let mut user = None;
        for (envelope, event) in self.definition(StreamId::User(id), seeing) {
            let Event::User(event) = event else { panic!("{event:?}") };
            match event {
                UserEvent::Invited(event) => {
                    user = Some(User {
                        id,
                        version: Version(1),
                        name: event.name.shown(),
                        email: event.email.as_ref().and_then(|email| Some(email.open().ok()?.to_string())),
                        roles: event.roles.clone(),
                        active: true,
                    });
                }
                UserEvent::Renamed(event) => user.as_mut().unwrap().name = event.to.shown(),
                UserEvent::RolesChanged(event) => user.as_mut().unwrap().roles = event.to.clone(),
                UserEvent::Deactivated(_) => user.as_mut().unwrap().active = false,
                UserEvent::Reactivated(_) => user.as_mut().unwrap().active = true,
            }
            user.as_mut().unwrap().version = envelope.version;
        }
        user
    }

    pub(crate) fn teams(&self, seeing: &Seeing) -> Vec<Team> {
        let ids = self.streams(|stream| if let StreamId::Team(id) = stream { Some(id) } else { None });
        ids.into_iter().rev().filter_map(|id| self.team(id, seeing)).collect()
    }

    pub(crate) fn team(&self, id: TeamId, seeing: &Seeing) -> Option<Team> {
        let mut team: Option<Team> = None;
        for (envelope, event) in self.definition(StreamId::Team(id), seeing) {
            let Event::Team(event) = event else { panic!("{event:?}") };
            match event {
                TeamEvent::Formed(event) => {
                    let name = event.name.to_string();
                    team = Some(Team { id, version: Version(1), name, members: Vec::new() });
                }
                TeamEvent::Renamed(event) => team.as_mut().unwrap().name = event.to.to_string(),
                TeamEvent::MemberAdded(event) => team.as_mut().unwrap().members.push(event.user),
                TeamEvent::MemberRemoved(event) => {
                    team.as_mut().unwrap().members.retain(|member| *member != event.user);
                }
            }
            team.as_mut().unwrap().version = envelope.version;
        }
        team
    }

    /// Each setting as it was made last by then; before that, as it is made first.
    pub(crate) fn settings(&self, seeing: &Seeing) -> Settings {
        let mut settings = Settings {
            version: Version::ZERO,
            reporting_currency: None,
            time_zone: TimeZone::UTC,
            loss_reasons: Vec::new(),
            fields: Vec::new(),
        };
        let mut made = BTreeSet::new();
        for (envelope, event) in self.known(StreamId::Settings, seeing) {
            let seen = is_seen(envelope, seeing);
            let Event::Settings(event) = event else { panic!("{event:?}") };
            if seen || made.is_empty() {
                settings.version = envelope.version;
            }
            if made.insert(envelope.event_type.clone()) || seen {
                match event {
                    SettingsEvent::ReportingCurrencySet(event) => settings.reporting_currency = Some(event.to),
                    SettingsEvent::TimeZoneSet(event) => settings.time_zone = event.to,
                    SettingsEvent::LossReasonsSet(event) => settings.loss_reasons.clone_from(&event.to),
                    SettingsEvent::FieldsDefined(event) => settings.fields.clone_from(&event.to),
                }
            }
        }
        settings
    }

    pub(crate) fn pipelines(&self, seeing: &Seeing) -> Vec<Pipeline> {
        let ids = self.streams(|stream| if let StreamId::Pipeline(id) = stream { Some(id) } else { None });
        ids.into_iter().filter_map(|id| self.pipeline(id, seeing)).collect()
    }

    pub(crate) fn pipeline(&self, id: PipelineId, seeing: &Seeing) -> Option<Pipeline> {
        pipeline(id, &self.definition(StreamId::Pipeline(id), seeing))
    }

    /// All deals that are seen, the newest first.
    pub(crate) fn deals(&self, seeing: &Seeing) -> Vec<Deal> {
        self.deal_ids().into_iter().rev().filter_map(|id| self.deal(id, seeing)).collect()
    }

    pub(crate) fn deal_ids(&self) -> Vec<DealId> {
        self.streams(|stream| if let StreamId::Deal(id) = stream { Some(id) } else { None })
    }

    pub(crate) fn deal(&self, id: DealId, seeing: &Seeing) -> Option<Deal> {
        deal(id, self.beginning(StreamId::Deal(id), seeing))
    }

    pub(crate) fn deal_at_version(&self, id: DealId, version: Version) -> Option<Deal> {
        let events: Vec<_> = self.stream(StreamId::Deal(id)).filter(|(event, _)| event.version <= version).collect();
        deal(id, events).filter(|deal| deal.version == version)
    }

    pub(crate) fn last_version(&self, id: DealId) -> Version {
        self.stream(StreamId::Deal(id)).last().map_or(Version::ZERO, |(event, _)| event.version)
    }

    /// The deals that a query lists, of all pages together.
    pub(crate) fn listed(&self, query: &DealQuery, seeing: &Seeing) -> Vec<Deal> {
        let mut deals = self.deals(seeing);
        deals.retain(|deal| self.passes(deal, &query.filter, seeing));
        deals.retain(|deal| query.status.is_none_or(|status| deal.status == status));
        deals.retain(|deal| query.stage.as_ref().is_none_or(|stage| deal.stage == *stage));
        deals
    }

    fn passes(&self, deal: &Deal, filter: &Filter, seeing: &Seeing) -> bool {
        let in_team = |team: TeamId| {
            let members = self.team(team, seeing).map_or(Vec::new(), |team| team.members);
            deal.owner.is_some_and(|owner| members.contains(&owner))
        };
        let worth = |enough: &dyn Fn(i64) -> bool| deal.amount.is_some_and(|amount| enough(amount.minor()));
        let source = filter.source.as_ref().map(ToString::to_string);
        filter.pipeline.is_none_or(|id| deal.pipeline == id)
            && (filter.owner.is_none() || deal.owner == filter.owner)
            && (filter.customer.is_none() || deal.customer == filter.customer)
            && (filter.campaign.is_none() || deal.campaign == filter.campaign)
            && (source.is_none() || deal.source == source)
            && filter.team.is_none_or(in_team)
            && filter.created_from.is_none_or(|from| deal.created_at >= from)
            && filter.created_to.is_none_or(|to| deal.created_at < to)
            && filter.amount_from.is_none_or(|from| worth(&|minor| minor >= from))
            && filter.amount_to.is_none_or(|to| worth(&|minor| minor <= to))
    }

    /// The whole board of a pipeline, or of the oldest; none where there is no pipeline for it.
    pub(crate) fn board(&self, of: Option<PipelineId>, seeing: &Seeing, moment: &Moment) -> Option<Board> {
        let mut pipelines = self.pipelines(seeing).into_iter();
        let mut pipeline = pipelines.find(|found| of.is_none_or(|id| found.id == id))?;
        self.add_later_stages(&mut pipeline, seeing);
        let mut deals = self.deals(seeing);
        deals.retain(|deal| deal.pipeline == pipeline.id && deal.status == DealStatus::Open);
        deals.sort_by_key(|deal| (deal.entered_at, deal.created_at, deal.id));
        let column = |stage: &PipelineStage| {
            let here = deals.iter().filter(|deal| deal.stage == stage.stage.slug);
            let cards: Vec<_> = here.map(|deal| self.card(deal, &stage.stage, seeing, moment)).collect();
            Column {
                stage: stage.stage.slug.clone(),
                name: stage.stage.name.to_string(),
                deals: i64::try_from(cards.len()).unwrap(),
                cards,
                next: None,
            }
        };
        let columns = pipeline.stages.iter().map(column).collect();
        let seen = Seen { position: self.position(seeing), as_of: moment.at };
        Some(Board { seen, pipeline: pipeline.id, name: pipeline.name, columns })
    }

    /// A stage that a deal was in before it was added stands where the definition that added it put it.
    fn add_later_stages(&self, shown: &mut Pipeline, seeing: &Seeing) {
        let mut entered = BTreeSet::new();
        for id in self.deal_ids() {
            let events = self.beginning(StreamId::Deal(id), seeing);
            for length in 1..=events.len() {
                let deal = deal(id, events[..length].iter().copied()).unwrap();
                if deal.status == DealStatus::Open {
                    entered.insert((deal.pipeline, deal.stage));
                }
            }
        }
        let seen = self.definition(StreamId::Pipeline(shown.id), seeing).len();
        let known = self.known(StreamId::Pipeline(shown.id), seeing);
        for length in seen + 1..=known.len() {
            let later = pipeline(shown.id, &known[..length]).unwrap();
            let mut place = 0;
            for stage in later.stages {
                let found = shown.stages.iter().position(|known| known.stage.slug == stage.stage.slug);
                if let Some(found) = found {
                    place = found + 1;
                } else if entered.contains(&(shown.id, stage.stage.slug.clone())) {
                    shown.stages.insert(place, stage);
                    place += 1;
                }
            }
        }
    }

    fn card(&self, deal: &Deal, stage: &Stage, seeing: &Seeing, moment: &Moment) -> (BoardCard, CardDeal) {
        let age = moment.at.micros() - deal.entered_at.micros();
        let hundredths = (age * 200 + DAY_MICROS).div_euclid(2 * DAY_MICROS);
        let place = BoardCard {
            deal: deal.id,
            entered_at: deal.entered_at,
            age_days: Some(Days { hundredths }),
            stale: stage.stale_after_days.is_some_and(|days| age > i64::from(days) * DAY_MICROS),
            overdue: deal.expected_close.is_some_and(|day| day < moment.today),
        };
        let written = CardDeal {
            deal: deal.clone(),
            customer_name: deal.customer.and_then(|id| self.customer(id, seeing)).map(|customer| customer.name),
            owner_name: deal.owner.and_then(|id| self.user(id, seeing)).map(|user| user.name),
        };
        (place, written)
    }

    /// Whether a deal stood in a stage that its pipeline had only later, or not yet.
    pub(crate) fn shows_a_later_stage(&self, board: &Board, seeing: &Seeing) -> bool {
        let pipeline = self.pipeline(board.pipeline, seeing).unwrap();
        board.columns.len() > pipeline.stages.len()
    }
}

fn is_known(event: &Envelope, seeing: &Seeing) -> bool {
    seeing.known.is_none_or(|known| event.position <= known)
}

fn is_seen(event: &Envelope, seeing: &Seeing) -> bool {
    is_known(event, seeing) && seeing.as_of.is_none_or(|at| event.occurred_at <= at)
}

fn set(fields: &mut Fields, field: &Slug, to: Option<&FieldValue>) {
    fields.remove(field);
    fields.extend(to.map(|value| (field.clone(), value.clone())));
}

fn pipeline(id: PipelineId, events: &[&(Envelope, Event)]) -> Option<Pipeline> {
    let mut pipeline: Option<Pipeline> = None;
    for (envelope, event) in events {
        let Event::Pipeline(event) = event else { panic!("{event:?}") };
        let new = |stage: &Stage| PipelineStage { stage: stage.clone(), retired: false };
        if let PipelineEvent::Defined(event) = event {
            pipeline = Some(Pipeline {
                id,
                version: Version(1),
                name: event.name.to_string(),
                skipping_allowed: event.skipping_allowed,
                archived: false,
                stages: event.stages.iter().map(new).collect(),
            });
            continue;
        }
        let pipeline = pipeline.as_mut().unwrap();
        pipeline.version = envelope.version;
        let stages = &mut pipeline.stages;
        let place = |stages: &[PipelineStage], slug: &Slug| stages.iter().position(|known| known.stage.slug == *slug);
        match event {
            PipelineEvent::Defined(_) => unreachable!(),
            PipelineEvent::Renamed(event) => pipeline.name = event.to.to_string(),
            PipelineEvent::Archived(_) => pipeline.archived = true,
            PipelineEvent::Unarchived(_) => pipeline.archived = false,
            PipelineEvent::StageReinstated(event) => {
                let at = place(stages, &event.stage).unwrap();
                stages[at].retired = false;
            }
            PipelineEvent::StageAdded(event) => {
                let at = event.after.as_ref().map_or(0, |after| place(stages, after).unwrap() + 1);
                stages.insert(at, new(&event.stage));
            }
            PipelineEvent::StageRevised(event) => {
                let at = place(stages, &event.to.slug).unwrap();
                stages[at].stage = event.to.clone();
            }
            PipelineEvent::StageRetired(event) => {
                let at = place(stages, &event.stage).unwrap();
                stages[at].retired = true;
            }
            PipelineEvent::StagesReordered(event) => {
                *stages = event.to.iter().map(|slug| stages[place(stages, slug).unwrap()].clone()).collect();
            }
        }
    }
    pipeline
}

fn deal<'e>(id: DealId, events: impl IntoIterator<Item = &'e (Envelope, Event)>) -> Option<Deal> {
    let mut deal = None;
    // As it was before each event: an undo takes it back there.
    let mut before: HashMap<Position, Deal> = HashMap::new();
    for (envelope, event) in events {
        let Event::Deal(event) = event else { panic!("{event:?}") };
        if let Some(deal) = &deal {
            before.insert(envelope.position, Deal::clone(deal));
        }
        let at = envelope.occurred_at;
        if let DealEvent::Created(event) = event {
            deal = Some(Deal {
                id,
                version: Version(1),
                position: envelope.position,
                title: event.title.to_string(),
                pipeline: event.pipeline,
                stage: event.stage.clone(),
                status: DealStatus::Open,
                customer: event.customer,
                owner: event.owner,
                amount: event.amount,
                expected_close: event.expected_close,
                probability: None,
                forecast_category: None,
                source: event.source.as_ref().map(ToString::to_string),
                campaign: event.campaign,
                fields: event.fields.clone(),
                contract: None,
                loss_reason: None,
                loss_counted: None,
                competitor: None,
                duplicate_of: None,
                created_at: at,
                updated_at: at,
                entered_at: at,
                closed_at: None,
                credited_to: None,
            });
        } else {
            let deal = deal.as_mut().unwrap();
            match event {
                DealEvent::Undone(event) => deal.clone_from(&before[&event.events[0]]),
                event => happen(deal, at, event),
            }
            (deal.version, deal.position, deal.updated_at) = (envelope.version, envelope.position, at);
        }
    }
    deal
}

fn happen(deal: &mut Deal, at: Timestamp, event: &DealEvent) {
    match event {
        DealEvent::Created(_) => panic!("created twice"),
        DealEvent::StageMoved(event) => (deal.stage, deal.entered_at) = (event.to.clone(), at),
        DealEvent::Transferred(event) => {
            (deal.pipeline, deal.stage, deal.entered_at) = (event.to.pipeline, event.to.stage.clone(), at);
        }
        DealEvent::Won(event) => {
            (deal.status, deal.closed_at) = (DealStatus::Won, Some(event.closed_at));
            deal.credited_to = deal.owner;
            deal.contract = event.contract.as_ref().map(ToString::to_string);
        }
        DealEvent::Lost(event) => {
            (deal.status, deal.closed_at) = (DealStatus::Lost, Some(event.closed_at));
            deal.credited_to = deal.owner;
            (deal.loss_reason, deal.loss_counted) = (Some(event.reason.clone()), Some(event.counted));
            deal.competitor = event.competitor.as_ref().map(ToString::to_string);
            deal.duplicate_of = event.duplicate_of;
        }
        DealEvent::Reopened(event) => {
            (deal.status, deal.closed_at, deal.credited_to) = (DealStatus::Open, None, None);
            (deal.stage, deal.entered_at) = (event.stage.clone(), at);
            (deal.contract, deal.competitor, deal.duplicate_of) = (None, None, None);
            (deal.loss_reason, deal.loss_counted) = (None, None);
        }
        DealEvent::ClosingCorrected(event) => {
            let to = &event.to;
            deal.closed_at = to.closed_at.or(deal.closed_at);
            deal.amount = to.amount.or(deal.amount);
            if let Some(contract) = &to.contract {
                deal.contract = contract.as_ref().map(ToString::to_string);
            }
            deal.loss_reason = to.reason.clone().or(deal.loss_reason.take());
            deal.loss_counted = to.counted.or(deal.loss_counted);
            deal.credited_to = to.owner.unwrap_or(deal.credited_to);
        }
        DealEvent::Undone(_) => panic!("an undo looks back"),
        DealEvent::TitleChanged(event) => deal.title = event.to.to_string(),
        DealEvent::AmountChanged(event) => deal.amount = event.to,
        DealEvent::ExpectedCloseChanged(event) => deal.expected_close = event.to,
        DealEvent::OwnerAssigned(event) => deal.owner = event.to,
        DealEvent::ProbabilitySet(event) => deal.probability = Some(event.to),
        DealEvent::ProbabilityCleared(_) => deal.probability = None::<Probability>,
        DealEvent::ForecastCategorySet(event) => deal.forecast_category = event.to,
        DealEvent::CustomerLinked(event) => deal.customer = event.to,
        DealEvent::SourceChanged(event) => deal.source = event.to.as_ref().map(ToString::to_string),
        DealEvent::CampaignChanged(event) => deal.campaign = event.to,
        DealEvent::FieldSet(event) => set(&mut deal.fields, &event.field, event.to.as_ref()),
    }
}

/// How often each type of event occurs.
pub(crate) fn types(events: &[Envelope]) -> BTreeMap<String, usize> {
    let mut types = BTreeMap::new();
    for event in events {
        *types.entry(event.event_type.clone()).or_default() += 1;
    }
    types
}
