//! What always holds of the answers to one question.

use dealog_projections::{
    deals::query::{CohortFunnel, Filter, Forecast, FunnelStage, PeriodFunnel, PipelineAnswer, WinRate},
    figures::Rate,
};

use crate::answers::{Answers, Question};

pub(crate) fn always(answers: &Answers, question: &Question, what: &str) {
    let cohorts = answers.funnel.as_ref().unwrap();
    let funnels = &cohorts.figures.funnels;
    let of_groups = cohorts.groups.iter().flat_map(|group| &group.figures.funnels);
    funnels.iter().chain(of_groups).for_each(|funnel| cohort(funnel, what));
    let open: i64 = funnels.iter().map(|funnel| funnel.open).sum();
    if let Ok(PipelineAnswer { figures: pipeline, .. }) = &answers.pipeline {
        let by_stage: i64 = pipeline.pipelines.iter().flat_map(|one| &one.stages).map(|stage| stage.totals.deals).sum();
        assert_eq!((pipeline.total.deals, by_stage), (open, open), "{what}: open deals by stage");
        let closed: i64 = funnels.iter().map(|funnel| funnel.won + funnel.lost + funnel.excluded).sum();
        assert_eq!(pipeline.closed.won + pipeline.closed.lost + pipeline.closed.excluded, closed, "{what}: closed");
    }
    if let Ok(velocity) = &answers.velocity {
        assert_eq!(velocity.open, open, "{what}: open deals of the velocity");
        is_a_part(velocity.win_rate, what);
    }
    if let Ok(Forecast { figures: forecast, .. }) = &answers.forecast {
        assert_eq!(forecast.open.deals, open, "{what}: open deals of the forecast");
        let categories = &forecast.categories;
        let parts = [categories.commit.part, categories.best_case.part, categories.pipeline.part, categories.omitted];
        let deals: i64 = parts.iter().map(|part| part.deals).sum();
        let amount: i64 = parts.iter().map(|part| part.amount.minor).sum();
        let expected = (forecast.expected.deals, forecast.expected.amount.minor);
        assert_eq!((deals, amount), expected, "{what}: the categories add up");
    }
    if let Ok(WinRate { figures: win_rate, .. }) = &answers.win_rate {
        is_a_part(win_rate.by_count, what);
        is_a_part(win_rate.by_value, what);
    }
    // A deal that changes hands while it is in a stage enters it with one owner and leaves it with another.
    let Filter { pipeline, created, .. } = question.scope.filter.clone();
    if question.scope.filter == (Filter { pipeline, created, ..Filter::default() })
        && let Ok(period) = &answers.period
    {
        period.figures.funnels.iter().for_each(|funnel| balance(funnel, what));
    }
}

fn is_a_part(rate: Option<Rate>, what: &str) {
    assert!(rate.is_none_or(|rate| (0..=10_000).contains(&rate.basis_points)), "{what}: a rate is {rate:?}");
}

fn cohort(funnel: &CohortFunnel, what: &str) {
    assert_eq!(funnel.created, funnel.open + funnel.won + funnel.lost + funnel.excluded, "{what}: created");
    let sum = |figure: fn(&FunnelStage) -> i64| funnel.stages.iter().map(figure).sum::<i64>();
    assert_eq!(sum(|stage| stage.open_in), funnel.open, "{what}: open by stage");
    assert_eq!(sum(|stage| stage.lost_from), funnel.lost, "{what}: lost by stage");
    is_a_part(funnel.overall, what);
    for (place, stage) in funnel.stages.iter().enumerate() {
        let next = funnel.stages.get(place + 1).map_or(funnel.won, |next| next.reached);
        assert!(stage.reached >= next, "{what}: more deals reached the stage behind {}", stage.stage);
        assert_eq!(stage.reached, next + stage.open_furthest + stage.lost_furthest, "{what}: reached {}", stage.stage);
        is_a_part(stage.step_conversion, what);
    }
}

fn balance(funnel: &PeriodFunnel, what: &str) {
    for stage in &funnel.stages {
        let left = stage.forward + stage.back + stage.transferred + stage.won_from + stage.lost_from;
        assert_eq!(stage.open_before + stage.entered, stage.open_after + left, "{what}: balance of {}", stage.stage);
    }
    let moved: i64 = funnel.stages.iter().map(|stage| stage.forward + stage.back).sum();
    assert_eq!(funnel.moves.iter().map(|move_| move_.count).sum::<i64>(), moved, "{what}: the matrix of moves");
}
