//! Figures worked out by hand, and those with nothing to work out.

use dealog_domain::{Patch, deal, pipeline, settings, team};
use dealog_events::{Timestamp, pipeline::ForecastCategory};
use dealog_projections::{
    ProjectionError,
    deals::{
        Views,
        query::{BoardPage, Filter, ListPage, Range, Scope, When},
    },
    figures::{Days, Rate},
};

use crate::{
    company::{
        ANNA, BORIS, Company, DAY, HOUR, NORTH, RENEWALS, SALES, deal_id, eur, money, new_deal, percent, stage, val,
    },
    model::{UNGROUPED, at, views_of},
};

async fn views(company: &Company) -> Views {
    views_of(company.log()).await
}

fn days(from: &str, to: &str) -> Range {
    Range { from: Some(When::Day(val(from))), to: Some(When::Day(val(to))) }
}

fn expecting(day: &str, amount: i64) -> deal::Create {
    deal::Create { amount: Some(eur(amount)), expected_close: Some(val(day)), ..new_deal() }
}

#[tokio::test]
async fn an_empty_log_has_no_figures_and_says_what_is_missing() {
    let views = views_of(Vec::new()).await;
    let now = at(val("2026-01-01T00:00:00Z"));
    assert_eq!(views.funnel(&now, UNGROUPED).await.unwrap().figures.funnels, []);
    assert_eq!(views.period(&now, &Range::default(), UNGROUPED).await.unwrap().figures.funnels, []);
    assert_eq!(views.time_in_stage(&now).await.unwrap().pipelines, []);
    assert_eq!(views.cycle(&now, &Range::default(), UNGROUPED).await.unwrap().figures.won.days_mean, None);
    let error = views.pipeline(&now, UNGROUPED).await.unwrap_err();
    assert!(matches!(error, ProjectionError::Query { field: "currency", .. }), "{error}");
    let error = views.board(&now, &BoardPage::default()).await.unwrap_err();
    assert!(matches!(error, ProjectionError::Query { field: "pipeline", .. }), "{error}");
}

#[tokio::test]
async fn a_pipeline_without_deals_has_zeros_and_no_rates() {
    let company = Company::at_work().await;
    let (views, now) = (views(&company).await, at(company.now()));
    let pipeline = views.pipeline(&now, UNGROUPED).await.unwrap().figures;
    assert_eq!((pipeline.total.deals, pipeline.total.amount.minor), (0, 0));
    assert!(pipeline.pipelines[0].stages.iter().all(|stage| stage.age_days_mean.is_none()));
    assert!(pipeline.pipelines[0].stages.iter().all(|stage| stage.age_days_p50.is_none()));
    let funnel = views.funnel(&now, UNGROUPED).await.unwrap().figures.funnels.remove(0);
    assert_eq!((funnel.created, funnel.overall, funnel.stages[0].step_conversion), (0, None, None));
    let rate = views.win_rate(&now, &Range::default(), UNGROUPED).await.unwrap().figures;
    assert_eq!((rate.by_count, rate.by_value), (None, None));
    let velocity = views.velocity(&now, &Range::default()).await.unwrap();
    assert_eq!((velocity.open, velocity.velocity_per_day, velocity.won_amount_mean), (0, None, None));
}

#[tokio::test]
async fn a_deal_without_an_amount_is_counted_and_not_read_as_zero() {
    let mut company = Company::at_work().await;
    company.create(1, None).await;
    company.create(2, Some(eur(0))).await;
    company.create(3, Some(eur(1_000))).await;
    company.create(4, None).await;
    company.lose(4, "price").await;
    let views = views(&company).await;
    let total = views.pipeline(&at(company.now()), UNGROUPED).await.unwrap().figures.total;
    assert_eq!((total.deals, total.without_amount, total.amount.minor), (3, 1, 1_000));
    let filter = Filter {
        amount: dealog_projections::deals::query::AmountRange { from: Some(0), to: None },
        ..Filter::default()
    };
    let with_amount = views.pipeline(&Scope { filter, ..at(company.now()) }, UNGROUPED).await.unwrap().figures;
    assert_eq!((with_amount.total.deals, with_amount.closed.lost), (2, 0));
}

#[tokio::test]
async fn each_deal_is_weighted_and_rounded_half_up_by_itself() {
    let mut company = Company::at_work().await;
    for number in 1..=3 {
        company.create(number, Some(eur(1))).await;
        company.move_to(number, "offer").await;
    }
    let total = views(&company).await.pipeline(&at(company.now()), UNGROUPED).await.unwrap().figures.total;
    // 3 x 0.5 cents: three cents, not one and a half.
    assert_eq!((total.amount.minor, total.weighted.minor), (3, 3));
}

#[tokio::test]
async fn a_loss_that_is_not_counted_is_only_excluded_until_the_deal_is_taken_up_again() {
    let mut company = Company::at_work().await;
    company.create(1, Some(eur(1_000))).await;
    company.wait(DAY);
    company.lose(1, "duplicate").await;
    let (all, now) = (Range::default(), at(company.now()));
    let answers = views(&company).await;
    let funnel = answers.funnel(&now, UNGROUPED).await.unwrap().figures.funnels.remove(0);
    assert_eq!((funnel.created, funnel.lost, funnel.excluded, funnel.overall), (1, 0, 1, Rate::of(0, 1)));
    assert_eq!(funnel.stages[0].reached, 0);
    let happened = answers.period(&now, &all, UNGROUPED).await.unwrap().figures.funnels.remove(0);
    assert_eq!((happened.stages[0].entered, happened.stages[0].lost_from), (0, 0));
    assert_eq!(answers.win_rate(&now, &all, UNGROUPED).await.unwrap().figures.by_count, None);
    assert_eq!(answers.time_in_stage(&now).await.unwrap().pipelines[0].stages[0].deals, 0);
    let closed = answers.pipeline(&now, UNGROUPED).await.unwrap().figures.closed;
    assert_eq!((closed.lost, closed.excluded), (0, 1));

    company.reopen(1, None).await;
    let funnel = views(&company).await.funnel(&at(company.now()), UNGROUPED).await.unwrap().figures.funnels.remove(0);
    assert_eq!((funnel.created, funnel.open, funnel.excluded, funnel.stages[0].reached), (1, 1, 0, 1));
}

#[tokio::test]
async fn a_deal_ever_won_has_reached_every_stage_though_it_is_open_again() {
    let mut company = Company::at_work().await;
    company.create(1, Some(eur(1_000))).await;
    company.win(1).await;
    company.reopen(1, Some("lead")).await;
    let funnel = views(&company).await.funnel(&at(company.now()), UNGROUPED).await.unwrap().figures.funnels.remove(0);
    assert_eq!(funnel.stages.iter().map(|stage| stage.reached).collect::<Vec<_>>(), [1, 1, 1]);
    assert_eq!((funnel.won, funnel.stages[2].step_conversion), (0, Some(Rate { basis_points: 0 })));
    assert_eq!(funnel.stages[2].open_furthest, 1);
}

#[tokio::test]
async fn a_transfer_reaches_all_stages_before_the_one_it_enters_and_leaves_the_other_pipeline() {
    let mut company = Company::at_work().await;
    company.define(RENEWALS, vec![stage("due", 60), stage("talks", 80), stage("agreed", 95)]).await;
    company.create(1, None).await;
    company.move_to(1, "contract").await;
    let transfer = deal::Transfer { pipeline: RENEWALS, stage: Some(val("talks")) };
    company.deal(1, deal::Command::Transfer(transfer)).await;
    let (views, now) = (views(&company).await, at(company.now()));
    let funnels = views.funnel(&now, UNGROUPED).await.unwrap().figures.funnels;
    assert_eq!(funnels[0].created, 0);
    assert_eq!(funnels[1].stages.iter().map(|stage| stage.reached).collect::<Vec<_>>(), [1, 1, 0]);
    let happened = views.period(&now, &Range::default(), UNGROUPED).await.unwrap().figures.funnels;
    assert_eq!((happened[0].stages[2].transferred, happened[1].stages[1].entered), (1, 1));
    assert_eq!(views.time_in_stage(&now).await.unwrap().pipelines[0].stages[2].deals, 1);
}

#[tokio::test]
async fn win_rate_cycle_and_velocity_are_as_worked_out_by_hand() {
    let mut company = Company::at_work().await;
    for (number, amount) in [(1, 10_000), (2, 20_000), (3, 6_000), (4, 1)] {
        company.create(number, Some(eur(amount))).await;
    }
    company.wait(2 * DAY);
    company.win(1).await;
    company.wait(DAY);
    company.lose(3, "price").await;
    company.wait(2 * DAY);
    company.win(2).await;
    let (views, now, all) = (views(&company).await, at(company.now()), Range::default());
    let rate = views.win_rate(&now, &all, UNGROUPED).await.unwrap().figures;
    assert_eq!((rate.won, rate.lost, rate.by_count), (2, 1, Some(Rate { basis_points: 6_667 })));
    assert_eq!(rate.by_value, Some(Rate { basis_points: 8_333 }));
    let cycle = views.cycle(&now, &all, UNGROUPED).await.unwrap().figures;
    assert_eq!(
        (cycle.won.days_mean, cycle.won.days_median),
        (Some(Days { hundredths: 350 }), Some(Days { hundredths: 350 }))
    );
    assert_eq!(cycle.lost.days_mean, Some(Days { hundredths: 300 }));
    // 1 open x 2/3 x 150.00 / 3.5 days = 28.57 a day.
    let velocity = views.velocity(&now, &all).await.unwrap();
    assert_eq!((velocity.open, velocity.won_amount_mean.unwrap().minor), (1, 15_000));
    assert_eq!(velocity.velocity_per_day.unwrap().minor, 2_857);
}

#[tokio::test]
async fn the_forecast_is_as_worked_out_by_hand() {
    let mut company = Company::at_work().await;
    // Two closed deals reached the stage of the offer, one of them won: (1 + 1) / (2 + 2).
    company.create(1, Some(eur(7_000))).await;
    company.win(1).await;
    company.create(2, None).await;
    company.move_to(2, "offer").await;
    company.lose(2, "price").await;
    company.create_as(3, expecting("2025-03-31", 10_000)).await;
    company.move_to(3, "offer").await;
    company.create_as(4, expecting("2025-04-01", 1_000)).await;
    company.create(5, Some(eur(300))).await;
    // Overdue, so expected in the month that runs.
    company.create_as(6, expecting("2025-03-02", 2_000)).await;
    let commit = deal::Change { forecast_category: Patch::Set(ForecastCategory::Commit), ..deal::Change::default() };
    company.change(6, commit).await;
    let forecast = views(&company).await.forecast(&at(company.now()), &Range::default(), UNGROUPED).await.unwrap();
    assert_eq!((forecast.period.from, forecast.period.to), (val("2025-03-01"), val("2025-04-01")));
    let forecast = forecast.figures;
    assert_eq!((forecast.booked.deals, forecast.booked.amount.minor), (1, 7_000));
    assert_eq!((forecast.open.deals, forecast.unscheduled.deals, forecast.unscheduled.amount.minor), (4, 1, 300));
    assert_eq!((forecast.expected.deals, forecast.expected.amount.minor), (2, 12_000));
    assert_eq!(forecast.expected.weighted.minor, 5_000 + 200);
    assert_eq!(forecast.historical.minor, 5_000 + 1_000);
    let categories = forecast.categories;
    assert_eq!((categories.commit.part.amount.minor, categories.commit.level.minor), (2_000, 9_000));
    assert_eq!((categories.best_case.part.amount.minor, categories.best_case.level.minor), (0, 9_000));
    assert_eq!((categories.pipeline.part.amount.minor, categories.pipeline.level.minor), (10_000, 19_000));

    // Seen from April, nothing of March is overdue in a period that has passed.
    company.wait(40 * DAY);
    let march = views(&company)
        .await
        .forecast(&at(company.now()), &days("2025-03-01", "2025-04-01"), UNGROUPED)
        .await
        .unwrap()
        .figures;
    assert_eq!((march.expected.deals, march.expected.amount.minor), (2, 12_000));
    let april = views(&company).await.forecast(&at(company.now()), &Range::default(), UNGROUPED).await.unwrap().figures;
    assert_eq!((april.expected.deals, april.expected.amount.minor), (3, 13_000));
}

#[tokio::test]
async fn history_gives_its_chances_from_the_365_days_before() {
    let mut company = Company::at_work().await;
    company.create(1, Some(eur(1_000))).await;
    company.win(1).await;
    let won = company.now();
    company.create_as(2, expecting("2025-03-31", 30_000)).await;
    let (answers, march) = (views(&company).await, days("2025-03-01", "2025-04-01"));
    let historical =
        async |time| answers.forecast(&at(time), &march, UNGROUPED).await.unwrap().figures.historical.minor;
    let year_later = won.saturating_add_micros(365 * DAY);
    // (1 + 1) / (1 + 2), then (0 + 1) / (0 + 2).
    assert_eq!(historical(year_later.saturating_add_micros(-1)).await, 20_001);
    assert_eq!(historical(year_later).await, 15_000);
}

#[tokio::test]
async fn days_begin_and_end_in_the_time_zone_of_the_company() {
    let mut company = Company::at_work().await;
    let zone = settings::Change { time_zone: Some(val("Asia/Tokyo")), ..settings::Change::default() };
    company.settings(zone).await;
    company.create_as(1, expecting("2025-03-03", 1_000)).await;
    company.wait(DAY);
    let answers = views(&company).await;
    let now = company.now();
    let day = |day: &str| Scope { as_of: Some(When::Day(val(day))), ..at(now) };
    let seen = answers.pipeline(&day("2025-03-03"), UNGROUPED).await.unwrap();
    assert_eq!(seen.seen.as_of, val::<Timestamp>("2025-03-03T14:59:59.999999Z"));
    assert_eq!((seen.figures.total.deals, seen.figures.total.overdue), (1, 0));
    // A microsecond later it is the fourth of March in Tokyo, though not in London.
    let next = answers.pipeline(&at(val("2025-03-03T15:00:00Z")), UNGROUPED).await.unwrap();
    assert_eq!(next.figures.total.overdue, 1);
    assert_eq!(answers.pipeline(&day("2025-03-02"), UNGROUPED).await.unwrap().figures.total.deals, 0);

    // Whoever moves later does not move the days that were.
    let zone = settings::Change { time_zone: Some(val("America/New_York")), ..settings::Change::default() };
    company.settings(zone).await;
    let moved = views(&company).await.pipeline(&day("2025-03-03"), UNGROUPED).await.unwrap();
    assert_eq!(moved.seen.as_of, seen.seen.as_of);
}

#[tokio::test]
async fn teams_count_as_they_were_at_the_instant_asked_about() {
    let mut company = Company::at_work().await;
    company.team(NORTH, team::Command::Form(team::Form { name: val("North") })).await;
    company.team(NORTH, team::Command::AddMember(ANNA)).await;
    company.create(1, None).await;
    let then = company.now();
    company.wait(HOUR);
    company.team(NORTH, team::Command::RemoveMember(ANNA)).await;
    company.team(NORTH, team::Command::AddMember(BORIS)).await;
    let answers = views(&company).await;
    let filter = Filter { team: Some(NORTH), ..Filter::default() };
    let open = async |time| {
        let scope = Scope { filter: filter.clone(), ..at(time) };
        answers.pipeline(&scope, UNGROUPED).await.unwrap().figures.total.deals
    };
    assert_eq!((open(then).await, open(company.now()).await), (1, 0));
}

#[tokio::test]
async fn an_amount_without_a_rate_is_refused_with_its_currency_and_day() {
    let mut company = Company::at_work().await;
    company.create(1, Some(eur(1_000))).await;
    company.create(2, Some(eur(1_000))).await;
    company.win(2).await;
    let euros = company.now();
    company.wait(DAY);
    let dollars = settings::Change {
        reporting_currency: Some(val("USD")),
        time_zone: Some(val("Asia/Tokyo")),
        ..settings::Change::default()
    };
    company.settings(dollars).await;
    company.create(3, Some(money(500, val("USD")))).await;
    company.wait(8 * HOUR);
    let (answers, now) = (views(&company).await, at(company.now()));
    let error = answers.pipeline(&now, UNGROUPED).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no exchange rate from EUR to USD on 2025-03-05");
    for error in [
        answers.win_rate(&now, &Range::default(), UNGROUPED).await.unwrap_err(),
        answers.velocity(&now, &Range::default()).await.unwrap_err(),
        answers.forecast(&now, &Range::default(), UNGROUPED).await.unwrap_err(),
    ] {
        assert!(matches!(error, ProjectionError::NoRate { .. }), "{error}");
    }
    // What speaks of no amounts needs no rate.
    assert_eq!(answers.funnel(&now, UNGROUPED).await.unwrap().figures.funnels[0].open, 2);
    assert_eq!(answers.cycle(&now, &Range::default(), UNGROUPED).await.unwrap().figures.won.deals, 1);
    // And what was in euros then still is.
    assert_eq!(answers.pipeline(&at(euros), UNGROUPED).await.unwrap().figures.closed.won_amount.currency, val("EUR"));
}

#[tokio::test]
async fn a_stage_added_after_a_deal_was_put_into_it_is_shown_where_it_was_put() {
    let mut company = Company::at_work().await;
    company.create(1, Some(eur(1_000))).await;
    let created = company.now();
    company.wait(5 * DAY);
    let add = pipeline::AddStage { stage: stage("met", 20), after: Some(val("lead")) };
    company.pipeline(SALES, pipeline::Command::AddStage(add)).await;
    let move_ = deal::Command::Move(deal::Move { stage: val("met"), reason: None });
    let backdated = dealog_domain::Occurred::At(created.saturating_add_micros(DAY));
    company
        .try_to(dealog_events::StreamId::Deal(deal_id(1)), dealog_domain::Command::Deal(move_), backdated)
        .await
        .unwrap();
    let answers = views(&company).await;
    let names = async |time: Timestamp| {
        let pipeline = answers.pipeline(&at(time), UNGROUPED).await.unwrap().figures.pipelines.remove(0);
        let stages = pipeline.stages.into_iter();
        stages.map(|stage| (stage.stage.to_string(), stage.totals.weighted.minor)).collect::<Vec<_>>()
    };
    let expected = [("lead", 0), ("met", 200), ("offer", 0), ("contract", 0)];
    let expected = expected.map(|(slug, weighted)| (slug.to_owned(), weighted)).to_vec();
    assert_eq!(names(created.saturating_add_micros(2 * DAY)).await, expected);
    assert_eq!(names(created).await.len(), 3);
}

#[tokio::test]
async fn a_column_of_the_board_comes_in_pages() {
    let mut company = Company::at_work().await;
    for number in 1..=3 {
        company.create(number, Some(eur(1_000))).await;
        company.wait(HOUR);
    }
    let change = deal::Change { probability: Patch::Set(percent(40)), ..deal::Change::default() };
    company.change(1, change).await;
    let (answers, now) = (views(&company).await, at(company.now()));
    let mut page = BoardPage { limit: 2, stage: Some(val("lead")), after: None };
    let first = answers.board(&now, &page).await.unwrap().columns.remove(0);
    assert_eq!((first.deals, first.cards.len()), (3, 2));
    assert_eq!((first.cards[0].deal, first.cards[0].probability), (deal_id(1), percent(40)));
    assert_eq!(first.cards[0].owner_name.as_deref(), Some("Anna"));
    page.after = first.next;
    let second = answers.board(&now, &page).await.unwrap().columns.remove(0);
    assert_eq!((second.cards[0].deal, second.cards[0].probability), (deal_id(3), percent(10)));
    assert_eq!((second.cards.len(), second.next), (1, None));
    page.stage = Some(val("nowhere"));
    assert!(matches!(answers.board(&now, &page).await, Err(ProjectionError::Query { field: "stage", .. })));
}

#[tokio::test]
async fn lists_keep_the_order_of_creation_whatever_was_changed_since() {
    let mut company = Company::at_work().await;
    company.define(RENEWALS, vec![stage("due", 60)]).await;
    let role = dealog_domain::user::ChangeRole { role: dealog_events::user::Role::Manager };
    let command = dealog_domain::Command::User(dealog_domain::user::Command::ChangeRole(role));
    company.ask(dealog_events::StreamId::User(ANNA), command).await;
    let ids = async |company: &Company| {
        let listed = views(company).await.pipelines(company.now()).await.unwrap().items;
        listed.iter().map(|item| item.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(&company).await, [SALES, RENEWALS], "oldest first");
    let revise = pipeline::ReviseStage { probability: Some(percent(15)), ..pipeline::ReviseStage::default() };
    company.pipeline(SALES, pipeline::Command::ReviseStage(val("lead"), revise)).await;
    assert_eq!(ids(&company).await, [SALES, RENEWALS], "oldest first");
    let answers = views(&company).await;
    let page = ListPage { limit: 1, after: None };
    let first = answers.users(page, company.now()).await.unwrap();
    assert_eq!(first.items[0].id, BORIS, "newest first");
    let rest = answers.users(ListPage { after: first.next, ..page }, company.now()).await.unwrap();
    assert_eq!((rest.items[0].id, rest.next), (ANNA, None));
}
