//! Random logs: each answer against the plain one.

use std::{collections::BTreeMap, thread};

use dealog_events::{Envelope, PipelineId, Version};
use dealog_figures::{BoardPage, Filter, Image, Question, Unanswerable};
use dealog_projections::models::{
    ListPage, Lists, Named, Seeing,
    deals::{Deal, DealQuery},
};

use crate::{
    board::{Board, board, image_of, question},
    company::{ACME, ANNA, BOLT, BORIS, CLARA, NORTH, PARTNERS, RENEWALS, SALES, SOUTH},
    databases::{On, TestDatabase, worker_of_all},
    dice::Dice,
    memory::MemoryStore,
    plain::{self, Log},
    story,
};

const LOGS: u64 = 100;
const LOGS_ON_POSTGRES: u64 = 25;
const QUESTIONS: usize = 8;

/// How often something happened: what never does is not tested.
type Tally = BTreeMap<String, usize>;

/// Tells which log it was when something went wrong.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("in the log of seed {}", self.0);
        }
    }
}

#[test]
fn random_logs_give_the_answers_of_a_plain_fold_on_sqlite() {
    random_logs(On::Sqlite, LOGS);
}

#[test]
fn random_logs_give_the_answers_of_a_plain_fold_on_postgres() {
    random_logs(On::Postgres, LOGS_ON_POSTGRES);
}

fn random_logs(on: On, logs: u64) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut tally = Tally::new();
    runtime.block_on(async {
        let mut test = TestDatabase::new(on).await;
        for seed in 0..logs {
            let seed_named = Seed(seed);
            one_log(&test, seed, &mut tally).await;
            drop(seed_named);
            test.anew().await;
        }
    });
    for what in [
        "deal.transferred",
        "deal.reopened",
        "deal.lost",
        "deal.closing_corrected",
        "deal.undone",
        "deal.probability_cleared",
        "deal.field_set",
        "pipeline.stage_added",
        "pipeline.stages_reordered",
        "customer.renamed",
        "customer.field_set",
        "team.member_removed",
        "user.roles_changed",
        "settings.time_zone_set",
        "as of",
        "known",
        "as of and known",
        "a deal that was not what it is",
        "a deal of which less was known than had happened",
        "a board with a stage of later",
        "a list of several pages",
        "no pipeline",
    ] {
        assert!(tally.contains_key(what), "{what} never: {tally:#?}");
    }
}

async fn one_log(test: &TestDatabase, seed: u64, tally: &mut Tally) {
    let mut dice = Dice::new(seed);
    let company = story::story(&mut dice).await;
    let events = company.log();
    let log = Log::read(&events);
    for (what, times) in plain::types(&events) {
        *tally.entry(what).or_default() += times;
    }
    let mut count = |what: &str| *tally.entry(what.to_owned()).or_default() += 1;

    folded_in_pieces(test, &events, &mut dice).await;
    test.is_what_the_log_says(MemoryStore::holding(events), log.head()).await;
    let (lists, image) = (test.lists(), image_of(&company.log()));
    for number in 0..QUESTIONS {
        let seeing = story::seeing(&company, &mut dice);
        let query = story::query(&company, &mut dice);
        let what = format!("seed {seed}, question {number}: {seeing:?} {query:?}");
        match (seeing.as_of, seeing.known) {
            (Some(_), None) => count("as of"),
            (None, Some(_)) => count("known"),
            (Some(_), Some(_)) => count("as of and known"),
            (None, None) => {}
        }
        let now = Seeing::default();
        for id in log.deal_ids() {
            let expected = log.deal(id, &seeing);
            assert_eq!(lists.deal(id, &seeing).await.unwrap().item, expected, "{what}: {id}");
            if expected != log.deal(id, &now) {
                count("a deal that was not what it is");
            }
            if seeing.as_of.is_some() && expected != log.deal(id, &Seeing { known: None, ..seeing }) {
                count("a deal of which less was known than had happened");
            }
        }
        if all_pages(&lists, &query, &seeing, log.listed(&query, &seeing), &what).await {
            count("a list of several pages");
        }
        let question =
            question(Seeing { known: seeing.known.map(|known| known.min(log.head())), ..seeing }, company.now());
        let moment = image.moment(question.as_of, question.known_at, question.now).unwrap();
        let expected = log.board(query.filter.pipeline, &seeing, &moment);
        match whole_board(&lists, &image, &question, query.filter.pipeline).await {
            None => {
                count("no pipeline");
                assert_eq!(expected, None, "{what}");
            }
            Some(board) => {
                assert_eq!(Some(&board), expected.as_ref(), "{what}");
                if log.shows_a_later_stage(&board, &seeing) {
                    count("a board with a stage of later");
                }
            }
        }
        definitions(&lists, &log, &seeing, &what).await;
    }
    versions(&lists, &log).await;
}

/// The log comes in pieces; after each, one worker or the other catches up in batches of its own size.
async fn folded_in_pieces(test: &TestDatabase, events: &[Envelope], dice: &mut Dice) {
    let store = MemoryStore::holding(Vec::new());
    let mut both = [
        worker_of_all(store.clone(), &test.database, dice.below(20) + 1).await,
        worker_of_all(store.clone(), &test.database, dice.below(60) + 1).await,
    ];
    let mut rest = events;
    while !rest.is_empty() {
        let (piece, later) = rest.split_at(rest.len().min(dice.below(60) + 1));
        store.extend(piece);
        let reached = both[dice.below(2)].catch_up().await.unwrap();
        assert_eq!(Some(reached), piece.last().map(|last| last.position));
        rest = later;
    }
}

/// All pages together are what is expected. Says whether there was more than one.
async fn all_pages(lists: &Lists, query: &DealQuery, seeing: &Seeing, expected: Vec<Deal>, what: &str) -> bool {
    let (mut found, mut pages, mut after) = (Vec::new(), 0, None);
    loop {
        let query = DealQuery { page: ListPage { limit: 2, after }, ..query.clone() };
        let page = lists.deals(&query, seeing).await.unwrap();
        assert!(page.deals.len() <= 2);
        found.extend(page.deals);
        pages += 1;
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(found, expected, "{what}");
    pages > 1
}

/// The board, put together from pages of one card each; none where there is no pipeline.
async fn whole_board(lists: &Lists, image: &Image, question: &Question, pipeline: Option<PipelineId>) -> Option<Board> {
    let filter = Filter { pipelines: pipeline.into_iter().collect(), ..Filter::default() };
    let question = Question { filter, ..question.clone() };
    let mut whole = match board(lists, image, &question, BoardPage { limit: 1, after: None }).await {
        Ok(board) => board,
        Err(Unanswerable::Field { field, .. }) if field == "pipeline" => return None,
        Err(error) => panic!("{question:?}: {error}"),
    };
    for column in &mut whole.columns {
        while let Some(after) = column.next {
            let filter = Filter { stages: vec![column.stage.clone()], ..question.filter.clone() };
            let of_column = Question { filter, ..question.clone() };
            let page = BoardPage { limit: 1, after: Some(after) };
            let mut next = board(lists, image, &of_column, page).await.unwrap().columns;
            assert_eq!((next.len(), next[0].deals), (1, column.deals), "{of_column:?}");
            column.cards.append(&mut next[0].cards);
            column.next = next[0].next;
        }
    }
    Some(whole)
}

async fn definitions(lists: &Lists, log: &Log, seeing: &Seeing, what: &str) {
    let all = ListPage { limit: 1_000, after: None };
    let listed = |items| Named { position: log.position(seeing), items, next: None };
    assert_eq!(lists.customers(all, seeing).await.unwrap(), listed(log.customers(seeing)), "{what}");
    for id in [ACME, BOLT] {
        assert_eq!(lists.customer(id, seeing).await.unwrap().item, log.customer(id, seeing), "{what}");
    }
    let listed = |items| Named { position: log.position(seeing), items, next: None };
    assert_eq!(lists.users(all, seeing).await.unwrap(), listed(log.users(seeing)), "{what}");
    for id in [ANNA, BORIS, CLARA] {
        assert_eq!(lists.user(id, seeing).await.unwrap().item, log.user(id, seeing), "{what}");
    }
    let listed = |items| Named { position: log.position(seeing), items, next: None };
    assert_eq!(lists.teams(all, seeing).await.unwrap(), listed(log.teams(seeing)), "{what}");
    for id in [NORTH, SOUTH] {
        assert_eq!(lists.team(id, seeing).await.unwrap().item, log.team(id, seeing), "{what}");
    }
    let listed = |items| Named { position: log.position(seeing), items, next: None };
    assert_eq!(lists.pipelines(seeing).await.unwrap(), listed(log.pipelines(seeing)), "{what}");
    for id in [SALES, RENEWALS, PARTNERS] {
        assert_eq!(lists.pipeline(id, seeing).await.unwrap().item, log.pipeline(id, seeing), "{what}");
    }
    assert_eq!(lists.settings(seeing).await.unwrap().item, Some(log.settings(seeing)), "{what}");
}

/// Each deal at each of its versions, and at none before and behind.
async fn versions(lists: &Lists, log: &Log) {
    for id in log.deal_ids() {
        let last = log.last_version(id);
        for version in 0..=last.0 + 1 {
            let at = lists.deal_at_version(id, Version(version)).await.unwrap();
            assert_eq!((at.found.item, at.last), (log.deal_at_version(id, Version(version)), last), "{id}");
        }
    }
}
