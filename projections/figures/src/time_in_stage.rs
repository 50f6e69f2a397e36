//! Time in stage: how long deals stay in each stage.

use dealog_events::{PipelineId, Slug};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    Answer, Image, Question, Unanswerable,
    by_stage::ByStage,
    course::visits,
    group::{Groups, Tally, time_of},
    kaplan_meier::Survival,
    names::Name,
    resolved::{PipelineAt, Resolved},
    shapes::Days,
    step::Status,
    times::Candidates,
    walk::DealAt,
};

/// Time in stage, of all pipelines asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct TimesInStages {
    /// One for each pipeline.
    pub pipelines: Vec<PipelineTimes>,
}

/// Time in the stages of one pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PipelineTimes {
    /// Which pipeline.
    pub pipeline: PipelineId,
    /// What it is called.
    pub name: String,
    /// Stages in order.
    pub stages: Vec<StageTime>,
}

/// Time in one stage: for each deal, all its visits to it together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct StageTime {
    /// Which one.
    pub stage: Slug,
    /// What it is called.
    pub name: String,
    /// Deals that ever stood in it.
    pub deals: i64,
    /// Of these, deals that are in it now.
    pub in_it_now: i64,
    /// Days in it, the mean over the deals that left it for good.
    pub days_completed_mean: Option<Days>,
    /// Days in it so far, the mean over the deals that are in it now.
    pub days_so_far_mean: Option<Days>,
    /// Days after which half of the deals have left it: the Kaplan-Meier estimate, in which a deal that is in it now counts as staying at
    /// least that long. Null where not so many have left.
    pub days_median: Option<Days>,
    /// The same for nine of ten deals.
    pub days_p90: Option<Days>,
}

/// How long deals stay in each stage.
pub fn time_in_stage(image: &Image, question: &Question) -> Result<Answer<TimesInStages>, Unanswerable> {
    let resolved = Resolved::new(image, question)?;
    let candidates = Candidates::ALL.with_steps_of(|state| state.status != Status::Excluded);
    let add = |(groups, stays): &mut (Groups<Times>, Stays), at: &DealAt<'_>| {
        if at.state.status != Status::Excluded {
            stays.find(&resolved, at);
            groups.add(&resolved, at, time_of(at.state), |times| times.add(stays));
        }
    };
    let (groups, _) = resolved.tally(&candidates, add, |(all, _), (more, _)| all.merge(more));
    let grouped = groups.figures(&resolved, |times| Ok(times.figures(&resolved)))?;
    Ok(Answer { seen: resolved.seen(), grouped })
}

/// The stages of one deal: how long it was in each, and whether it still is. The next deal takes the same memory.
#[derive(Default)]
pub(crate) struct Stays(Vec<(Name, i64, bool)>);

impl Stays {
    /// In this stage; none where it never was.
    pub(crate) fn of(&self, stage: Name) -> Option<(i64, bool)> {
        self.0.iter().find(|(found, ..)| *found == stage).map(|(_, micros, here)| (*micros, *here))
    }

    pub(crate) fn find(&mut self, resolved: &Resolved<'_>, at: &DealAt<'_>) {
        self.0.clear();
        visits(resolved.image, at, |visit| {
            // A deal that was transferred away has left its time in the stages where it was.
            if resolved.wanted_stage(visit.stage).is_none() {
                return;
            }
            let until = visit.left.map_or(resolved.cut.at, |(at, _)| at);
            let (micros, here) = (until - visit.entered_at, visit.left.is_none());
            match self.0.iter_mut().find(|(stage, ..)| *stage == visit.stage) {
                Some((_, sum, still)) => (*sum, *still) = (*sum + micros, here),
                None => self.0.push((visit.stage, micros, here)),
            }
        });
    }
}

#[derive(Default)]
struct Times {
    deals: i64,
    stages: ByStage<Survival>,
}

impl Tally for Times {
    fn size(&self) -> i64 {
        self.deals
    }

    fn merge(&mut self, other: Self) {
        self.deals += other.deals;
        self.stages.merge(other.stages, Survival::merge);
    }
}

impl Times {
    fn add(&mut self, stays: &Stays) {
        self.deals += 1;
        for (stage, micros, here) in &stays.0 {
            self.stages.at(*stage).add(*micros, *here);
        }
    }

    fn figures(mut self, resolved: &Resolved<'_>) -> TimesInStages {
        let wanted = resolved.pipelines.iter().filter(|pipeline| pipeline.wanted);
        TimesInStages { pipelines: wanted.map(|pipeline| self.pipeline(pipeline)).collect() }
    }

    fn pipeline(&mut self, pipeline: &PipelineAt) -> PipelineTimes {
        let stages = pipeline.stages.iter().map(|stage| {
            let survival = self.stages.take(stage.stage);
            let (completed, so_far) = (survival.left_micros(), survival.here_micros());
            let (left, here) = (survival.left(), survival.here());
            let [median, p90] = survival.quantiles([(1, 2), (1, 10)]);
            StageTime {
                stage: stage.slug.clone(),
                name: stage.name.clone(),
                deals: left + here,
                in_it_now: here,
                days_completed_mean: Days::mean(completed, left),
                days_so_far_mean: Days::mean(so_far, here),
                days_median: median.and_then(Days::of),
                days_p90: p90.and_then(Days::of),
            }
        });
        PipelineTimes { pipeline: pipeline.id, name: pipeline.name.clone(), stages: stages.collect() }
    }
}
