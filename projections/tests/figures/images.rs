//! Figures folded from the memory image, against those that the read model in SQL gives where both have one definition.

use dealog_figures::{self as figures, Image, Interval, Unanswerable};
use dealog_projections::deals::{Views, query};
use serde::Serialize;
use serde_json::Value;

use crate::{answers::Question, dice::Dice, model::views_of, random};

const LOGS: u64 = 60;
const QUESTIONS: usize = 6;

#[tokio::test]
async fn the_image_gives_the_figures_of_the_read_model() {
    let mut compared = std::collections::BTreeMap::<&str, usize>::new();
    for seed in 0..LOGS {
        let mut dice = Dice::new(seed);
        let company = random::story(&mut dice).await;
        let events = company.log();
        let mut image = Image::default();
        for envelope in &events {
            image.apply(envelope, &envelope.event().unwrap()).unwrap();
        }
        let reorders = ["pipeline.stages_reordered", "pipeline.stage_added"];
        let reordered = events.iter().any(|event| reorders.contains(&event.event_type.as_str()));
        let views = views_of(events).await;
        for _ in 0..QUESTIONS {
            let question = random::question(&company, &mut dice);
            for (figure, differs) in compare(&image, &views, &question).await {
                // A move is now forward by the order of stages when it was made.
                if figure == "period" && reordered {
                    continue;
                }
                *compared.entry(figure).or_default() += 1;
                assert_eq!(differs, None, "seed {seed}, {figure}: {question:?}");
            }
        }
    }
    assert!(compared.len() == 5 && compared.values().all(|times| *times > 5), "{compared:?}");
}

/// The names of the figures that both give, each with what differs.
async fn compare(image: &Image, views: &Views, asked: &Question) -> Vec<(&'static str, Option<String>)> {
    let query::Scope { filter, .. } = &asked.scope;
    // A closing now counts for the team of then.
    if filter.team.is_some() || asked.by.by.contains(&Some(query::By::Team)) {
        return Vec::new();
    }
    let question = question(asked);
    let mut compared = Vec::new();
    macro_rules! compare {
        ($figure:literal, $found:expr, $expected:expr) => {
            match ($found, $expected) {
                (Ok(found), Ok(expected)) => compared.push(($figure, differs("", &json(&found), &json(&expected)))),
                // Only what is asked for by a name that nothing has is refused now.
                (Err(Unanswerable::Field { message, .. }), Ok(_)) if refused_since(&message) => {}
                (Err(_), Err(_)) => {}
                (found, expected) => {
                    let what = format!("{:?} and not {:?}", found.map(|_| ()), expected.map(|_| ()));
                    compared.push(($figure, Some(what)));
                }
            }
        };
    }
    compare!("pipeline", figures::pipeline(image, &question), views.pipeline(&asked.scope, &asked.by).await);
    if asked.by.by == [None, None] {
        compare!("time in stage", figures::time_in_stage(image, &question), views.time_in_stage(&asked.scope).await);
    }
    // By default a period began 365 days before.
    if asked.period.from.is_some() {
        let (range, by) = (range(asked.period), &asked.by);
        let of_views = without_to(views.win_rate(&asked.scope, &asked.period, by).await);
        compare!("win rate", figures::win_rate(image, &question, &range), of_views);
        let of_views = without_to(views.cycle(&asked.scope, &asked.period, by).await);
        compare!("cycle", figures::cycle(image, &question, &range), of_views);
        // An event now passes filters by its own attributes, and is grouped by them.
        let all = Question {
            scope: query::Scope { filter: query::Filter::default(), ..asked.scope.clone() },
            by: query::Grouping { by: [Some(query::By::Month), None], ..asked.by },
            ..asked.clone()
        };
        let of_views = without_to(views.period(&all.scope, &all.period, &all.by).await);
        compare!("period", figures::period(image, &self::question(&all), &range), of_views);
    }
    compared
}

/// An answer now says where its period was cut short.
fn without_to<T: Serialize, E>(answer: Result<T, E>) -> Result<Value, E> {
    answer.map(|answer| {
        let mut answer = json(&answer);
        answer.as_object_mut().unwrap().remove("to");
        answer
    })
}

fn refused_since(message: &str) -> bool {
    ["is not known", "there is no", "exchange its ends", "after the instant asked about"]
        .iter()
        .any(|refusal| message.contains(refusal))
}

fn question(asked: &Question) -> figures::Question {
    let query::Scope { now, as_of, filter } = asked.scope.clone();
    let by = |by: query::By| match by {
        query::By::Owner => figures::By::Owner,
        query::By::Team => figures::By::Team,
        query::By::Source => figures::By::Source,
        query::By::Campaign => figures::By::Campaign,
        query::By::Customer => figures::By::Customer,
        query::By::Month => figures::By::Time(Interval::Month),
    };
    figures::Question {
        now,
        as_of: as_of.map(when),
        known_at: None,
        filter: figures::Filter {
            pipelines: filter.pipeline.into_iter().collect(),
            owners: filter.owner.into_iter().map(Some).collect(),
            customers: filter.customer.into_iter().collect(),
            sources: filter.source.into_iter().collect(),
            campaigns: filter.campaign.into_iter().collect(),
            created: range(filter.created),
            amount: figures::AmountRange { from: filter.amount.from, to: filter.amount.to },
            ..figures::Filter::default()
        },
        grouping: figures::Grouping {
            by: asked.by.by.into_iter().flatten().map(by).collect(),
            groups_max: asked.by.groups_max,
        },
    }
}

fn when(when: query::When) -> figures::When {
    match when {
        query::When::Instant(at) => figures::When::Instant(at),
        query::When::Day(day) => figures::When::Day(day),
    }
}

fn range(range: query::Range) -> figures::Range {
    figures::Range { from: range.from.map(when), to: range.to.map(when) }
}

fn json(answer: &impl Serialize) -> Value {
    serde_json::to_value(answer).unwrap()
}

/// Where an answer lacks something of another, or has something else. It may say more.
fn differs(path: &str, found: &Value, expected: &Value) -> Option<String> {
    match (found, expected) {
        (Value::Object(found), Value::Object(expected)) => expected.iter().find_map(|(name, expected)| {
            differs(&format!("{path}.{name}"), found.get(name).unwrap_or(&Value::Null), expected)
        }),
        (Value::Array(found), Value::Array(expected)) if found.len() == expected.len() => {
            let pairs = found.iter().zip(expected).enumerate();
            pairs
                .into_iter()
                .find_map(|(index, (found, expected))| differs(&format!("{path}[{index}]"), found, expected))
        }
        _ => (found != expected).then(|| format!("{path} is {found}, and should be {expected}")),
    }
}
