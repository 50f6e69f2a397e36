//! Mappings: of another system than Maven's, and wrong ones.

use dealog_events::{Event, customer::CustomerEvent, deal::DealEvent};

use super::{MAVEN, Mapping, World, skipped, types};

/// An export as a European office program writes it, with everything that Maven's lacks.
const OTHER: &str = r#"
[source]
name = "Bürosoft"
currency = "EUR"
time_zone = "Europe/Riga"
since = "2020-01-01"

[format]
delimiter = ";"
date = "%d.%m.%Y %H:%M"
decimal = ","
thousands = "."

[[loss_reasons]]
slug = "unknown"
name = "Unknown"
counted = true

[[loss_reasons]]
slug = "price"
name = "Price"
counted = true

[pipeline]
name = "Verkauf"
stages = [
    { slug = "contact", name = "Kontakt", probability = 0.1, forecast_category = "pipeline" },
    { slug = "offer", name = "Angebot", probability = 0.5, forecast_category = "best_case", required_fields = ["amount"] },
    { slug = "contract", name = "Vertrag", probability = 0.9, forecast_category = "commit" },
]

[customers]
file = "kunden.csv"
id = "Nr"
name = "Firma"
aliases.Branche = { "IT" = "Information technology" }
sector = "Branche"
fields = [
    { slug = "turnover", name = "Umsatz", kind = "decimal", column = "Umsatz" },
    { slug = "active", name = "Aktiv", kind = "boolean", column = "Aktiv" },
]

[deals]
file = "chancen.csv"
id = "Nr"
title = ["{Titel}"]
customer = "Kunde"
amount = { column = "Betrag" }
source = "Herkunft"
stage.column = "Stand"
stage.values.Kontakt = { stage = "contact" }
stage.values.Angebot = { stage = "offer" }
stage.values.Gewonnen = { stage = "contract", won = { date = "Ende", date_if_empty = 2022-01-01 } }
stage.values.Verloren = { stage = "offer", lost = { date = "Ende", reason = "unknown", reason_column = "Grund", reasons = { "Preis" = "price" } } }
entered = { contact = "Anlage", offer = "Angebot am" }
"#;

#[tokio::test]
async fn another_systems_files_need_only_another_mapping() {
    let world = World::new(OTHER);
    world.write("kunden.csv", "Nr;Firma;Branche;Umsatz;Aktiv\n7;Öl & Söhne;IT;1.234,5;yes\n");
    world.write(
        "chancen.csv",
        "Nr;Titel;Kunde;Betrag;Herkunft;Stand;Anlage;Angebot am;Ende;Grund\n\
         1;Pumpen;7;12.000,50;Messe;Angebot;01.02.2021 08:30;03.02.2021 09:00;;\n\
         2;Ventile;7;500;;Verloren;01.02.2021 08:30;;05.02.2021 10:00;Preis\n\
         3;Rohre;7;700;;Gewonnen;01.02.2021 08:30;;;\n\
         4;Hähne;7;700;;Verloren;01.02.2021 08:30;;05.02.2021 10:00;Laune\n",
    );
    let report = world.import().await;
    assert_eq!(skipped(&report), ["chancen.csv:5: Grund `Laune`: lost.reasons of the mapping has only: Preis"]);

    let log = world.log().await;
    let events: Vec<Event> = log.iter().map(|event| event.event().unwrap()).collect();
    let customer = events.iter().find(|event| matches!(event, Event::Customer(CustomerEvent::Registered(_))));
    let customer = serde_json::to_value(customer.unwrap().to_json().unwrap()).unwrap().to_string();
    for part in ["Information technology", "1234.5", "true"] {
        assert!(customer.contains(part), "{customer}");
    }
    let created = events.iter().find_map(|event| match event {
        Event::Deal(DealEvent::Created(created)) if created.title.as_str() == "Pumpen" => Some(created),
        _ => None,
    });
    assert_eq!(created.unwrap().amount.unwrap().to_string(), "12000.50 EUR");
    assert_eq!(created.unwrap().source.as_ref().unwrap().as_str(), "Messe");

    let moved = log.iter().filter(|event| event.event_type.starts_with("deal."));
    let course: Vec<_> = moved.map(|event| (event.event_type.as_str(), event.occurred_at.to_string())).collect();
    let (begun, offered, lost, won) = (
        "2021-02-01T06:30:00.000000Z",
        "2021-02-03T07:00:00.000000Z",
        "2021-02-05T08:00:00.000000Z",
        "2021-12-31T22:00:00.000000Z",
    );
    let expected = [
        ("deal.created", begun),
        ("deal.created", begun),
        ("deal.created", begun),
        ("deal.stage_moved", offered),
        ("deal.stage_moved", lost),
        ("deal.stage_moved", won),
        ("deal.lost", lost),
        ("deal.won", won),
    ];
    assert_eq!(course, expected.map(|(what, at)| (what, at.to_owned())));
    assert_eq!(types(&log).last(), Some(&"deal.won"));
}

#[test]
fn what_is_wrong_with_a_mapping_is_said() {
    let wrong = |from: &str, to: &str| {
        assert!(MAVEN.contains(from), "{from}");
        MAVEN.replacen(from, to, 1).parse::<Mapping>().unwrap_err().to_string()
    };
    for (from, to, expected) in [
        ("date_if_empty", "date_if_emtpy", "unknown field `date_if_emtpy`"),
        ("currency = \"USD\"", "currency = \"DOLLAR\"", "`DOLLAR` is not a currency"),
        ("since = 2016-10-01", "since = 2016-13-01", "TOML parse error"),
        ("since = 2016-10-01", "since = \"soon\"", "`soon` is not a day"),
        ("lookup = \"list_price\"", "lookup = \"prices\"", "there is no [lookups.prices]; there are: list_price"),
        ("reason = \"not_stated\" }", "reason = \"price\" }", "there is no [[loss_reasons]] with the slug `price`"),
        ("{ stage = \"engaging\" }", "{ stage = \"engaged\" }", "`engaged` is not one of pipeline.stages"),
        ("{product} for {account}", "{product for {account}", "needs a column and a } after it"),
        ("file = \"products.csv\"", "", "missing field `file`"),
    ] {
        let error = wrong(from, to);
        assert!(error.contains(expected), "{to}: {error}");
    }
}
