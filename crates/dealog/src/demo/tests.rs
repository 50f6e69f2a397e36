//! The sample as a whole: on the rules alone at its real size, and on a log at a smaller one.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use dealog_commands::{Commands, Limits, system_clock};
use dealog_domain::{Facts, Recorded, State, decide, evolve, occurred_at, reads};
use dealog_events::{
    Envelope, Event, Position, StreamId, Timestamp,
    deal::{DealEvent, Outcome},
    event_types,
};
use dealog_store::{EventStore, sqlite::SqliteStore};
use indicatif::ProgressBar;
use tempfile::TempDir;

use super::{DemoError, Filled, Sample, Size, Step, fill::fill_with, fill::send, time_zone};
use crate::company::found;

const SMALL: Size = Size { deals: 250, customers: 30 };

fn sample(seed: u64, until: &str, size: Size) -> Sample {
    Sample { seed, until: until.parse().unwrap(), size }
}

fn small(seed: u64) -> Sample {
    sample(seed, "2026-06-30", SMALL)
}

/// A log of its own in a folder of its own.
struct Log {
    store: Arc<dyn EventStore>,
    _folder: TempDir,
}

impl Log {
    async fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("log.db"), dealog_store::Limits::default()).await.unwrap();
        Self { store: Arc::new(store), _folder: folder }
    }

    async fn filled(sample: Sample) -> Self {
        let log = Self::empty().await;
        log.fill(sample).await.unwrap();
        log
    }

    async fn fill(&self, sample: Sample) -> Result<Filled, DemoError> {
        fill_with(Arc::clone(&self.store), sample, &ProgressBar::hidden()).await
    }

    async fn begin(&self, plan: &[Step]) {
        send(&self.store, plan, &ProgressBar::hidden()).await.unwrap();
    }

    async fn events(&self) -> Vec<Envelope> {
        let mut events: Vec<Envelope> = Vec::new();
        loop {
            let after = events.last().map_or(Position::ZERO, |event| event.position);
            let page = self.store.read(after, 10_000, &[]).await.unwrap();
            if page.is_empty() {
                return events;
            }
            events.extend(page);
        }
    }
}

/// Says where two logs part, and does not print both.
#[track_caller]
fn assert_same(one: &[Envelope], other: &[Envelope]) {
    if let Some((one, other)) = one.iter().zip(other).find(|(one, other)| one != other) {
        panic!("the logs differ:\n{one:?}\n{other:?}");
    }
    assert_eq!(one.len(), other.len());
}

#[tokio::test]
async fn the_same_seed_and_date_give_the_same_log() {
    let (one, other) = (Log::filled(small(7)).await.events().await, Log::filled(small(7)).await.events().await);
    assert!(one.len() > 1_500);
    assert_same(&one, &other);
}

#[tokio::test]
async fn another_seed_gives_other_deals() {
    let deals = |events: Vec<Envelope>| -> HashSet<StreamId> { events.into_iter().map(|event| event.stream).collect() };
    let (one, other) = (Log::filled(small(7)).await.events().await, Log::filled(small(8)).await.events().await);
    let common: Vec<_> = deals(one).intersection(&deals(other)).copied().collect();
    assert_eq!(common, [StreamId::Settings]);
}

#[tokio::test]
async fn an_interrupted_filling_goes_on_to_the_same_log() {
    let whole = Log::filled(small(7)).await.events().await;
    let plan = small(7).plan().unwrap();
    for sent in [1, 2, 640, 1_500] {
        let log = Log::empty().await;
        log.begin(&plan[..sent]).await;
        let begun = log.events().await.len();
        let filled = log.fill(small(7)).await.unwrap();
        assert_eq!(filled.events, (whole.len() - begun) as u64);
        assert!(!filled.already_there);
        assert_same(&log.events().await, &whole);
    }
}

#[tokio::test]
async fn a_filling_that_is_cut_off_in_the_middle_of_a_wave_goes_on_to_the_same_log() {
    let whole = Log::filled(small(7)).await.events().await;
    let log = Log::empty().await;
    let mut fillings = 0;
    loop {
        fillings += 1;
        let brief = std::time::Duration::from_millis(20 * fillings);
        if let Ok(filled) = tokio::time::timeout(brief, log.fill(small(7))).await {
            filled.unwrap();
            break;
        }
    }
    assert!(fillings > 1);
    assert_same(&log.events().await, &whole);
}

#[tokio::test]
async fn a_finished_sample_is_recognised_on_any_later_day() {
    let log = Log::filled(small(7)).await;
    let before = log.events().await;
    for until in ["2026-06-30", "2026-07-01", "2027-02-28"] {
        let filled = log.fill(sample(7, until, SMALL)).await.unwrap();
        assert!(filled.already_there);
        assert_eq!((filled.events, filled.until), (0, small(7).until));
    }
    assert_same(&log.events().await, &before);
}

#[tokio::test]
async fn a_log_with_something_else_is_left_as_it_is() {
    let log = Log::empty().await;
    let commands = Commands::new(Arc::clone(&log.store), system_clock(), Limits::default());
    assert!(found(&commands, "EUR".parse().unwrap(), time_zone().unwrap()).await.unwrap());
    let before = log.events().await;
    assert!(matches!(log.fill(small(7)).await, Err(DemoError::Occupied)));
    assert_same(&log.events().await, &before);

    let log = Log::filled(small(7)).await;
    let before = log.events().await;
    assert!(matches!(log.fill(small(8)).await, Err(DemoError::Occupied)));
    let commands = Commands::new(Arc::clone(&log.store), system_clock(), Limits::default());
    assert!(!found(&commands, "EUR".parse().unwrap(), time_zone().unwrap()).await.unwrap());
    assert_same(&log.events().await, &before);
}

#[tokio::test]
async fn the_log_holds_each_command_at_the_instant_that_the_plan_says() {
    let plan = small(7).plan().unwrap();
    let events = Log::filled(small(7)).await.events().await;
    let planned: HashMap<_, _> = plan.iter().map(|step| (step.request.meta.command_id, step.now)).collect();
    assert!(events.iter().all(|event| planned.get(&event.command_id) == Some(&event.recorded_at)));
    assert_eq!(events.iter().map(|event| event.command_id).collect::<HashSet<_>>().len(), plan.len());
    assert!(events.iter().any(|event| event.occurred_at < event.recorded_at));
}

#[test]
fn no_command_of_any_sample_is_refused_or_needless() {
    for (seed, until) in [(1, "2026-01-01"), (2, "2024-02-29"), (3, "2025-07-15")] {
        tell(sample(seed, until, Size::default()));
    }
    for seed in 10..40 {
        tell(small(seed));
    }
    for deals in 0..3 {
        tell(sample(7, "2026-06-30", Size { deals, customers: deals }));
    }
}

#[test]
fn nothing_lies_outside_the_two_years() {
    let sample = sample(7, "2026-06-30", Size::default());
    let begin = time_zone().unwrap().day_start("2024-06-30".parse().unwrap());
    let end = time_zone().unwrap().day_start(sample.until);
    let told = tell(sample);
    assert!(told.iter().all(|told| begin <= told.at && told.at <= told.now && told.now < end));
    assert!(told.windows(2).all(|pair| pair[0].now <= pair[1].now));
}

#[test]
fn the_mix_has_all_that_can_happen_to_a_deal() {
    let told = tell(sample(7, "2026-06-30", Size::default()));
    let seen: BTreeSet<_> = told.iter().map(|told| told.event.event_type().0).collect();
    let missing: Vec<_> = event_types()
        .map(|known| known.name)
        .filter(|name| name.starts_with("deal.") && !seen.contains(name))
        .collect();
    assert_eq!(missing, Vec::<&str>::new());

    let was = |outcome| {
        let reopened = |event: &Event| matches!(event, Event::Deal(DealEvent::Reopened(event)) if event.was == outcome);
        told.iter().filter(|told| reopened(&told.event)).count()
    };
    assert!(was(Outcome::Won) > 0 && was(Outcome::Lost) > 0);

    let order = ["first_contact", "qualified", "needs_found", "offer_made", "negotiation", "contract"];
    let place = |slug: &str| (0_i32..).zip(order).find(|(_, stage)| *stage == slug).map(|(place, _)| place);
    let steps: Vec<i32> = told
        .iter()
        .filter_map(|told| match &told.event {
            Event::Deal(DealEvent::StageMoved(moved)) => Some(place(moved.to.as_str())? - place(moved.from.as_str())?),
            _ => None,
        })
        .collect();
    let share = |wanted: fn(&i32) -> bool| steps.iter().filter(|step| wanted(step)).count() * 100 / steps.len();
    assert!((4..15).contains(&share(|step| *step > 1)), "skipping moves");
    assert!((3..15).contains(&share(|step| *step < 0)), "moves back");
}

#[test]
fn the_figures_are_those_of_a_company_that_could_be() {
    for seed in [1, 7] {
        let told = tell(sample(seed, "2026-06-30", Size::default()));
        let (mut open, mut won, mut lost, mut excluded) = (0_i64, 0_i64, 0_i64, 0_i64);
        for told in &told {
            let Event::Deal(event) = &told.event else { continue };
            match event {
                DealEvent::Created(_) => open += 1,
                DealEvent::Won(_) => (open, won) = (open - 1, won + 1),
                DealEvent::Lost(event) if event.counted => (open, lost) = (open - 1, lost + 1),
                DealEvent::Lost(_) => (open, excluded) = (open - 1, excluded + 1),
                DealEvent::Reopened(event) if event.was == Outcome::Won => (open, won) = (open + 1, won - 1),
                DealEvent::Reopened(_) => (open, lost) = (open + 1, lost - 1),
                _ => {}
            }
        }
        assert!((600..1_000).contains(&open), "{open} open");
        assert!((350..450).contains(&(won * 1_000 / (won + lost))), "{won} won, {lost} lost");
        assert!(excluded > 50, "{excluded} excluded");
        assert!((4_980..=5_000).contains(&(open + won + lost + excluded)));
    }
}

/// An event as the rules make it of the plan.
struct Told {
    event: Event,
    at: Timestamp,
    now: Timestamp,
}

/// What a sample comes to by the rules alone, without a log.
fn tell(sample: Sample) -> Vec<Told> {
    let mut streams: HashMap<StreamId, (Arc<State>, Option<Timestamp>)> = HashMap::new();
    let mut history: HashMap<StreamId, Vec<Recorded>> = HashMap::new();
    let mut told = Vec::new();
    for Step { name, now, request } in sample.plan().unwrap() {
        let stream = request.stream;
        let state_of = |streams: &HashMap<StreamId, (Arc<State>, Option<Timestamp>)>, stream: StreamId| {
            let empty = || (Arc::new(State::empty(stream.category())), None);
            streams.get(&stream).cloned().unwrap_or_else(empty)
        };
        let (state, last) = state_of(&streams, stream);
        let standing = request.meta.standing;
        let at = occurred_at(request.meta.occurred, last, now).unwrap();
        let recorded = history.entry(stream).or_default();
        let facts = Facts::new(stream, now).of(standing).occurring(at).with_history(recorded.as_slice().into());
        let facts = reads(&state, standing, &request.command)
            .into_iter()
            .fold(facts, |facts, read| facts.with(read, state_of(&streams, read).0));
        let events =
            decide(&state, &facts, &request.command).unwrap_or_else(|no| panic!("seed {}, {name}: {no}", sample.seed));
        assert!(!events.is_empty(), "seed {}, {name} changes nothing", sample.seed);
        let state = events.iter().fold((*state).clone(), evolve);
        streams.insert(stream, (Arc::new(state), Some(at)));
        for event in &events {
            history.entry(stream).or_default().push(Recorded {
                position: Position(told.len() as u64 + 1),
                command: request.meta.command_id,
                actor: request.meta.cause.actor,
                at,
                event: event.clone(),
            });
        }
        told.extend(events.into_iter().map(|event| Told { event, at, now }));
    }
    told
}
