//! Losses: why the deals lost in a period were lost, to whom, and from which stage.

use dealog_events::{Label, PipelineId, Slug};
use rustc_hash::FxHashMap;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    Image, PeriodAnswer, Question, Unanswerable, closings, group::Tally, names::Name, question::Range,
    resolved::Resolved, shapes::Total, step::Status, walk::DealAt,
};

/// Deals lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct LossFigures {
    /// All of them.
    #[serde(flatten)]
    pub all: Lost,
    /// By reason, the one with the most deals first.
    pub reasons: Vec<LossReasonFigures>,
    /// By competitor, the one with the most deals first; null where none was named.
    pub competitors: Vec<CompetitorFigures>,
    /// By the stage they were lost from, in order.
    pub stages: Vec<LostFrom>,
}

/// How many deals were lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Lost {
    /// Deals.
    pub deals: i64,
    /// What they were worth, where they had an amount.
    pub amount: Total,
    /// Deals that had no amount.
    pub without_amount: i64,
}

/// Deals lost for a reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct LossReasonFigures {
    /// The reason.
    pub reason: Slug,
    /// What it is called at the instant asked about; null where it is not in the list of then.
    pub name: Option<String>,
    /// The deals.
    #[serde(flatten)]
    pub lost: Lost,
}

/// Deals lost to a competitor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct CompetitorFigures {
    /// Who won them.
    #[schema(value_type = Option<String>)]
    pub competitor: Option<Label>,
    /// The deals.
    #[serde(flatten)]
    pub lost: Lost,
}

/// Deals lost from a stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct LostFrom {
    /// The stage's pipeline.
    pub pipeline: PipelineId,
    /// The stage.
    pub stage: Slug,
    /// What it is called.
    pub name: String,
    /// The deals.
    #[serde(flatten)]
    pub lost: Lost,
}

/// The deals lost in a period by reason, competitor and stage.
pub fn losses(image: &Image, question: &Question, period: &Range) -> Result<PeriodAnswer<LossFigures>, Unanswerable> {
    let resolved = Resolved::new(image, question)?;
    let (from, to) = resolved.period(period)?;
    let groups =
        closings::tally(&resolved, &[Status::Lost], (from, to), |tally: &mut Losses, at| tally.add(&resolved, at));
    let grouped = groups.figures(&resolved, |tally| tally.figures(&resolved))?;
    resolved.check_currencies()?;
    Ok(PeriodAnswer::new(&resolved, (from, to), grouped))
}

#[derive(Default)]
struct Losses {
    all: Sum,
    reasons: FxHashMap<Name, Sum>,
    competitors: FxHashMap<Option<Name>, Sum>,
    stages: FxHashMap<Name, Sum>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    deals: i64,
    without_amount: i64,
    amount: i128,
}

impl Tally for Losses {
    fn size(&self) -> i64 {
        self.all.deals
    }

    fn merge(&mut self, other: Self) {
        self.all.merge(other.all);
        other.reasons.into_iter().for_each(|(reason, sum)| self.reasons.entry(reason).or_default().merge(sum));
        other.stages.into_iter().for_each(|(stage, sum)| self.stages.entry(stage).or_default().merge(sum));
        for (competitor, sum) in other.competitors {
            self.competitors.entry(competitor).or_default().merge(sum);
        }
    }
}

impl Losses {
    fn add(&mut self, resolved: &Resolved<'_>, &DealAt { state, .. }: &DealAt<'_>) {
        let (Status::Lost, Some(loss)) = (state.status, state.loss) else { return };
        let minor = state.amount.map(|amount| resolved.minor(amount));
        let one = Sum { deals: 1, without_amount: i64::from(minor.is_none()), amount: minor.map_or(0, i128::from) };
        self.all.merge(one);
        self.reasons.entry(loss.reason).or_default().merge(one);
        self.competitors.entry(loss.competitor).or_default().merge(one);
        self.stages.entry(state.stage).or_default().merge(one);
    }

    fn figures(&self, resolved: &Resolved<'_>) -> Result<LossFigures, Unanswerable> {
        let image = resolved.image;
        let settings = image.settings.at(resolved.cut);
        let called = |slug: &Slug| {
            let found = settings.and_then(|settings| settings.loss_reasons.iter().find(|reason| reason.slug == *slug));
            found.map(|reason| reason.name.to_string())
        };
        let mut reasons = Vec::new();
        for (name, sum) in &self.reasons {
            if let Some(reason) = image.reasons.value(*name) {
                let lost = sum.lost(resolved)?;
                reasons.push(LossReasonFigures { reason: reason.clone(), name: called(reason), lost });
            }
        }
        reasons.sort_by(|one, other| {
            other.lost.deals.cmp(&one.lost.deals).then_with(|| one.reason.as_str().cmp(other.reason.as_str()))
        });
        let mut competitors = Vec::new();
        for (name, sum) in &self.competitors {
            let competitor = name.and_then(|name| image.competitors.value(name)).cloned();
            competitors.push(CompetitorFigures { competitor, lost: sum.lost(resolved)? });
        }
        competitors.sort_by(|one, other| {
            let names = || one.competitor.as_ref().cmp(&other.competitor.as_ref());
            other.lost.deals.cmp(&one.lost.deals).then_with(names)
        });
        let mut stages = Vec::new();
        for pipeline in resolved.pipelines.iter().filter(|pipeline| pipeline.wanted) {
            for stage in &pipeline.stages {
                if let Some(sum) = self.stages.get(&stage.stage) {
                    stages.push(LostFrom {
                        pipeline: pipeline.id,
                        stage: stage.slug.clone(),
                        name: stage.name.clone(),
                        lost: sum.lost(resolved)?,
                    });
                }
            }
        }
        Ok(LossFigures { all: self.all.lost(resolved)?, reasons, competitors, stages })
    }
}

impl Sum {
    fn merge(&mut self, other: Self) {
        self.deals += other.deals;
        self.without_amount += other.without_amount;
        self.amount += other.amount;
    }

    fn lost(self, resolved: &Resolved<'_>) -> Result<Lost, Unanswerable> {
        Ok(Lost { deals: self.deals, amount: resolved.total(self.amount)?, without_amount: self.without_amount })
    }
}
