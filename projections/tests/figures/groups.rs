//! Groups add up to the total, and each is what the filters of its name find.

use std::collections::BTreeMap;

use dealog_domain::{Command, Occurred, deal, settings};
use dealog_events::StreamId;
use dealog_projections::{
    ProjectionError,
    deals::{
        Views,
        query::{By, Filter, Grouping, Range, Scope, When},
    },
};
use serde_json::Value;

use crate::{
    answers::{Answers, Question},
    company::{Company, deal_id, new_deal, val},
    model::{UNGROUPED, at, views_of},
};

/// What is no sum over deals: it is not in groups what it is in all.
const NO_SUMS: [&str; 8] =
    ["age_days_mean", "age_days_p50", "by_count", "by_value", "days_mean", "days_median", "overall", "step_conversion"];

/// Sums over deals, by what they are of; those of nothing are left out.
type Sums = BTreeMap<String, i64>;

fn add(path: &str, value: &Value, sums: &mut Sums) {
    match value {
        Value::Object(members) => {
            for (name, value) in members.iter().filter(|(name, _)| !NO_SUMS.contains(&name.as_str())) {
                add(&format!("{path}/{name}"), value, sums);
            }
        }
        Value::Array(items) => {
            for item in items {
                let named = ["pipeline", "stage", "from", "to"].iter().filter_map(|name| item[name].as_str());
                add(&format!("{path}/{}", named.collect::<Vec<_>>().join(">")), item, sums);
            }
        }
        Value::Number(number) => *sums.entry(path.to_owned()).or_default() += number.as_i64().unwrap(),
        Value::String(amount) if path.ends_with("/amount") => {
            *sums.entry(path.to_owned()).or_default() += amount.replace('.', "").parse::<i64>().unwrap();
        }
        _ => {}
    }
}

fn sums<'v>(figures: impl IntoIterator<Item = &'v Value>) -> Sums {
    let mut sums = Sums::new();
    figures.into_iter().for_each(|figures| add("", figures, &mut sums));
    sums.retain(|_, sum| *sum != 0);
    sums
}

/// The answers that can be grouped, without those that were refused.
fn grouped(answers: &Answers) -> Vec<(&'static str, Value)> {
    fn json(answer: Result<&impl serde::Serialize, &crate::answers::Refused>) -> Value {
        answer.map_or(Value::Null, |answer| serde_json::to_value(answer).unwrap())
    }
    let all = [
        ("pipeline", json(answers.pipeline.as_ref())),
        ("funnel", json(answers.funnel.as_ref())),
        ("period", json(answers.period.as_ref())),
        ("win rate", json(answers.win_rate.as_ref())),
        ("cycle", json(answers.cycle.as_ref())),
        ("forecast", json(answers.forecast.as_ref())),
    ];
    all.into_iter().filter(|(_, answer)| !answer.is_null()).collect()
}

/// Of an answer or a group, the figures alone.
fn figures(whole: &Value) -> Value {
    let mut figures = whole.clone();
    let members = figures.as_object_mut().unwrap();
    for other in ["position", "as_of", "from", "to", "period", "groups", "key"] {
        members.remove(other);
    }
    figures
}

fn groups(answer: &Value) -> &Vec<Value> {
    answer["groups"].as_array().unwrap()
}

pub(crate) fn add_up(answers: &Answers, question: &Question, what: &str) {
    for (name, answer) in grouped(answers) {
        if question.by.by == UNGROUPED.by {
            assert_eq!(groups(&answer).len(), 0, "{name}, {what}");
            continue;
        }
        let of_groups = groups(&answer).iter().map(figures).collect::<Vec<_>>();
        assert_eq!(sums(&of_groups), sums([&figures(&answer)]), "the groups of {name}, {what}");
        assert!(of_groups.iter().all(|group| !sums([group]).is_empty()), "a group of nothing: {name}, {what}");
    }
}

/// The filter that finds what a group holds; none where no filter does.
fn narrowed(filter: &Filter, key: &Value) -> Option<Filter> {
    let mut filter = filter.clone();
    for part in key.as_array().unwrap() {
        let id = part["id"].as_str()?;
        match part["by"].as_str().unwrap() {
            "owner" => filter.owner = Some(val(id)),
            "source" => filter.source = Some(val(id)),
            "campaign" => filter.campaign = Some(val(id)),
            "customer" => filter.customer = Some(val(id)),
            _ => return None,
        }
    }
    Some(filter)
}

/// Says how many groups were compared.
pub(crate) async fn are_what_filters_find(views: &Views, answers: &Answers, question: &Question, what: &str) -> usize {
    let mut by_key: BTreeMap<String, Vec<(&str, Value)>> = BTreeMap::new();
    for (name, answer) in grouped(answers) {
        for group in groups(&answer) {
            by_key.entry(group["key"].to_string()).or_default().push((name, group.clone()));
        }
    }
    let mut compared = 0;
    for groups in by_key.values() {
        let Some(filter) = narrowed(&question.scope.filter, &groups[0].1["key"]) else { continue };
        let mut alone = Question { by: *UNGROUPED, ..question.clone() };
        alone.scope.filter = filter;
        let alone = grouped(&Answers::of(views, &alone).await);
        for (name, group) in groups {
            let (_, found) = alone.iter().find(|(other, _)| other == name).unwrap();
            assert_eq!(figures(group), figures(found), "{name} of {}, {what}", group["key"]);
            compared += 1;
        }
    }
    compared
}

/// A team's filter finds the groups of all owners who are in it, among other teams or not.
pub(crate) async fn of_teams_are_what_filters_find(views: &Views, question: &Question, what: &str) {
    let team = question.scope.filter.team;
    let by = Grouping { by: [Some(By::Team), None], ..question.by };
    let mut all = Question { by, ..question.clone() };
    all.scope.filter.team = None;
    let all = grouped(&Answers::of(views, &all).await);
    let alone = grouped(&Answers::of(views, &Question { by: *UNGROUPED, ..question.clone() }).await);
    for (name, answer) in all {
        let Some((_, alone)) = alone.iter().find(|(other, _)| *other == name) else { continue };
        let of_team = |group: &&Value| {
            let id = group["key"][0]["id"].as_str().unwrap_or_default();
            team.is_none_or(|team| id.split(',').any(|id| id == team.to_string()))
        };
        let of_groups = groups(&answer).iter().filter(of_team).map(figures).collect::<Vec<_>>();
        assert_eq!(sums(&of_groups), sums([&figures(alone)]), "the groups of a team, {name}, {what}");
    }
}

#[tokio::test]
async fn months_are_local_and_begin_where_their_first_day_does() {
    let mut company = Company::at_work().await;
    company.settings(settings::Change { time_zone: Some(val("America/St_Johns")), ..Default::default() }).await;
    // At 00:01 on 1 November 2009, half past two in UTC, clocks there were set back to 23:01: midnight came twice.
    for (number, created) in [
        (1, "2009-10-31T23:59:00Z"),
        (2, "2009-11-01T02:29:59.999999Z"),
        (3, "2009-11-01T02:30:00Z"),
        (4, "2009-11-01T03:00:00Z"),
        (5, "2009-11-01T03:30:00Z"),
        (6, "2009-12-01T03:29:59.999999Z"),
        (7, "2025-01-01T03:30:00Z"),
    ] {
        let create = Command::Deal(deal::Command::Create(new_deal()));
        company.try_to(StreamId::Deal(deal_id(number)), create, Occurred::At(val(created))).await.unwrap();
    }
    let views = views_of(company.log()).await;
    let by = Grouping { by: [Some(By::Month), None], groups_max: 10 };
    let groups = views.funnel(&at(company.now()), &by).await.unwrap().groups;
    let months = groups.iter().map(|group| (group.key[0].id.as_deref().unwrap(), group.figures.funnels[0].created));
    assert_eq!(months.collect::<Vec<_>>(), [("2009-10", 2), ("2009-11", 4), ("2025-01", 1)]);
    // As the days that a period is given by.
    let day = |day: &str| Some(When::Day(val(day)));
    let created = Range { from: day("2009-11-01"), to: day("2009-12-01") };
    let november = Scope { filter: Filter { created, ..Filter::default() }, ..at(company.now()) };
    assert_eq!(groups[1].figures, views.funnel(&november, UNGROUPED).await.unwrap().figures);
}

#[tokio::test]
async fn more_groups_than_are_allowed_are_refused_and_as_many_are_not() {
    let mut company = Company::at_work().await;
    for (number, source) in [(1, Some("Web")), (2, Some("Web")), (3, Some("Call")), (4, None)] {
        company.create_as(number, deal::Create { source: source.map(val), ..new_deal() }).await;
    }
    company.lose(4, "price").await;
    let (views, now) = (views_of(company.log()).await, at(company.now()));
    let by = |groups_max| Grouping { by: [Some(By::Source), None], groups_max };
    assert_eq!(views.pipeline(&now, &by(3)).await.unwrap().groups.len(), 3);
    let error = views.pipeline(&now, &by(2)).await.unwrap_err();
    assert!(matches!(error, ProjectionError::TooManyGroups { max: 2 }), "{error}");
    // Only one of them has been closed.
    assert_eq!(views.cycle(&now, &Range::default(), &by(1)).await.unwrap().groups.len(), 1);
}
