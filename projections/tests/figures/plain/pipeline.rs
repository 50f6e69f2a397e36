//! Pipeline and board.

use dealog_events::{Money, Probability, Timestamp, Version};
use dealog_projections::{
    deals::query::{
        AllPipelines, Board, BoardColumn, Card, ClosedFigures, PipelineAnswer, PipelineFigures, StageFigures,
        StageTotals,
    },
    figures::{DAY_MICROS, Total},
};

use super::{
    Ask, Deal, Status,
    fold::{Pipeline, Placed},
    mean_days, median_days, weigh,
};
use crate::answers::{Answer, Refused};

/// The chance that counts: the deal's own, else its stage's.
pub(super) fn chance(placed: &Placed, deal: &Deal) -> i64 {
    deal.attributes.probability.unwrap_or(placed.stage.probability.basis_points().into())
}

impl Ask<'_> {
    pub(crate) fn pipeline(&self) -> Answer<PipelineAnswer> {
        let (figures, groups) = self.grouped(Self::all_pipelines)?;
        Ok(PipelineAnswer { seen: self.seen(), figures, groups })
    }

    fn all_pipelines(&self) -> Answer<AllPipelines> {
        let deals = self.deals();
        let mut pipelines = Vec::new();
        for pipeline in self.pipelines() {
            let here: Vec<&Deal> = deals.iter().filter(|deal| deal.counted().pipeline == pipeline.id).collect();
            let open: Vec<&Deal> = here.iter().copied().filter(|deal| deal.status == Status::Open).collect();
            let stages = pipeline.stages.iter().map(|placed| self.stage(placed, &open)).collect::<Answer<_>>()?;
            let total = self.totals(&pipeline, &open)?;
            pipelines.push(PipelineFigures {
                pipeline: pipeline.id,
                name: pipeline.name.clone(),
                stages,
                total,
                closed: self.closed(&here)?,
            });
        }
        let nothing = Total { minor: 0, currency: self.currency()? };
        let zero =
            StageTotals { deals: 0, amount: nothing, weighted: nothing, without_amount: 0, stale: 0, overdue: 0 };
        let total = pipelines.iter().map(|figures| &figures.total).fold(zero, |sum, more| StageTotals {
            deals: sum.deals + more.deals,
            amount: Total { minor: sum.amount.minor + more.amount.minor, ..sum.amount },
            weighted: Total { minor: sum.weighted.minor + more.weighted.minor, ..sum.weighted },
            without_amount: sum.without_amount + more.without_amount,
            stale: sum.stale + more.stale,
            overdue: sum.overdue + more.overdue,
        });
        let closed = self.closed(&deals.iter().collect::<Vec<_>>())?;
        Ok(AllPipelines { pipelines, total, closed })
    }

    fn stage(&self, placed: &Placed, open: &[&Deal]) -> Answer<StageFigures> {
        let here: Vec<&Deal> = open.iter().copied().filter(|deal| deal.attributes.stage == placed.stage.slug).collect();
        let ages: Vec<i64> = here.iter().map(|deal| self.age(deal)).collect();
        let alone = |deal: &Deal| -> Answer<StageTotals> { self.one(placed, deal) };
        Ok(StageFigures {
            stage: placed.stage.slug.clone(),
            name: placed.stage.name.to_string(),
            retired: placed.retired,
            totals: self.add(here.iter().map(|deal| alone(deal)))?,
            age_days_mean: mean_days(&ages),
            age_days_p50: median_days(&ages),
        })
    }

    fn totals(&self, pipeline: &Pipeline, open: &[&Deal]) -> Answer<StageTotals> {
        self.add(open.iter().map(|deal| {
            let place = pipeline.place(&deal.attributes.stage).expect("the stage of an open deal");
            self.one(&pipeline.stages[place], deal)
        }))
    }

    fn add(&self, parts: impl Iterator<Item = Answer<StageTotals>>) -> Answer<StageTotals> {
        let nothing = Total { minor: 0, currency: self.currency()? };
        let mut sum =
            StageTotals { deals: 0, amount: nothing, weighted: nothing, without_amount: 0, stale: 0, overdue: 0 };
        for part in parts {
            let part = part?;
            sum.deals += part.deals;
            sum.amount.minor += part.amount.minor;
            sum.weighted.minor += part.weighted.minor;
            sum.without_amount += part.without_amount;
            sum.stale += part.stale;
            sum.overdue += part.overdue;
        }
        Ok(sum)
    }

    /// One open deal in this stage.
    fn one(&self, placed: &Placed, deal: &Deal) -> Answer<StageTotals> {
        let amount = self.sum([deal])?;
        let chance = chance(placed, deal);
        Ok(StageTotals {
            deals: 1,
            amount,
            weighted: Total { minor: weigh(amount.minor, chance), ..amount },
            without_amount: deal.attributes.amount.is_none().into(),
            stale: self.stale(placed, deal).into(),
            overdue: self.overdue(deal).into(),
        })
    }

    fn age(&self, deal: &Deal) -> i64 {
        self.at - deal.visits.last().unwrap().entered
    }

    fn stale(&self, placed: &Placed, deal: &Deal) -> bool {
        placed.stage.stale_after_days.is_some_and(|days| self.age(deal) > i64::from(days) * DAY_MICROS)
    }

    pub(super) fn overdue(&self, deal: &Deal) -> bool {
        deal.attributes.expected_close.is_some_and(|day| day < self.today())
    }

    fn closed(&self, deals: &[&Deal]) -> Answer<ClosedFigures> {
        let with = |status: Status| deals.iter().copied().filter(move |deal| deal.status == status);
        let count = |status: Status| i64::try_from(with(status).count()).unwrap();
        Ok(ClosedFigures {
            won: count(Status::Won),
            won_amount: self.sum(with(Status::Won))?,
            lost: count(Status::Lost),
            excluded: count(Status::Excluded),
        })
    }

    pub(crate) fn board(&self) -> Answer<Board> {
        let pipeline = self.pipelines().into_iter().next().ok_or(Refused)?;
        let mut open = self.open();
        open.retain(|deal| deal.attributes.pipeline == pipeline.id);
        open.sort_by_key(|deal| (deal.visits.last().unwrap().entered, deal.created, deal.id));
        let latest = self.log.deals(i64::MAX);
        let column = |placed: &Placed| {
            let here = open.iter().filter(|deal| deal.attributes.stage == placed.stage.slug);
            let cards: Vec<Card> = here.map(|deal| self.card(placed, deal, &latest)).collect();
            BoardColumn {
                stage: placed.stage.slug.clone(),
                name: placed.stage.name.to_string(),
                deals: i64::try_from(cards.len()).unwrap(),
                cards,
                next: None,
            }
        };
        let columns = pipeline.stages.iter().map(column).collect();
        Ok(Board { seen: self.seen(), pipeline: pipeline.id, name: pipeline.name.clone(), columns })
    }

    fn card(&self, placed: &Placed, deal: &Deal, latest: &[Deal]) -> Card {
        let now = latest.iter().find(|now| now.id == deal.id).unwrap();
        let chance = u16::try_from(chance(placed, deal)).unwrap();
        let attributes = &deal.attributes;
        Card {
            deal: deal.id,
            version: Version(now.events),
            title: now.title.clone(),
            customer: attributes.customer,
            customer_name: attributes.customer.and_then(|id| self.log.customer_name(id, i64::MAX)),
            owner: attributes.owner,
            owner_name: attributes.owner.and_then(|id| self.log.user_name(id)),
            amount: attributes.amount.map(|amount| Money::from_minor(amount.minor(), amount.currency()).unwrap()),
            probability: Probability::from_basis_points(chance).unwrap(),
            expected_close: attributes.expected_close,
            entered_at: Timestamp::from_micros(deal.visits.last().unwrap().entered).unwrap(),
            age_days: mean_days(&[self.age(deal)]),
            stale: self.stale(placed, deal),
            overdue: self.overdue(deal),
        }
    }
}
