//! PATCH: absent keeps, null empties.

use serde_json::{Value, json};

use super::{create, euro, history, seen, types};
use crate::server;

#[test]
fn absent_attributes_stay_and_null_empties() {
    let server = server();
    let customer = server.post("/v1/customers", &json!({"name": "Harbour Telecom"})).expect(201).id();
    let owner = server.post("/v1/users", &json!({"name": "Anna", "roles": ["seller"]})).expect(201).id();
    let campaign = "0192f3a4-5b6c-7d8e-9f00-112233445566";
    let all = json!({
        "customer": customer, "owner": owner, "amount": euro("700.00"), "expected_close": "2027-05-01",
        "source": "Web", "campaign": campaign
    });
    let created = create("All of it", &all);
    let path = format!("/v1/deals/{}", created.id());
    let before = seen(server, &created);
    for (name, value) in all.as_object().unwrap() {
        assert_eq!(before[name], *value, "{name}");
    }

    let set = server.patch(&path, &json!({"probability": 0.35, "forecast_category": "best_case"})).expect(200);
    let deal = seen(server, &set);
    assert_eq!((&deal["probability"], &deal["forecast_category"]), (&json!(0.35), &json!("best_case")));
    for (name, value) in all.as_object().unwrap() {
        assert_eq!(deal[name], *value, "{name} was not asked to change");
    }

    let nothing: Value = json!({
        "customer": null, "owner": null, "amount": null, "expected_close": null, "source": null, "campaign": null,
        "probability": null, "forecast_category": null
    });
    let cleared = server.patch(&path, &nothing).expect(200);
    assert_eq!(cleared.body["events"], 8);
    let deal = seen(server, &cleared);
    for name in nothing.as_object().unwrap().keys() {
        assert_eq!(deal[name], Value::Null, "{name}");
    }
    assert_eq!(deal["title"], "All of it");

    let again = server.patch(&path, &nothing).expect(200);
    assert_eq!(again.body["events"], 0);
}

#[test]
fn each_change_is_an_event_of_its_own_with_what_was_before() {
    let created = create("Before", &json!({"source": "Web"}));
    let change = json!({"title": "After", "source": null, "expected_close": "2027-01-31"});
    let changed = server().patch(&format!("/v1/deals/{}", created.id()), &change).expect(200);
    assert_eq!(changed.body["events"], 3);
    let history = history(&created.id());
    assert_eq!(types(&history)[1..], ["deal.title_changed", "deal.source_changed", "deal.expected_close_changed"]);
    assert_eq!(history[1]["data"], json!({"from": "Before", "to": "After"}));
    assert_eq!(history[2]["data"], json!({"from": "Web", "to": null}));
    assert_eq!(history[3]["data"], json!({"from": null, "to": "2027-01-31"}));
    assert!(history[1..].iter().all(|event| event["command_id"] == history[1]["command_id"]));
}

#[test]
fn a_move_keeps_the_probability_set_by_hand() {
    let created = create("Sure of it", &json!({}));
    let path = format!("/v1/deals/{}", created.id());
    server().patch(&path, &json!({"probability": 0.9})).expect(200);
    server().post(&format!("{path}/move"), &json!({"stage": "qualified"})).expect(200);
    let changed = server().patch(&path, &json!({"title": "Quite sure of it"})).expect(200);
    assert_eq!(seen(server(), &changed)["probability"], 0.9);
}
