//! Lists of deals: filters and pages. On a server of their own, so that a list holds what is expected and nothing else.

use std::{collections::BTreeSet, sync::OnceLock};

use dealog_tests::{DEFAULT_PIPELINE, Server, deal};
use serde_json::{Value, json};

use super::euro;

struct Listed {
    server: Server,
    position: u64,
    anna: String,
    team: String,
    acme: String,
    renewals: String,
}

const CAMPAIGN: &str = "0192f3a4-5b6c-7d8e-9f00-112233445566";

/// Twelve deals, of which every third is lost, every fourth Anna's, and so on.
fn listed() -> &'static Listed {
    static LISTED: OnceLock<Listed> = OnceLock::new();
    LISTED.get_or_init(|| {
        let server = Server::shared(&["--time-zone", "Europe/Riga"]);
        let new = |path: &str, body: Value| server.post(path, &body).expect(201).id();
        let anna = new("/v1/users", json!({"name": "Anna", "roles": ["seller"]}));
        let team = new("/v1/teams", json!({"name": "North"}));
        server.put(&format!("/v1/teams/{team}/members/{anna}"), &json!({})).expect(200);
        let acme = new("/v1/customers", json!({"name": "Acme"}));
        let stage = json!({"slug": "due", "name": "Due", "probability": 0.5, "forecast_category": "pipeline"});
        let renewals = new("/v1/pipelines", json!({"name": "Renewals", "stages": [stage]}));
        let mut position = 0;
        for index in 1..=12 {
            let mut more = json!({"amount": euro(&format!("{}.00", index * 100))});
            // From 2 to 13 March 2024 in Riga, soon after midnight: in UTC that is still the day before.
            more["occurred_at"] = json!(format!("2024-03-{index:02}T22:30:00Z"));
            if index % 4 == 0 {
                more["owner"] = json!(anna);
                more["source"] = json!("Trade fair");
            }
            if index % 6 == 0 {
                more["customer"] = json!(acme);
                more["campaign"] = json!(CAMPAIGN);
            }
            let created = server.post("/v1/deals", &deal(&format!("Deal {index}"), &more)).expect(201);
            let path = |rest: &str| format!("/v1/deals/{}/{rest}", created.id());
            position = match index {
                3 | 6 | 9 => server.post(&path("lose"), &json!({"reason": "price"})).expect(200).position(),
                12 => server.post(&path("lose"), &json!({"reason": "error"})).expect(200).position(),
                5 => server.post(&path("win"), &json!({})).expect(200).position(),
                7 => server.post(&path("move"), &json!({"stage": "contract"})).expect(200).position(),
                8 => server.post(&path("transfer"), &json!({"pipeline": renewals})).expect(200).position(),
                _ => created.position(),
            };
        }
        Listed { server, position, anna, team, acme, renewals }
    })
}

/// The numbers of the deals on all pages of a list, in their order.
fn numbers(query: &str, limit: usize) -> Vec<u32> {
    let Listed { server, position, .. } = listed();
    let (mut found, mut after) = (Vec::new(), String::new());
    loop {
        let path = format!("/v1/deals?min_position={position}&limit={limit}{query}{after}");
        let page = server.get(&path).expect(200).body;
        let deals = page["deals"].as_array().unwrap();
        assert!(deals.len() <= limit, "{path}");
        found.extend(
            deals
                .iter()
                .map(|deal| deal["title"].as_str().unwrap().strip_prefix("Deal ").unwrap().parse::<u32>().unwrap()),
        );
        if page["next"].is_null() {
            return found;
        }
        after = format!("&after={}", page["next"]);
    }
}

#[test]
fn pages_of_any_size_hold_every_deal_once_the_newest_first() {
    let newest_first: Vec<u32> = (1..=12).rev().collect();
    for limit in [1, 5, 6, 12, 500] {
        assert_eq!(numbers("", limit), newest_first, "in pages of {limit}");
    }
}

#[test]
fn a_deal_that_comes_in_between_moves_no_page() {
    let server = Server::of_a_new_company(&[]);
    let create = |index: u32| server.post("/v1/deals", &deal(&format!("Deal {index}"), &json!({}))).expect(201);
    let position = (1..=6).fold(0, |_, index| create(index).position());
    let first = server.get(&format!("/v1/deals?limit=3&min_position={position}")).expect(200).body;
    let new = create(7);
    let path = format!("/v1/deals?limit=3&after={}&min_position={}", first["next"], new.position());
    let second = server.get(&path).expect(200).body;
    let titles: BTreeSet<&str> = [&first, &second]
        .iter()
        .flat_map(|page| page["deals"].as_array().unwrap())
        .map(|deal| deal["title"].as_str().unwrap())
        .collect();
    assert_eq!(titles, BTreeSet::from(["Deal 1", "Deal 2", "Deal 3", "Deal 4", "Deal 5", "Deal 6"]));
    assert_eq!(second["next"], Value::Null);
}

#[test]
fn filters_choose_deals_by_what_they_are_now() {
    let Listed { anna, team, acme, renewals, .. } = listed();
    let cases: [(String, &[u32]); 18] = [
        ("&status=open".into(), &[11, 10, 8, 7, 4, 2, 1]),
        ("&status=won".into(), &[5]),
        // Lost for a reason that does not count is lost all the same.
        ("&status=lost".into(), &[12, 9, 6, 3]),
        ("&stage=contract".into(), &[7]),
        (format!("&pipeline={renewals}"), &[8]),
        (format!("&pipeline={DEFAULT_PIPELINE}&stage=first_contact&status=open"), &[11, 10, 4, 2, 1]),
        (format!("&owner={anna}"), &[12, 8, 4]),
        (format!("&team={team}"), &[12, 8, 4]),
        (format!("&customer={acme}"), &[12, 6]),
        ("&source=Trade%20fair".into(), &[12, 8, 4]),
        (format!("&campaign={CAMPAIGN}"), &[12, 6]),
        ("&amount_from=1000".into(), &[12, 11, 10]),
        ("&amount_to=200.00".into(), &[2, 1]),
        ("&amount_from=500&amount_to=700".into(), &[7, 6, 5]),
        ("&created_from=2024-03-12".into(), &[12, 11]),
        ("&created_to=2024-03-04".into(), &[2, 1]),
        ("&created_from=2024-03-05T22:30:00Z&created_to=2024-03-06T22:30:00Z".into(), &[5]),
        (format!("&owner={anna}&status=open&amount_from=500"), &[8]),
    ];
    for (query, expected) in &cases {
        assert_eq!(numbers(query, 2), *expected, "{query}");
    }
    // Upper and lower case are two.
    let Listed { server, position, .. } = listed();
    server.get(&format!("/v1/deals?source=trade+fair&min_position={position}")).problem(422, "query");
}
