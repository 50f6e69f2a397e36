//! Closings with a date of their own, corrections, and commands that were undone.

use dealog_events::{Timestamp, deal::Outcome};
use dealog_figures::{Filter, Question, Rate, cycle, losses, period, pipeline, time_in_stage, win_rate};

use super::{cohort, days, reached, stages};
use crate::log::{ANNA, BORIS, Log, SALES, as_of, between, day, eur, known, val};

fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros).unwrap()
}

/// Deals won between two days, as told on another, and what they were won for.
fn won(log: &Log, question: &Question, from: i64, to: i64) -> (i64, i128) {
    let rate = win_rate(&log.image, question, &between(from, to)).unwrap().grouped.figures;
    (rate.won, rate.won_amount.minor)
}

#[test]
fn a_win_counts_on_the_day_it_was_won_and_from_when_it_was_entered_on() {
    let mut log = Log::new();
    log.on(day(2)).deal(1).created(|_| {}).moved(SALES, "met", "offer");
    // Moved again after the contract had been signed on the 10th, which was entered on the 20th.
    log.on(day(15)).deal(1).moved(SALES, "offer", "talks");
    let before = log.image.position().0;
    log.on(day(20)).deal(1).amount(Some(eur(7))).won_at(SALES, "talks", eur(7), at(day(10)));
    assert_eq!(won(&log, &as_of(day(21)), day(10), day(11)), (1, 700));
    assert_eq!(won(&log, &as_of(day(21)), day(20), day(21)), (0, 0));
    // Who asked on the 12th, or knew no more, was told of an open deal.
    assert_eq!(won(&log, &as_of(day(12)), day(10), day(11)), (0, 0));
    assert_eq!(won(&log, &known(before, as_of(day(21))), day(10), day(11)), (0, 0));
    assert_eq!(stages(&log, &as_of(day(12)))[1].totals.deals, 1);
    let took = cycle(&log.image, &as_of(day(21)), &between(day(1), day(21))).unwrap().grouped.figures;
    assert_eq!(took.won.days_mean, days(800));
    // It was in talks for no time at all, and never for less.
    let times = time_in_stage(&log.image, &as_of(day(21))).unwrap().grouped.figures.pipelines.remove(0);
    let completed: Vec<_> = times.stages.iter().map(|stage| stage.days_completed_mean).collect();
    assert_eq!(completed, [days(0), days(800), days(0)]);
}

#[test]
fn a_closing_that_was_dated_wrong_is_moved_and_what_lies_before_it_is_as_it_was() {
    let mut log = Log::new();
    log.on(day(2)).deal(1).created(|deal| deal.amount = Some(eur(7)));
    log.on(day(8)).deal(1).moved(SALES, "met", "offer");
    log.on(day(20)).deal(1).won_at(SALES, "offer", eur(7), at(day(5)));
    let wrong = log.image.position().0;
    log.on(day(21)).deal(1).corrected(|to| to.closed_at = Some(at(day(12))));
    assert_eq!(won(&log, &as_of(day(22)), day(12), day(13)), (1, 700));
    assert_eq!(won(&log, &as_of(day(22)), day(5), day(6)), (0, 0));
    assert_eq!(won(&log, &known(wrong, as_of(day(22))), day(5), day(6)), (1, 700));
    let times = |question: &Question| {
        let times = time_in_stage(&log.image, question).unwrap().grouped.figures.pipelines.remove(0);
        [times.stages[0].days_completed_mean, times.stages[1].days_completed_mean]
    };
    assert_eq!(times(&as_of(day(22))), [days(600), days(400)]);
    assert_eq!(times(&known(wrong, as_of(day(22)))), [days(300), days(0)]);
}

#[test]
fn amount_reason_and_credit_of_a_closing_are_corrected_in_the_past_too() {
    let mut log = Log::new();
    log.on(day(1)).deal(1).created(|deal| deal.owner = Some(ANNA));
    log.on(day(2)).deal(1).amount(Some(eur(7))).won(SALES, "met", eur(7));
    log.on(day(3)).deal(1).corrected(|to| {
        to.amount = Some(eur(9));
        to.owner = Some(Some(BORIS));
    });
    let of = |owner| Question { filter: Filter { owners: vec![Some(owner)], ..Filter::default() }, ..as_of(day(9)) };
    assert_eq!(won(&log, &of(BORIS), day(2), day(3)), (1, 900));
    assert_eq!(won(&log, &of(ANNA), day(2), day(3)), (0, 0));
    // Whose it is goes on, and the amount with it.
    log.on(day(4)).deal(1).reopened(SALES, "met", Outcome::Won);
    let open = pipeline(&log.image, &of(ANNA)).unwrap().grouped.figures.total;
    assert_eq!((open.deals, open.amount.minor), (1, 900));

    log.on(day(5)).deal(2).created(|_| {}).lost(SALES, "met", "price");
    let lost = |log: &Log| {
        let told = losses(&log.image, &as_of(day(9)), &between(day(5), day(6))).unwrap().grouped.figures;
        (told.all.deals, told.reasons.iter().map(|reason| reason.reason.to_string()).collect::<Vec<_>>())
    };
    assert_eq!(lost(&log), (1, vec!["price".to_owned()]));
    log.on(day(6)).deal(2).corrected(|to| to.reason = Some(val("silence")));
    assert_eq!(lost(&log), (1, vec!["silence".to_owned()]));
    log.on(day(7)).deal(2).corrected(|to| (to.reason, to.counted) = (Some(val("error")), Some(false)));
    assert_eq!(lost(&log), (0, Vec::new()));
    assert_eq!(pipeline(&log.image, &as_of(day(9))).unwrap().grouped.figures.closed.excluded, 1);
}

#[test]
fn what_is_corrected_counts_at_the_closing_whatever_date_that_had_when_it_was_corrected() {
    let mut log = Log::new();
    log.on(day(1)).deal(1).created(|deal| (deal.owner, deal.amount) = (Some(ANNA), Some(eur(3))));
    log.on(day(10)).deal(1).won_at(SALES, "met", eur(3), at(day(2)));
    log.on(day(11)).deal(1).corrected(|to| (to.owner, to.amount) = (Some(Some(BORIS)), Some(eur(9))));
    log.on(day(12)).deal(1).corrected(|to| to.closed_at = Some(at(day(8))));
    let open_before = |owner| {
        let filter = Filter { owners: vec![Some(owner)], ..Filter::default() };
        let question = Question { filter, ..as_of(day(13)) };
        let answer = period(&log.image, &question, &between(day(5), day(6))).unwrap().grouped.figures;
        answer.funnels[0].stages[0].open_before
    };
    assert_eq!((open_before(ANNA), open_before(BORIS)), (1, 0));
    let of = |owner| Question { filter: Filter { owners: vec![Some(owner)], ..Filter::default() }, ..as_of(day(13)) };
    assert_eq!(won(&log, &of(BORIS), day(8), day(9)), (1, 900));
}

#[test]
fn a_move_that_was_undone_reaches_nothing_and_ages_go_on() {
    let mut log = Log::new();
    log.on(day(1)).deal(1).created(|_| {});
    log.on(day(4)).deal(1).moved(SALES, "met", "talks");
    log.on(day(6)).deal(1).undone(1);
    let age = |at| stages(&log, &as_of(at))[0].age_days_mean;
    assert_eq!(age(day(9)), days(800));
    let funnel = |question: &Question| reached(&cohort(&log, question, day(1), day(2), None).remove(0).stages);
    assert_eq!(funnel(&as_of(day(9))), [1, 0, 0]);
    // Between the command and its undoing it counted, and as of then it does.
    assert_eq!(funnel(&as_of(day(5))), [1, 1, 1]);
    let before = log.image.position().0 - 1;
    assert_eq!(funnel(&known(before, as_of(day(9)))), [1, 1, 1]);
}

#[test]
fn a_win_that_was_undone_was_never_won() {
    let mut log = Log::new();
    log.on(day(1)).deal(1).created(|deal| deal.amount = Some(eur(3)));
    log.on(day(2)).deal(1).amount(Some(eur(7))).won(SALES, "met", eur(7));
    assert_eq!(won(&log, &as_of(day(3)), day(1), day(4)), (1, 700));
    log.on(day(4)).deal(1).undone(2);
    assert_eq!(won(&log, &as_of(day(5)), day(1), day(4)), (0, 0));
    let open = pipeline(&log.image, &as_of(day(5))).unwrap().grouped.figures.total;
    assert_eq!((open.deals, open.amount.minor), (1, 300));
    // It goes on from there, and its path is that of its moves.
    log.on(day(6)).deal(1).moved(SALES, "met", "offer");
    log.on(day(7)).deal(1).lost(SALES, "offer", "price");
    let sales = cohort(&log, &as_of(day(9)), day(1), day(2), None).remove(0);
    assert_eq!((reached(&sales.stages), sales.won, sales.lost), (vec![1, 1, 0], 0, 1));
    let rate = win_rate(&log.image, &as_of(day(9)), &between(day(1), day(9))).unwrap().grouped.figures;
    assert_eq!(rate.by_count, Rate::of(0, 1));
}

#[test]
fn a_reopening_that_was_undone_leaves_the_deal_closed_as_it_was() {
    let mut log = Log::new();
    log.on(day(1)).deal(1).created(|deal| deal.owner = Some(ANNA));
    log.on(day(2)).deal(1).amount(Some(eur(7))).won(SALES, "met", eur(7));
    log.on(day(3)).deal(1).owner(BORIS);
    log.on(day(4)).deal(1).reopened(SALES, "offer", Outcome::Won);
    log.on(day(5)).deal(1).undone(1);
    let of = |owner| Question { filter: Filter { owners: vec![Some(owner)], ..Filter::default() }, ..as_of(day(9)) };
    assert_eq!(won(&log, &of(ANNA), day(2), day(3)), (1, 700));
    assert_eq!(won(&log, &of(BORIS), day(2), day(3)), (0, 0));
}
