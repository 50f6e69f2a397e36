//! Whole answers.

use serde_json::Value;

use super::company::{APRIL, Company, EARLY, MARCH};

macro_rules! answers {
    ($($name:ident: $question:expr;)+) => {$(
        #[test]
        fn $name() {
            let answer = Company::of_2024().ask(&$question);
            insta::assert_json_snapshot!(stringify!($name), answer);
        }
    )+};
}

answers! {
    pipeline_in_march: format!("pipeline?as_of={MARCH}&pipeline=hardware");
    pipeline_before: format!("pipeline?as_of={EARLY}&pipeline=hardware");
    pipeline_after: format!("pipeline?as_of={APRIL}&pipeline=hardware");
    board_of_a_pipeline: format!("board?as_of={MARCH}&pipeline=hardware");
    cohort_funnel: format!("funnel?as_of={MARCH}&pipeline=hardware");
    cohort_funnel_of_january: format!("funnel?as_of={APRIL}&pipeline=hardware&from=2024-01-01&to=2024-02-01");
    period_funnel_of_february: format!("funnel?mode=period&as_of={MARCH}&from=2024-02-01&to=2024-03-01&pipeline=hardware");
    period_funnel_of_the_other_pipeline:
        format!("funnel?mode=period&as_of={MARCH}&from=2024-02-01&to=2024-03-01&pipeline=renewals");
    forecast_of_march: format!("forecast?as_of={MARCH}&from=2024-03-01&to=2024-04-01");
    forecast_of_march_when_it_is_over: format!("forecast?as_of={APRIL}&from=2024-03-01&to=2024-04-01");
    time_in_stage: format!("time-in-stage?as_of={MARCH}&pipeline=hardware");
    win_rate: format!("win-rate?as_of={MARCH}&from=2024-01-01&to=2024-03-01");
    losses: format!("losses?as_of={MARCH}&from=2024-01-01&to=2024-03-01");
    cycle: format!("cycle?as_of={APRIL}&from=2024-01-01&to=2024-04-01");
    velocity: format!("velocity?as_of={MARCH}&pipeline=hardware&from=2024-01-01&to=2024-03-01");
    pipeline_by_month: format!("pipeline?as_of={MARCH}&pipeline=renewals&series=month&from=2024-01-01");
    win_rate_by_quarter: format!("win-rate?as_of={APRIL}&series=quarter&from=2024-01-01");
    cohort_funnel_of_ten_days: format!("funnel?as_of={MARCH}&pipeline=hardware&from=2024-01-01&within_days=10");
    deals_behind_the_weighted_amount: format!("pipeline/deals?as_of={MARCH}&pipeline=hardware&number=weighted");
    deals_behind_what_was_reached:
        format!("funnel/deals?as_of={MARCH}&pipeline=hardware&from=2024-01-01&number=reached&at_stage=contract");
    deals_behind_the_days_before_a_move: format!(
        "funnel/period/deals?as_of={MARCH}&from=2024-02-01&to=2024-03-01&pipeline=hardware&number=move_days&at_stage=contract\
         &to_stage=offer"
    );
    deals_behind_the_days_completed_in_a_stage:
        format!("time-in-stage/deals?as_of={MARCH}&pipeline=hardware&number=days_completed&at_stage=lead");
}

#[test]
fn all_pipelines_together_are_the_sum_of_each() {
    let company = Company::of_2024();
    let answer = company.ask(&format!("pipeline?as_of={MARCH}"));
    let pipelines = answer["pipelines"].as_array().unwrap();
    let names: Vec<&str> = pipelines.iter().map(|pipeline| pipeline["pipeline"].as_str().unwrap()).collect();
    assert_eq!(names, ["sales", "hardware", "renewals"]);
    let sum = |what: &str| pipelines.iter().map(|pipeline| pipeline["total"][what].as_i64().unwrap()).sum::<i64>();
    for what in ["deals", "without_amount", "stale", "overdue"] {
        assert_eq!(answer["total"][what], sum(what), "{what}");
    }
    assert_eq!(answer["total"]["amount"]["amount"], "3343.33");
    assert_eq!(answer["total"]["weighted"]["amount"], "1682.67");
}

#[test]
fn a_column_of_the_board_comes_in_pages_the_longest_in_it_first() {
    let company = Company::of_2024();
    let board = format!("board?as_of={MARCH}&pipeline=hardware&stage=lead&limit=2");
    let first = company.ask(&board);
    let next = first["columns"][0]["next"].as_str().unwrap();
    let second = company.ask(&format!("{board}&after={next}"));
    let deals = |board: &Value| -> Vec<String> {
        let cards = board["columns"][0]["cards"].as_array().unwrap().iter();
        cards.map(|card| card["deal"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!((deals(&first), deals(&second)), (vec!["D".into(), "E".into()], vec!["I".into()]));
    for page in [&first, &second] {
        assert_eq!((page["columns"].as_array().unwrap().len(), &page["columns"][0]["deals"]), (1, &3.into()));
    }
    assert!(second["columns"][0]["next"].is_null());
}

#[test]
fn a_bare_day_is_meant_as_it_was_at_its_end() {
    let company = Company::of_2024();
    // B was lost on 25 January at 10:00.
    let asked = |as_of: &str| {
        let answer = company.ask(&format!("pipeline?pipeline=hardware&as_of={as_of}"));
        (answer["as_of"].clone(), answer["closed"]["lost"].clone())
    };
    assert_eq!(asked("2024-01-24"), ("2024-01-24T23:59:59.999999Z".into(), 0.into()));
    assert_eq!(asked("2024-01-25"), ("2024-01-25T23:59:59.999999Z".into(), 1.into()));
    assert_eq!(asked("2024-01-25T09:59:59.999999Z").1, 0);
    assert_eq!(asked("2024-01-25T10:00:00Z").1, 1);
}

#[test]
fn without_an_instant_the_figures_are_those_of_now() {
    let company = Company::of_2024();
    let now = company.ask("pipeline");
    assert!(now["as_of"].as_str().unwrap() > "2026");
    assert_eq!((&now["total"]["deals"], &now["closed"]["won"]), (&4.into(), &3.into()));
    let before_all = company.ask("pipeline?as_of=2023-12-31");
    assert_eq!((&before_all["total"]["deals"], &before_all["closed"]["won"]), (&0.into(), &0.into()));
}

#[test]
fn the_time_zone_that_a_company_begins_with_holds_for_its_past_too() {
    let server = dealog_tests::Server::of_a_new_company(&["--time-zone", "Europe/Riga"]);
    let path = format!("/v1/pipeline?as_of=2024-01-25&min_position={}", server.head());
    assert_eq!(server.get(&path).expect(200).body["as_of"], "2024-01-25T21:59:59.999999Z");
}
