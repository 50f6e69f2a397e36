//! Small logs, and what each figure says of them.

mod corrections;
mod groups;

use dealog_events::{
    FieldValue,
    deal::{DealEvent, ExpectedCloseChanged, Outcome},
    pipeline::{PipelineEvent, StageAdded, StagesReordered},
};
use dealog_figures::{
    BoardPage, By, CohortFunnel, Days, FieldFilter, Filter, ForecastFigures, FunnelStage, Grouping, Interval, Question,
    Rate, StageFigures, Unanswerable, columns, cycle, forecast, funnel, losses, period, pipeline, time_in_stage,
    velocity, win_rate,
};

use crate::log::{
    ACME, ANNA, BORIS, DAY, Log, NORTH, RENEWALS, SALES, SOUTH, as_of, between, day, eur, known, slug, stage, val,
};

fn grouped(by: By, groups_max: usize, at: i64) -> Question {
    Question { grouping: Grouping { by: vec![by], groups_max }, ..as_of(at) }
}

/// The stages of the first pipeline.
fn stages(log: &Log, question: &Question) -> Vec<StageFigures> {
    pipeline(&log.image, question).unwrap().grouped.figures.pipelines.remove(0).stages
}

fn cohort(log: &Log, question: &Question, from: i64, to: i64, within_days: Option<u32>) -> Vec<CohortFunnel> {
    funnel(&log.image, question, &between(from, to), within_days).unwrap().grouped.figures.funnels
}

fn reached(stages: &[FunnelStage]) -> Vec<i64> {
    stages.iter().map(|stage| stage.reached).collect()
}

fn rate(basis_points: i64) -> Option<Rate> {
    Rate::of(basis_points, 10_000)
}

fn days(hundredths: i64) -> Option<Days> {
    Days::mean(i128::from(hundredths * DAY), 100)
}

#[test]
fn the_pipeline_is_as_it_was_then_and_as_it_was_known_then() {
    let mut log = Log::new();
    log.on(day(2)).deal(1).created(|deal| deal.amount = Some(eur(100)));
    log.on(day(4)).deal(1).moved(SALES, "met", "offer");
    let before = log.image.position().0;
    // Recorded last, and happened first.
    log.on(day(1)).deal(2).created(|deal| deal.amount = Some(eur(50)));
    let met = |question| {
        let stage = stages(&log, &question).remove(0);
        (stage.totals.deals, stage.totals.amount.minor, stage.totals.weighted.minor)
    };
    assert_eq!(met(as_of(day(3))), (2, 15_000, 1_500));
    assert_eq!(met(as_of(day(5))), (1, 5_000, 500));
    assert_eq!(met(known(before, as_of(day(3)))), (1, 10_000, 1_000));
    assert_eq!(met(known(before, as_of(day(5)))), (0, 0, 0));
}

#[test]
fn a_board_without_a_pipeline_is_of_the_oldest_that_takes_deals() {
    let mut log = Log::new();
    let shown = |log: &Log, at| columns(&log.image, &as_of(at), BoardPage { limit: 10, after: None }).unwrap().pipeline;
    let of = |id| dealog_events::StreamId::Pipeline(id);
    log.on(day(2)).append(of(SALES), PipelineEvent::Archived(dealog_events::pipeline::Archived {}));
    assert_eq!((shown(&log, day(1)), shown(&log, day(3))), (SALES, RENEWALS));
    log.on(day(4)).append(of(SALES), PipelineEvent::Unarchived(dealog_events::pipeline::Unarchived {}));
    assert_eq!(shown(&log, day(5)), SALES);
}

#[test]
fn ages_staleness_and_missing_amounts_are_told() {
    let mut log = Log::new();
    log.on(day(1)).deal(1).created(|_| {});
    log.on(day(2)).deal(2).created(|deal| deal.expected_close = Some(val("2026-03-10")));
    log.on(day(5)).deal(3).created(|deal| deal.amount = Some(eur(10)));
    let met = stages(&log, &as_of(day(12))).remove(0);
    assert_eq!((met.totals.deals, met.totals.without_amount, met.totals.stale, met.totals.overdue), (3, 2, 1, 1));
    assert_eq!((met.age_days_mean, met.age_days_p50), (days(933), days(1_000)));
}

#[test]
fn a_win_stays_with_the_owner_and_the_team_of_the_closing() {
    let mut log = Log::new();
    log.join(NORTH, ANNA);
    log.on(day(1)).deal(1).created(|deal| deal.owner = Some(ANNA));
    log.on(day(2)).deal(1).won(SALES, "met", eur(100));
    log.on(day(3)).deal(1).owner(BORIS);
    log.leave(NORTH, ANNA);
    log.join(SOUTH, ANNA);
    let of = |filter: Filter| {
        let question = Question { filter, ..as_of(day(9)) };
        win_rate(&log.image, &question, &between(day(1), day(9))).unwrap().grouped.figures.won
    };
    assert_eq!(of(Filter { owners: vec![Some(ANNA)], ..Filter::default() }), 1);
    assert_eq!(of(Filter { owners: vec![Some(BORIS), None], ..Filter::default() }), 0);
    assert_eq!(of(Filter { teams: vec![NORTH], ..Filter::default() }), 1);
    assert_eq!(of(Filter { teams: vec![SOUTH], ..Filter::default() }), 0);
}

#[test]
fn who_has_joined_no_team_yet_counts_in_the_first_one() {
    let mut log = Log::new();
    log.on(day(1)).deal(1).created(|deal| deal.owner = Some(ANNA));
    log.on(day(5)).join(SOUTH, ANNA);
    log.on(day(6)).leave(SOUTH, ANNA);
    log.on(day(7)).join(NORTH, ANNA);
    let open = |team, at| {
        let filter = Filter { teams: vec![team], ..Filter::default() };
        pipeline(&log.image, &Question { filter, ..as_of(at) }).unwrap().grouped.figures.total.deals
    };
    assert_eq!([open(SOUTH, day(2)), open(SOUTH, day(5)), open(SOUTH, day(6)), open(NORTH, day(8))], [1, 1, 0, 1]);
}

#[test]
fn a_skipped_stage_is_reached_and_going_back_takes_nothing_away() {
    let mut log = Log::new();
    log.on(day(1)).deal(1).created(|_| {}).moved(SALES, "met", "talks").moved(SALES, "talks", "met");
    log.deal(2).created(|_| {});
    log.deal(3).created(|_| {}).won(SALES, "met", eur(1));
    log.deal(4).created(|_| {}).moved(SALES, "met", "offer").lost(SALES, "offer", "price");
    log.deal(5).created(|_| {}).lost(SALES, "met", "error");
    let sales = cohort(&log, &as_of(day(2)), day(1), day(2), None).remove(0);
    assert_eq!((sales.entered, sales.open, sales.won, sales.lost, sales.left, sales.excluded), (5, 2, 1, 1, 0, 1));
    assert_eq!(reached(&sales.stages), [4, 3, 2]);
    assert_eq!(sales.stages[0].step_conversion, rate(7_500));
    assert_eq!(sales.stages[2].step_conversion, rate(5_000));
    assert_eq!(sales.overall, rate(2_500));
    assert_eq!(sales.stages.iter().map(|stage| stage.open_furthest).collect::<Vec<_>>(), [1, 0, 1]);
    assert_eq!((sales.stages[0].open_in, sales.stages[1].lost_from), (2, 1));
}

#[test]
fn a_deal_that_went_to_another_pipeline_has_left_one_cohort_and_entered_another() {
    let mut log = Log::new();
    log.on(day(1)).deal(1).created(|_| {}).moved(SALES, "met", "offer");
    log.on(day(8)).deal(1).transferred((SALES, "offer"), (RENEWALS, "talks")).won(RENEWALS, "talks", eur(9));
    let funnels = cohort(&log, &as_of(day(9)), day(1), day(7), None);
    assert_eq!((funnels[0].entered, funnels[0].left, funnels[0].won, funnels[1].entered), (1, 1, 0, 0));
    assert_eq!((funnels[0].stages[1].left_from, funnels[0].stages[1].left_furthest), (1, 1));
    assert_eq!(reached(&funnels[0].stages), [1, 1, 0]);
    let funnels = cohort(&log, &as_of(day(9)), day(7), day(9), None);
    assert_eq!((funnels[0].entered, funnels[1].entered, funnels[1].won), (0, 1, 1));
    assert_eq!(reached(&funnels[1].stages), [1, 1, 1]);
    // On the day before, it was open in the first one.
    assert_eq!(cohort(&log, &as_of(day(7)), day(1), day(7), None)[0].open, 1);
}

#[test]
fn within_some_days_only_what_happened_in_them_counts_and_only_of_deals_old_enough() {
    let mut log = Log::new();
    log.on(day(1)).deal(1).created(|_| {});
    log.on(day(4) - 1).deal(1).moved(SALES, "met", "offer");
    log.on(day(4)).deal(1).moved(SALES, "offer", "talks");
    log.on(day(6)).deal(1).won(SALES, "talks", eur(1));
    log.on(day(6)).deal(2).created(|_| {}).won(SALES, "met", eur(1));
    let within = |days| cohort(&log, &as_of(day(7)), day(1), day(7), days).remove(0);
    assert_eq!((within(None).entered, within(None).won), (2, 2));
    let three = within(Some(3));
    assert_eq!((three.entered, three.open, three.won, reached(&three.stages)), (1, 1, 0, vec![1, 1, 0]));
    assert_eq!((within(Some(5)).entered, within(Some(5)).won), (1, 0));
    assert_eq!((within(Some(6)).entered, within(Some(6)).won), (1, 1));
}

#[test]
fn within_some_days_a_deal_that_was_excluded_then_and_reopened_later_was_lost() {
    let mut log = Log::new();
    log.on(day(1)).deal(1).created(|_| {});
    log.on(day(2)).deal(1).lost(SALES, "met", "error");
    let within = |log: &Log, at: i64| {
        let found = cohort(log, &as_of(at), day(1), day(7), Some(3)).remove(0);
        (found.excluded, found.lost, found.entered)
    };
    assert_eq!(within(&log, day(9)), (1, 0, 1));
    log.on(day(9)).deal(1).reopened(SALES, "met", Outcome::Lost);
    assert_eq!(within(&log, day(10)), (0, 1, 1));
}

#[test]
fn a_period_counts_what_happened_in_it_and_its_parts_add_up() {
    let mut log = Log::new();
    log.on(day(1)).deal(1).created(|_| {});
    log.on(day(3)).deal(1).moved(SALES, "met", "talks");
    log.on(day(4)).deal(1).moved(SALES, "talks", "offer");
    log.on(day(5)).deal(1).lost(SALES, "offer", "price").reopened(SALES, "met", Outcome::Lost);
    log.on(day(6)).deal(2).created(|_| {}).transferred((SALES, "met"), (RENEWALS, "offer"));
    let answer = period(&log.image, &as_of(day(9)), &between(day(2), day(6))).unwrap();
    let sales = &answer.grouped.figures.funnels[0];
    let of = |place: usize| {
        let stage = &sales.stages[place];
        let lost = (stage.won_from, stage.lost_from, stage.transferred);
        (stage.open_before, stage.entered, stage.forward, stage.back, lost, stage.open_after)
    };
    assert_eq!(of(0), (1, 1, 1, 0, (0, 0, 0), 1));
    assert_eq!(of(1), (0, 1, 0, 0, (0, 1, 0), 0));
    assert_eq!(of(2), (0, 1, 0, 1, (0, 0, 0), 0));
    let moves: Vec<_> =
        sales.moves.iter().map(|one| (one.from.as_str(), one.to.as_str(), one.count, one.days_mean)).collect();
    assert_eq!(moves, [("met", "talks", 1, days(200)), ("talks", "offer", 1, days(100))]);
    let answer = period(&log.image, &as_of(day(9)), &between(day(6), day(7))).unwrap();
    let funnels = &answer.grouped.figures.funnels;
    assert_eq!((funnels[0].stages[0].entered, funnels[0].stages[0].transferred), (1, 1));
    assert_eq!((funnels[1].stages[1].entered, funnels[1].stages[1].open_after), (1, 1));
}

#[test]
fn a_move_is_forward_by_the_order_of_stages_when_it_was_made() {
    let mut log = Log::new();
    log.on(day(1)).deal(1).created(|_| {}).moved(SALES, "met", "offer");
    let (from, to) = (["met", "offer", "talks"].map(val).to_vec(), ["offer", "met", "talks"].map(val).to_vec());
    log.on(day(2));
    log.append(dealog_events::StreamId::Pipeline(SALES), PipelineEvent::StagesReordered(StagesReordered { from, to }));
    let answer = period(&log.image, &as_of(day(3)), &between(day(1), day(3))).unwrap();
    let met = &answer.grouped.figures.funnels[0].stages[1];
    assert_eq!((met.stage.as_str(), met.forward, met.back), ("met", 1, 0));
}

#[test]
fn a_stage_that_was_added_after_a_deal_stood_in_it_takes_the_place_that_it_was_given() {
    let mut log = Log::new();
    log.on(day(1)).deal(1).created(|_| {}).moved(SALES, "met", "pilot");
    log.on(day(9));
    let added = StageAdded { stage: stage("pilot", 6_000), after: Some(val("offer")) };
    log.append(dealog_events::StreamId::Pipeline(SALES), PipelineEvent::StageAdded(added));
    let slugs: Vec<String> =
        stages(&log, &as_of(day(2))).iter().map(|stage| format!("{}:{}", stage.stage, stage.totals.deals)).collect();
    assert_eq!(slugs, ["met:0", "offer:0", "pilot:1", "talks:0"]);
    // When that was not known yet, the deal stood nowhere.
    let before = known(log.image.position().0 - 1, as_of(day(2)));
    assert_eq!(stages(&log, &before).len(), 3);
}

#[test]
fn time_in_stage_sums_a_deals_visits_and_estimates_with_those_still_there() {
    let mut log = Log::new();
    // Two days and one day in the first stage, then gone.
    log.on(day(1)).deal(1).created(|_| {});
    log.on(day(3)).deal(1).moved(SALES, "met", "offer");
    log.on(day(4)).deal(1).moved(SALES, "offer", "met");
    log.on(day(5)).deal(1).moved(SALES, "met", "talks");
    // Four days, and still there.
    log.on(day(5)).deal(2).created(|_| {});
    log.on(day(2)).deal(3).created(|_| {}).lost(SALES, "met", "error");
    let answer = time_in_stage(&log.image, &as_of(day(9))).unwrap().grouped.figures;
    let met = &answer.pipelines[0].stages[0];
    assert_eq!((met.deals, met.in_it_now), (2, 1));
    assert_eq!((met.days_completed_mean, met.days_so_far_mean), (days(300), days(400)));
    assert_eq!((met.days_median, met.days_p90), (days(300), None));
}

#[test]
fn closed_deals_are_told_by_count_value_reason_and_time() {
    let mut log = Log::new();
    log.on(day(1)).deal(1).created(|deal| deal.amount = Some(eur(30)));
    log.on(day(4)).deal(1).won(SALES, "met", eur(30));
    log.on(day(1)).deal(2).created(|deal| deal.amount = Some(eur(60)));
    log.on(day(2)).deal(2).lost(SALES, "met", "price");
    log.on(day(1)).deal(3).created(|_| {}).moved(SALES, "met", "talks");
    log.on(day(6)).deal(3).lost(SALES, "talks", "silence");
    log.on(day(1)).deal(4).created(|_| {}).lost(SALES, "met", "error");
    let (question, all) = (as_of(day(9)), between(day(1), day(9)));
    let rate = win_rate(&log.image, &question, &all).unwrap().grouped.figures;
    assert_eq!((rate.won, rate.lost, rate.lost_without_amount), (1, 2, 1));
    assert_eq!((rate.by_count.unwrap().basis_points, rate.by_value.unwrap().basis_points), (3_333, 3_333));
    let took = cycle(&log.image, &question, &all).unwrap().grouped.figures;
    assert_eq!((took.won.days_mean, took.lost.days_mean, took.lost.days_median), (days(300), days(300), days(300)));
    let lost = losses(&log.image, &question, &all).unwrap().grouped.figures;
    let reasons: Vec<_> = lost.reasons.iter().map(|reason| (reason.reason.as_str(), reason.lost.deals)).collect();
    assert_eq!(reasons, [("price", 1), ("silence", 1)]);
    let from: Vec<_> = lost.stages.iter().map(|stage| (stage.stage.as_str(), stage.lost.amount.minor)).collect();
    assert_eq!(from, [("met", 6_000), ("talks", 0)]);
    // Closed later than that, it is not closed.
    assert_eq!(win_rate(&log.image, &as_of(day(3)), &between(day(1), day(9))).unwrap().grouped.figures.won, 0);
}

#[test]
fn velocity_is_by_pipeline_and_says_nothing_of_cycles_under_a_day() {
    let mut log = Log::new();
    log.on(day(1)).deal(1).created(|deal| deal.amount = Some(eur(300)));
    log.on(day(4)).deal(1).won(SALES, "met", eur(300));
    log.on(day(1)).deal(2).created(|_| {});
    log.on(day(4)).deal(2).lost(SALES, "met", "price");
    log.on(day(1)).deal(3).created(|deal| deal.expected_close = Some(val("2026-03-02")));
    log.on(day(2)).deal(4).created(|deal| deal.pipeline = RENEWALS).won(RENEWALS, "met", eur(5));
    let answer = velocity(&log.image, &as_of(day(9)), &between(day(1), day(9))).unwrap().grouped.figures;
    let sales = &answer.pipelines[0];
    // One open deal, half are won, at 300, in three days.
    assert_eq!((sales.open, sales.overdue, sales.velocity_per_day.unwrap().minor), (1, 1, 5_000));
    assert_eq!(answer.pipelines[1].velocity_per_day, None);
    assert_eq!(answer.pipelines[1].win_rate, rate(10_000));
}

fn forecast_of(log: &Log, at: i64, from: &str, to: &str) -> ForecastFigures {
    let day = |day: &str| Some(dealog_events::When::Day(val(day)));
    let period = dealog_figures::Range { from: day(from), to: day(to) };
    forecast(&log.image, &as_of(at), &period).unwrap().grouped.figures
}

#[test]
fn a_forecast_keeps_the_overdue_apart_and_leaves_out_what_has_no_date() {
    let mut log = Log::new();
    let due = |day: &str| Some(val(day));
    log.on(day(1)).deal(1).created(|deal| (deal.amount, deal.expected_close) = (Some(eur(10)), due("2026-03-20")));
    log.deal(2).created(|deal| (deal.amount, deal.expected_close) = (Some(eur(20)), due("2026-03-05")));
    log.deal(3).created(|deal| (deal.amount, deal.expected_close) = (Some(eur(40)), due("2026-02-05")));
    log.deal(4).created(|deal| deal.amount = Some(eur(80)));
    log.deal(5).created(|deal| deal.amount = Some(eur(160))).won(SALES, "met", eur(160));
    let march = forecast_of(&log, day(10), "2026-03-01", "2026-04-01");
    let sums = |figures: &ForecastFigures| {
        [
            figures.booked.amount.minor,
            figures.expected.amount.minor,
            figures.overdue.amount.minor,
            figures.unscheduled.amount.minor,
            figures.booked_and_expected.minor,
            figures.categories.pipeline.level.minor,
        ]
    };
    assert_eq!(sums(&march), [16_000, 1_000, 6_000, 8_000, 16_700, 23_000]);
    // Of another month, what is overdue now is no part.
    let april = forecast_of(&log, day(10), "2026-04-01", "2026-05-01");
    assert_eq!(sums(&april), [0, 0, 0, 8_000, 0, 0]);
    let moved = DealEvent::ExpectedCloseChanged(ExpectedCloseChanged { from: None, to: due("2026-04-02") });
    log.on(day(11)).deal(2).happens(moved);
    assert_eq!(sums(&forecast_of(&log, day(12), "2026-04-01", "2026-05-01"))[1], 2_000);
}

#[test]
fn history_is_exact_and_of_the_pipeline_whatever_the_filters() {
    let mut log = Log::new();
    for number in 1..=4 {
        log.on(day(1)).deal(number).created(|_| {}).moved(SALES, "met", "offer");
    }
    log.on(day(2)).deal(1).won(SALES, "offer", eur(1));
    log.on(day(20)).deal(2).won(SALES, "offer", eur(1));
    log.on(day(20)).deal(3).lost(SALES, "offer", "price");
    // The first stage only.
    log.on(day(20)).deal(5).created(|_| {}).lost(SALES, "met", "price");
    log.on(day(21))
        .deal(4)
        .amount(Some(eur(10)))
        .happens(DealEvent::ExpectedCloseChanged(ExpectedCloseChanged { from: None, to: Some(val("2026-03-25")) }));
    let march = |filter: Filter| {
        let question = Question { filter, ..as_of(day(22)) };
        let figures = forecast(&log.image, &question, &dealog_figures::Range::default()).unwrap().grouped.figures;
        (figures.historical.minor, figures.historical_in_period.minor)
    };
    // 10 x 3/5; ten days are left, and only one of the two was won as soon as that.
    assert_eq!(march(Filter::default()), (600, 400));
    let amount = dealog_figures::AmountRange { from: Some(1_000), to: None };
    assert_eq!(march(Filter { amount, ..Filter::default() }), (600, 400));
    // A year later, nothing is known.
    let later = forecast_of(&log, day(20) + 365 * DAY, "2026-03-01", "2027-12-01");
    assert_eq!(later.historical.minor, 500);
    let just_before = forecast_of(&log, day(20) + 365 * DAY - 1, "2026-03-01", "2027-12-01");
    assert_eq!(just_before.historical.minor, 500);
}

#[test]
fn a_win_in_another_pipeline_reaches_nothing_in_this_one() {
    let mut log = Log::new();
    log.on(day(1)).deal(1).created(|_| {}).won(SALES, "met", eur(1));
    log.on(day(18)).deal(1).reopened(SALES, "met", Outcome::Won).transferred((SALES, "met"), (RENEWALS, "offer"));
    log.on(day(20)).deal(1).won(RENEWALS, "offer", eur(1));
    let created = |deal: &mut dealog_events::deal::Created| {
        (deal.pipeline, deal.stage, deal.amount) = (RENEWALS, val("offer"), Some(eur(12)));
    };
    log.on(day(21))
        .deal(2)
        .created(created)
        .happens(DealEvent::ExpectedCloseChanged(ExpectedCloseChanged { from: None, to: Some(val("2026-03-25")) }));
    // Ten days are left, and it was won two days after it had come into the pipeline: 12 x 2/3.
    let figures = forecast(&log.image, &as_of(day(22)), &dealog_figures::Range::default()).unwrap().grouped.figures;
    assert_eq!((figures.historical.minor, figures.historical_in_period.minor), (800, 800));
}

#[test]
fn groups_beyond_those_asked_for_are_the_others() {
    let mut log = Log::new();
    for (number, source) in ["Web", "Fair", "Web", "Radio", "Web", "Fair"].into_iter().enumerate() {
        log.deal(number as u128).created(|deal| (deal.source, deal.amount) = (Some(val(source)), Some(eur(1))));
    }
    log.deal(9).created(|_| {});
    let grouping = Grouping { by: vec![By::Source], groups_max: 2 };
    let answer = pipeline(&log.image, &Question { grouping, ..as_of(day(2)) }).unwrap().grouped;
    let groups: Vec<_> =
        answer.groups.iter().map(|group| (group.key[0].id.as_deref(), group.figures.total.deals)).collect();
    assert_eq!(groups, [(Some("Fair"), 2), (Some("Web"), 3)]);
    let others = answer.others.unwrap();
    assert_eq!((others.count, others.figures.total.deals, others.figures.total.amount.minor), (2, 2, 100));
}

#[test]
fn fields_are_filtered_and_grouped_by_with_their_values_of_then() {
    let mut log = Log::new();
    log.fields();
    let text = |text: &str| FieldValue::Text(val(text));
    log.on(day(1)).deal(1).created(|deal| {
        deal.fields.insert(val("region"), text("east"));
        deal.fields.insert(val("margin"), text("12.50"));
    });
    log.deal(2).created(|_| {}).field("region", text("east")).won(SALES, "met", eur(1)).field("region", text("west"));
    log.on(day(3)).deal(1).field("region", text("west")).field("renewal", text("2027-01-01"));
    let open = |at, field: &str, values: &[&str], from: Option<&str>, to: Option<&str>| {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        let (from, to) = (from.map(ToOwned::to_owned), to.map(ToOwned::to_owned));
        let fields = vec![FieldFilter { field: val(field), values, from, to }];
        let answer = pipeline(&log.image, &Question { filter: Filter { fields, ..Filter::default() }, ..as_of(at) });
        answer.map(|answer| (answer.grouped.figures.total.deals, answer.grouped.figures.closed.won))
    };
    assert_eq!(open(day(2), "region", &["east"], None, None), Ok((1, 1)));
    assert_eq!(open(day(4), "region", &["east"], None, None), Ok((0, 1)));
    assert_eq!(open(day(4), "region", &["east", "west"], None, None), Ok((1, 1)));
    assert_eq!(open(day(4), "margin", &["12.5"], None, None), Ok((1, 0)));
    assert_eq!(open(day(4), "margin", &[], Some("12.51"), None), Ok((0, 0)));
    assert_eq!(open(day(4), "margin", &[], Some("12"), Some("12.5")), Ok((1, 0)));
    assert_eq!(open(day(4), "renewal", &[], None, Some("2027-01-01")), Ok((0, 0)));
    assert_eq!(open(day(4), "renewal", &[], Some("2027-01-01"), None), Ok((1, 0)));
    for (field, value) in [("region", "north"), ("remark", "x"), ("colour", "red"), ("margin", "much")] {
        let refused = open(day(4), field, &[value], None, None);
        assert!(
            matches!(&refused, Err(Unanswerable::Field { field: named, .. }) if *named == format!("fields.{field}")),
            "{field}: {refused:?}"
        );
    }
    let grouping = Grouping { by: vec![By::Field(val("region"))], groups_max: 9 };
    let answer = pipeline(&log.image, &Question { grouping, ..as_of(day(4)) }).unwrap().grouped;
    let groups: Vec<_> = answer.groups.iter().map(|group| group.key[0].id.clone().unwrap()).collect();
    assert_eq!(groups, ["east", "west"]);
}

#[test]
fn closings_are_grouped_by_local_month_and_open_deals_by_the_day_they_are_expected() {
    let mut log = Log::new();
    // Half past midnight in Riga.
    log.on(val::<dealog_events::Timestamp>("2026-03-31T21:30:00Z").micros());
    log.deal(1).created(|_| {}).won(SALES, "met", eur(1));
    log.deal(2).created(|deal| deal.expected_close = Some(val("2026-06-30")));
    let at = day(60);
    let grouping = |interval| Grouping { by: vec![By::Time(interval)], groups_max: 9 };
    let months = Question { grouping: grouping(Interval::Month), ..as_of(at) };
    let closed = win_rate(&log.image, &months, &between(day(1), at)).unwrap().grouped;
    assert_eq!(closed.groups[0].key[0].id.as_deref(), Some("2026-04"));
    let open = pipeline(&log.image, &months).unwrap().grouped;
    let ids: Vec<_> = open.groups.iter().map(|group| group.key[0].id.clone().unwrap()).collect();
    assert_eq!(ids, ["2026-04", "2026-06"]);
    let weeks = Question { grouping: grouping(Interval::Week), ..as_of(at) };
    let closed = win_rate(&log.image, &weeks, &between(day(1), at)).unwrap().grouped;
    assert_eq!(closed.groups[0].key[0].id.as_deref(), Some("2026-W14"));
}

#[test]
fn a_question_that_cannot_be_meant_is_refused_by_the_field() {
    let mut log = Log::new();
    log.deal(1).created(|deal| deal.customer = Some(ACME));
    let refused = |filter: Filter| match pipeline(&log.image, &Question { filter, ..as_of(day(2)) }) {
        Err(Unanswerable::Field { field, .. }) => field,
        other => panic!("{other:?}"),
    };
    let some = Filter::default;
    assert_eq!(refused(Filter { owners: vec![Some(ANNA)], ..some() }), "owner");
    assert_eq!(refused(Filter { stages: vec![slug("nowhere")], ..some() }), "stage");
    assert_eq!(refused(Filter { sources: vec![val("Radio")], ..some() }), "source");
    assert_eq!(refused(Filter { created: between(day(3), day(2)), ..some() }), "created_to");
    let late = win_rate(&log.image, &as_of(day(2)), &between(day(3), day(4)));
    assert!(matches!(&late, Err(Unanswerable::Field { field, .. }) if field == "from"), "{late:?}");
    let beyond = pipeline(&log.image, &known(999, as_of(day(2))));
    assert!(matches!(&beyond, Err(Unanswerable::Field { field, .. }) if field == "known_at"));
    let page = BoardPage { limit: 9, after: None };
    let pipelines = vec![SALES, RENEWALS];
    let board = columns(&log.image, &Question { filter: Filter { pipelines, ..some() }, ..as_of(day(2)) }, page);
    assert!(matches!(board, Err(Unanswerable::Field { field, .. }) if field == "pipeline"));
    // A period that the instant cuts short says where it ended.
    let answer = win_rate(&log.image, &as_of(day(2)), &between(day(1), day(9))).unwrap();
    assert_eq!(answer.to.micros(), day(2) + 1);
}

#[test]
fn a_move_is_forward_or_back_by_the_order_it_was_made_in_whenever_that_is_asked() {
    let mut log = Log::new();
    let reordered = StagesReordered {
        from: ["met", "offer", "talks"].map(slug).to_vec(),
        to: ["offer", "met", "talks"].map(slug).to_vec(),
    };
    log.on(day(10)).append(dealog_events::StreamId::Pipeline(SALES), PipelineEvent::StagesReordered(reordered));
    let added = StageAdded { stage: stage("late", 2_000), after: Some(slug("met")) };
    log.on(day(20)).append(dealog_events::StreamId::Pipeline(SALES), PipelineEvent::StageAdded(added));
    log.on(day(2)).deal(1).created(|deal| deal.stage = slug("late"));
    log.on(day(3)).deal(1).moved(SALES, "late", "offer");
    for at in [day(5), day(15), day(25)] {
        let answer = period(&log.image, &as_of(at), &between(day(1), day(4))).unwrap().grouped.figures;
        let late = answer.funnels[0].stages.iter().find(|found| found.stage == slug("late")).unwrap();
        assert_eq!((late.forward, late.back), (1, 0), "as of {at}");
    }
}

#[test]
fn a_course_has_the_days_of_each_of_its_instants() {
    let mut log = Log::new();
    // An hour before midnight in UTC: the next day in Riga, and still the same one in New York.
    log.on(day(31) + 23 * DAY / 24).deal(1).created(|_| {}).won(SALES, "met", eur(1));
    let moved = dealog_events::settings::TimeZoneSet { from: Some(val("Europe/Riga")), to: val("America/New_York") };
    log.on(day(50)).settings(dealog_events::settings::SettingsEvent::TimeZoneSet(moved));
    let question = grouped(By::Time(Interval::Month), 9, day(90));
    let course = dealog_figures::pipeline_series(&log.image, &question, &between(day(31), day(90)), Interval::Month);
    let months = course.unwrap().points.into_iter().map(|point| {
        let won = point.grouped.groups.into_iter().filter(|group| group.figures.closed.won == 1);
        (point.interval, won.map(|group| group.key[0].id.clone().unwrap()).collect::<Vec<_>>())
    });
    let months: Vec<_> = months.collect();
    let expected = [("2026-03", "2026-04"), ("2026-04", "2026-03"), ("2026-05", "2026-03")];
    assert_eq!(months, expected.map(|(point, won)| (point.to_owned(), vec![won.to_owned()])));
}
