//! A company in UTC, and what happened to its nine deals, all at 10:00.
//!
//! Hardware: lead 10 % (stale after 10 days) -> offer 50 % -> contract 90 %. Renewals: due 60 % -> agreed 80 %.
//!
//! | | created | owner | customer | source | amount | course |
//! | --- | --- | --- | --- | --- | --- | --- |
//! | A | 2 Jan | Anna | Acme | Web, campaign | 1000.00 | offer 12 Jan, contract 1 Feb, won 11 Feb at 1200.00 |
//! | B | 5 Jan | Boris | Brook | Trade fair | 500.00 | offer 15 Jan, lost 25 Jan (price) |
//! | C | 10 Jan | Anna | Acme | campaign | 333.33 | contract 20 Jan, back to offer 9 Feb; close expected 20 Mar |
//! | D | 1 Feb | Boris | | | none | lead; close expected 20 Feb |
//! | E | 5 Feb | Anna | Brook | Trade fair | 2000.00 | lead, chance 35 % by hand since 6 Feb |
//! | F | 10 Feb | Boris | Acme | | 700.00 | lost 12 Feb as a duplicate, which does not count |
//! | G | 20 Jan | Boris | | | 800.00 | begun in offer, lost 10 Feb (price), reopened in contract 20 Feb; close expected 10 Mar; won 15 Mar at 900.00 |
//! | H | 15 Feb | Anna | Acme | | 150.00 | to Renewals, due, 25 Feb; close expected 31 Mar |
//! | I | 20 Feb | Anna | Acme | | 60.00 | lead, left out of the forecast by hand, close expected 15 Mar; won 5 Mar |

use std::{collections::BTreeMap, sync::OnceLock};

use dealog_tests::{DEFAULT_PIPELINE, Server};
use serde_json::{Value, json};

const CAMPAIGN: &str = "0192f3a4-5b6c-7d8e-9f00-112233445566";

/// Before A was won, B lost and most others created.
pub(super) const EARLY: &str = "2024-01-16T10:00:00Z";
/// Seven deals are open.
pub(super) const MARCH: &str = "2024-03-01T10:00:00Z";
/// G and I have been won.
pub(super) const APRIL: &str = "2024-04-01T10:00:00Z";
/// Boris has joined Anna's team, and stays in his own.
pub(super) const MAY: &str = "2024-05-01T10:00:00Z";

/// The company, and what its ids are called here.
pub(super) struct Company {
    server: Server,
    names: BTreeMap<String, String>,
    position: u64,
}

impl Company {
    pub(super) fn of_2024() -> &'static Self {
        static COMPANY: OnceLock<Company> = OnceLock::new();
        COMPANY.get_or_init(|| {
            let server = Server::shared(&[]);
            let names = [(DEFAULT_PIPELINE, "sales"), (CAMPAIGN, "campaign")];
            let names = names.map(|(id, name)| (id.to_owned(), name.to_owned())).into();
            let mut company = Self { server, names, position: 0 };
            company.found();
            company.work();
            company
        })
    }

    /// The id of what is called so here.
    pub(super) fn id(&self, name: &str) -> &str {
        let found = self.names.iter().find(|(_, found)| *found == name);
        found.unwrap_or_else(|| panic!("there is no {name}")).0
    }

    /// An answer with names for ids, and without the position, which says only how many commands there were. Names in the
    /// question become ids: `owner=anna` is asked as `owner=0192...`.
    pub(super) fn ask(&self, question: &str) -> Value {
        let answer = self.server.get(&self.path(question)).expect(200);
        assert_eq!(answer.header("dealog-position"), Some(self.position.to_string().as_str()));
        let mut body = answer.body;
        assert_eq!(body["position"], self.position, "{question}");
        body["position"] = "[position]".into();
        self.rename(&mut body);
        body
    }

    /// What a question that cannot be answered is told.
    pub(super) fn refused(&self, question: &str) -> Value {
        self.server.get(&self.path(question)).expect(422).body
    }

    fn path(&self, question: &str) -> String {
        let (path, query) = question.split_once('?').unwrap_or((question, ""));
        let named = ["pipeline", "owner", "team", "customer", "campaign"];
        let parameters = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| match pair.split_once('=') {
            Some((parameter, name)) if named.contains(&parameter) => {
                let ids = name.split(',').map(|name| if name == "none" { name } else { self.id(name) });
                format!("{parameter}={}", ids.collect::<Vec<_>>().join(","))
            }
            _ => pair.to_owned(),
        });
        let position = format!("min_position={}", self.position);
        let query: Vec<String> = parameters.chain([position]).collect();
        format!("/v1/{path}?{}", query.join("&"))
    }

    fn rename(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                if let Some(name) = self.names.get(text.as_str()) {
                    name.clone_into(text);
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.rename(item)),
            Value::Object(members) => members.values_mut().for_each(|member| self.rename(member)),
            _ => {}
        }
    }

    fn begin(&mut self, name: &str, path: &str, day: &str, mut body: Value) {
        body["occurred_at"] = at_ten(day);
        let created = self.server.post(path, &body).expect(201);
        self.position = created.position();
        self.names.insert(created.id(), name.to_owned());
    }

    fn deal(&mut self, name: &str, day: &str, mut body: Value) {
        body["title"] = format!("Deal {name}").into();
        body["pipeline"] = self.id("hardware").into();
        for reference in ["owner", "customer", "campaign"] {
            if let Some(named) = body[reference].as_str().map(ToOwned::to_owned) {
                body[reference] = self.id(&named).into();
            } else {
                body.as_object_mut().unwrap().remove(reference);
            }
        }
        if let Some(amount) = body["amount"].as_str().map(euro) {
            body["amount"] = amount;
        }
        body.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        self.begin(name, "/v1/deals", day, body);
    }

    fn then(&mut self, name: &str, command: &str, day: &str, mut body: Value) {
        body["occurred_at"] = at_ten(day);
        let path = format!("/v1/deals/{}", self.id(name));
        let answer = match command {
            "change" => self.server.patch(&path, &body),
            _ => self.server.post(&format!("{path}/{command}"), &body),
        };
        self.position = answer.expect(200).position();
    }

    fn found(&mut self) {
        let stage = |slug: &str, percent: u32, category: &str, stale: Option<u32>| {
            json!({
                "slug": slug, "name": slug, "probability": f64::from(percent) / 100.0,
                "forecast_category": category, "stale_after_days": stale
            })
        };
        let hardware = json!([
            stage("lead", 10, "pipeline", Some(10)),
            stage("offer", 50, "best_case", Some(30)),
            stage("contract", 90, "commit", None)
        ]);
        let renewals = json!([stage("due", 60, "best_case", None), stage("agreed", 80, "commit", None)]);
        let begin = "2024-01-01";
        self.begin("hardware", "/v1/pipelines", begin, json!({"name": "Hardware", "stages": hardware}));
        self.begin("renewals", "/v1/pipelines", begin, json!({"name": "Renewals", "stages": renewals}));
        for name in ["acme", "brook"] {
            self.begin(name, "/v1/customers", begin, json!({"name": name}));
        }
        for (user, team) in [("anna", "north"), ("boris", "south")] {
            self.begin(user, "/v1/users", begin, json!({"name": user, "roles": ["seller"]}));
            self.begin(team, "/v1/teams", begin, json!({"name": team}));
            let path = format!("/v1/teams/{}/members/{}", self.id(team), self.id(user));
            self.position = self.server.put(&path, &json!({"occurred_at": at_ten(begin)})).expect(200).position();
        }
    }

    fn work(&mut self) {
        let web = json!({"owner": "anna", "customer": "acme", "source": "Web", "campaign": "campaign", "amount": "1000.00",
            "expected_close": "2024-02-15"});
        self.deal("A", "2024-01-02", web);
        self.then("A", "move", "2024-01-12", json!({"stage": "offer"}));
        self.then("A", "move", "2024-02-01", json!({"stage": "contract"}));
        self.then("A", "win", "2024-02-11", json!({"amount": euro("1200.00")}));
        let fair = json!({"owner": "boris", "customer": "brook", "source": "Trade fair", "amount": "500.00"});
        self.deal("B", "2024-01-05", fair);
        self.then("B", "move", "2024-01-15", json!({"stage": "offer"}));
        self.then("B", "lose", "2024-01-25", json!({"reason": "price"}));
        let third = json!({"owner": "anna", "customer": "acme", "campaign": "campaign", "amount": "333.33",
            "expected_close": "2024-03-20"});
        self.deal("C", "2024-01-10", third);
        self.then("C", "move", "2024-01-20", json!({"stage": "contract"}));
        self.then("C", "move", "2024-02-09", json!({"stage": "offer"}));
        self.deal("D", "2024-02-01", json!({"owner": "boris", "expected_close": "2024-02-20"}));
        let by_hand = json!({"owner": "anna", "customer": "brook", "source": "Trade fair", "amount": "2000.00"});
        self.deal("E", "2024-02-05", by_hand);
        self.then("E", "change", "2024-02-06", json!({"probability": 0.35}));
        self.deal("F", "2024-02-10", json!({"owner": "boris", "customer": "acme", "amount": "700.00"}));
        self.then("F", "lose", "2024-02-12", json!({"reason": "duplicate"}));
        let offer = json!({"owner": "boris", "amount": "800.00", "stage": "offer", "expected_close": "2024-03-10"});
        self.deal("G", "2024-01-20", offer);
        self.then("G", "lose", "2024-02-10", json!({"reason": "price"}));
        self.then("G", "reopen", "2024-02-20", json!({"stage": "contract", "reason": "The budget came back"}));
        self.then("G", "win", "2024-03-15", json!({"amount": euro("900.00")}));
        let away = json!({"owner": "anna", "customer": "acme", "amount": "150.00", "expected_close": "2024-03-31"});
        self.deal("H", "2024-02-15", away);
        let to = json!({"pipeline": self.id("renewals"), "stage": "due"});
        self.then("H", "transfer", "2024-02-25", to);
        let small = json!({"owner": "anna", "customer": "acme", "amount": "60.00", "expected_close": "2024-03-15"});
        self.deal("I", "2024-02-20", small);
        self.then("I", "change", "2024-02-20", json!({"forecast_category": "omitted"}));
        self.then("I", "win", "2024-03-05", json!({}));
        let path = format!("/v1/teams/{}/members/{}", self.id("north"), self.id("boris"));
        self.position = self.server.put(&path, &json!({"occurred_at": at_ten("2024-05-01")})).expect(200).position();
    }
}

fn at_ten(day: &str) -> Value {
    format!("{day}T10:00:00Z").into()
}

fn euro(amount: &str) -> Value {
    json!({"amount": amount, "currency": "EUR"})
}
