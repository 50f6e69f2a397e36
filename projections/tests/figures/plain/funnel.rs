//! Cohort funnel and time in stage.

use dealog_projections::deals::query::{
    CohortFunnel, CohortFunnels, FunnelAnswer, FunnelStage, PipelineTimes, StageTime, TimeInStage,
};

use super::{
    Ask, Deal, Status,
    fold::{Pipeline, Visit},
    mean_days, rate,
};
use crate::answers::Answer;

/// The place of the furthest stage that the deal ever stood in, by the order of its pipeline; the last one if it was ever
/// won.
pub(super) fn furthest(pipeline: &Pipeline, deal: &Deal) -> usize {
    if deal.ever_won {
        return pipeline.stages.len() - 1;
    }
    let here = deal.visits.iter().filter(|visit| visit.pipeline == pipeline.id);
    here.map(|visit| pipeline.place(&visit.stage).expect("a stage that was visited")).max().unwrap()
}

impl Ask<'_> {
    pub(crate) fn funnel(&self) -> Answer<FunnelAnswer> {
        let (figures, groups) = self.grouped(|ask| {
            let deals = ask.deals_of_month(|deal| Some(ask.month(deal.created)));
            Ok(CohortFunnels { funnels: ask.pipelines().iter().map(|pipeline| cohort(pipeline, &deals)).collect() })
        })?;
        Ok(FunnelAnswer { seen: self.seen(), figures, groups })
    }

    pub(crate) fn time_in_stage(&self) -> TimeInStage {
        let mut deals = self.all_deals.clone();
        deals.retain(|deal| {
            deal.status != Status::Excluded && self.passes_in_any_pipeline(deal.created, deal.counted())
        });
        let times = |pipeline: &Pipeline| PipelineTimes {
            pipeline: pipeline.id,
            name: pipeline.name.clone(),
            stages: pipeline
                .stages
                .iter()
                .map(|placed| {
                    let (mut completed, mut so_far) = (Vec::new(), Vec::new());
                    for deal in &deals {
                        let visits = deal.visits.iter();
                        let stays: Vec<&Visit> = visits
                            .filter(|visit| visit.pipeline == pipeline.id && visit.stage == placed.stage.slug)
                            .collect();
                        let left = |visit: &Visit| visit.left.as_ref().map_or(self.at, |left| left.at);
                        let here = stays.iter().any(|visit| visit.left.is_none());
                        if !stays.is_empty() {
                            let times = if here { &mut so_far } else { &mut completed };
                            times.push(stays.iter().map(|visit| left(visit) - visit.entered).sum::<i64>());
                        }
                    }
                    StageTime {
                        stage: placed.stage.slug.clone(),
                        name: placed.stage.name.to_string(),
                        deals: i64::try_from(completed.len() + so_far.len()).unwrap(),
                        in_it_now: i64::try_from(so_far.len()).unwrap(),
                        days_completed_mean: mean_days(&completed),
                        days_so_far_mean: mean_days(&so_far),
                    }
                })
                .collect(),
        };
        TimeInStage { seen: self.seen(), pipelines: self.pipelines().iter().map(times).collect() }
    }
}

fn cohort(pipeline: &Pipeline, deals: &[Deal]) -> CohortFunnel {
    let here: Vec<&Deal> = deals.iter().filter(|deal| deal.counted().pipeline == pipeline.id).collect();
    let count =
        |wanted: &dyn Fn(&Deal) -> bool| i64::try_from(here.iter().filter(|deal| wanted(deal)).count()).unwrap();
    let won = count(&|deal| deal.status == Status::Won);
    let excluded = count(&|deal| deal.status == Status::Excluded);
    let reached = |place: usize| count(&|deal| deal.status != Status::Excluded && furthest(pipeline, deal) >= place);
    let stage = |(place, placed): (usize, &super::fold::Placed)| {
        let last = place + 1 == pipeline.stages.len();
        let slug = &placed.stage.slug;
        let stands = |deal: &Deal, status: Status| deal.status == status && deal.attributes.stage == *slug;
        let got_to = |deal: &Deal, status: Status| deal.status == status && furthest(pipeline, deal) == place;
        FunnelStage {
            stage: slug.clone(),
            name: placed.stage.name.to_string(),
            reached: reached(place),
            step_conversion: rate(if last { won } else { reached(place + 1) }, reached(place)),
            open_in: count(&|deal| stands(deal, Status::Open)),
            lost_from: count(&|deal| stands(deal, Status::Lost)),
            open_furthest: count(&|deal| got_to(deal, Status::Open)),
            lost_furthest: count(&|deal| got_to(deal, Status::Lost)),
        }
    };
    let created = i64::try_from(here.len()).unwrap();
    CohortFunnel {
        pipeline: pipeline.id,
        name: pipeline.name.clone(),
        created,
        open: count(&|deal| deal.status == Status::Open),
        won,
        lost: count(&|deal| deal.status == Status::Lost),
        excluded,
        // Excluded deals appear nowhere else.
        overall: rate(won, created),
        stages: pipeline.stages.iter().enumerate().map(stage).collect(),
    }
}
