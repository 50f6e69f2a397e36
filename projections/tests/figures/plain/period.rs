//! What happened in a period, each visit in its own pipeline.

use std::collections::BTreeSet;

use dealog_events::{DealId, Slug, Timestamp};
use dealog_projections::deals::query::{PeriodAnswer, PeriodFunnel, PeriodFunnels, PeriodMove, PeriodStage, Range};

use super::{
    Ask, Deal, Status,
    fold::{Attributes, How, Left, Pipeline, Visit},
    mean_days,
};
use crate::answers::Answer;

impl Ask<'_> {
    pub(crate) fn period(&self, period: &Range) -> Answer<PeriodAnswer> {
        let (from, to) = self.bounds(period)?;
        let mut deals = self.all_deals.clone();
        deals.retain(|deal| deal.status != Status::Excluded);
        let (figures, groups) = self.grouped(|ask| {
            let funnels = ask.pipelines().iter().map(|pipeline| ask.happened(pipeline, &deals, from, to)).collect();
            Ok(PeriodFunnels { funnels })
        })?;
        let time = |micros| Timestamp::from_micros(micros).unwrap();
        Ok(PeriodAnswer { seen: self.seen(), from: time(from), to: time(to), figures, groups })
    }

    fn happened(&self, pipeline: &Pipeline, deals: &[Deal], from: i64, to: i64) -> PeriodFunnel {
        let within = |at: i64| from <= at && at < to;
        let (mut entered, mut left): (Vec<&Visit>, Vec<(&Visit, &Left)>) = (Vec::new(), Vec::new());
        for deal in deals {
            for visit in deal.visits.iter().filter(|visit| visit.pipeline == pipeline.id) {
                let counts = |attributes: &Attributes, at: i64| {
                    within(at)
                        && self.passes_in_any_pipeline(deal.created, attributes)
                        && self.in_group(attributes, Some(&self.month(at)))
                };
                if counts(&visit.attributes_at_entering, visit.entered) {
                    entered.push(visit);
                }
                let leaving = visit.left.as_ref().filter(|left| counts(&left.attributes, left.at));
                left.extend(leaving.map(|left| (visit, left)));
            }
        }
        let counted: BTreeSet<DealId> = deals.iter().map(|deal| deal.id).collect();
        // What is known of an instant that is yet to come is what stands now.
        let known = self.at + 1;
        let before = self.standing(pipeline, &counted, from.min(known), &self.month(from));
        let after = self.standing(pipeline, &counted, to.min(known), &self.month(to.min(known) - 1));
        let stages = pipeline.stages.iter().enumerate().map(|(place, placed)| {
            let slug = &placed.stage.slug;
            let count = |wanted: &dyn Fn(&How) -> bool| {
                let here = left.iter().filter(|(visit, _)| visit.stage == *slug);
                i64::try_from(here.filter(|(_, left)| wanted(&left.how)).count()).unwrap()
            };
            let moved = |how: &How, wanted: &dyn Fn(usize) -> bool| match how {
                How::Moved(to) => wanted(pipeline.place(to).expect("a stage that was visited")),
                _ => false,
            };
            let equal = |stages: &[Slug]| i64::try_from(stages.iter().filter(|stage| *stage == slug).count()).unwrap();
            PeriodStage {
                stage: slug.clone(),
                name: placed.stage.name.to_string(),
                open_before: equal(&before),
                entered: i64::try_from(entered.iter().filter(|visit| visit.stage == *slug).count()).unwrap(),
                forward: count(&|how| moved(how, &|to| to > place)),
                back: count(&|how| moved(how, &|to| to < place)),
                transferred: count(&|how| *how == How::Transferred),
                won_from: count(&|how| *how == How::Closed(Status::Won)),
                lost_from: count(&|how| matches!(how, How::Closed(Status::Lost | Status::Excluded))),
                open_after: equal(&after),
            }
        });
        let stages = stages.collect();
        PeriodFunnel { pipeline: pipeline.id, name: pipeline.name.clone(), stages, moves: moves(pipeline, &left) }
    }

    /// The stages of the deals as they stood before anything happened at `time`, which is of this month.
    fn standing(&self, pipeline: &Pipeline, counted: &BTreeSet<DealId>, time: i64, month: &str) -> Vec<Slug> {
        let deals = self.log.deals(time - 1).into_iter();
        deals
            .filter(|deal| counted.contains(&deal.id) && deal.status == Status::Open)
            .filter(|deal| deal.attributes.pipeline == pipeline.id)
            .filter(|deal| self.passes_in_any_pipeline(deal.created, &deal.attributes))
            .filter(|deal| self.in_group(&deal.attributes, Some(month)))
            .map(|deal| deal.attributes.stage)
            .collect()
    }
}

fn moves(pipeline: &Pipeline, left: &[(&Visit, &Left)]) -> Vec<PeriodMove> {
    let mut moves = Vec::new();
    for from in &pipeline.stages {
        for to in &pipeline.stages {
            let wanted = How::Moved(to.stage.slug.clone());
            let stays: Vec<i64> = left
                .iter()
                .filter(|(visit, left)| visit.stage == from.stage.slug && left.how == wanted)
                .map(|(visit, left)| left.at - visit.entered)
                .collect();
            if !stays.is_empty() {
                moves.push(PeriodMove {
                    from: from.stage.slug.clone(),
                    to: to.stage.slug.clone(),
                    count: i64::try_from(stays.len()).unwrap(),
                    days_mean: mean_days(&stays),
                });
            }
        }
    }
    moves
}
