//! What has happened up to an instant.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use dealog_events::{
    CampaignId, Currency, CustomerId, DealId, Envelope, Event, Label, Money, PipelineId, Position, Slug, StreamId,
    TeamId, TimeZone, Timestamp, UserId,
    customer::{CustomerEvent, Registered},
    deal::DealEvent,
    pipeline::{ForecastCategory, PipelineEvent, Stage},
    settings::SettingsEvent,
    team::TeamEvent,
    user::UserEvent,
};

/// A log that has been read.
pub(crate) struct Log {
    pub(crate) position: Position,
    pub(crate) events: Vec<(i64, StreamId, Event)>,
}

/// What figures choose deals by, and add up.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Attributes {
    pub(crate) pipeline: PipelineId,
    pub(crate) stage: Slug,
    pub(crate) owner: Option<UserId>,
    pub(crate) customer: Option<CustomerId>,
    pub(crate) source: Option<Label>,
    pub(crate) campaign: Option<CampaignId>,
    pub(crate) amount: Option<Money>,
    pub(crate) probability: Option<i64>,
    pub(crate) category: Option<ForecastCategory>,
    pub(crate) expected_close: Option<NaiveDate>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Open,
    Won,
    Lost,
    Excluded,
}

/// How a stay in a stage ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum How {
    Moved(Slug),
    Transferred,
    Closed(Status),
}

/// A stay in a stage.
#[derive(Debug, Clone)]
pub(crate) struct Visit {
    pub(crate) pipeline: PipelineId,
    pub(crate) stage: Slug,
    pub(crate) entered: i64,
    pub(crate) attributes_at_entering: Attributes,
    pub(crate) left: Option<Left>,
}

#[derive(Debug, Clone)]
pub(crate) struct Left {
    pub(crate) at: i64,
    pub(crate) how: How,
    pub(crate) attributes: Attributes,
}

#[derive(Debug, Clone)]
pub(crate) struct Deal {
    pub(crate) id: DealId,
    pub(crate) title: String,
    pub(crate) events: u64,
    pub(crate) created: i64,
    pub(crate) status: Status,
    pub(crate) attributes: Attributes,
    /// When it was closed last, and what it was like then; none while it is open.
    pub(crate) closing: Option<(i64, Attributes)>,
    pub(crate) ever_won: bool,
    pub(crate) visits: Vec<Visit>,
}

impl Deal {
    /// What it counts with: present attributes while it is open, else those at the closing.
    pub(crate) fn counted(&self) -> &Attributes {
        self.closing.as_ref().map_or(&self.attributes, |(_, attributes)| attributes)
    }

    fn leave(&mut self, at: i64, how: How) {
        let attributes = self.attributes.clone();
        self.visits.last_mut().unwrap().left = Some(Left { at, how, attributes });
    }

    fn enter(&mut self, at: i64) {
        self.visits.push(Visit {
            pipeline: self.attributes.pipeline,
            stage: self.attributes.stage.clone(),
            entered: at,
            attributes_at_entering: self.attributes.clone(),
            left: None,
        });
    }

    fn close(&mut self, at: i64, status: Status) {
        self.leave(at, How::Closed(status));
        self.status = status;
        self.closing = Some((at, self.attributes.clone()));
        self.ever_won |= status == Status::Won;
    }
}

/// A stage in its place.
#[derive(Debug, Clone)]
pub(crate) struct Placed {
    pub(crate) stage: Stage,
    pub(crate) retired: bool,
}

/// A pipeline as it was defined.
#[derive(Debug, Clone)]
pub(crate) struct Pipeline {
    pub(crate) id: PipelineId,
    pub(crate) name: String,
    pub(crate) stages: Vec<Placed>,
}

impl Pipeline {
    pub(crate) fn place(&self, slug: &Slug) -> Option<usize> {
        self.stages.iter().position(|placed| placed.stage.slug == *slug)
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) currency: Option<Currency>,
    pub(crate) zone: TimeZone,
}

impl Log {
    pub(crate) fn read(log: &[Envelope]) -> Self {
        let events = log.iter().map(|event| (event.occurred_at.micros(), event.stream, event.event().unwrap()));
        Self { position: log.last().map_or(Position::ZERO, |last| last.position), events: events.collect() }
    }

    pub(crate) fn deals(&self, up_to: i64) -> Vec<Deal> {
        let mut deals: BTreeMap<DealId, Deal> = BTreeMap::new();
        for (at, stream, event) in self.events.iter().filter(|(at, ..)| *at <= up_to) {
            let (StreamId::Deal(id), Event::Deal(event)) = (stream, event) else { continue };
            if let DealEvent::Created(created) = event {
                let attributes = Attributes {
                    pipeline: created.pipeline,
                    stage: created.stage.clone(),
                    owner: created.owner,
                    customer: created.customer,
                    source: created.source.clone(),
                    campaign: created.campaign,
                    amount: created.amount,
                    probability: None,
                    category: None,
                    expected_close: created.expected_close,
                };
                let mut deal = Deal {
                    id: *id,
                    title: created.title.to_string(),
                    events: 1,
                    created: *at,
                    status: Status::Open,
                    attributes,
                    closing: None,
                    ever_won: false,
                    visits: Vec::new(),
                };
                deal.enter(*at);
                deals.insert(*id, deal);
            } else {
                happen(deals.get_mut(id).unwrap(), *at, event);
            }
        }
        deals.into_values().collect()
    }

    /// Everyone who is in a team.
    pub(crate) fn members(&self, team: TeamId, up_to: i64) -> BTreeSet<UserId> {
        let mut members = BTreeSet::new();
        for (at, stream, event) in &self.events {
            match event {
                _ if *at > up_to || *stream != StreamId::Team(team) => {}
                Event::Team(TeamEvent::MemberAdded(event)) => drop(members.insert(event.user)),
                Event::Team(TeamEvent::MemberRemoved(event)) => drop(members.remove(&event.user)),
                _ => {}
            }
        }
        members
    }

    /// Each setting as it was made last by then, or first.
    pub(crate) fn settings(&self, up_to: i64) -> Settings {
        let mut settings = Settings { currency: None, zone: TimeZone::UTC };
        let all = self.events.iter().filter_map(|(at, _, event)| match event {
            Event::Settings(event) => Some((*at, event)),
            _ => None,
        });
        let mut zone_made = false;
        for (at, event) in all {
            match event {
                SettingsEvent::ReportingCurrencySet(event) if at <= up_to || settings.currency.is_none() => {
                    settings.currency = Some(event.to);
                }
                SettingsEvent::TimeZoneSet(event) if at <= up_to || !zone_made => {
                    settings.zone = event.to;
                    zone_made = true;
                }
                _ => {}
            }
        }
        settings
    }

    /// The end of a local day: by the last zone that had begun by then, or by the first.
    pub(crate) fn day_end(&self, day: NaiveDate) -> Timestamp {
        let begun = self.events.iter().filter(|(.., event)| matches!(event, Event::Settings(_))).map(|(at, ..)| *at);
        let mut ends = begun.map(|at| (at, self.settings(at).zone.day_end(day)));
        let first = self.settings(i64::MIN).zone.day_end(day);
        ends.rfind(|(at, end)| *at <= end.micros()).map_or(first, |(_, end)| end)
    }

    /// Pipelines by age, each with its latest definition by then, or its first one. A stage added later that a deal was
    /// in by then stands behind the nearest stage that it was put behind.
    pub(crate) fn pipelines(&self, up_to: i64) -> Vec<Pipeline> {
        let mut pipelines: Vec<Pipeline> = Vec::new();
        let mut visited: BTreeSet<(PipelineId, Slug)> = BTreeSet::new();
        for deal in self.deals(up_to) {
            visited.extend(deal.visits.into_iter().map(|visit| (visit.pipeline, visit.stage)));
        }
        for (_, stream, event) in &self.events {
            let (StreamId::Pipeline(id), Event::Pipeline(PipelineEvent::Defined(event))) = (stream, event) else {
                continue;
            };
            let placed = |stage: &Stage| Placed { stage: stage.clone(), retired: false };
            let mut full = event.stages.iter().map(placed).collect::<Vec<_>>();
            let mut pipeline = Pipeline { id: *id, name: event.name.to_string(), stages: full.clone() };
            for (at, of, event) in &self.events {
                let Event::Pipeline(event) = event else { continue };
                if of != stream {
                    continue;
                }
                define(&mut full, event);
                if *at <= up_to {
                    pipeline.stages.clone_from(&full);
                } else if let PipelineEvent::StageAdded(added) = event
                    && visited.contains(&(*id, added.stage.slug.clone()))
                {
                    let before = full.iter().take_while(|placed| placed.stage.slug != added.stage.slug);
                    let place = before.filter_map(|placed| pipeline.place(&placed.stage.slug)).last();
                    pipeline.stages.insert(place.map_or(0, |place| place + 1), placed(&added.stage));
                }
            }
            pipelines.push(pipeline);
        }
        pipelines
    }

    /// What a customer was called by then, or first.
    pub(crate) fn customer_name(&self, id: CustomerId, up_to: i64) -> Option<String> {
        let mut name = None;
        for (at, stream, event) in &self.events {
            match event {
                _ if *stream != StreamId::Customer(id) || name.is_some() && *at > up_to => {}
                Event::Customer(CustomerEvent::Registered(Registered::Organisation { name: first, .. })) => {
                    name = Some(first.to_string());
                }
                Event::Customer(CustomerEvent::Renamed(event)) => name = Some(event.to.to_string()),
                _ => {}
            }
        }
        name
    }

    /// All teams, with their names.
    pub(crate) fn teams(&self) -> Vec<(String, TeamId)> {
        let formed = self.events.iter().filter_map(|(_, stream, event)| match (stream, event) {
            (StreamId::Team(id), Event::Team(TeamEvent::Formed(event))) => Some((event.name.to_string(), *id)),
            _ => None,
        });
        formed.collect()
    }

    pub(crate) fn user_name(&self, id: UserId) -> Option<String> {
        self.events.iter().find_map(|(_, stream, event)| match event {
            Event::User(UserEvent::Invited(event)) if *stream == StreamId::User(id) => {
                Some(event.name.value.to_string())
            }
            _ => None,
        })
    }
}

fn happen(deal: &mut Deal, at: i64, event: &DealEvent) {
    deal.events += 1;
    let now = &mut deal.attributes;
    match event {
        DealEvent::Created(_) => panic!("created twice"),
        DealEvent::StageMoved(event) => {
            deal.leave(at, How::Moved(event.to.clone()));
            deal.attributes.stage = event.to.clone();
            deal.enter(at);
        }
        DealEvent::Transferred(event) => {
            deal.leave(at, How::Transferred);
            deal.attributes.pipeline = event.to.pipeline;
            deal.attributes.stage = event.to.stage.clone();
            deal.enter(at);
        }
        DealEvent::Won(_) => deal.close(at, Status::Won),
        DealEvent::Lost(event) => deal.close(at, if event.counted { Status::Lost } else { Status::Excluded }),
        DealEvent::Reopened(event) => {
            deal.status = Status::Open;
            deal.closing = None;
            deal.attributes.stage = event.stage.clone();
            deal.enter(at);
        }
        DealEvent::TitleChanged(event) => deal.title = event.to.to_string(),
        DealEvent::AmountChanged(event) => now.amount = event.to,
        DealEvent::ExpectedCloseChanged(event) => now.expected_close = event.to,
        DealEvent::OwnerAssigned(event) => now.owner = event.to,
        DealEvent::ProbabilitySet(event) => now.probability = Some(event.to.basis_points().into()),
        DealEvent::ProbabilityCleared(_) => now.probability = None,
        DealEvent::ForecastCategorySet(event) => now.category = event.to,
        DealEvent::CustomerLinked(event) => now.customer = event.to,
        DealEvent::SourceChanged(event) => now.source.clone_from(&event.to),
        DealEvent::CampaignChanged(event) => now.campaign = event.to,
        DealEvent::FieldSet(_) => {}
    }
}

fn define(stages: &mut Vec<Placed>, event: &PipelineEvent) {
    match event {
        PipelineEvent::Defined(_) | PipelineEvent::Archived(_) => {}
        PipelineEvent::StageAdded(event) => {
            let follows = |after: &Slug| stages.iter().position(|placed| placed.stage.slug == *after).unwrap() + 1;
            let place = event.after.as_ref().map_or(0, follows);
            stages.insert(place, Placed { stage: event.stage.clone(), retired: false });
        }
        PipelineEvent::StageRevised(event) => {
            stages.iter_mut().find(|placed| placed.stage.slug == event.to.slug).unwrap().stage = event.to.clone();
        }
        PipelineEvent::StageRetired(event) => {
            stages.iter_mut().find(|placed| placed.stage.slug == event.stage).unwrap().retired = true;
        }
        PipelineEvent::StagesReordered(event) => {
            let ordered = event.to.iter().map(|slug| stages.iter().find(|placed| placed.stage.slug == *slug).unwrap());
            *stages = ordered.cloned().collect();
        }
    }
}
