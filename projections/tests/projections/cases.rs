//! Mistakes that histories invite, each by itself.

use dealog_domain::{Command, Occurred, Patch, customer, deal, settings, team};
use dealog_events::{CustomerId, Envelope, Position, StreamId, TimeZone, Timestamp, Version};
use dealog_projections::{
    ProjectionError,
    models::{
        ListPage, Lists, Seeing,
        deals::{DealQuery, Filter},
    },
};

use crate::{
    company::{ACME, ANNA, BORIS, Company, DAY, NORTH, RENEWALS, deal_id, eur, new_deal, stage, val},
    databases::{On, TestDatabase, on_both, worker_of_all},
    memory::MemoryStore,
};

on_both!(
    nothing_is_answered_before_the_models_are_made,
    an_empty_log_has_empty_lists,
    an_answer_from_before_what_was_asked_for_is_refused,
    as_of_and_known_at_select_a_beginning_of_the_stream,
    of_events_at_one_instant_the_last_that_was_known_counts,
    what_was_recorded_later_was_not_known_though_it_had_happened,
    a_deal_is_in_no_list_before_it_was_created_or_known,
    names_before_their_first_definition_are_the_first_as_soon_as_they_are_known,
    a_team_had_the_members_of_then,
    settings_before_they_were_made_are_the_first_ones,
    filters_look_at_what_deals_were,
    a_page_behind_the_last_is_empty,
    thousands_of_events_in_one_batch_come_to_the_same_rows,
);

async fn lists(test: &TestDatabase, company: &Company) -> Lists {
    test.lists_of(company.log()).await
}

/// All that there is.
const NOW: Seeing = Seeing { as_of: None, known: None };

fn as_of(at: Timestamp) -> Seeing {
    Seeing { as_of: Some(at), known: None }
}

pub(crate) fn known_at(position: Position) -> Seeing {
    Seeing { as_of: None, known: Some(position) }
}

pub(crate) fn both(then: Seeing, known: Position) -> Seeing {
    Seeing { known: Some(known), ..then }
}

pub(crate) fn head(company: &Company) -> Position {
    company.log().last().unwrap().position
}

fn title(text: &str) -> deal::Change {
    deal::Change { title: Patch::Set(val(text)), ..deal::Change::default() }
}

async fn retitle(company: &mut Company, text: &str, occurred: Occurred) {
    let command = Command::Deal(deal::Command::Change(Box::new(title(text))));
    company.try_to(StreamId::Deal(deal_id(1)), command, occurred).await.unwrap();
}

async fn title_of(lists: &Lists, seeing: Seeing) -> Option<String> {
    lists.deal(deal_id(1), &seeing).await.unwrap().item.map(|deal| deal.title)
}

pub(crate) async fn register(company: &mut Company, id: CustomerId, name: &str) {
    let register = customer::Register {
        kind: customer::CustomerKind::default(),
        name: val(name),
        sector: None,
        fields: dealog_events::Fields::new(),
    };
    company.ask(StreamId::Customer(id), Command::Customer(customer::Command::Register(register))).await;
}

pub(crate) async fn rename(company: &mut Company, id: CustomerId, name: &str) {
    let change = customer::Change { name: Patch::Set(val(name)), ..customer::Change::default() };
    company.ask(StreamId::Customer(id), Command::Customer(customer::Command::Change(change))).await;
}

async fn nothing_is_answered_before_the_models_are_made(on: On) {
    let test = TestDatabase::new(on).await;
    let (lists, seeing) = (test.lists(), as_of(Timestamp::MAX));
    assert_eq!(lists.position().await.unwrap(), Position::ZERO);
    let error = lists.deal(deal_id(1), &seeing).await.unwrap_err();
    assert!(matches!(error, ProjectionError::NotBuilt), "{error}");
    let error = lists.cards(&[deal_id(1)], &seeing).await.unwrap_err();
    assert!(matches!(error, ProjectionError::NotBuilt), "{error}");
}

async fn an_empty_log_has_empty_lists(on: On) {
    let test = TestDatabase::new(on).await;
    let (lists, company) = (test.lists_of(Vec::new()).await, Company::empty());
    for seeing in [NOW, as_of(company.now()), known_at(Position(3))] {
        assert_eq!(lists.deals(&DealQuery::default(), &seeing).await.unwrap().deals, []);
        assert_eq!(lists.customers(ListPage::default(), &seeing).await.unwrap().items, []);
        assert_eq!(lists.pipelines(&seeing).await.unwrap().items, []);
        assert_eq!(lists.settings(&seeing).await.unwrap().item.unwrap().time_zone, TimeZone::UTC);
        assert_eq!(lists.deal_at_version(deal_id(1), Version(1)).await.unwrap().last, Version::ZERO);
        assert!(lists.cards(&[deal_id(1)], &seeing).await.unwrap().is_empty());
    }
}

async fn an_answer_from_before_what_was_asked_for_is_refused(on: On) {
    let company = Company::at_work().await;
    let test = TestDatabase::new(on).await;
    let (lists, head) = (lists(&test, &company).await, head(&company));
    assert_eq!(lists.position().await.unwrap(), head);
    let answer = lists.clone().at_least(head).settings(&NOW).await.unwrap();
    assert_eq!(answer.position, head);
    let error = lists.at_least(head.next()).settings(&NOW).await.unwrap_err();
    assert!(matches!(error, ProjectionError::Behind { position, least } if position == head && least == head.next()));
}

async fn as_of_and_known_at_select_a_beginning_of_the_stream(on: On) {
    let mut company = Company::at_work().await;
    company.create(1, None).await;
    let mut moments = vec![(company.now(), head(&company), "Licences".to_owned())];
    for number in 2..5 {
        company.wait(DAY);
        let text = format!("Title {number}");
        company.change(1, title(&text)).await;
        moments.push((company.now(), head(&company), text));
    }
    let test = TestDatabase::new(on).await;
    let lists = lists(&test, &company).await;
    for (index, (at, position, _)) in moments.iter().enumerate() {
        for (other, (_, known, _)) in moments.iter().enumerate() {
            let found = title_of(&lists, both(as_of(*at), *known)).await.unwrap();
            assert_eq!(found, moments[index.min(other)].2);
        }
        assert_eq!(title_of(&lists, as_of(*at)).await.as_ref(), Some(&moments[index].2));
        let before = as_of(at.saturating_add_micros(-1));
        assert_eq!(title_of(&lists, before).await.as_ref(), index.checked_sub(1).map(|before| &moments[before].2));
        assert_eq!(title_of(&lists, known_at(*position)).await.as_ref(), Some(&moments[index].2));
        let found = lists.deal_at_version(deal_id(1), Version(index as u64 + 1)).await.unwrap();
        assert_eq!(found.found.item.map(|deal| deal.title).as_ref(), Some(&moments[index].2));
    }
    let (_, _, last) = moments.last().unwrap();
    assert_eq!(title_of(&lists, NOW).await.as_ref(), Some(last));
    assert_eq!(title_of(&lists, both(as_of(Timestamp::MAX), Position(u64::MAX))).await.as_ref(), Some(last));
}

async fn of_events_at_one_instant_the_last_that_was_known_counts(on: On) {
    let mut company = Company::at_work().await;
    company.create(1, None).await;
    let at = company.now();
    let mut positions = vec![head(&company)];
    for text in ["First", "Second", "Third"] {
        company.change(1, title(text)).await;
        positions.push(head(&company));
    }
    company.wait(DAY);
    company.change(1, title("Later")).await;
    let test = TestDatabase::new(on).await;
    let lists = lists(&test, &company).await;
    assert_eq!(title_of(&lists, as_of(at)).await.unwrap(), "Third");
    for (position, text) in positions.into_iter().zip(["Licences", "First", "Second", "Third"]) {
        assert_eq!(title_of(&lists, both(as_of(at), position)).await.unwrap(), text);
        assert_eq!(title_of(&lists, both(as_of(at.saturating_add_micros(-1)), position)).await, None);
    }
}

async fn what_was_recorded_later_was_not_known_though_it_had_happened(on: On) {
    let mut company = Company::at_work().await;
    company.create(1, None).await;
    company.wait(10 * DAY);
    let before = head(&company);
    // Recorded on the tenth day, and said to have happened on the fifth.
    let fifth = company.now().saturating_add_micros(-5 * DAY);
    retitle(&mut company, "Of the fifth day", Occurred::At(fifth)).await;
    let between = head(&company);
    retitle(&mut company, "Of the tenth day", Occurred::Now).await;
    let test = TestDatabase::new(on).await;
    let lists = lists(&test, &company).await;
    let sixth = as_of(fifth.saturating_add_micros(DAY));
    assert_eq!(title_of(&lists, sixth).await.unwrap(), "Of the fifth day");
    assert_eq!(title_of(&lists, both(sixth, before)).await.unwrap(), "Licences");
    assert_eq!(title_of(&lists, both(sixth, between)).await.unwrap(), "Of the fifth day");
    assert_eq!(title_of(&lists, known_at(between)).await.unwrap(), "Of the fifth day");
    // The row of the fifth day has ended by the instant, and not by what was known.
    assert_eq!(title_of(&lists, both(as_of(company.now()), between)).await.unwrap(), "Of the fifth day");
    let fourth = as_of(fifth.saturating_add_micros(-DAY));
    assert_eq!(title_of(&lists, both(fourth, between)).await.unwrap(), "Licences");
}

async fn a_deal_is_in_no_list_before_it_was_created_or_known(on: On) {
    let mut company = Company::at_work().await;
    company.create(1, None).await;
    let (first, known) = (company.now(), head(&company));
    company.wait(10 * DAY);
    let create = Command::Deal(deal::Command::Create(new_deal()));
    let earlier = Occurred::At(first.saturating_add_micros(-5 * DAY));
    company.try_to(StreamId::Deal(deal_id(2)), create, earlier).await.unwrap();
    let test = TestDatabase::new(on).await;
    let lists = lists(&test, &company).await;
    let listed = async |seeing: Seeing| {
        let deals = lists.deals(&DealQuery::default(), &seeing).await.unwrap().deals;
        deals.into_iter().map(|deal| deal.id).collect::<Vec<_>>()
    };
    assert_eq!(listed(NOW).await, [deal_id(2), deal_id(1)]);
    assert_eq!(listed(known_at(known)).await, [deal_id(1)]);
    assert_eq!(listed(as_of(first.saturating_add_micros(-1))).await, [deal_id(2)]);
    assert_eq!(listed(both(as_of(first.saturating_add_micros(-1)), known)).await, []);
    assert_eq!(listed(as_of(first.saturating_add_micros(-6 * DAY))).await, []);
}

async fn names_before_their_first_definition_are_the_first_as_soon_as_they_are_known(on: On) {
    let mut company = Company::at_work().await;
    let begun = company.now();
    company.wait(10 * DAY);
    register(&mut company, ACME, "Acme").await;
    let known = head(&company);
    company.wait(DAY);
    rename(&mut company, ACME, "Acme & Sons").await;
    let create = deal::Create { customer: Some(ACME), ..new_deal() };
    let earlier = Occurred::At(begun.saturating_add_micros(DAY));
    let command = Command::Deal(deal::Command::Create(create));
    company.try_to(StreamId::Deal(deal_id(1)), command, earlier).await.unwrap();
    let test = TestDatabase::new(on).await;
    let lists = lists(&test, &company).await;
    let early = as_of(begun.saturating_add_micros(2 * DAY));
    assert_eq!(lists.customer(ACME, &early).await.unwrap().item.unwrap().name, "Acme");
    assert_eq!(lists.customers(ListPage::default(), &early).await.unwrap().items.len(), 1);
    let not_yet = Position(known.0 - 1);
    assert_eq!(lists.customer(ACME, &both(early, not_yet)).await.unwrap().item, None);
    assert_eq!(lists.customers(ListPage::default(), &both(early, not_yet)).await.unwrap().items, []);
    let of_then = lists.customer(ACME, &known_at(known)).await.unwrap().item.unwrap();
    assert_eq!((of_then.name.as_str(), of_then.version), ("Acme", Version(1)));
}

async fn a_team_had_the_members_of_then(on: On) {
    let mut company = Company::at_work().await;
    company.team(NORTH, team::Command::Form(team::Form { name: val("North") })).await;
    company.create(1, None).await;
    company.wait(DAY);
    company.team(NORTH, team::Command::AddMember(ANNA)).await;
    let (joined, known) = (company.now(), head(&company));
    company.wait(DAY);
    company.team(NORTH, team::Command::AddMember(BORIS)).await;
    company.team(NORTH, team::Command::RemoveMember(ANNA)).await;
    let test = TestDatabase::new(on).await;
    let lists = lists(&test, &company).await;
    let members = async |seeing: Seeing| {
        let team = lists.team(NORTH, &seeing).await.unwrap().item.unwrap();
        assert_eq!(lists.teams(ListPage::default(), &seeing).await.unwrap().items[0], team);
        team.members
    };
    let of_team = DealQuery { filter: Filter { team: Some(NORTH), ..Filter::default() }, ..DealQuery::default() };
    let deals = async |seeing: Seeing| lists.deals(&of_team, &seeing).await.unwrap().deals.len();
    for (seeing, expected) in [
        (NOW, vec![BORIS]),
        (as_of(joined), vec![ANNA]),
        (known_at(known), vec![ANNA]),
        (as_of(joined.saturating_add_micros(-1)), vec![]),
        (both(as_of(company.now()), Position(known.0 + 1)), vec![ANNA, BORIS]),
    ] {
        assert_eq!(members(seeing).await, expected, "{seeing:?}");
        // The only deal is Anna's.
        assert_eq!(deals(seeing).await, expected.iter().filter(|member| **member == ANNA).count(), "{seeing:?}");
    }
}

async fn settings_before_they_were_made_are_the_first_ones(on: On) {
    let mut company = Company::at_work().await;
    let (begun, known) = (company.now(), head(&company));
    company.wait(10 * DAY);
    let zone = |name: &str| settings::Change { time_zone: Patch::Set(val(name)), ..settings::Change::default() };
    company.settings(zone("Europe/Riga")).await;
    company.wait(10 * DAY);
    company.settings(zone("Asia/Tokyo")).await;
    let test = TestDatabase::new(on).await;
    let lists = lists(&test, &company).await;
    let zone = async |seeing: Seeing| lists.settings(&seeing).await.unwrap().item.unwrap().time_zone.to_string();
    assert_eq!(zone(NOW).await, "Asia/Tokyo");
    assert_eq!(zone(as_of(begun)).await, "Europe/Riga");
    assert_eq!(zone(both(as_of(begun), known)).await, "UTC");
    let early = as_of(begun.saturating_add_micros(-DAY));
    let settings = lists.settings(&early).await.unwrap().item.unwrap();
    assert_eq!((settings.reporting_currency, settings.loss_reasons.len()), (Some(val("EUR")), 3));
}

async fn filters_look_at_what_deals_were(on: On) {
    let mut company = Company::at_work().await;
    company.define(RENEWALS, vec![stage("lead", 10)]).await;
    company.create(1, Some(eur(1_000))).await;
    let (created, known) = (company.now(), head(&company));
    company.wait(DAY);
    company
        .change(
            1,
            deal::Change {
                owner: dealog_domain::Patch::Set(BORIS),
                amount: dealog_domain::Patch::Set(eur(2_000)),
                ..deal::Change::default()
            },
        )
        .await;
    company.win(1).await;
    let test = TestDatabase::new(on).await;
    let lists = lists(&test, &company).await;
    let found = async |filter: Filter, seeing: Seeing| {
        let query = DealQuery { filter, ..DealQuery::default() };
        lists.deals(&query, &seeing).await.unwrap().deals.len()
    };
    let annas = Filter { owner: Some(ANNA), ..Filter::default() };
    let boriss = Filter { owner: Some(BORIS), amount_from: Some(2_000), ..Filter::default() };
    assert_eq!((found(annas.clone(), NOW).await, found(boriss.clone(), NOW).await), (0, 1));
    for then in [as_of(created), known_at(known)] {
        assert_eq!((found(annas.clone(), then).await, found(boriss.clone(), then).await), (1, 0));
    }
    let elsewhere = Filter { pipeline: Some(RENEWALS), ..Filter::default() };
    assert_eq!(found(elsewhere, NOW).await, 0);
}

async fn a_page_behind_the_last_is_empty(on: On) {
    let mut company = Company::at_work().await;
    for number in 1..=3 {
        company.create(number, None).await;
    }
    let test = TestDatabase::new(on).await;
    let lists = lists(&test, &company).await;
    for seeing in [NOW, as_of(company.now())] {
        for after in [Some(0), Some(-1), Some(i64::MIN)] {
            let query = DealQuery { page: ListPage { limit: 2, after }, ..DealQuery::default() };
            let page = lists.deals(&query, &seeing).await.unwrap();
            assert_eq!((page.deals.len(), page.next), (0, None));
            assert_eq!(lists.users(ListPage { limit: 2, after }, &seeing).await.unwrap().items, []);
        }
        let first = ListPage { limit: 1, after: None };
        let newest = lists.users(first, &seeing).await.unwrap();
        assert_eq!(newest.items[0].id, BORIS);
        let next = lists.users(ListPage { after: newest.next, ..first }, &seeing).await.unwrap();
        assert_eq!((next.items[0].id, next.next), (ANNA, None));
    }
}

async fn thousands_of_events_in_one_batch_come_to_the_same_rows(on: On) {
    let mut company = Company::at_work().await;
    for number in 1..=3 {
        company.create(number, Some(eur(100))).await;
        company.move_to(number, "offer").await;
        company.change(number, title("Support")).await;
        company.lose(number, "price").await;
        company.reopen(number, Some("lead")).await;
    }
    // Each deal many times, side by side.
    let mut log: Vec<Envelope> = Vec::new();
    for event in company.log() {
        let copies = if matches!(event.stream, StreamId::Deal(_)) { 300 } else { 1 };
        for copy in 0..copies {
            let stream = match event.stream {
                StreamId::Deal(id) => {
                    StreamId::Deal(dealog_events::DealId(uuid::Uuid::from_u128(id.0.as_u128() ^ (copy << 64))))
                }
                other => other,
            };
            log.push(Envelope { position: Position(log.len() as u64 + 1), stream, ..event.clone() });
        }
    }
    assert!(log.len() > 4_000, "{} events are too few to tell anything", log.len());
    let test = TestDatabase::new(on).await;
    let (store, head) = (MemoryStore::holding(log.clone()), log.last().unwrap().position);
    worker_of_all(store, &test.database, log.len()).await.catch_up().await.unwrap();
    // In another number of batches.
    test.is_what_the_log_says(MemoryStore::holding(log), head).await;
}
