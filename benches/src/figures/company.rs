//! What the company of the log has defined: pipelines, sellers, teams, customers, and where deals come from.

use dealog_events::{
    CampaignId, Currency, CustomerId, Event, Fields, Label, Personal, PipelineId, Probability, Slug, StreamId, TeamId,
    TimeZone, UserId,
    customer::{CustomerEvent, Registered},
    pipeline::{self, ForecastCategory, PipelineEvent},
    settings::{LossReason, LossReasonsSet, ReportingCurrencySet, SettingsEvent, TimeZoneSet},
    team::{self, TeamEvent},
    user::{self, Role, UserEvent},
};
use uuid::Builder;

use super::{
    dice::Dice,
    time::{DAY, END, FIRST, at},
};
use crate::Result;

const SELLERS: usize = 200;
const TEAMS: usize = 12;
/// Deals of one customer, on average.
const DEALS_OF_A_CUSTOMER: u64 = 20;
const CAMPAIGNS: usize = 24;
/// How often sellers change teams.
const CHANGE_EVERY: i64 = 182 * DAY;
const CHANGERS: usize = 20;
/// The numbers of dice that deals do not have.
const COMPANY: u64 = u64::MAX;

/// Slug, probability in percent, days after which a deal is stale, forecast category, days that a deal usually stays.
type StageOf = (&'static str, u16, u16, ForecastCategory, i64);

const PIPELINES: [(&str, &[StageOf]); 3] = {
    use ForecastCategory::{BestCase, Commit, Omitted, Pipeline};
    [
        (
            "New business",
            &[
                ("lead", 5, 14, Omitted, 9),
                ("qualified", 20, 21, Pipeline, 12),
                ("demo", 35, 30, Pipeline, 15),
                ("offer", 50, 30, BestCase, 14),
                ("negotiation", 70, 21, BestCase, 13),
                ("contract", 90, 14, Commit, 8),
            ],
        ),
        (
            "Renewals",
            &[
                ("due", 40, 30, Pipeline, 17),
                ("contacted", 55, 21, BestCase, 15),
                ("terms", 70, 21, BestCase, 16),
                ("agreed", 90, 14, Commit, 8),
            ],
        ),
        (
            "Partners",
            &[
                ("met", 10, 30, Omitted, 20),
                ("trial", 30, 45, Pipeline, 30),
                ("terms", 60, 30, BestCase, 20),
                ("signing", 85, 21, Commit, 10),
            ],
        ),
    ]
};
const SOURCES: [&str; 8] =
    ["Website", "Referral", "Trade fair", "Cold call", "Partner", "Newsletter", "Existing customer", "Tender"];
/// Slug, name, whether it counts.
const REASONS: [(&str, &str, bool); 6] = [
    ("price", "Price", true),
    ("competitor", "Went to a competitor", true),
    ("no_budget", "No budget", true),
    ("no_decision", "No decision", true),
    ("no_answer", "No answer", true),
    ("duplicate", "Duplicate", false),
];
const COMPETITORS: [&str; 5] = ["Alpha", "Beta", "Gamma", "Delta", "Epsilon"];

/// A stage, as far as deals need it.
pub(super) struct Stage {
    pub(super) slug: Slug,
    pub(super) usual_days: i64,
}

/// A pipeline.
pub(super) struct Pipeline {
    pub(super) id: PipelineId,
    pub(super) stages: Vec<Stage>,
}

/// The company.
pub(super) struct Company {
    pub(super) currency: Currency,
    pub(super) pipelines: Vec<Pipeline>,
    pub(super) sellers: Vec<UserId>,
    pub(super) customers: Vec<CustomerId>,
    pub(super) sources: Vec<Label>,
    pub(super) campaigns: Vec<CampaignId>,
    /// With whether they count.
    pub(super) reasons: Vec<(Slug, bool)>,
    pub(super) competitors: Vec<Label>,
    teams: Vec<TeamId>,
}

/// An event of the company's, and when it happens.
pub(super) type Dated = (i64, StreamId, Event);

impl Company {
    /// The company that has so many deals.
    pub(super) fn new(deals: u64) -> Result<Self> {
        let mut dice = Dice::new(COMPANY);
        let mut ids =
            |count: usize| -> Result<Vec<_>> { (0..count).map(|_| id(FIRST, &mut dice)).collect::<Result<Vec<_>>>() };
        let customers = usize::try_from(deals.div_ceil(DEALS_OF_A_CUSTOMER))?;
        let pipelines = ids(PIPELINES.len())?.into_iter().zip(PIPELINES).map(|(id, (_, stages))| {
            let stage = |&(slug, .., usual_days): &StageOf| Ok(Stage { slug: slug.parse()?, usual_days });
            Ok(Pipeline { id: PipelineId(id), stages: stages.iter().map(stage).collect::<Result<_>>()? })
        });
        Ok(Self {
            currency: "EUR".parse()?,
            pipelines: pipelines.collect::<Result<_>>()?,
            sellers: ids(SELLERS)?.into_iter().map(UserId).collect(),
            teams: ids(TEAMS)?.into_iter().map(TeamId).collect(),
            customers: ids(customers)?.into_iter().map(CustomerId).collect(),
            campaigns: ids(CAMPAIGNS)?.into_iter().map(CampaignId).collect(),
            sources: labels(&SOURCES)?,
            competitors: labels(&COMPETITORS)?,
            reasons: REASONS.iter().map(|(slug, _, counted)| Ok((slug.parse()?, *counted))).collect::<Result<_>>()?,
        })
    }

    /// All that happens beside deals, in the order of time: on the first day everything is defined, and every half year sellers
    /// change teams.
    pub(super) fn events(&self) -> Result<Vec<Dated>> {
        let mut events = Vec::new();
        let mut first = |stream, event: Event| events.push((FIRST, stream, event));
        for event in self.settings()? {
            first(StreamId::Settings, event.into());
        }
        for (pipeline, (name, stages)) in self.pipelines.iter().zip(PIPELINES) {
            first(StreamId::Pipeline(pipeline.id), defined(name, stages)?.into());
        }
        for (number, id) in self.sellers.iter().enumerate() {
            let stream = StreamId::User(*id);
            let name = Personal::new(stream, format!("Seller {number}").parse()?);
            first(stream, UserEvent::Invited(user::Invited { name, email: None, roles: Role::Seller.into() }).into());
        }
        for (number, id) in self.customers.iter().enumerate() {
            let name = format!("Customer {number}").parse()?;
            let registered = Registered::Organisation { name, sector: None, fields: Fields::new() };
            first(StreamId::Customer(*id), CustomerEvent::Registered(registered).into());
        }
        for (number, id) in self.teams.iter().enumerate() {
            let formed = team::Formed { name: format!("Team {number}").parse()? };
            first(StreamId::Team(*id), TeamEvent::Formed(formed).into());
        }
        self.memberships(&mut events);
        Ok(events)
    }

    fn settings(&self) -> Result<[SettingsEvent; 3]> {
        let reason = |&(slug, name, counted): &(&str, &str, bool)| -> Result<LossReason> {
            Ok(LossReason { slug: slug.parse()?, name: name.parse()?, counted })
        };
        let to = REASONS.iter().map(reason).collect::<Result<_>>()?;
        Ok([
            SettingsEvent::ReportingCurrencySet(ReportingCurrencySet { from: None, to: self.currency }),
            // So that no database has to convert an instant before it can compare it.
            SettingsEvent::TimeZoneSet(TimeZoneSet { from: None, to: TimeZone::UTC }),
            SettingsEvent::LossReasonsSet(LossReasonsSet { from: Vec::new(), to }),
        ])
    }

    fn memberships(&self, events: &mut Vec<Dated>) {
        let mut dice = Dice::new(COMPANY - 1);
        let mut team_of: Vec<usize> = (0..SELLERS).map(|number| number % TEAMS).collect();
        let mut happens = |at, team: usize, event: TeamEvent| {
            if let Some(id) = self.teams.get(team) {
                events.push((at, StreamId::Team(*id), event.into()));
            }
        };
        for (team, user) in team_of.iter().zip(&self.sellers) {
            happens(FIRST, *team, TeamEvent::MemberAdded(team::MemberAdded { user: *user }));
        }
        let mut changes_at = FIRST + CHANGE_EVERY;
        while changes_at < END {
            for _ in 0..CHANGERS {
                let (seller, to) = (dice.below(SELLERS), dice.below(TEAMS));
                let (Some(team), Some(user)) = (team_of.get_mut(seller), self.sellers.get(seller)) else { continue };
                if *team != to {
                    happens(changes_at, *team, TeamEvent::MemberRemoved(team::MemberRemoved { user: *user }));
                    happens(changes_at, to, TeamEvent::MemberAdded(team::MemberAdded { user: *user }));
                    *team = to;
                }
            }
            changes_at += CHANGE_EVERY;
        }
    }
}

fn labels(names: &[&str]) -> Result<Vec<Label>> {
    names.iter().map(|name| Ok(name.parse()?)).collect()
}

fn defined(name: &str, stages: &[StageOf]) -> Result<PipelineEvent> {
    let stage = |&(slug, percent, stale_days, forecast_category, _): &StageOf| -> Result<pipeline::Stage> {
        Ok(pipeline::Stage {
            slug: slug.parse()?,
            name: slug.parse()?,
            probability: Probability::from_basis_points(percent * 100)?,
            stale_after_days: Some(stale_days),
            required_fields: Vec::new(),
            forecast_category,
        })
    };
    let stages = stages.iter().map(stage).collect::<Result<_>>()?;
    Ok(PipelineEvent::Defined(pipeline::Defined { name: name.parse()?, stages, skipping_allowed: true }))
}

/// A UUID of version 7 of an instant, as the API gives things.
pub(super) fn id(micros: i64, dice: &mut Dice) -> Result<uuid::Uuid> {
    let millis = u64::try_from(at(micros)?.micros() / 1_000)?;
    Ok(Builder::from_unix_timestamp_millis(millis, &dice.bytes()).into_uuid())
}
