//! What each parameter leaves of the figures.

use serde_json::Value;

use super::company::{Company, MARCH};

/// Open, won, lost and excluded deals on 1 March.
type Counts = (i64, i64, i64, i64);

const CASES: [(&str, Counts); 22] = [
    ("", (6, 1, 1, 1)),
    ("pipeline=hardware", (5, 1, 1, 1)),
    ("pipeline=renewals", (1, 0, 0, 0)),
    // C, E, H, I; A.
    ("owner=anna", (4, 1, 0, 0)),
    // D, G; B; F.
    ("owner=boris", (2, 0, 1, 1)),
    ("team=north", (4, 1, 0, 0)),
    ("team=south", (2, 0, 1, 1)),
    // C, H, I; A; F.
    ("customer=acme", (3, 1, 0, 1)),
    // E; B.
    ("customer=brook", (1, 0, 1, 0)),
    ("source=Web", (0, 1, 0, 0)),
    ("source=Trade%20fair", (1, 0, 1, 0)),
    // C; A.
    ("campaign=campaign", (1, 1, 0, 0)),
    // D, E, H, I; F.
    ("created_from=2024-02-01", (4, 0, 0, 1)),
    // C, G; A; B.
    ("created_to=2024-02-01", (2, 1, 1, 0)),
    // From D's creation on, up to and not including E's.
    ("created_from=2024-02-01T10:00:00Z&created_to=2024-02-05T10:00:00Z", (1, 0, 0, 0)),
    // E, G; A; B at 500.00 exactly; F. D has no amount and is neither more nor less than any.
    ("amount_from=500.00", (2, 1, 1, 1)),
    // C at 333.33 exactly, H, I.
    ("amount_to=333.33", (3, 0, 0, 0)),
    // A is worth what it was won at, G still what it was before.
    ("amount_from=800&amount_to=1200", (1, 1, 0, 0)),
    ("owner=anna&customer=acme&amount_from=100", (2, 1, 0, 0)),
    // A filter with several values passes deals with any of them.
    ("owner=anna,boris", (6, 1, 1, 1)),
    ("source=Web,Trade%20fair", (1, 1, 1, 0)),
    ("pipeline=hardware,renewals&owner=boris", (2, 0, 1, 1)),
];

fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or_else(|| panic!("{value} is not a number"))
}

#[test]
fn every_parameter_chooses_the_same_deals_for_the_pipeline() {
    for (query, expected) in CASES {
        let answer = Company::of_2024().ask(&format!("pipeline?as_of={MARCH}&{query}"));
        let closed = &answer["closed"];
        let found = (
            number(&answer["total"]["deals"]),
            number(&closed["won"]),
            number(&closed["lost"]),
            number(&closed["excluded"]),
        );
        assert_eq!(found, expected, "{query}");
    }
}

#[test]
fn every_parameter_chooses_the_same_deals_for_the_cohort_funnel() {
    for (query, expected) in CASES {
        // A cohort is chosen by `from` and `to`, and these are what created_from and created_to are elsewhere.
        let query = query.replace("created_from", "from").replace("created_to", "to");
        let answer = Company::of_2024().ask(&format!("funnel?as_of={MARCH}&{query}"));
        let funnels = answer["funnels"].as_array().unwrap();
        let sum = |what: &str| funnels.iter().map(|funnel| number(&funnel[what])).sum::<i64>();
        assert_eq!((sum("open"), sum("won"), sum("lost"), sum("excluded")), expected, "{query}");
        // H is in the cohorts of both pipelines: it came into one, and left it for the other.
        let left = sum("left");
        assert_eq!(sum("entered"), expected.0 + expected.1 + expected.2 + expected.3 + left, "{query}");
    }
}

#[test]
fn every_parameter_chooses_the_same_deals_for_forecast_win_rate_cycle_and_velocity() {
    let company = Company::of_2024();
    for (query, (open, won, lost, _)) in CASES {
        let ask = |figure: &str| company.ask(&format!("{figure}?as_of={MARCH}&from=2024-01-01&to=2024-03-02&{query}"));
        let forecast = ask("forecast");
        assert_eq!((number(&forecast["open"]["deals"]), number(&forecast["booked"]["deals"])), (open, won), "{query}");
        let rate = ask("win-rate");
        assert_eq!((number(&rate["won"]), number(&rate["lost"])), (won, lost), "{query}");
        let cycle = ask("cycle");
        assert_eq!((number(&cycle["won"]["deals"]), number(&cycle["lost"]["deals"])), (won, lost), "{query}");
        let velocity = ask("velocity");
        let pipelines = velocity["pipelines"].as_array().unwrap();
        assert_eq!(pipelines.iter().map(|pipeline| number(&pipeline["open"])).sum::<i64>(), open, "{query}");
    }
}

#[test]
fn what_is_not_known_is_refused_and_named() {
    let company = Company::of_2024();
    for (query, field) in [
        ("source=nowhere", "source"),
        ("source=Web,nowhere", "source"),
        ("stage=nowhere", "stage"),
        ("loss_reason=nothing", "loss_reason"),
        ("competitor=nobody", "competitor"),
        ("fields.nothing=1", "fields.nothing"),
        ("by=fields.nothing", "by"),
        ("by=owner,owner", "by"),
        ("by=owner,team,month", "by"),
        ("groups=0", "groups"),
        ("amount_from=2&amount_to=1", "amount_to"),
        ("created_from=2024-02-01&created_to=2024-01-01", "created_to"),
        ("expected_from=2024-02-01&expected_to=2024-01-01", "expected_to"),
        ("from=2024-01-01", "from"),
    ] {
        let problem = company.refused(&format!("pipeline?as_of={MARCH}&{query}"));
        assert_eq!((&problem["field"], &problem["code"]), (&field.into(), &"query".into()), "{query}: {problem}");
    }
}

#[test]
fn what_only_the_instant_decides_chooses_open_and_closed_deals() {
    let company = Company::of_2024();
    let counted = |query: &str| {
        let answer = company.ask(&format!("pipeline?as_of={MARCH}&{query}"));
        let closed = &answer["closed"];
        (number(&answer["total"]["deals"]), number(&closed["won"]), number(&closed["lost"]))
    };
    // D is overdue; D, E and I have been leads for longer than 10 days, or not: D since 1 February, E since the 5th, I since the 20th.
    assert_eq!(counted("overdue=true"), (1, 0, 0));
    assert_eq!(counted("overdue=false"), (5, 1, 1));
    assert_eq!(counted("stale=true"), (2, 0, 0));
    assert_eq!(counted("stage=lead"), (3, 0, 0));
    assert_eq!(counted("stage=lead,contract"), (4, 1, 0));
    assert_eq!(counted("owner=none"), (0, 0, 0));
    assert_eq!(counted("loss_reason=price"), (0, 0, 1));
    assert_eq!(counted("closed_from=2024-02-01"), (0, 1, 0));
    // C on 20 March, G on the 10th, H on the 31st, I on the 15th; A was won with 15 February.
    assert_eq!(counted("expected_from=2024-03-10&expected_to=2024-03-31"), (3, 0, 0));
}

#[test]
fn a_board_shows_the_deals_that_the_parameters_choose() {
    let company = Company::of_2024();
    for (query, expected) in [
        ("pipeline=hardware&owner=anna", vec!["E", "I", "C"]),
        ("pipeline=hardware&team=south", vec!["D", "G"]),
        ("pipeline=hardware&customer=brook", vec!["E"]),
        ("pipeline=hardware&amount_from=500", vec!["E", "G"]),
        ("pipeline=hardware&stage=offer", vec!["C"]),
        ("pipeline=renewals", vec!["H"]),
        ("", vec![]),
    ] {
        let board = company.ask(&format!("board?as_of={MARCH}&{query}"));
        let columns = board["columns"].as_array().unwrap();
        let cards = columns.iter().flat_map(|column| column["cards"].as_array().unwrap());
        let deals: Vec<&str> = cards.map(|card| card["deal"].as_str().unwrap()).collect();
        assert_eq!(deals, expected, "{query}");
    }
}

#[test]
fn time_in_stage_counts_the_visits_of_the_deals_that_the_parameters_choose() {
    let company = Company::of_2024();
    let leads = |query: &str| {
        let answer = company.ask(&format!("time-in-stage?as_of={MARCH}&pipeline=hardware&{query}"));
        let lead = &answer["pipelines"][0]["stages"][0];
        (number(&lead["deals"]), number(&lead["in_it_now"]))
    };
    // A, B, C, H have left it, H for the other pipeline; D, E, I are in it.
    assert_eq!(leads(""), (7, 3));
    assert_eq!(leads("owner=anna"), (5, 2));
    assert_eq!(leads("customer=brook"), (2, 1));
    assert_eq!(leads("created_from=2024-02-01"), (4, 3));
}

#[test]
fn the_period_funnel_counts_the_visits_of_the_deals_that_the_parameters_choose() {
    let company = Company::of_2024();
    let entered = |query: &str| {
        let question =
            format!("funnel?mode=period&as_of={MARCH}&from=2024-02-01&to=2024-03-01&pipeline=hardware&{query}");
        let stages = company.ask(&question)["funnels"][0]["stages"].clone();
        stages.as_array().unwrap().iter().map(|stage| number(&stage["entered"])).collect::<Vec<_>>()
    };
    // Into lead D, E, H, I; into offer C, from contract; into contract A and, reopened, G.
    assert_eq!(entered(""), [4, 1, 2]);
    assert_eq!(entered("owner=anna"), [3, 1, 1]);
    assert_eq!(entered("created_to=2024-02-01"), [0, 1, 2]);
    assert_eq!(entered("amount_from=500"), [1, 0, 2]);
}
