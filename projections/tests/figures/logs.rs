//! Random logs, and all that must hold of each.

use std::{
    collections::{BTreeMap, VecDeque},
    thread,
};

use dealog_domain::{State, evolve};
use dealog_events::{Category, Envelope, Event, Position, StreamId, Timestamp};
use dealog_projections::deals::{
    Views,
    query::{DealQuery, DealStatus, ListPage, When},
};

use crate::{
    answers::Answers,
    checks,
    company::Company,
    dice::Dice,
    groups,
    memory::MemoryStore,
    model::{On, TestDatabase, views_of, worker},
    plain::{self, Log},
    random,
};

/// On SQLite, two hundred; on PostgreSQL fifty of them, which takes as long.
const LOGS: u64 = 200;
const LOGS_ON_POSTGRES: u64 = 50;
const QUESTIONS: usize = 5;
/// Of these, how many are also asked of the log interleaved in another way.
const INTERLEAVED: usize = 2;
const CUTS: usize = 3;

/// Tells which log it was when something went wrong.
struct Named(u64);

impl Drop for Named {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("in the log of seed {}", self.0);
        }
    }
}

/// How often something happened: what never does is not tested.
type Tally = BTreeMap<String, usize>;

#[test]
fn random_logs_give_the_figures_of_a_plain_fold_on_sqlite() {
    random_logs(On::Sqlite, LOGS);
}

#[test]
fn random_logs_give_the_figures_of_a_plain_fold_on_postgres() {
    random_logs(On::Postgres, LOGS_ON_POSTGRES);
}

fn random_logs(on: On, logs: u64) {
    let threads = thread::available_parallelism().map_or(1, std::num::NonZero::get).min(8) as u64;
    let mut tally = Tally::new();
    thread::scope(|scope| {
        let run = |first: u64| {
            move || {
                let mut tally = Tally::new();
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                let mut test = runtime.block_on(TestDatabase::new(on));
                for seed in (first..logs).step_by(usize::try_from(threads).unwrap()) {
                    let named = Named(seed);
                    runtime.block_on(one_log(&test, seed, &mut tally));
                    drop(named);
                    runtime.block_on(test.anew());
                }
                tally
            }
        };
        let running: Vec<_> = (0..threads).map(|first| scope.spawn(run(first))).collect();
        for counted in running.into_iter().flat_map(|thread| thread.join().unwrap()) {
            *tally.entry(counted.0).or_default() += counted.1;
        }
    });
    for (what, least) in [
        ("deal.transferred", 200),
        ("deal.reopened", 200),
        ("deal.lost", 200),
        ("deal.probability_cleared", 20),
        ("deal.forecast_category_set", 100),
        ("pipeline.stage_added", 100),
        ("pipeline.stages_reordered", 100),
        ("pipeline.stage_retired", 50),
        ("settings.time_zone_set", 100),
        ("settings.reporting_currency_set", 210),
        ("replayed", 300),
        ("asked about a stage of later", 20),
        ("refused", 10),
        ("a group by filter", 1_000),
        ("a team by filter", 30),
    ] {
        let times = tally.get(what).copied().unwrap_or_default();
        // Of fewer logs no more can be asked than that it happens.
        let least = if logs == LOGS { least } else { 1 };
        assert!(times >= least, "{what} only {times} times: {tally:#?}");
    }
}

async fn one_log(test: &TestDatabase, seed: u64, tally: &mut Tally) {
    let mut dice = Dice::new(seed);
    let company = random::story(&mut dice).await;
    let events = company.log();
    let log = Log::read(&events);
    let mut count = |what: &str| *tally.entry(what.to_owned()).or_default() += 1;
    for event in &events {
        count(&event.event_type);
    }

    folded_by_two_workers_in_turn(test, &events, &mut dice).await;
    let rows = test.rows().await;
    let mut rebuilt = worker(MemoryStore::holding(events.clone()), &test.database, 1_000).await.unwrap();
    rebuilt.rebuild().await.unwrap();
    let rebuilt = test.rows().await;
    for (row, expected) in rows.iter().zip(&rebuilt) {
        assert_eq!(row, expected, "a row of the incremental fold, and of the rebuilt one");
    }
    assert_eq!(rows.len(), rebuilt.len());

    let views = Views::new(test.database.clone());
    let interleaved = views_of(interleave(&events, &mut dice)).await;
    for number in 0..QUESTIONS {
        let question = random::question(&company, &mut dice);
        let what = format!("seed {seed}, question {number}: {question:?}");
        let answers = Answers::of(&views, &question).await;
        answers.assert_eq(&plain::answers(&log, &question), &what);
        checks::always(&answers, &question, &what);
        groups::add_up(&answers, &question, &what);
        for _ in 0..groups::are_what_filters_find(&views, &answers, &question, &what).await {
            count("a group by filter");
        }
        if question.scope.filter.team.is_some() {
            groups::of_teams_are_what_filters_find(&views, &question, &what).await;
            count("a team by filter");
        }
        if answers.pipeline.is_err() {
            count("refused");
        }
        if random::stands_in_a_later_stage(&events, plain::Ask::new(&log, &question).at) {
            count("asked about a stage of later");
        }
        if number < INTERLEAVED {
            let others = Answers::of(&interleaved, &question).await;
            others.assert_eq(&answers, &format!("streams interleaved in another way, {what}"));
        }
    }
    for _ in 0..CUTS {
        if as_of_is_a_replay(&company, &log, &views, &mut dice).await {
            count("replayed");
        }
    }
    deals_are_what_their_streams_say(&events, &views, company.now()).await;
}

/// The log comes in pieces; after each, one worker or the other catches up in batches of its own size.
async fn folded_by_two_workers_in_turn(test: &TestDatabase, events: &[Envelope], dice: &mut Dice) {
    let store = MemoryStore::holding(Vec::new());
    let mut workers = [
        worker(store.clone(), &test.database, dice.below(20) + 1).await.unwrap(),
        worker(store.clone(), &test.database, dice.below(60) + 1).await.unwrap(),
    ];
    let mut rest = events;
    while !rest.is_empty() {
        let (piece, later) = rest.split_at(rest.len().min(dice.below(60) + 1));
        store.extend(piece);
        let reached = workers[dice.below(2)].catch_up().await.unwrap();
        assert_eq!(Some(reached), piece.last().map(|last| last.position));
        rest = later;
    }
}

/// The same streams, taken turn about in another way. Only pipelines begin in the order they began in: lists show the
/// oldest first.
fn interleave(events: &[Envelope], dice: &mut Dice) -> Vec<Envelope> {
    let mut streams: BTreeMap<StreamId, VecDeque<&Envelope>> = BTreeMap::new();
    for event in events {
        streams.entry(event.stream).or_default().push_back(event);
    }
    let mut pipelines: VecDeque<StreamId> = VecDeque::new();
    for event in events.iter().filter(|event| event.event_type == "pipeline.defined") {
        pipelines.push_back(event.stream);
    }
    let mut mixed: Vec<Envelope> = Vec::with_capacity(events.len());
    while mixed.len() < events.len() {
        let waiting: Vec<StreamId> = streams.iter().filter(|(_, left)| !left.is_empty()).map(|(id, _)| *id).collect();
        let stream = dice.pick(&waiting);
        if streams[&stream][0].event_type == "pipeline.defined" {
            if pipelines[0] != stream {
                continue;
            }
            pipelines.pop_front();
        }
        // Runs of several events, so that the order stays near to one that occurs.
        for _ in 0..=dice.below(4) {
            let Some(event) = streams.get_mut(&stream).and_then(VecDeque::pop_front) else { break };
            mixed.push(Envelope { position: Position(mixed.len() as u64 + 1), ..event.clone() });
        }
    }
    mixed
}

/// Asked as of an instant, the live model answers what a model of the log up to that instant does.
///
/// False where the instant is one at which the log up to it does not hold all that the answer needs.
async fn as_of_is_a_replay(company: &Company, log: &Log, views: &Views, dice: &mut Dice) -> bool {
    let question = random::question(company, dice);
    let at = plain::Ask::new(log, &question).at;
    let mut replayed = company.log();
    let of_pipelines = |event: &&Envelope| event.event_type == "pipeline.defined";
    let all_defined = replayed.iter().filter(of_pipelines).map(|event| event.occurred_at.micros()).max();
    // Both settings count as they were first made, before they were.
    let first = |what: &str| {
        let of_it = replayed.iter().find(|event| event.event_type == what);
        of_it.map(|event| event.occurred_at.micros())
    };
    let all_set = first("settings.time_zone_set").max(first("settings.reporting_currency_set"));
    replayed.retain(|event| event.occurred_at.micros() <= at);
    for (index, event) in replayed.iter_mut().enumerate() {
        event.position = Position(index as u64 + 1);
    }
    // What stood before the definition that it needs can be told only from that later definition.
    if Some(at) < all_defined.max(all_set) || random::stands_in_a_later_stage(&replayed, at) {
        return false;
    }
    let what = format!("a replay for {question:?}");
    let replay = views_of(replayed).await;
    let live = Answers::of(views, &question).await.of_the_instant();
    // A day is the instant at its end, and nothing else.
    let mut same = question;
    same.scope.as_of = Some(When::Instant(Timestamp::from_micros(at).unwrap()));
    live.assert_eq(&Answers::of(&replay, &same).await.of_the_instant(), &what);
    true
}

/// The list of deals against the states that the rules see.
async fn deals_are_what_their_streams_say(events: &[Envelope], views: &Views, now: Timestamp) {
    let mut states: BTreeMap<StreamId, (State, &Envelope)> = BTreeMap::new();
    for envelope in events.iter().filter(|event| event.stream.category() == Category::Deal) {
        let event: Event = envelope.event().unwrap();
        let state = states.remove(&envelope.stream).map_or(State::Deal(None), |(state, _)| state);
        states.insert(envelope.stream, (evolve(state, &event), envelope));
    }
    let all = DealQuery { page: ListPage { limit: 1_000, after: None }, ..DealQuery::default() };
    let listed = views.deals(&all, now).await.unwrap().deals;
    assert_eq!(listed.len(), states.len());
    for deal in listed {
        let (State::Deal(Some(state)), last) = &states[&StreamId::Deal(deal.id)] else { panic!("not a deal") };
        let status = match state.outcome {
            None => DealStatus::Open,
            Some(dealog_events::deal::Outcome::Won) => DealStatus::Won,
            Some(dealog_events::deal::Outcome::Lost) => DealStatus::Lost,
        };
        assert_eq!((deal.version, deal.position, deal.updated_at), (last.version, last.position, last.occurred_at));
        assert_eq!((deal.pipeline, &deal.stage, deal.status), (state.pipeline, &state.stage, status));
        assert_eq!((deal.title.as_str(), &deal.fields), (state.title.as_str(), &state.fields));
        assert_eq!((deal.owner, deal.customer, deal.campaign), (state.owner, state.customer, state.campaign));
        assert_eq!((deal.amount, deal.expected_close), (state.amount, state.expected_close));
        assert_eq!((deal.probability, deal.forecast_category), (state.probability, state.forecast_category));
        assert_eq!(deal.source, state.source.as_ref().map(ToString::to_string));
        assert_eq!(views.deal(deal.id, now).await.unwrap().item, Some(deal));
    }
}
