//! What holds of every log: made up at random, many times.

use std::collections::HashSet;

use chrono::NaiveDate;
use dealog_events::{
    Event, Timestamp,
    deal::{self, DealEvent, Outcome},
};
use dealog_figures::{
    AllPipelines, By, ClosedNumber, Filter, ForecastNumber, FunnelNumber, Grouped, Grouping, Interval, Page,
    PeriodNumber, PipelineNumber, Quantity, Question, Range, StageTimeNumber, Total, Unanswerable, behind_closed,
    behind_forecast, behind_funnel, behind_period, behind_pipeline, behind_time_in_stage, cycle, forecast, funnel,
    losses, period, pipeline, pipeline_series, snapshots, time_in_stage, win_rate,
};
use proptest::{collection::vec, prelude::*};

use crate::log::{
    ANNA, BORIS, DAY, Log, NORTH, RENEWALS, SALES, SOUTH, STAGES, as_of, between, day, deal_id, eur, known, val,
};

const DEALS: u8 = 7;

/// Something that is tried: with which deal, what, how, and how long after the last.
type Try = (u8, u8, u8, i64);

fn tries() -> impl Strategy<Value = Vec<Try>> {
    let pause = prop_oneof![Just(0), Just(1), 1..DAY, 1..20 * DAY];
    vec((0..DEALS, 0_u8..21, any::<u8>(), pause), 1..120)
}

/// Where a deal stands, so that only what may happen does.
#[derive(Clone, Copy)]
struct Standing {
    pipeline: dealog_events::PipelineId,
    stage: usize,
    closed: Option<Outcome>,
    /// When it was created, or reopened last.
    opened_at: i64,
}

/// The last command on a deal: which try it was, of how many events, and where the deal stood before.
type Last = (usize, usize, Standing);

/// The log of those tries that the rules would let through.
fn log_of(tries: &[Try]) -> Log {
    tell(tries, &HashSet::new()).0
}

/// The same without some tries; and which came to nothing in the end: they were not let through, or were undone, or undid.
fn tell(tries: &[Try], without: &HashSet<usize>) -> (Log, HashSet<usize>) {
    let mut log = Log::new();
    let mut lasts: [Option<Last>; DEALS as usize] = [None; DEALS as usize];
    let mut undone = HashSet::new();
    log.join(NORTH, ANNA);
    log.join(SOUTH, BORIS);
    let mut deals: [Option<Standing>; DEALS as usize] = [None; DEALS as usize];
    for (index, (number, what, how, pause)) in tries.iter().copied().enumerate() {
        log.now += pause;
        if without.contains(&index) {
            continue;
        }
        let entry = &mut deals[usize::from(number)];
        let how_stage = usize::from(how) % STAGES.len();
        let owner = if how % 2 == 0 { ANNA } else { BORIS };
        let money = eur(i64::from(how));
        let due: NaiveDate = val::<NaiveDate>("2026-03-01") + chrono::Days::new(u64::from(how));
        let Some(deal) = entry else {
            let pipeline = if how < 170 { SALES } else { RENEWALS };
            log.deal(number.into()).created(|created| {
                (created.pipeline, created.stage) = (pipeline, val(STAGES[how_stage]));
                created.owner = (how % 3 > 0).then_some(owner);
                created.amount = (how % 4 > 0).then_some(money);
                created.source = (how % 5 > 0).then(|| val(if how % 2 == 0 { "Web" } else { "Fair" }));
                created.expected_close = (how % 3 > 0).then_some(due);
            });
            *entry = Some(Standing { pipeline, stage: how_stage, closed: None, opened_at: log.now });
            continue;
        };
        let (pipeline, stage) = (deal.pipeline, STAGES[deal.stage]);
        let (before, events_before, last) = (*deal, log.events.len(), &mut lasts[usize::from(number)]);
        let closed_at =
            Timestamp::from_micros(deal.opened_at + (log.now - deal.opened_at) / 255 * i64::from(how)).unwrap();
        match (what, deal.closed) {
            (0..6, None) if how_stage != deal.stage => {
                log.deal(number.into()).moved(pipeline, stage, STAGES[how_stage]);
                deal.stage = how_stage;
            }
            (6, None) => {
                let to = if pipeline == SALES { RENEWALS } else { SALES };
                log.deal(number.into()).transferred((pipeline, stage), (to, STAGES[how_stage]));
                (deal.pipeline, deal.stage) = (to, how_stage);
            }
            (7, None) => {
                log.deal(number.into()).amount(Some(money)).won(pipeline, stage, money);
                deal.closed = Some(Outcome::Won);
            }
            (8, None) => {
                let reason = ["price", "silence", "error"][usize::from(how) % 3];
                log.deal(number.into()).lost(pipeline, stage, reason);
                deal.closed = Some(Outcome::Lost);
            }
            (9 | 10, Some(was)) => {
                log.deal(number.into()).reopened(pipeline, STAGES[how_stage], was);
                (deal.stage, deal.closed, deal.opened_at) = (how_stage, None, log.now);
            }
            (11, _) => drop(log.deal(number.into()).owner(owner)),
            (12, _) => drop(log.deal(number.into()).amount((how % 2 == 0).then_some(money))),
            (13, _) => {
                let to = (how % 4 > 0).then_some(due);
                let changed = deal::ExpectedCloseChanged { from: None, to };
                log.deal(number.into()).happens(DealEvent::ExpectedCloseChanged(changed));
            }
            (14, _) => {
                if how % 2 == 0 {
                    log.join(NORTH, owner);
                } else {
                    log.leave(NORTH, owner);
                }
            }
            (15, None) => {
                log.deal(number.into()).amount(Some(money)).won_at(pipeline, stage, money, closed_at);
                deal.closed = Some(Outcome::Won);
            }
            (16, Some(was)) => {
                log.deal(number.into()).corrected(|to| match (how % 4, was) {
                    (0, _) => to.owner = Some((how % 3 > 0).then_some(owner)),
                    (1, Outcome::Won) => to.amount = Some(money),
                    (1, Outcome::Lost) => (to.reason, to.counted) = (Some(val("error")), Some(false)),
                    _ => to.closed_at = Some(closed_at),
                });
            }
            (17..21, _) => {
                undone.insert(index);
                if let Some((of, events, before)) = last.take() {
                    log.deal(number.into()).undone(events);
                    *deal = before;
                    undone.insert(of);
                }
                continue;
            }
            _ => {}
        }
        let events = log.events.len() - events_before;
        if events == 0 {
            undone.insert(index);
        } else if what != 14 {
            *last = Some((index, events, before));
        }
    }
    (log, undone)
}

/// Groups of every kind.
fn groupings() -> impl Strategy<Value = Vec<By>> {
    let one = prop_oneof![
        Just(By::Owner),
        Just(By::Team),
        Just(By::Source),
        Just(By::Pipeline),
        Just(By::Stage),
        Just(By::LossReason),
        Just(By::Time(Interval::Week)),
        Just(By::Time(Interval::Month)),
        Just(By::Time(Interval::Quarter)),
    ];
    vec(one, 0..=2).prop_filter("two of the same", |by| by.len() < 2 || by[0] != by[1])
}

fn ask(log: &Log, share: u8, by: Vec<By>) -> Question {
    // Some time between the beginning and a little after the end.
    let at = day(1) + (log.now + DAY - day(1)) / 255 * i64::from(share);
    Question { grouping: Grouping { by, groups_max: 1_000 }, ..as_of(at) }
}

fn everything(log: &Log) -> Range {
    between(day(1), log.now + 2 * DAY)
}

/// What a figure's groups come to, by a number of theirs.
fn adds_up<F>(grouped: &Grouped<F>, number: impl Fn(&F) -> i128) {
    let others = grouped.others.as_ref().map(|others| number(&others.figures));
    let groups = grouped.groups.iter().map(|group| number(&group.figures));
    let sum: i128 = groups.chain(others).sum();
    if !grouped.groups.is_empty() {
        assert_eq!(sum, number(&grouped.figures));
    }
}

fn behind(
    mut page: impl FnMut(Page) -> Result<dealog_figures::Behind, Unanswerable>,
) -> Vec<(dealog_events::DealId, Quantity)> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let answer = page(Page { after, limit: 2 }).unwrap();
        assert!(answer.deals.len() <= 2);
        found.extend(answer.deals.iter().map(|adds| (adds.deal, adds.adds)));
        match answer.next {
            Some(next) => after = Some(next),
            None => return found,
        }
    }
}

/// What the deals behind a number come to.
fn sum(found: &[(dealog_events::DealId, Quantity)]) -> i128 {
    found
        .iter()
        .map(|(_, adds)| match adds {
            Quantity::Count(count) => i128::from(*count),
            Quantity::Money(Total { minor, .. }) => *minor,
            Quantity::Days(days) => i128::from(days.hundredths),
        })
        .sum()
}

/// Whether days add up to so many times their mean, as far as rounding to hundredths goes.
fn comes_to_mean(days: &[(dealog_events::DealId, Quantity)], count: i64, mean: Option<dealog_figures::Days>) -> bool {
    let Some(mean) = mean else { return days.is_empty() && count == 0 };
    let (deals, count) = (days.len() as i128, i128::from(count));
    count > 0 && (sum(days) - i128::from(mean.hundredths) * count).abs() <= (deals + count + 1) / 2
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_deal_is_somewhere_and_groups_add_up(tries in tries(), share in any::<u8>(), by in groupings()) {
        let log = log_of(&tries);
        let question = ask(&log, share, by);
        let answer = pipeline(&log.image, &question).unwrap().grouped;
        let created = log.events.iter().filter(|(at, _, event)| {
            matches!(event, Event::Deal(DealEvent::Created(_))) && *at <= question.now.micros()
        });
        let deals = |all: &AllPipelines| i128::from(all.total.deals + all.closed.won + all.closed.lost + all.closed.excluded);
        prop_assert_eq!(deals(&answer.figures), created.count() as i128);
        adds_up(&answer, deals);
        adds_up(&answer, |all| all.total.amount.minor + all.total.weighted.minor + all.closed.won_amount.minor);
        let all = everything(&log);
        let rates = win_rate(&log.image, &question, &all).unwrap().grouped;
        adds_up(&rates, |rate| i128::from(rate.won * 1_000 + rate.lost) + rate.won_amount.minor + rate.lost_amount.minor);
        prop_assert_eq!(rates.figures.won, answer.figures.closed.won);
        prop_assert_eq!(rates.figures.lost, answer.figures.closed.lost);
        let lost = losses(&log.image, &question, &all).unwrap().grouped;
        prop_assert_eq!(lost.figures.all.deals, answer.figures.closed.lost);
        prop_assert_eq!(lost.figures.reasons.iter().map(|found| found.lost.deals).sum::<i64>(), lost.figures.all.deals);
        prop_assert_eq!(lost.figures.stages.iter().map(|found| found.lost.deals).sum::<i64>(), lost.figures.all.deals);
        let took = cycle(&log.image, &question, &all).unwrap().grouped;
        adds_up(&took, |took| i128::from(took.won.deals * 1_000 + took.lost.deals));
    }

    #[test]
    fn as_of_and_known_at_answer_as_if_nothing_had_come_after(tries in tries(), share in any::<u8>(), cut in any::<u8>()) {
        let log = log_of(&tries);
        let question = ask(&log, share, vec![By::Owner, By::Stage]);
        let all = everything(&log);
        // Definitions stand at the beginning of the log.
        let defined = 6;
        let position = defined.max(log.events.len() * usize::from(cut) / 255);
        let then = Log::of(log.events[..position].iter().filter(|(at, ..)| *at <= question.now.micros()));
        let asked = known(position as u64, question.clone());
        let (found, expected) = (pipeline(&log.image, &asked).unwrap(), pipeline(&then.image, &question).unwrap());
        prop_assert_eq!(found.grouped, expected.grouped);
        let (found, expected) = (funnel(&log.image, &asked, &all, Some(9)), funnel(&then.image, &question, &all, Some(9)));
        prop_assert_eq!(found.unwrap().grouped, expected.unwrap().grouped);
        let (found, expected) = (period(&log.image, &asked, &all), period(&then.image, &question, &all));
        prop_assert_eq!(found.unwrap().grouped, expected.unwrap().grouped);
        let (found, expected) = (time_in_stage(&log.image, &asked), time_in_stage(&then.image, &question));
        prop_assert_eq!(found.unwrap().grouped, expected.unwrap().grouped);
        let month = Range::default();
        let (found, expected) = (forecast(&log.image, &asked, &month), forecast(&then.image, &question, &month));
        prop_assert_eq!(found.unwrap().grouped, expected.unwrap().grouped);
    }

    #[test]
    fn cohorts_and_periods_add_up(tries in tries(), share in any::<u8>(), length in 1..60_i64, within in proptest::option::of(1..40_u32)) {
        let log = log_of(&tries);
        let question = ask(&log, share, vec![]);
        let at = question.now.micros();
        let range = between((at - length * DAY).max(day(1)), log.now + DAY);
        let funnels = funnel(&log.image, &question, &range, within).unwrap().grouped.figures.funnels;
        for cohort in funnels {
            prop_assert_eq!(cohort.entered, cohort.open + cohort.won + cohort.lost + cohort.left + cohort.excluded);
            let next = cohort.stages.iter().skip(1).map(|stage| stage.reached).chain([cohort.won]);
            for (stage, next) in cohort.stages.iter().zip(next) {
                let here = stage.open_furthest + stage.lost_furthest + stage.left_furthest;
                prop_assert_eq!(stage.reached, next + here);
            }
            prop_assert_eq!(cohort.open, cohort.stages.iter().map(|stage| stage.open_in).sum::<i64>());
            prop_assert_eq!(cohort.lost, cohort.stages.iter().map(|stage| stage.lost_from).sum::<i64>());
            prop_assert_eq!(cohort.left, cohort.stages.iter().map(|stage| stage.left_from).sum::<i64>());
        }
        let answer = period(&log.image, &question, &range).unwrap().grouped.figures;
        for stage in answer.funnels.iter().flat_map(|funnel| &funnel.stages) {
            let gone = stage.forward + stage.back + stage.transferred + stage.won_from + stage.lost_from;
            prop_assert_eq!(stage.open_before + stage.entered, stage.open_after + gone, "{:?}", stage);
        }
    }

    #[test]
    fn a_series_gives_what_each_of_its_instants_would(tries in tries(), share in any::<u8>(), by in groupings()) {
        let log = log_of(&tries);
        let question = ask(&log, share, by);
        let range = between(day(1), log.now + DAY);
        for interval in [Interval::Week, Interval::Month] {
            let series = pipeline_series(&log.image, &question, &range, interval).unwrap();
            let one = |question: &Question| pipeline(&log.image, question).map(|answer| answer.grouped);
            let each = snapshots(&log.image, &question, &range, interval, one).unwrap();
            prop_assert_eq!(series, each);
        }
    }

    #[test]
    fn the_deals_behind_a_number_come_to_it(tries in tries(), share in any::<u8>(), within in proptest::option::of(1..40_u32)) {
        let log = log_of(&tries);
        let question = ask(&log, share, vec![]);
        let (image, all) = (&log.image, everything(&log));
        let open = pipeline(image, &question).unwrap().grouped.figures;
        let of = |number| sum(&behind(|page| behind_pipeline(image, &question, number, page)));
        for (number, expected) in [
            (PipelineNumber::Deals, open.total.deals.into()),
            (PipelineNumber::Amount, open.total.amount.minor),
            (PipelineNumber::Weighted, open.total.weighted.minor),
            (PipelineNumber::WithoutAmount, open.total.without_amount.into()),
            (PipelineNumber::Stale, open.total.stale.into()),
            (PipelineNumber::Overdue, open.total.overdue.into()),
            (PipelineNumber::Won, open.closed.won.into()),
            (PipelineNumber::WonAmount, open.closed.won_amount.minor),
            (PipelineNumber::Lost, open.closed.lost.into()),
            (PipelineNumber::Excluded, open.closed.excluded.into()),
        ] {
            prop_assert_eq!(of(number), expected, "{:?}", number);
        }
        let rates = win_rate(image, &question, &all).unwrap().grouped.figures;
        let of = |number| sum(&behind(|page| behind_closed(image, &question, &all, number, page)));
        for (number, expected) in [
            (ClosedNumber::Won, rates.won.into()),
            (ClosedNumber::WonAmount, rates.won_amount.minor),
            (ClosedNumber::Lost, rates.lost.into()),
            (ClosedNumber::LostAmount, rates.lost_amount.minor),
            (ClosedNumber::LostWithoutAmount, rates.lost_without_amount.into()),
        ] {
            prop_assert_eq!(of(number), expected, "{:?}", number);
        }
        let one = Question { filter: Filter { pipelines: vec![SALES], ..Filter::default() }, ..question.clone() };
        let sales = funnel(image, &one, &all, within).unwrap().grouped.figures.funnels.remove(0);
        let of = |number, stage: Option<&dealog_events::Slug>| {
            sum(&behind(|page| behind_funnel(image, &one, &all, within, (number, stage), page)))
        };
        prop_assert_eq!(of(FunnelNumber::Entered, None), sales.entered.into());
        prop_assert_eq!(of(FunnelNumber::Excluded, None), sales.excluded.into());
        prop_assert_eq!(of(FunnelNumber::Won, None), sales.won.into());
        for stage in &sales.stages {
            for (number, expected) in [
                (FunnelNumber::Reached, stage.reached),
                (FunnelNumber::OpenIn, stage.open_in),
                (FunnelNumber::LostFrom, stage.lost_from),
                (FunnelNumber::LeftFrom, stage.left_from),
                (FunnelNumber::OpenFurthest, stage.open_furthest),
                (FunnelNumber::LostFurthest, stage.lost_furthest),
                (FunnelNumber::LeftFurthest, stage.left_furthest),
            ] {
                prop_assert_eq!(of(number, Some(&stage.stage)), expected.into(), "{:?}", number);
            }
        }
        let happened = period(image, &one, &all).unwrap().grouped.figures.funnels.remove(0);
        let of = |number, stage: &dealog_events::Slug, to: Option<&dealog_events::Slug>| {
            behind(|page| behind_period(image, &one, &all, (number, stage, to), page))
        };
        for stage in &happened.stages {
            for (number, expected) in [
                (PeriodNumber::OpenBefore, stage.open_before),
                (PeriodNumber::Entered, stage.entered),
                (PeriodNumber::Forward, stage.forward),
                (PeriodNumber::Back, stage.back),
                (PeriodNumber::Transferred, stage.transferred),
                (PeriodNumber::WonFrom, stage.won_from),
                (PeriodNumber::LostFrom, stage.lost_from),
                (PeriodNumber::OpenAfter, stage.open_after),
            ] {
                prop_assert_eq!(sum(&of(number, &stage.stage, None)), expected.into(), "{:?}", number);
            }
        }
        for moved in &happened.moves {
            let moves = of(PeriodNumber::Moves, &moved.from, Some(&moved.to));
            prop_assert_eq!(sum(&moves), moved.count.into());
            let days = of(PeriodNumber::MoveDays, &moved.from, Some(&moved.to));
            prop_assert!(comes_to_mean(&days, moved.count, moved.days_mean), "{:?} {:?}", days, moved);
        }
        let times = time_in_stage(image, &one).unwrap().grouped.figures.pipelines.remove(0);
        for stage in &times.stages {
            let of = |number| behind(|page| behind_time_in_stage(image, &one, (number, &stage.stage), page));
            prop_assert_eq!(sum(&of(StageTimeNumber::Deals)), stage.deals.into());
            prop_assert_eq!(sum(&of(StageTimeNumber::InItNow)), stage.in_it_now.into());
            let (completed, left) = (of(StageTimeNumber::DaysCompleted), stage.deals - stage.in_it_now);
            prop_assert!(comes_to_mean(&completed, left, stage.days_completed_mean), "{:?} {:?}", completed, stage);
            let so_far = of(StageTimeNumber::DaysSoFar);
            prop_assert!(comes_to_mean(&so_far, stage.in_it_now, stage.days_so_far_mean), "{:?} {:?}", so_far, stage);
        }
        let month = Range::default();
        let brings = forecast(image, &question, &month).unwrap().grouped.figures;
        let of = |number| sum(&behind(|page| behind_forecast(image, &question, &month, number, page)));
        for (number, expected) in [
            (ForecastNumber::Booked, brings.booked.amount.minor),
            (ForecastNumber::Open, brings.open.amount.minor),
            (ForecastNumber::Expected, brings.expected.amount.minor),
            (ForecastNumber::Overdue, brings.overdue.amount.minor),
            (ForecastNumber::Unscheduled, brings.unscheduled.amount.minor),
            (ForecastNumber::Pipeline, brings.categories.pipeline.part.amount.minor),
            (ForecastNumber::Historical, brings.historical.minor),
            (ForecastNumber::HistoricalInPeriod, brings.historical_in_period.minor),
        ] {
            prop_assert_eq!(of(number), expected, "{:?}", number);
        }
    }

    #[test]
    fn what_was_undone_might_as_well_never_have_been(tries in tries(), by in groupings()) {
        let (log, undone) = tell(&tries, &HashSet::new());
        let (without, none) = tell(&tries, &undone);
        prop_assert!(none.is_empty());
        let (question, all, month) = (ask(&log, 255, by), everything(&log), Range::default());
        prop_assert_eq!(pipeline(&log.image, &question).unwrap().grouped, pipeline(&without.image, &question).unwrap().grouped);
        let funnels = |log: &Log| funnel(&log.image, &question, &all, Some(9)).unwrap().grouped;
        prop_assert_eq!(funnels(&log), funnels(&without));
        let periods = |log: &Log| period(&log.image, &question, &between(day(1) + (log.now - day(1)) / 2, log.now + DAY)).unwrap().grouped;
        prop_assert_eq!(periods(&log), periods(&without));
        let times = |log: &Log| time_in_stage(&log.image, &question).unwrap().grouped;
        prop_assert_eq!(times(&log), times(&without));
        let rates = |log: &Log| win_rate(&log.image, &question, &all).unwrap().grouped;
        prop_assert_eq!(rates(&log), rates(&without));
        let took = |log: &Log| cycle(&log.image, &question, &all).unwrap().grouped;
        prop_assert_eq!(took(&log), took(&without));
        let brings = |log: &Log| forecast(&log.image, &question, &month).unwrap().grouped;
        prop_assert_eq!(brings(&log), brings(&without));
    }

    #[test]
    fn a_deal_stays_in_no_stage_for_less_than_no_time(tries in tries(), share in any::<u8>()) {
        let log = log_of(&tries);
        let question = ask(&log, share, vec![]);
        let days = |days: Option<dealog_figures::Days>| days.map_or(0, |days| days.hundredths);
        for pipeline in time_in_stage(&log.image, &question).unwrap().grouped.figures.pipelines {
            for stage in pipeline.stages {
                prop_assert!(days(stage.days_completed_mean) >= 0 && days(stage.days_so_far_mean) >= 0, "{:?}", stage);
            }
        }
        let took = cycle(&log.image, &question, &everything(&log)).unwrap().grouped.figures;
        prop_assert!(days(took.won.days_mean) >= 0 && days(took.lost.days_mean) >= 0, "{:?}", took);
    }

    #[test]
    fn it_does_not_matter_how_streams_are_interleaved(tries in tries(), share in any::<u8>(), first in 0..DEALS) {
        let log = log_of(&tries);
        let of_first = |stream: dealog_events::StreamId| stream == dealog_events::StreamId::Deal(deal_id(first.into()));
        // One deal's events come last in the log, each still at its own time.
        let others = log.events.iter().filter(|(_, stream, _)| !of_first(*stream));
        let mixed = Log::of(others.chain(log.events.iter().filter(|(_, stream, _)| of_first(*stream))));
        let question = ask(&log, share, vec![By::Team]);
        let all = everything(&log);
        prop_assert_eq!(pipeline(&log.image, &question), pipeline(&mixed.image, &question));
        prop_assert_eq!(funnel(&log.image, &question, &all, None), funnel(&mixed.image, &question, &all, None));
        prop_assert_eq!(period(&log.image, &question, &all), period(&mixed.image, &question, &all));
        prop_assert_eq!(cycle(&log.image, &question, &all), cycle(&mixed.image, &question, &all));
    }
}

#[test]
fn random_logs_have_what_there_is_to_have() {
    use proptest::{strategy::ValueTree as _, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let mut seen = std::collections::BTreeMap::<&str, usize>::new();
    for _ in 0..100 {
        let tries = tries().new_tree(&mut runner).unwrap().current();
        for (_, _, event) in log_of(&tries).events {
            *seen.entry(event.event_type().0).or_default() += 1;
        }
    }
    for what in [
        "deal.reopened",
        "deal.transferred",
        "deal.won",
        "deal.lost",
        "deal.closing_corrected",
        "deal.undone",
        "deal.owner_assigned",
        "team.member_removed",
    ] {
        assert!(seen.get(what).is_some_and(|times| *times > 50), "{what}: {seen:?}");
    }
}
