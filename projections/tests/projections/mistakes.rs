//! Mistakes found in other systems, each of them a test here.

use dealog_domain::{Patch, deal, pipeline, team};
use dealog_events::{Slug, Timestamp, UserId, When};
use dealog_figures::{
    AllPipelines, BoardPage, CohortFunnel, Filter, ForecastFigures, ForecastPart, Grouping, Image, PeriodFunnel,
    Question, Range, WinRateFigures,
};
use dealog_projections::models::{
    Seeing,
    deals::{Deal, DealQuery, DealStatus},
};

use crate::{
    board::image_of,
    company::{ANNA, BORIS, Company, DAY, NORTH, SALES, eur, new_deal, percent, stage, val},
    databases::{On, TestDatabase},
};

fn image(company: &Company) -> Image {
    image_of(&company.log())
}

/// A question about everything at an instant.
fn at(time: Timestamp) -> Question {
    Question {
        now: time,
        as_of: Some(When::Instant(time)),
        known_at: None,
        filter: Filter::default(),
        grouping: Grouping::default(),
    }
}

fn funnel(company: &Company) -> CohortFunnel {
    let all = dealog_figures::funnel(&image(company), &at(company.now()), &Range::default(), None);
    all.unwrap().grouped.figures.funnels.remove(0)
}

fn period(company: &Company) -> PeriodFunnel {
    let all = dealog_figures::period(&image(company), &at(company.now()), &Range::default());
    all.unwrap().grouped.figures.funnels.remove(0)
}

fn pipeline_of(company: &Company, question: &Question) -> AllPipelines {
    dealog_figures::pipeline(&image(company), question).unwrap().grouped.figures
}

fn pipeline_now(company: &Company) -> AllPipelines {
    pipeline_of(company, &at(company.now()))
}

fn win_rate(company: &Company, question: &Question, period: &Range) -> WinRateFigures {
    dealog_figures::win_rate(&image(company), question, period).unwrap().grouped.figures
}

fn forecast(company: &Company, period: &Range) -> ForecastFigures {
    dealog_figures::forecast(&image(company), &at(company.now()), period).unwrap().grouped.figures
}

fn owned_by(company: &Company, owner: UserId) -> Question {
    Question { filter: Filter { owners: vec![Some(owner)], ..Filter::default() }, ..at(company.now()) }
}

fn days(from: &str, to: &str) -> Range {
    Range { from: Some(When::Day(val(from))), to: Some(When::Day(val(to))) }
}

/// Deals as a list shows them.
async fn listed(company: &Company, query: DealQuery) -> Vec<Deal> {
    let test = TestDatabase::new(On::Sqlite).await;
    test.lists_of(company.log()).await.deals(&query, &Seeing::default()).await.unwrap().deals
}

#[tokio::test]
async fn a_skipped_stage_counts_as_reached() {
    let mut company = Company::at_work().await;
    company.create(1, Some(eur(100))).await;
    company.create(2, None).await;
    company.move_to(1, "contract").await;
    let reached: Vec<i64> = funnel(&company).stages.iter().map(|stage| stage.reached).collect();
    assert_eq!(reached, [2, 1, 1]);
}

#[tokio::test]
async fn moving_back_does_not_undo_what_was_reached() {
    let mut company = Company::at_work().await;
    company.create(1, None).await;
    company.move_to(1, "contract").await;
    company.move_to(1, "lead").await;
    let funnel = funnel(&company);
    assert_eq!(funnel.stages.iter().map(|stage| stage.reached).collect::<Vec<_>>(), [1, 1, 1]);
    assert_eq!(funnel.stages.iter().map(|stage| stage.open_in).collect::<Vec<_>>(), [1, 0, 0]);
    assert_eq!(funnel.stages.iter().map(|stage| stage.open_furthest).collect::<Vec<_>>(), [0, 0, 1]);
}

#[tokio::test]
async fn a_stage_entered_again_is_reached_once_and_a_loss_does_not_vanish() {
    let mut company = Company::at_work().await;
    company.create(1, None).await;
    for stage in ["offer", "lead", "offer"] {
        company.wait(DAY);
        company.move_to(1, stage).await;
    }
    company.lose(1, "price").await;
    let cohort = funnel(&company);
    assert_eq!((cohort.entered, cohort.lost, cohort.open), (1, 1, 0));
    assert_eq!(cohort.stages.iter().map(|stage| stage.reached).collect::<Vec<_>>(), [1, 1, 0]);
    assert_eq!(cohort.stages.iter().map(|stage| stage.lost_from).collect::<Vec<_>>(), [0, 1, 0]);
    let happened = period(&company);
    assert_eq!(happened.stages.iter().map(|stage| stage.entered).collect::<Vec<_>>(), [2, 2, 0]);
    assert_eq!(happened.stages[1].lost_from, 1);
    let moves: Vec<(&str, &str, i64)> =
        happened.moves.iter().map(|move_| (move_.from.as_str(), move_.to.as_str(), move_.count)).collect();
    assert_eq!(moves, [("lead", "offer", 2), ("offer", "lead", 1)]);
}

#[tokio::test]
async fn a_lost_deal_adds_nothing_to_the_forecast() {
    let mut company = Company::at_work().await;
    let expected_close = Some(val("2025-03-20"));
    company.create_as(1, deal::Create { amount: Some(eur(10_000)), expected_close, ..new_deal() }).await;
    let march = days("2025-03-01", "2025-04-01");
    let before = forecast(&company, &march);
    assert_eq!(
        (before.expected.deals, before.expected.amount.minor, before.expected.weighted.minor),
        (1, 10_000, 1_000)
    );
    company.lose(1, "price").await;
    let after = forecast(&company, &march);
    let figures = |part: ForecastPart| (part.deals, part.amount.minor, part.weighted.minor);
    assert_eq!(figures(after.expected), (0, 0, 0));
    assert_eq!(figures(after.open), (0, 0, 0));
    assert_eq!((after.booked.deals, after.historical.minor, after.categories.pipeline.level.minor), (0, 0, 0));
}

#[tokio::test]
async fn won_value_is_dated_by_the_closing_not_by_the_creation() {
    let mut company = Company::at_work().await;
    company.create(1, Some(eur(10_000))).await;
    company.wait(40 * DAY);
    company.win(1).await;
    let (march, april) = (days("2025-03-01", "2025-04-01"), days("2025-04-01", "2025-05-01"));
    let now = at(company.now());
    assert_eq!(win_rate(&company, &now, &march).won_amount.minor, 0);
    assert_eq!(win_rate(&company, &now, &april).won_amount.minor, 10_000);
    assert_eq!(forecast(&company, &march).booked.amount.minor, 0);
    assert_eq!(forecast(&company, &april).booked.amount.minor, 10_000);
}

#[tokio::test]
async fn a_win_moves_to_its_last_closing_when_it_is_reopened_and_won_again() {
    let mut company = Company::at_work().await;
    company.create(1, Some(eur(10_000))).await;
    company.win(1).await;
    let first = company.now();
    company.wait(40 * DAY);
    company.reopen(1, None).await;
    company.win(1).await;
    let march = days("2025-03-01", "2025-04-01");
    assert_eq!(win_rate(&company, &at(company.now()), &march).won, 0);
    assert_eq!(win_rate(&company, &at(first), &march).won, 1);
}

#[tokio::test]
async fn past_figures_stay_when_probabilities_stages_teams_and_the_time_zone_change() {
    let mut company = Company::at_work().await;
    company.team(NORTH, team::Command::Form(team::Form { name: val("North") })).await;
    company.team(NORTH, team::Command::AddMember(ANNA)).await;
    let expected_close = Some(val("2025-03-04"));
    company.create_as(1, deal::Create { amount: Some(eur(10_000)), expected_close, ..new_deal() }).await;
    company.create(2, Some(eur(5_000))).await;
    company.move_to(2, "offer").await;
    company.win(2).await;
    company.wait(20 * DAY / 24);
    let filter = Filter { teams: vec![NORTH], ..Filter::default() };
    let question = Question { filter, ..at(company.now()) };
    let figures = |company: &Company| {
        let (image, all) = (image(company), Range::default());
        (
            dealog_figures::pipeline(&image, &question).unwrap().grouped,
            dealog_figures::funnel(&image, &question, &all, None).unwrap().grouped,
            dealog_figures::period(&image, &question, &all).unwrap().grouped,
            dealog_figures::time_in_stage(&image, &question).unwrap().grouped,
            dealog_figures::win_rate(&image, &question, &all).unwrap().grouped,
            dealog_figures::losses(&image, &question, &all).unwrap().grouped,
            dealog_figures::cycle(&image, &question, &all).unwrap().grouped,
            dealog_figures::velocity(&image, &question, &all).unwrap().grouped,
            dealog_figures::forecast(&image, &question, &all).unwrap().grouped,
            dealog_figures::columns(&image, &question, BoardPage { limit: 9, after: None }).unwrap().columns,
        )
    };
    let before = figures(&company);
    assert_eq!(before.0.figures.total.deals, 1);

    company.wait(1);
    let revise = pipeline::ReviseStage {
        probability: Patch::Set(percent(77)),
        stale_after_days: Patch::Set(0),
        ..pipeline::ReviseStage::default()
    };
    company.pipeline(SALES, pipeline::Command::ReviseStage(val("lead"), revise)).await;
    let add = pipeline::AddStage { stage: stage("met", 20), after: Some(val("lead")) };
    company.pipeline(SALES, pipeline::Command::AddStage(add)).await;
    let order: Vec<Slug> = ["contract", "met", "offer", "lead"].map(val).to_vec();
    company.pipeline(SALES, pipeline::Command::Reorder(pipeline::Reorder { stages: order })).await;
    company.pipeline(SALES, pipeline::Command::RetireStage(val("lead"))).await;
    company.team(NORTH, team::Command::RemoveMember(ANNA)).await;
    let zone = dealog_domain::settings::Change {
        time_zone: Patch::Set(val("Pacific/Kiritimati")),
        ..dealog_domain::settings::Change::default()
    };
    company.settings(zone).await;
    company
        .change(1, deal::Change { amount: Patch::Set(eur(1)), owner: Patch::Clear, ..deal::Change::default() })
        .await;
    company.reopen(2, Some("contract")).await;
    assert!(figures(&company) == before, "asked again later, they are {:#?}, and were {before:#?}", figures(&company));
}

#[tokio::test]
async fn a_probability_set_by_hand_stays_through_edits_and_moves_until_it_is_cleared() {
    let mut company = Company::at_work().await;
    company.create(1, Some(eur(10_000))).await;
    company.change(1, deal::Change { probability: Patch::Set(percent(33)), ..deal::Change::default() }).await;
    company
        .change(
            1,
            deal::Change { title: Patch::Set(val("Other")), owner: Patch::Set(BORIS), ..deal::Change::default() },
        )
        .await;
    assert_eq!(pipeline_now(&company).total.weighted.minor, 3_300);
    company.move_to(1, "offer").await;
    assert_eq!(pipeline_now(&company).total.weighted.minor, 3_300);
    company.change(1, deal::Change { probability: Patch::Clear, ..deal::Change::default() }).await;
    assert_eq!(pipeline_now(&company).total.weighted.minor, 5_000);
}

#[tokio::test]
async fn a_move_leaves_no_default_of_the_old_stage_behind() {
    let mut company = Company::at_work().await;
    company.create(1, Some(eur(10_000))).await;
    assert_eq!(pipeline_now(&company).total.weighted.minor, 1_000);
    company.move_to(1, "offer").await;
    assert_eq!(pipeline_now(&company).total.weighted.minor, 5_000);
    company.move_to(1, "lead").await;
    assert_eq!(pipeline_now(&company).total.weighted.minor, 1_000);
    assert_eq!(listed(&company, DealQuery::default()).await[0].probability, None);
}

#[tokio::test]
async fn time_in_stage_is_there_while_the_deal_is_in_the_stage() {
    let mut company = Company::at_work().await;
    company.create(1, None).await;
    company.wait(2 * DAY);
    company.move_to(1, "offer").await;
    company.wait(3 * DAY);
    company.move_to(1, "lead").await;
    company.wait(DAY / 2);
    let times = dealog_figures::time_in_stage(&image(&company), &at(company.now())).unwrap().grouped.figures;
    let [lead, offer, contract] = times.pipelines[0].stages.as_slice() else { panic!("three stages") };
    // Both visits together, and not completed: the deal is there again.
    assert_eq!((lead.deals, lead.in_it_now, lead.days_so_far_mean.unwrap().hundredths), (1, 1, 250));
    assert_eq!(lead.days_completed_mean, None);
    assert_eq!((offer.deals, offer.in_it_now, offer.days_completed_mean.unwrap().hundredths), (1, 0, 300));
    assert_eq!((contract.deals, contract.days_so_far_mean, contract.days_completed_mean), (0, None, None));
}

#[tokio::test]
async fn staleness_counts_from_entering_the_stage_not_from_creation() {
    let mut company = Company::at_work().await;
    for slug in ["lead", "offer"] {
        let revise = pipeline::ReviseStage { stale_after_days: Patch::Set(7), ..pipeline::ReviseStage::default() };
        company.pipeline(SALES, pipeline::Command::ReviseStage(val(slug), revise)).await;
    }
    company.create(1, None).await;
    company.wait(6 * DAY);
    company.move_to(1, "offer").await;
    company.wait(6 * DAY);
    company.change(1, deal::Change { title: Patch::Set(val("Other")), ..deal::Change::default() }).await;
    assert_eq!(pipeline_now(&company).total.stale, 0);
    company.wait(DAY);
    assert_eq!(pipeline_now(&company).total.stale, 0, "exactly at the limit");
    company.wait(1);
    assert_eq!(pipeline_now(&company).total.stale, 1);
}

#[tokio::test]
async fn an_edit_of_a_closed_deal_does_not_reopen_it() {
    let mut company = Company::at_work().await;
    company.create(1, Some(eur(10_000))).await;
    company.wait(DAY);
    company.lose(1, "price").await;
    let closed: Timestamp = company.now();
    company.wait(DAY);
    let change = deal::Change {
        title: Patch::Set(val("Other")),
        owner: Patch::Set(BORIS),
        source: Patch::Set(val("Web")),
        expected_close: Patch::Set(val("2025-04-01")),
        probability: Patch::Set(percent(50)),
        ..deal::Change::default()
    };
    company.change(1, change).await;
    let listed = listed(&company, DealQuery::default()).await.remove(0);
    assert_eq!((listed.status, listed.closed_at, listed.owner), (DealStatus::Lost, Some(closed), Some(BORIS)));
    let figures = pipeline_now(&company);
    assert_eq!((figures.total.deals, figures.closed.lost), (0, 1));
}

#[tokio::test]
async fn closings_count_with_the_attributes_at_the_closing() {
    let mut company = Company::at_work().await;
    company.create(1, Some(eur(10_000))).await;
    company.win(1).await;
    company.wait(DAY);
    company.change(1, deal::Change { owner: Patch::Set(BORIS), ..deal::Change::default() }).await;
    let by_owner = async |company: &Company, owner| {
        let rate = win_rate(company, &owned_by(company, owner), &Range::default());
        let filter = dealog_projections::models::deals::Filter { owner: Some(owner), ..Default::default() };
        let listed = listed(company, DealQuery { filter, ..DealQuery::default() }).await;
        (rate.won, rate.won_amount.minor, listed.len())
    };
    // Anna's win, Boris's client.
    assert_eq!(by_owner(&company, ANNA).await, (1, 10_000, 0));
    assert_eq!(by_owner(&company, BORIS).await, (0, 0, 1));

    company.reopen(1, None).await;
    assert_eq!(pipeline_of(&company, &owned_by(&company, BORIS)).total.deals, 1);
    assert_eq!(pipeline_of(&company, &owned_by(&company, ANNA)).total.deals, 0);
    company.win(1).await;
    assert_eq!(by_owner(&company, ANNA).await, (0, 0, 0));
    assert_eq!(by_owner(&company, BORIS).await, (1, 10_000, 1));
}
