//! Which deals are listed.

use dealog_events::{CampaignId, CustomerId, Label, PipelineId, TeamId, Timestamp, UserId};

use crate::models::{Seeing, statement::Statement};

/// Which deals: by what they are, closed ones too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// In this pipeline.
    pub pipeline: Option<PipelineId>,
    /// This user's.
    pub owner: Option<UserId>,
    /// Of users who are in this team.
    pub team: Option<TeamId>,
    /// With this customer.
    pub customer: Option<CustomerId>,
    /// From this source.
    pub source: Option<Label>,
    /// Brought by this campaign.
    pub campaign: Option<CampaignId>,
    /// Created at this instant or later.
    pub created_from: Option<Timestamp>,
    /// Created before this instant.
    pub created_to: Option<Timestamp>,
    /// Worth at least so many minor units.
    pub amount_from: Option<i64>,
    /// Worth at most so many minor units.
    pub amount_to: Option<i64>,
}

const OF_TEAM: &str = "d.owner IN (SELECT m.user_id FROM members m WHERE m.team = :team AND :member_in_force)";

impl Filter {
    /// Whether it looks at who is in a team.
    pub(super) fn names_a_team(&self) -> bool {
        self.team.is_some()
    }

    /// The condition on deals called `d`: only filters that are set are in it, so that an index can find what they name.
    pub(super) fn condition(&self, seeing: &Seeing) -> Statement {
        let mut condition = Statement::new("1 = 1");
        let texts = [
            ("d.pipeline = :of_pipeline", "of_pipeline", self.pipeline.map(|id| id.to_string())),
            ("d.owner = :owner", "owner", self.owner.map(|id| id.to_string())),
            ("d.customer = :customer", "customer", self.customer.map(|id| id.to_string())),
            ("d.source = :source", "source", self.source.as_ref().map(ToString::to_string)),
            ("d.campaign = :campaign", "campaign", self.campaign.map(|id| id.to_string())),
        ];
        for (text, name, value) in texts {
            if let Some(value) = value {
                condition = condition.and(Statement::new(text).value(name, value));
            }
        }
        let numbers = [
            ("d.created_at >= :created_from", "created_from", self.created_from.map(Timestamp::micros)),
            ("d.created_at < :created_to", "created_to", self.created_to.map(Timestamp::micros)),
            ("d.amount >= :amount_from", "amount_from", self.amount_from),
            ("d.amount <= :amount_to", "amount_to", self.amount_to),
        ];
        for (text, name, value) in numbers {
            if let Some(value) = value {
                condition = condition.and(Statement::new(text).value(name, value));
            }
        }
        if let Some(team) = self.team {
            let of_team = Statement::new(OF_TEAM).value("team", team.to_string());
            condition = condition.and(of_team.part("member_in_force", seeing.in_force("m")));
        }
        condition
    }
}
