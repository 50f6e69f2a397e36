//! Rows: what is taken, and where exactly what is not.

use dealog_events::{Event, StreamId, deal::DealEvent};

use super::{DEALS, HEADER, Options, World, count, skipped, types};
use crate::import::{ImportError, plan::Plan, report::Rows};

#[tokio::test]
async fn the_sample_becomes_events_with_its_figures() {
    let world = World::sample();
    let report = world.import().await;
    let log = world.log().await;

    assert_eq!(report.skipped, []);
    assert_eq!(report.events, log.len() as u64);
    let all = |read| Rows { read, taken: read, already_there: 0, skipped: 0 };
    let looked_up = Rows { read: 5, taken: 0, already_there: 0, skipped: 0 };
    let files: Vec<_> = report.files().collect();
    assert_eq!(
        files,
        [("sales_teams.csv", all(5)), ("accounts.csv", all(8)), ("products.csv", looked_up), (DEALS, all(62))]
    );

    for (event_type, expected) in [
        ("user.invited", 7),
        ("team.formed", 2),
        ("team.member_added", 5),
        ("customer.registered", 8),
        ("deal.created", 62),
        ("deal.stage_moved", 56),
        ("deal.amount_changed", 27),
        ("deal.won", 27),
        ("deal.lost", 17),
    ] {
        assert_eq!(count(&log, event_type), expected, "{event_type}");
    }
    let won = log.iter().filter_map(|event| match event.event().unwrap() {
        Event::Deal(DealEvent::Won(won)) => Some(won.amount.minor()),
        _ => None,
    });
    assert_eq!(won.sum::<i64>(), 16_109_400);
}

#[tokio::test]
async fn a_won_deal_is_created_at_list_price_and_won_at_its_own() {
    let world = World::with_deals(&["W1,Ilse Brandt,GTXPro,Fjordbank,Won,2017-03-01,2017-05-02,4700"]);
    world.import().await;
    let log = world.log().await;
    let deal: Vec<_> = log.iter().filter(|event| matches!(event.stream, StreamId::Deal(_))).collect();

    let seen: Vec<_> = deal.iter().map(|event| (event.event_type.as_str(), event.occurred_at.to_string())).collect();
    let (engaged, closed) = ("2017-03-01T00:00:00.000000Z".to_owned(), "2017-05-02T00:00:00.000000Z".to_owned());
    assert_eq!(
        seen,
        [
            ("deal.created", engaged.clone()),
            ("deal.stage_moved", engaged),
            ("deal.amount_changed", closed.clone()),
            ("deal.won", closed),
        ]
    );
    assert!(deal[0].data.contains(r#""title":"GTX Pro for Fjordbank""#), "{}", deal[0].data);
    assert!(deal[0].data.contains(r#""amount":"4821.00""#), "{}", deal[0].data);
    assert!(deal[0].data.contains(r#""product":"GTX Pro""#), "{}", deal[0].data);
    assert!(deal[3].data.contains(r#""amount":"4700.00""#), "{}", deal[3].data);
}

#[tokio::test]
async fn a_bad_row_is_left_out_with_its_line_column_and_value() {
    let world = World::with_deals(&[
        "A1,Ilse Brandt,GTX Basic,Fjordbank,Won,2017-03-01,2017-05-02,600",
        "A2,Ilse Brandt,GTX Basic,Fjordbank,Dreaming,2017-03-01,,",
        "A3,Ilse Brandt,GTX Basic,Fjordbank,Engaging,2017-02-30,,",
        "A4,Ilse Brandt,GTX Basic,Fjordbank,Won,2017-03-01,2017-05-02,6oo",
        "A5,Ilsa Brandt,GTX Basic,Fjordbank,Engaging,2017-03-01,,",
        "A6,Ilse Brandt,GTX Basik,Fjordbank,Engaging,2017-03-01,,",
        "A7,Ilse Brandt,GTX Basic,Fjordbank,Lost,2017-05-02,2017-03-01,0",
        "A1,Ilse Brandt,GTX Basic,Fjordbank,Engaging,2017-03-01,,",
        "A8,Ilse Brandt,GTX Basic,Nobody & Co,Engaging,2017-03-01,,",
        "A9,Ilse Brandt,GTX Basic",
        "B1,Ilse Brandt,GTX Basic,Fjordbank,Won,2017-03-01,2017-05-02,",
        "B2,Ilse Brandt,GTX Basic,Fjordbank,Lost,2017-03-01,,0",
        "B3,Ilse Brandt,GTX Basic,Fjordbank,Engaging,2016-03-01,,",
        "B4,Ilse Brandt,GTX Basic,Fjordbank,Engaging,2999-03-01,,",
        ",Ilse Brandt,GTX Basic,Fjordbank,Engaging,2017-03-01,,",
        "B5,Ilse Brandt,GTX Basic,,Prospecting,,,",
    ]);
    let report = world.import().await;

    let found: Vec<_> = report
        .skipped
        .iter()
        .map(|skipped| (skipped.line, skipped.column.as_deref().unwrap_or_default(), skipped.value.as_str()))
        .collect();
    assert_eq!(
        found,
        [
            (3, "deal_stage", "Dreaming"),
            (4, "engage_date", "2017-02-30"),
            (5, "close_value", "6oo"),
            (6, "sales_agent", "Ilsa Brandt"),
            (7, "product", "GTX Basik"),
            (8, "close_date", "2017-03-01"),
            (9, "opportunity_id", "A1"),
            (10, "account", "Nobody & Co"),
            (11, "", ""),
            (12, "close_value", ""),
            (13, "close_date", ""),
            (14, "engage_date", "2016-03-01"),
            (15, "engage_date", "2999-03-01"),
            (16, "opportunity_id", ""),
        ]
    );
    assert!(report.skipped.iter().all(|skipped| skipped.file == DEALS));
    assert_eq!(count(&world.log().await, "deal.created"), 2);
    let deals = report.files().find(|(file, _)| *file == DEALS).unwrap().1;
    assert_eq!(deals, Rows { read: 16, taken: 2, already_there: 0, skipped: 14 });
}

#[tokio::test]
async fn a_reason_says_what_would_be_right() {
    let world = World::with_deals(&[
        "A1,Ilse Brandt,GTX Basic,Fjordbank,Dreaming,2017-03-01,,",
        "A2,Ilse Brandt,GTX Basik,Fjordbank,Engaging,2017-03-01,,",
        "A3,Ilse Brandt,GTX Basic,Fjordbank,Lost,2017-05-02,2017-03-01,0",
        "A3,Ilse Brandt,GTX Basic,Fjordbank,Engaging,2017-03-01,,",
    ]);
    assert_eq!(
        skipped(&world.import().await),
        [
            "sales_pipeline.csv:2: deal_stage `Dreaming`: deals.stage.values of the mapping has only: Engaging, Lost, \
             Prospecting, Won",
            "sales_pipeline.csv:3: product `GTX Basik`: it is not in the file of [lookups.list_price]; where it is only \
             spelt otherwise, add it to deals.aliases.product",
            "sales_pipeline.csv:4: close_date `2017-03-01`: it lies before engage_date, 2017-05-02",
            "sales_pipeline.csv:5: opportunity_id `A3`: line 4 has the same, and each row needs an id of its own",
        ]
    );
}

#[tokio::test]
async fn lines_are_those_that_an_editor_shows() {
    let bad = "Ilse Brandt,GTX Basic,Fjordbank,Dreaming,2017-03-01,,";
    for end in ["\n", "\r\n"] {
        let rows = [
            format!("\u{feff}{HEADER}"),
            format!("A1,{bad}"),
            String::new(),
            format!("\"A{end}2\",{bad}"),
            format!("A3,{bad}"),
        ];
        let world = World::sample();
        world.write(DEALS, rows.join(end));
        let lines: Vec<_> = world.import().await.skipped.iter().map(|skipped| skipped.line).collect();
        assert_eq!(lines, [2, 4, 6], "lines end with {end:?}");
    }
}

#[tokio::test]
async fn a_row_that_is_not_utf_8_is_left_out_alone() {
    let world = World::sample();
    let mut bytes = format!("{HEADER}\nA1,").into_bytes();
    bytes.extend(b"Bj\xf6rn,GTX Basic,Fjordbank,Engaging,2017-03-01,,\n");
    bytes.extend(b"A2,Ilse Brandt,GTX Basic,Fjordbank,Engaging,2017-03-01,,\n");
    world.write(DEALS, bytes);
    let report = world.import().await;
    assert_eq!(skipped(&report), ["sales_pipeline.csv:2: the row is not UTF-8: save the file as UTF-8"]);
    assert_eq!(count(&world.log().await, "deal.created"), 1);
}

#[tokio::test]
async fn what_a_deal_refers_to_must_have_been_taken_itself() {
    let world = World::with_deals(&["A1,Ilse Brandt,GTX Basic,Fjordbank,Engaging,2017-03-01,,"]);
    world.write("products.csv", "product,series,sales_price\nGTX Basic,GTX,cheap\n");
    let report = world.import().await;
    let places: Vec<_> = report.skipped.iter().map(|skipped| (skipped.file.as_str(), skipped.line)).collect();
    assert_eq!(places, [("products.csv", 2), (DEALS, 2)]);
}

#[tokio::test]
async fn a_file_without_a_mapped_column_stops_the_import_before_anything_is_sent() {
    let world = World::sample();
    world.write("products.csv", "product,price\nGTX Basic,550\n");
    let error = world.try_import(Options::default()).await.unwrap_err();
    assert_eq!(error.to_string(), "products.csv has no column called `sales_price`; its columns are: product, price");
    assert_eq!(types(&world.log().await), [""; 0]);
}

#[tokio::test]
async fn a_strict_import_stops_at_the_first_bad_row_before_anything_is_sent() {
    let world = World::with_deals(&[
        "A1,Ilse Brandt,GTX Basic,Fjordbank,Engaging,2017-03-01,,",
        "A2,Ilse Brandt,GTX Basic,Fjordbank,Dreaming,2017-03-01,,",
    ]);
    let error = world.try_import(Options { strict: true }).await.unwrap_err();
    assert!(matches!(&error, ImportError::Strict { skipped, events: 0 } if skipped.line == 3), "{error}");
    assert_eq!(types(&world.log().await), [""; 0]);
}

#[tokio::test]
async fn a_long_list_of_reasons_is_cut_and_says_how_many_more_there_are() {
    let row = |n| format!("A{n},Ilse Brandt,GTX Basic,Fjordbank,Dreaming,2017-03-01,,");
    let rows: Vec<String> = (0..60).map(row).collect();
    let world = World::with_deals(&rows.iter().map(String::as_str).collect::<Vec<_>>());
    let printed = world.import().await.to_string();
    assert_eq!(printed.matches("Dreaming").count(), 50, "{printed}");
    assert!(printed.contains("and 10 more"), "{printed}");
}

#[test]
fn a_file_that_changes_after_its_rows_were_checked_is_noticed() {
    let row = |id: usize| format!("A{id},Ilse Brandt,GTX Basic,Fjordbank,Won,2017-03-01,2017-05-02,600");
    let rows: Vec<String> = (0..3).map(row).collect();
    let world = World::with_deals(&rows.iter().map(String::as_str).collect::<Vec<_>>());
    let now = "2026-01-01T00:00:00Z".parse().unwrap();
    let (plan, _) = Plan::read(&world.mapping, world.folder.path(), now).unwrap();
    assert_eq!(plan.deals().unwrap().flatten().count(), 3);

    let mut reading = plan.deals().unwrap();
    assert!(reading.next().is_some_and(|item| item.is_ok()));
    world.write_deals(&[&rows[0]]);
    let changed = |error: &ImportError| matches!(error, ImportError::Changed { file } if file == DEALS);
    assert!(reading.last().unwrap().is_err_and(|error| changed(&error)), "rows are gone");
    assert!(plan.deals().err().is_some_and(|error| changed(&error)), "it is not what was checked");
}

#[tokio::test]
async fn a_bad_row_takes_no_other_with_it_whatever_ends_lines() {
    const LINE: &str = "Ilse Brandt,GTX Basic,Fjordbank";
    for (ends, lines) in [("\n", 3), ("\r\n", 3), ("\r", 3)] {
        let world = World::sample();
        let rows = [
            HEADER.to_owned(),
            format!("A1,{LINE},Won,2017-03-01,2017-05-02,600"),
            format!("A2,{LINE},Dreaming,2017-03-01,,"),
            format!("A3,{LINE},Won,2017-03-01,2017-05-02,600"),
        ];
        world.write(DEALS, rows.join(ends));
        let report = world.import().await;
        let skipped: Vec<_> = report.skipped.iter().map(|skipped| skipped.line).collect();
        assert_eq!(skipped, [lines], "{ends:?}");
        assert_eq!(count(&world.log().await, "deal.created"), 2, "{ends:?}");
    }
}
