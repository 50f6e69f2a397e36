//! Figures in groups: each is what the filter of its name finds, and together they are the total.

use dealog_tests::{Data, Server, deal};
use serde_json::{Value, json};

use super::company::{APRIL, Company, MARCH, MAY};

/// What can be grouped, over all that happened by April.
const FIGURES: [&str; 6] = [
    "pipeline?",
    "funnel?",
    "funnel?mode=period&from=2024-01-01&to=2024-04-02&",
    "win-rate?from=2024-01-01&to=2024-04-02&",
    "cycle?from=2024-01-01&to=2024-04-02&",
    "forecast?from=2024-03-01&to=2024-05-01&",
];

macro_rules! groups {
    ($($name:ident: $question:expr;)+) => {$(
        #[test]
        fn $name() {
            let answer = Company::of_2024().ask(&$question);
            insta::assert_json_snapshot!(stringify!($name), answer["groups"]);
        }
    )+};
}

groups! {
    pipeline_by_owner: format!("pipeline?as_of={MARCH}&pipeline=renewals&by=owner");
    cohort_funnel_by_source: format!("funnel?as_of={MARCH}&pipeline=renewals&by=source");
    period_funnel_by_month:
        format!("funnel?mode=period&as_of={MARCH}&from=2024-02-20&to=2024-03-01&pipeline=renewals&by=month");
    win_rate_by_team_and_month: format!("win-rate?as_of={APRIL}&from=2024-01-01&to=2024-04-02&by=team,month");
    cycle_by_customer: format!("cycle?as_of={APRIL}&from=2024-01-01&to=2024-04-02&by=customer");
    forecast_by_month: format!("forecast?as_of={MARCH}&from=2024-03-01&to=2024-04-01&by=month");
}

/// An answer or a group without what is not its figures.
fn figures(whole: &Value) -> Value {
    let mut figures = whole.clone();
    for other in ["position", "as_of", "from", "to", "period", "groups", "others", "key"] {
        figures.as_object_mut().unwrap().remove(other);
    }
    figures
}

fn groups(answer: &Value) -> &Vec<Value> {
    answer["groups"].as_array().unwrap()
}

/// What the groups are called, in their order.
fn names(answer: &Value) -> Vec<Vec<Option<&str>>> {
    groups(answer)
        .iter()
        .map(|group| group["key"].as_array().unwrap().iter().map(|part| part["name"].as_str()).collect())
        .collect()
}

#[test]
fn a_group_is_what_the_filter_of_its_name_finds() {
    let company = Company::of_2024();
    for figure in FIGURES {
        for (by, values) in [
            ("owner", vec!["anna", "boris"]),
            ("team", vec!["north", "south"]),
            ("customer", vec!["acme", "brook"]),
            ("source", vec!["Trade fair", "Web"]),
            ("campaign", vec!["campaign"]),
        ] {
            let grouped = company.ask(&format!("{figure}as_of={APRIL}&by={by}"));
            let of_nothing = company.ask(&format!("{figure}as_of={APRIL}&amount_from=99999999"));
            for value in values {
                let filtered = company.ask(&format!("{figure}as_of={APRIL}&{by}={}", value.replace(' ', "%20")));
                let group = groups(&grouped).iter().find(|group| group["key"][0]["id"] == value);
                let found = group.unwrap_or(&of_nothing);
                assert_eq!(figures(found), figures(&filtered), "{figure} {by} {value}");
            }
        }
    }
}

#[test]
fn a_month_is_what_a_period_of_its_days_finds() {
    let company = Company::of_2024();
    let months = [("2024-01", "from=2024-01-01&to=2024-02-01"), ("2024-02", "from=2024-02-01&to=2024-03-01")];
    for figure in ["funnel?", "win-rate?", "cycle?"] {
        let grouped = company.ask(&format!("{figure}as_of={APRIL}&from=2024-01-01&to=2024-04-02&by=month"));
        for (month, period) in months {
            let alone = company.ask(&format!("{figure}as_of={APRIL}&{period}"));
            let group = groups(&grouped).iter().find(|group| group["key"][0]["id"] == month).unwrap();
            assert_eq!(figures(group), figures(&alone), "{figure} {month}");
        }
    }
}

/// Adds up what is a count or a sum of money, wherever it stands. Lists of moves are left out: no group has all of them.
fn add(path: &str, value: &Value, sums: &mut std::collections::BTreeMap<String, i64>) {
    const NO_SUMS: [&str; 6] = ["days", "by_count", "by_value", "overall", "step_conversion", "moves"];
    match value {
        Value::Object(members) => {
            for (name, value) in members.iter().filter(|(name, _)| !NO_SUMS.iter().any(|no| name.contains(no))) {
                add(&format!("{path}/{name}"), value, sums);
            }
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(place, item)| add(&format!("{path}/{place}"), item, sums));
        }
        Value::Number(number) => *sums.entry(path.to_owned()).or_default() += number.as_i64().unwrap(),
        Value::String(amount) if path.ends_with("amount") => {
            *sums.entry(path.to_owned()).or_default() += amount.replace('.', "").parse::<i64>().unwrap();
        }
        _ => {}
    }
}

#[test]
fn groups_add_up_to_the_total_to_the_cent_and_to_the_deal() {
    let company = Company::of_2024();
    for figure in FIGURES {
        for by in ["owner", "team", "source", "campaign", "customer", "month", "team,month", "month,source"] {
            let answer = company.ask(&format!("{figure}as_of={APRIL}&by={by}"));
            assert!(groups(&answer).len() > 1, "{figure} {by}: {answer}");
            let (mut total, mut together) = Default::default();
            add("", &figures(&answer), &mut total);
            for group in groups(&answer) {
                add("", &figures(group), &mut together);
            }
            assert_eq!(together, total, "{figure} {by}");
            assert!(total.values().any(|sum| *sum > 0), "{figure} {by}");
            // The total is what it is without groups.
            assert_eq!(figures(&answer), figures(&company.ask(&format!("{figure}as_of={APRIL}"))), "{figure} {by}");
        }
    }
}

#[test]
fn groups_come_in_the_order_of_their_names_those_without_one_last() {
    let company = Company::of_2024();
    let by = |by: &str| company.ask(&format!("pipeline?as_of={MARCH}&by={by}"));
    assert_eq!(names(&by("owner")), [[Some("anna")], [Some("boris")]]);
    assert_eq!(names(&by("source")), [[Some("Trade fair")], [Some("Web")], [None]]);
    let customers = by("customer");
    assert_eq!(names(&customers), [[Some("acme")], [Some("brook")], [None]]);
    assert_eq!(groups(&customers)[2]["key"], json!([{"by": "customer", "id": null, "name": null}]));
    // Nothing says what a campaign is called.
    let campaigns = by("campaign");
    assert_eq!(groups(&campaigns)[0]["key"], json!([{"by": "campaign", "id": "campaign", "name": null}]));
    assert_eq!(names(&campaigns), [[None], [None]]);
    // The second within the first.
    assert_eq!(
        names(&by("owner,source")),
        [
            [Some("anna"), Some("Trade fair")],
            [Some("anna"), Some("Web")],
            [Some("anna"), None],
            [Some("boris"), Some("Trade fair")],
            [Some("boris"), None]
        ]
    );
}

#[test]
fn an_owner_in_two_teams_makes_a_group_of_both() {
    let company = Company::of_2024();
    // By May Boris is in both.
    let answer = company.ask(&format!("pipeline?as_of={MAY}&by=team"));
    assert_eq!(names(&answer), [[Some("north")], [Some("north + south")], [Some("south")]]);
    let both = groups(&answer)[1]["key"][0]["id"].as_str().unwrap();
    assert_eq!(both, format!("{},{}", company.id("north"), company.id("south")));
    // D is open. G was won, and B lost, when Boris was in the South alone.
    let counted = |group: &Value| {
        [&group["total"]["deals"], &group["closed"]["won"], &group["closed"]["lost"]].map(Value::as_i64)
    };
    assert_eq!(counted(&groups(&answer)[1]), [Some(1), Some(0), Some(0)]);
    assert_eq!(counted(&groups(&answer)[2]), [Some(0), Some(1), Some(1)]);
    assert_eq!(counted(&company.ask(&format!("pipeline?as_of={MAY}&team=south"))), [Some(1), Some(1), Some(1)]);
}

#[test]
fn open_deals_are_of_the_month_they_are_expected_in_though_it_is_over() {
    let company = Company::of_2024();
    let answer = company.ask(&format!("forecast?as_of={MARCH}&from=2024-03-01&to=2024-04-01&by=month"));
    assert_eq!(names(&answer), [[Some("2024-02")], [Some("2024-03")], [None]]);
    // D is overdue; E has no date.
    let deals = |part: &str| groups(&answer).iter().map(|group| group[part]["deals"].clone()).collect::<Vec<_>>();
    assert_eq!(deals("expected"), [0, 4, 0]);
    assert_eq!(deals("overdue"), [1, 0, 0]);
    assert_eq!(deals("unscheduled"), [0, 0, 1]);
    // A was won in February: by then it had been due on the 15th.
    let pipeline = company.ask(&format!("pipeline?as_of={MARCH}&by=month"));
    assert_eq!(groups(&pipeline)[1]["closed"]["won"], 1, "{pipeline}");
}

#[test]
fn an_answer_has_the_largest_groups_and_the_others_together() {
    let server = Server::with(Data::fresh().with_limits("groups_max = 2"), &[]);
    for source in ["Web", "Web", "Trade fair", "Call", "Mail", "Mail"] {
        server.post("/v1/deals", &deal("Licences", &json!({"source": source}))).expect(201);
    }
    let head = server.head();
    for (query, groups, others) in [
        ("by=source", vec!["Mail", "Web"], json!({"count": 2, "deals": 2})),
        ("by=source&groups=1", vec!["Mail"], json!({"count": 3, "deals": 4})),
        ("by=source&source=Web,Call", vec!["Call", "Web"], json!(null)),
        ("by=owner", vec![""], json!(null)),
    ] {
        let answer = server.get(&format!("/v1/pipeline?min_position={head}&{query}")).expect(200).body;
        let names =
            answer["groups"].as_array().unwrap().iter().map(|group| group["key"][0]["id"].as_str().unwrap_or(""));
        assert_eq!(names.collect::<Vec<_>>(), groups, "{query}");
        let found = match &answer["others"] {
            Value::Null => Value::Null,
            found => json!({"count": found["count"], "deals": found["total"]["deals"]}),
        };
        assert_eq!(found, others, "{query}");
    }
    let problem = server.get("/v1/pipeline?by=source&groups=3").problem(422, "query");
    assert_eq!(problem.body["field"], "groups");
    server.stop();
}
