//! The board: its columns from the image of the log, and what is written on its cards from the models.

use dealog_domain::{Command, Occurred, deal, pipeline};
use dealog_events::{Envelope, PipelineId, Position, Slug, StreamId, Timestamp, When};
use dealog_figures::{
    BoardCard, BoardCursor, BoardPage, Filter, Grouping, Image, Question, Seen, Unanswerable, columns,
};
use dealog_projections::models::{Lists, Seeing, deals::CardDeal};

use crate::{
    cases::{both, head, known_at, register, rename},
    company::{ACME, Company, DAY, SALES, deal_id, eur, new_deal, stage, val},
    databases::{On, TestDatabase, on_both, worker_of_all},
    memory::MemoryStore,
};

on_both!(
    a_stage_is_on_the_board_before_it_was_added_if_a_deal_was_in_it,
    a_column_of_the_board_comes_in_pages_though_a_card_of_the_cursor_has_moved,
    ages_are_counted_to_the_instant_asked_about_and_are_never_negative,
    a_card_has_the_names_of_then,
);

/// A board, put together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Board {
    pub(crate) seen: Seen,
    pub(crate) pipeline: PipelineId,
    pub(crate) name: String,
    pub(crate) columns: Vec<Column>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) stage: Slug,
    pub(crate) name: String,
    pub(crate) deals: i64,
    pub(crate) cards: Vec<(BoardCard, CardDeal)>,
    pub(crate) next: Option<BoardCursor>,
}

/// What figures are folded over.
pub(crate) fn image_of(log: &[Envelope]) -> Image {
    let mut image = Image::default();
    for envelope in log {
        image.apply(envelope, &envelope.event().unwrap()).unwrap();
    }
    image
}

/// What is asked for where this is seen, by a clock that says `now`.
pub(crate) fn question(seeing: Seeing, now: Timestamp) -> Question {
    Question {
        now,
        as_of: seeing.as_of.map(When::Instant),
        known_at: seeing.known,
        filter: Filter::default(),
        grouping: Grouping::default(),
    }
}

/// A page of the board, put together as a server does.
pub(crate) async fn board(
    lists: &Lists,
    image: &Image,
    question: &Question,
    page: BoardPage,
) -> Result<Board, Unanswerable> {
    let found = columns(image, question, page)?;
    let ids: Vec<_> = found.columns.iter().flat_map(|column| &column.cards).map(|place| place.deal).collect();
    let seeing = Seeing { as_of: question.as_of.map(|_| found.seen.as_of), known: Some(found.seen.position) };
    let mut deals = lists.cards(&ids, &seeing).await.unwrap();
    let mut cards = |places: Vec<BoardCard>| {
        places.into_iter().map(|place| (place.clone(), deals.remove(&place.deal).unwrap())).collect()
    };
    let columns = found.columns.into_iter().map(|column| Column {
        stage: column.stage,
        name: column.name,
        deals: column.totals.deals,
        cards: cards(column.cards),
        next: column.next,
    });
    Ok(Board { seen: found.seen, pipeline: found.pipeline, name: found.name, columns: columns.collect() })
}

fn page(limit: usize) -> BoardPage {
    BoardPage { limit, after: None }
}

const NOW: Seeing = Seeing { as_of: None, known: None };

fn as_of(at: Timestamp) -> Seeing {
    Seeing { as_of: Some(at), known: None }
}

fn of_stage(stage: &str, question: Question) -> Question {
    Question { filter: Filter { stages: vec![val(stage)], ..Filter::default() }, ..question }
}

async fn a_stage_is_on_the_board_before_it_was_added_if_a_deal_was_in_it(on: On) {
    let mut company = Company::at_work().await;
    company.create(1, None).await;
    company.create(2, None).await;
    let created = company.now();
    company.wait(10 * DAY);
    let known = head(&company);
    let after = Some(val("lead"));
    company.pipeline(SALES, pipeline::Command::AddStage(pipeline::AddStage { stage: stage("demo", 20), after })).await;
    let to_demo = Command::Deal(deal::Command::Move(deal::Move { stage: val("demo"), reason: None }));
    let earlier = Occurred::At(created.saturating_add_micros(DAY));
    company.try_to(StreamId::Deal(deal_id(1)), to_demo, earlier).await.unwrap();
    let test = TestDatabase::new(on).await;
    let (lists, image) = (test.lists_of(company.log()).await, image_of(&company.log()));
    let stages = async |seeing: Seeing| {
        let board = board(&lists, &image, &question(seeing, company.now()), page(9)).await.unwrap();
        board.columns.iter().map(|column| format!("{} {}", column.stage, column.deals)).collect::<Vec<_>>()
    };
    assert_eq!(stages(NOW).await, ["lead 1", "demo 1", "offer 0", "contract 0"]);
    assert_eq!(stages(as_of(created)).await, ["lead 2", "offer 0", "contract 0"]);
    let second = as_of(created.saturating_add_micros(2 * DAY));
    assert_eq!(stages(second).await, ["lead 1", "demo 1", "offer 0", "contract 0"]);
    assert_eq!(stages(both(second, known)).await, ["lead 2", "offer 0", "contract 0"]);
}

async fn a_column_of_the_board_comes_in_pages_though_a_card_of_the_cursor_has_moved(on: On) {
    let mut company = Company::at_work().await;
    for number in 1..=5 {
        company.create(number, Some(eur(100))).await;
        company.wait(DAY);
    }
    let test = TestDatabase::new(on).await;
    let store = MemoryStore::holding(company.log());
    let mut worker = worker_of_all(store.clone(), &test.database, 100).await;
    let lists = test.lists();
    let ask = async |company: &Company, seeing: Seeing, page: BoardPage| {
        let question = of_stage("lead", question(seeing, company.now()));
        let mut board = board(&lists, &image_of(&company.log()), &question, page).await.unwrap();
        let column = board.columns.remove(0);
        assert_eq!(board.columns, []);
        (column.deals, column.cards.iter().map(|(place, _)| place.deal).collect::<Vec<_>>(), column.next)
    };
    let (deals, cards, next) = ask(&company, NOW, page(2)).await;
    assert_eq!((deals, cards), (5, vec![deal_id(1), deal_id(2)]));
    let before = company.log().len();
    company.move_to(2, "offer").await;
    store.extend(&company.log()[before..]);
    worker.catch_up().await.unwrap();
    let page = BoardPage { limit: 2, after: next };
    let (deals, cards, _) = ask(&company, NOW, page).await;
    assert_eq!((deals, cards), (4, vec![deal_id(3), deal_id(4)]));
    let as_before = as_of(company.now().saturating_add_micros(-1));
    let (deals, cards, next) = ask(&company, as_before, page).await;
    assert_eq!((deals, cards), (5, vec![deal_id(3), deal_id(4)]));
    let (_, cards, next) = ask(&company, NOW, BoardPage { limit: 2, after: next }).await;
    assert_eq!((cards, next), (vec![deal_id(5)], None));

    let nowhere = of_stage("nowhere", question(NOW, company.now()));
    let error = columns(&image_of(&company.log()), &nowhere, page).unwrap_err();
    assert!(matches!(&error, Unanswerable::Field { field, .. } if field == "stage"), "{error}");
}

async fn ages_are_counted_to_the_instant_asked_about_and_are_never_negative(on: On) {
    let mut company = Company::at_work().await;
    let expected_close = Some(val("2025-03-04"));
    company.create_as(1, deal::Create { expected_close, ..new_deal() }).await;
    let created = company.now();
    company.wait(10 * DAY);
    let test = TestDatabase::new(on).await;
    let (lists, image) = (test.lists_of(company.log()).await, image_of(&company.log()));
    let card = async |question: Question| {
        let mut board = board(&lists, &image, &question, page(1)).await.unwrap();
        let (place, _) = board.columns.remove(0).cards.remove(0);
        (place.age_days.unwrap().hundredths, place.overdue)
    };
    assert_eq!(card(question(NOW, company.now())).await, (1_000, true));
    assert_eq!(card(question(as_of(created.saturating_add_micros(DAY / 4)), company.now())).await, (25, false));
    // Another server's clock, which the deal was created by, may be ahead.
    assert_eq!(card(question(NOW, created.saturating_add_micros(-DAY))).await, (0, false));
}

async fn a_card_has_the_names_of_then(on: On) {
    let mut company = Company::at_work().await;
    let begun = company.now();
    company.wait(10 * DAY);
    register(&mut company, ACME, "Acme").await;
    company.wait(DAY);
    rename(&mut company, ACME, "Acme & Sons").await;
    let create = deal::Create { customer: Some(ACME), ..new_deal() };
    let earlier = Occurred::At(begun.saturating_add_micros(DAY));
    let command = Command::Deal(deal::Command::Create(create));
    company.try_to(StreamId::Deal(deal_id(1)), command, earlier).await.unwrap();
    let renamed: Position = head(&company);
    company.move_to(1, "offer").await;
    let test = TestDatabase::new(on).await;
    let (lists, image) = (test.lists_of(company.log()).await, image_of(&company.log()));
    let written = async |seeing: Seeing| {
        let board = board(&lists, &image, &question(seeing, company.now()), page(9)).await.unwrap();
        let (_, card) = board.columns.into_iter().flat_map(|column| column.cards).next().unwrap();
        (card.customer_name.unwrap(), card.deal.stage.to_string())
    };
    let named = |name: &str, stage: &str| (name.to_owned(), stage.to_owned());
    assert_eq!(written(NOW).await, named("Acme & Sons", "offer"));
    assert_eq!(written(as_of(begun.saturating_add_micros(2 * DAY))).await, named("Acme", "lead"));
    assert_eq!(written(known_at(renamed)).await, named("Acme & Sons", "lead"));
}
