//! Importing again: the same files, newer ones, and into a log that has its own life.

use dealog_commands::{Meta, Request};
use dealog_domain::{Command, Patch, settings, user};
use dealog_events::{
    Actor, Event, StreamId,
    deal::DealEvent,
    settings::{LossReason, SettingsEvent},
};
use dealog_store::EventStore as _;

use super::{DEALS, ImportError, Options, World, commands, count, skipped, types, without_recorded_at};
use crate::import::report::Rows;

async fn execute(world: &World, stream: StreamId, command: Command) {
    let store = world.store().await;
    let request = Request { stream, command, meta: Meta::keyed(Actor::Local, "by hand") };
    commands(store.clone()).execute(&request).await.unwrap();
    store.close().await;
}

#[tokio::test]
async fn the_same_files_again_add_nothing() {
    let world = World::sample();
    world.import().await;
    let before = world.log().await;
    let report = world.import().await;

    assert_eq!(report.events, 0);
    assert_eq!(world.log().await, before);
    let there = |read| Rows { read, taken: 0, already_there: read, skipped: 0 };
    let files: Vec<_> = report.files().filter(|(file, _)| *file != "products.csv").collect();
    assert_eq!(files, [("sales_teams.csv", there(5)), ("accounts.csv", there(8)), (DEALS, there(62))]);
    assert_eq!(report.differing().count(), 0);
}

#[tokio::test]
async fn a_row_that_moved_on_adds_only_what_is_new() {
    let world = World::with_deals(&[
        "A1,Ilse Brandt,GTX Basic,,Prospecting,,,",
        "A2,Ilse Brandt,GTX Basic,Fjordbank,Engaging,2017-03-01,,",
        "A3,Ilse Brandt,GTX Basic,Fjordbank,Engaging,2017-03-01,,",
        "A4,Ilse Brandt,GTX Basic,Fjordbank,Won,2017-03-01,2017-05-02,600",
    ]);
    world.import().await;
    let before = world.log().await;
    world.write_deals(&[
        // It was dated by the mapping's stand-in, which is later than what the file says now.
        "A1,Ilse Brandt,GTX Basic,,Engaging,2017-12-01,,",
        "A2,Ilse Brandt,GTX Basic,Fjordbank,Won,2017-03-01,2018-01-10,500",
        "A3,Ilse Brandt,GTX Basic,Fjordbank,Engaging,2017-03-01,,",
        "A4,Ilse Brandt,GTX Basic,Fjordbank,Won,2017-03-01,2017-05-02,600",
        "A5,Ben Farouk,GTX Basic,,Prospecting,,,",
    ]);
    let report = world.import().await;

    let log = world.log().await;
    assert_eq!(log[..before.len()], before);
    let new = &log[before.len()..];
    assert_eq!(types(new), ["deal.created", "deal.stage_moved", "deal.amount_changed", "deal.won"]);
    assert_eq!(new[1].occurred_at.to_string(), "2017-12-31T00:00:00.000000Z");
    let deals = report.files().find(|(file, _)| *file == DEALS).unwrap().1;
    assert_eq!(deals, Rows { read: 5, taken: 3, already_there: 2, skipped: 0 });
    assert_eq!(report.differing().count(), 0);
}

#[tokio::test]
async fn a_row_that_tells_another_story_is_reported_and_not_applied() {
    let world = World::with_deals(&[
        "A1,Ilse Brandt,GTX Basic,Fjordbank,Won,2017-03-01,2017-05-02,600",
        "A2,Ilse Brandt,GTX Basic,Fjordbank,Lost,2017-03-01,2017-05-02,0",
        "A3,Ilse Brandt,GTX Basic,Fjordbank,Engaging,2017-03-01,,",
        "A4,Ilse Brandt,GTX Basic,Fjordbank,Engaging,2017-03-01,,",
    ]);
    world.import().await;
    let before = world.log().await;
    world.write_deals(&[
        "A1,Ilse Brandt,GTX Basic,Fjordbank,Lost,2017-03-01,2017-05-02,0",
        "A2,Ilse Brandt,GTX Basic,Fjordbank,Engaging,2017-03-01,,",
        "A3,Ben Farouk,GTX Basic,Fjordbank,Engaging,2017-03-01,,",
        "A4,Ilse Brandt,GTX Basic,Fjordbank,Engaging,2017-03-01,,",
    ]);
    let report = world.import().await;

    assert_eq!(world.log().await, before);
    assert_eq!(report.differing().collect::<Vec<_>>(), [(DEALS, 2), (DEALS, 3), (DEALS, 4)]);
    assert!(report.to_string().contains("sales_pipeline.csv:4\n"), "{report}");
}

#[tokio::test]
async fn rows_that_the_rules_refuse_are_left_out_and_the_others_go_on() {
    let world = World::with_deals(&["A1,Ilse Brandt,GTX Basic,,Prospecting,,,"]);
    world.import().await;
    let log = world.log().await;
    let created = log.iter().find(|event| event.event_type == "deal.created").unwrap().event().unwrap();
    let Event::Deal(DealEvent::Created(created)) = created else { panic!("{created:?}") };
    let owner = StreamId::User(created.owner.unwrap());
    execute(&world, owner, Command::User(user::Command::Deactivate)).await;

    world.write_deals(&[
        "A1,Ilse Brandt,GTX Basic,,Prospecting,,,",
        "A2,Ilse Brandt,GTX Basic,Fjordbank,Won,2017-03-01,2017-05-02,600",
        "A3,Ben Farouk,GTX Basic,Fjordbank,Engaging,2017-03-01,,",
    ]);
    let error = world.try_import(Options { strict: true }).await.unwrap_err();
    assert!(matches!(&error, ImportError::Strict { skipped, .. } if skipped.line == 3), "{error}");

    let report = world.import().await;
    assert_eq!(report.skipped.len(), 1, "the steps after a refused one are not tried: {:?}", skipped(&report));
    assert!(skipped(&report)[0].contains("sales_pipeline.csv:3: deal-"), "{:?}", skipped(&report));
    assert!(skipped(&report)[0].contains("has been deactivated"), "{:?}", skipped(&report));
    assert_eq!(count(&world.log().await, "deal.created"), 2);
}

#[tokio::test]
async fn settings_are_added_to_and_never_replaced() {
    let world = World::sample();
    let own = LossReason { slug: "price".parse().unwrap(), name: "Price".parse().unwrap(), counted: true };
    let change = settings::Change {
        time_zone: Patch::Set("Europe/Riga".parse().unwrap()),
        loss_reasons: Patch::Set(vec![own.clone()]),
        ..settings::Change::default()
    };
    execute(&world, StreamId::Settings, Command::Settings(settings::Command::Change(change))).await;
    world.import().await;

    let log = world.log().await;
    let reasons = log.iter().filter_map(|event| match event.event().unwrap() {
        Event::Settings(SettingsEvent::LossReasonsSet(set)) => Some(set.to),
        _ => None,
    });
    let slugs: Vec<_> =
        reasons.collect::<Vec<_>>().last().unwrap().iter().map(|reason| reason.slug.to_string()).collect();
    assert_eq!(slugs, ["price", "not_stated"]);
    assert_eq!(count(&log, "settings.time_zone_set"), 1);
    assert_eq!(count(&log, "settings.reporting_currency_set"), 1);
}

#[tokio::test]
async fn another_reporting_currency_is_an_error_and_nothing_is_sent() {
    let world = World::sample();
    let change =
        settings::Change { reporting_currency: Patch::Set("EUR".parse().unwrap()), ..settings::Change::default() };
    execute(&world, StreamId::Settings, Command::Settings(settings::Command::Change(change))).await;
    let error = world.try_import(Options::default()).await.unwrap_err();
    assert!(matches!(error, ImportError::Currency { .. }), "{error}");
    assert_eq!(types(&world.log().await), ["settings.reporting_currency_set"]);
}

#[tokio::test]
async fn two_logs_of_the_same_files_are_the_same() {
    let (one, other) = (World::sample(), World::sample());
    one.import().await;
    other.import().await;
    assert_eq!(without_recorded_at(one.log().await), without_recorded_at(other.log().await));
}
