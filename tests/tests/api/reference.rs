//! What deals refer to: pipelines, customers, users, teams, settings.

use std::sync::OnceLock;

use dealog_tests::{Answer, DEFAULT_PIPELINE, Server, deal};
use serde_json::{Value, json};

/// A server of this module's own: its tests change the settings.
fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| Server::shared(&["--currency", "SEK", "--time-zone", "Europe/Stockholm"]))
}

fn stage(slug: &str) -> Value {
    json!({"slug": slug, "name": slug, "probability": 0.5, "forecast_category": "pipeline"})
}

fn new_pipeline(name: &str, more: &Value) -> String {
    let mut define = json!({"name": name, "stages": [stage("one"), stage("two"), stage("three")]});
    define.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    server().post("/v1/pipelines", &define).expect(201).id()
}

/// What is at `path`, as soon as the read model has come to what `answer` tells of.
fn after(answer: &Answer, path: &str) -> Answer {
    server().get(&format!("{path}?min_position={}", answer.position())).expect(200)
}

fn slugs(pipeline: &Value) -> Vec<&str> {
    pipeline["stages"].as_array().unwrap().iter().map(|stage| stage["slug"].as_str().unwrap()).collect()
}

#[test]
fn a_new_company_has_one_pipeline_and_its_settings() {
    let server = Server::of_a_new_company(&["--currency", "JPY"]);
    let settings = server.get("/v1/settings?min_position=4").expect(200);
    assert_eq!(settings.body["reporting_currency"], "JPY");
    assert_eq!(settings.body["time_zone"], "UTC");
    assert_eq!(settings.body["fields"], json!([]));
    assert_eq!(settings.header("etag"), Some("\"3\""));
    let pipelines = server.get("/v1/pipelines").expect(200).body;
    let pipelines = pipelines["items"].as_array().unwrap();
    assert_eq!((pipelines.len(), &pipelines[0]["id"]), (1, &json!(DEFAULT_PIPELINE)));
    let expected = ["first_contact", "qualified", "needs_found", "offer_made", "negotiation", "contract"];
    assert_eq!(slugs(&pipelines[0]), expected);
    let amount = json!({"amount": {"amount": "1500", "currency": "JPY"}});
    let created = server.post("/v1/deals", &deal("In yen", &amount)).expect(201);
    let path = format!("/v1/deals/{}?min_position={}", created.id(), created.position());
    assert_eq!(server.get(&path).expect(200).body["amount"], amount["amount"]);
}

#[test]
fn a_pipeline_is_defined_and_found() {
    let define = json!({
        "name": "Hardware", "skipping_allowed": false,
        "stages": [
            {"slug": "lead", "name": "Lead", "probability": 0.1, "forecast_category": "pipeline", "stale_after_days": 10},
            {"slug": "offer", "name": "Offer", "probability": 0.5, "forecast_category": "best_case",
             "required_fields": ["amount", "owner"]}
        ]
    });
    let defined = server().post("/v1/pipelines", &define).expect(201);
    let path = format!("/v1/pipelines/{}", defined.id());
    assert_eq!(defined.header("location"), Some(path.as_str()));
    let found = after(&defined, &path);
    assert_eq!(found.header("etag"), Some("\"1\""));
    let pipeline = found.body;
    assert_eq!((&pipeline["name"], &pipeline["skipping_allowed"]), (&json!("Hardware"), &json!(false)));
    assert_eq!(
        pipeline["stages"],
        json!([
            {"slug": "lead", "name": "Lead", "probability": 0.1, "stale_after_days": 10, "required_fields": [],
             "forecast_category": "pipeline", "retired": false},
            {"slug": "offer", "name": "Offer", "probability": 0.5, "stale_after_days": null,
             "required_fields": ["amount", "owner"], "forecast_category": "best_case", "retired": false}
        ])
    );
}

#[test]
fn stages_are_added_revised_reordered_and_retired() {
    let id = new_pipeline("Changing", &json!({}));
    let path = format!("/v1/pipelines/{id}");
    let added =
        server().post(&format!("{path}/stages"), &json!({"stage": stage("between"), "after": "one"})).expect(200);
    assert_eq!(slugs(&after(&added, &path).body), ["one", "between", "two", "three"]);
    let added = server().post(&format!("{path}/stages"), &json!({"stage": stage("last")})).expect(200);
    assert_eq!(slugs(&after(&added, &path).body), ["one", "between", "two", "three", "last"]);

    let revise =
        json!({"name": "The second", "probability": 0.75, "stale_after_days": 30, "required_fields": ["owner"]});
    let revised = server().patch(&format!("{path}/stages/two"), &revise).expect(200);
    let pipeline = after(&revised, &path).body;
    let two = &pipeline["stages"][2];
    assert_eq!((&two["name"], &two["stale_after_days"]), (&json!("The second"), &json!(30)));
    assert_eq!((&two["probability"], &two["forecast_category"]), (&json!(0.75), &json!("pipeline")));
    let revised = server().patch(&format!("{path}/stages/two"), &json!({"stale_after_days": null})).expect(200);
    assert_eq!(after(&revised, &path).body["stages"][2]["stale_after_days"], Value::Null);

    let order = json!({"stages": ["last", "three", "two", "between", "one"]});
    let reordered = server().put(&format!("{path}/stages"), &order).expect(200);
    assert_eq!(slugs(&after(&reordered, &path).body), ["last", "three", "two", "between", "one"]);
    let missing_one = json!({"stages": ["last", "three", "two", "between"]});
    server().put(&format!("{path}/stages"), &missing_one).problem(422, "not_an_order");

    let retired = server().call("POST", &format!("{path}/stages/last/retire")).send().expect(200);
    let pipeline = after(&retired, &path).body;
    assert_eq!((&pipeline["stages"][0]["slug"], &pipeline["stages"][0]["retired"]), (&json!("last"), &json!(true)));
    let again = server().call("POST", &format!("{path}/stages/last/retire")).send().expect(200);
    assert_eq!(again.body["events"], 0);
    // A deal begins in the first stage that can be entered; nothing enters the retired one, nor is its name free again.
    let created = server().post("/v1/deals", &json!({"title": "New", "pipeline": id})).expect(201);
    assert_eq!(after(&created, &format!("/v1/deals/{}", created.id())).body["stage"], "three");
    let into = json!({"title": "New", "pipeline": id, "stage": "last"});
    let problem = server().post("/v1/deals", &into).problem(422, "stage_not_open");
    assert_eq!(problem.body["allowed"], json!(["three", "two", "between", "one"]));
    server().post(&format!("{path}/stages"), &json!({"stage": stage("last")})).problem(422, "slug_taken");
}

#[test]
fn deals_in_a_retired_stage_stay_until_they_are_moved() {
    let id = new_pipeline("Retiring", &json!({}));
    let created = server().post("/v1/deals", &json!({"title": "Stays", "pipeline": id})).expect(201);
    let retired = server().call("POST", &format!("/v1/pipelines/{id}/stages/one/retire")).send().expect(200);
    let path = format!("/v1/deals/{}", created.id());
    assert_eq!(after(&retired, &path).body["stage"], "one");
    let moved = server().post(&format!("{path}/move"), &json!({"stage": "two"})).expect(200);
    assert_eq!(after(&moved, &path).body["stage"], "two");
    server().post(&format!("{path}/move"), &json!({"stage": "one"})).problem(422, "stage_not_open");
}

#[test]
fn where_skipping_is_forbidden_a_deal_goes_step_by_step_and_back_at_will() {
    let id = new_pipeline("Step by step", &json!({"skipping_allowed": false}));
    let created = server().post("/v1/deals", &json!({"title": "Steps", "pipeline": id})).expect(201);
    let path = format!("/v1/deals/{}/move", created.id());
    let problem = server().post(&path, &json!({"stage": "three"})).problem(409, "skips_stages");
    assert_eq!((&problem.body["field"], &problem.body["allowed"]), (&json!("stage"), &json!(["two"])));
    for stage in ["two", "three", "one"] {
        server().post(&path, &json!({"stage": stage})).expect(200);
    }
}

#[test]
fn an_archived_pipeline_takes_no_more_deals_and_keeps_those_it_has() {
    let id = new_pipeline("Archived", &json!({}));
    let created = server().post("/v1/deals", &json!({"title": "Was there", "pipeline": id})).expect(201);
    let archived = server().call("POST", &format!("/v1/pipelines/{id}/archive")).send().expect(200);
    assert_eq!(after(&archived, &format!("/v1/pipelines/{id}")).body["archived"], true);
    let problem =
        server().post("/v1/deals", &json!({"title": "Late", "pipeline": id})).problem(409, "pipeline_archived");
    assert_eq!(problem.body["field"], "pipeline");
    server().post(&format!("/v1/deals/{}/move", created.id()), &json!({"stage": "three"})).expect(200);
    let again = server().call("POST", &format!("/v1/pipelines/{id}/archive")).send().expect(200);
    assert_eq!(again.body["events"], 0);
}

#[test]
fn settings_are_changed_one_by_one_and_customers_carry_the_companys_own_fields() {
    let server = server();
    let settings = |answer: &Answer| after(answer, "/v1/settings").body;
    let fields = json!([
        {"slug": "segment", "of": "customer", "name": "Segment", "kind": "choice", "options": ["Small", "Large"]},
        {"slug": "employees", "of": "customer", "name": "Employees", "kind": "integer", "options": []},
        {"slug": "budget", "of": "deal", "name": "Budget", "kind": "decimal", "options": []},
        {"slug": "due_on", "of": "deal", "name": "Due on", "kind": "date", "options": []},
        {"slug": "urgent", "of": "deal", "name": "Urgent", "kind": "boolean", "options": []}
    ]);
    let defined = server.patch("/v1/settings", &json!({"fields": fields})).expect(200);
    assert_eq!((&defined.body["id"], &defined.body["stream"]), (&Value::Null, &json!("settings")));
    let found = settings(&defined);
    assert_eq!(found["fields"], fields);
    assert_eq!((&found["reporting_currency"], &found["time_zone"]), (&json!("SEK"), &json!("Europe/Stockholm")));
    let reasons = json!([{"slug": "price", "name": "Price", "counted": true}]);
    let changed = server.patch("/v1/settings", &json!({"loss_reasons": reasons})).expect(200);
    assert_eq!((&settings(&changed)["loss_reasons"], &settings(&changed)["fields"]), (&reasons, &fields));
    assert_eq!(server.patch("/v1/settings", &json!({"loss_reasons": reasons})).expect(200).body["events"], 0);
    let other_kind = json!([{"slug": "employees", "of": "customer", "name": "Employees", "kind": "text"}]);
    let problem = server.patch("/v1/settings", &json!({"fields": other_kind})).problem(422, "field_kind_fixed");
    assert_eq!(problem.body["field"], "fields.employees");

    let register = json!({"name": "Birch", "sector": "retail", "fields": {"segment": "Large", "employees": 150}});
    let registered = server.post("/v1/customers", &register).expect(201);
    let path = format!("/v1/customers/{}", registered.id());
    let customer = after(&registered, &path);
    assert_eq!(customer.header("etag"), Some("\"1\""));
    assert_eq!(customer.body["fields"], json!({"segment": "Large", "employees": 150}));
    assert_eq!((&customer.body["kind"], &customer.body["sector"]), (&json!("organisation"), &json!("retail")));
    let change = json!({"name": "Birch & Daughters", "fields": {"employees": null, "segment": "Small"}});
    let changed = server.patch(&path, &change).expect(200);
    let customer = after(&changed, &path).body;
    assert_eq!((&customer["name"], &customer["fields"]), (&json!("Birch & Daughters"), &json!({"segment": "Small"})));
    for (value, code) in [
        (json!({"segment": "Middling"}), "field_value"),
        (json!({"employees": "150"}), "field_value"),
        (json!({"budget": "1.00"}), "unknown_field"),
    ] {
        let problem = server.patch(&path, &json!({"fields": value})).problem(422, code);
        let name = value.as_object().unwrap().keys().next().unwrap();
        assert_eq!(problem.body["field"], format!("fields.{name}"));
    }

    let values = json!({"fields": {"budget": "12.50", "due_on": "2027-03-01", "urgent": true}});
    let created = server.post("/v1/deals", &deal("With fields", &values)).expect(201);
    let path = format!("/v1/deals/{}", created.id());
    assert_eq!(after(&created, &path).body["fields"], values["fields"]);
    let changed = server.patch(&path, &json!({"fields": {"urgent": null, "budget": "13"}})).expect(200);
    assert_eq!(after(&changed, &path).body["fields"], json!({"budget": "13", "due_on": "2027-03-01"}));
    let bad = json!({"fields": {"due_on": "2027-02-30"}});
    assert_eq!(server.patch(&path, &bad).problem(422, "field_value").body["field"], "fields.due_on");
}

#[test]
fn a_user_who_was_deactivated_gets_no_more_deals() {
    let server = server();
    let invited =
        server.post("/v1/users", &json!({"name": "Boris", "email": "boris@example.com", "roles": ["seller"]}));
    let invited = invited.expect(201);
    let (id, path) = (invited.id(), format!("/v1/users/{}", invited.id()));
    let user = after(&invited, &path).body;
    assert_eq!((&user["email"], &user["active"]), (&json!("boris@example.com"), &json!(true)));
    let changed = server.patch(&path, &json!({"roles": ["manager"]})).expect(200);
    assert_eq!(after(&changed, &path).body["roles"], json!(["manager"]));
    assert_eq!(server.patch(&path, &json!({"roles": ["manager"]})).expect(200).body["events"], 0);

    let his = server.post("/v1/deals", &deal("His", &json!({"owner": id}))).expect(201);
    let deactivated = server.call("POST", &format!("{path}/deactivate")).send().expect(200);
    assert_eq!(after(&deactivated, &path).body["active"], false);
    for problem in [
        server.post("/v1/deals", &deal("Late", &json!({"owner": id}))),
        server.patch(
            &format!("/v1/deals/{}", server.post("/v1/deals", &deal("Free", &json!({}))).expect(201).id()),
            &json!({"owner": id}),
        ),
    ] {
        assert_eq!(problem.problem(422, "inactive_user").body["field"], "owner");
    }
    // What was his stays his until it is handed over.
    let moved = server.post(&format!("/v1/deals/{}/move", his.id()), &json!({"stage": "qualified"})).expect(200);
    assert_eq!(after(&moved, &format!("/v1/deals/{}", his.id())).body["owner"], json!(id));
}

#[test]
fn what_was_archived_retired_or_deactivated_comes_back() {
    let server = server();
    let id = new_pipeline("Reversed", &json!({}));
    let path = format!("/v1/pipelines/{id}");
    let post = |path: &str| server.call("POST", path).send().expect(200);
    let begin = || server.post("/v1/deals", &json!({"title": "In it", "pipeline": id, "stage": "two"}));
    post(&format!("{path}/archive"));
    begin().problem(409, "pipeline_archived");
    post(&format!("{path}/unarchive"));
    assert_eq!(post(&format!("{path}/unarchive")).body["events"], 0);
    begin().expect(201);
    post(&format!("{path}/stages/two/retire"));
    begin().problem(422, "stage_not_open");
    let reinstated = post(&format!("{path}/stages/two/reinstate"));
    begin().expect(201);
    let shown = after(&reinstated, &path).body;
    assert_eq!((&shown["archived"], &shown["stages"][1]["retired"]), (&json!(false), &json!(false)));

    let user = server.post("/v1/users", &json!({"name": "Dora", "roles": ["seller"]})).expect(201).id();
    let owned = || server.post("/v1/deals", &deal("Dora's", &json!({"owner": user})));
    post(&format!("/v1/users/{user}/deactivate"));
    owned().problem(422, "inactive_user");
    let reactivated = post(&format!("/v1/users/{user}/reactivate"));
    assert_eq!(after(&reactivated, &format!("/v1/users/{user}")).body["active"], true);
    owned().expect(201);
}

#[test]
fn names_are_corrected_wherever_they_are_shown() {
    let server = server();
    let pipeline = new_pipeline("Reneawls", &json!({}));
    let user = server.post("/v1/users", &json!({"name": "Emil Fsicher", "roles": ["seller"]})).expect(201).id();
    let team = server.post("/v1/teams", &json!({"name": "Nroth"})).expect(201).id();
    server.call("PUT", &format!("/v1/teams/{team}/members/{user}")).send().expect(200);
    let open = json!({"title": "Named", "pipeline": pipeline, "owner": user});
    server.post("/v1/deals", &open).expect(201);
    let rename = |path: String, name: &str| {
        let renamed = server.patch(&path, &json!({"name": name})).expect(200);
        assert_eq!(after(&renamed, &path).body["name"], name);
        assert_eq!(server.patch(&path, &json!({"name": name})).expect(200).body["events"], 0);
        renamed.position()
    };
    rename(format!("/v1/pipelines/{pipeline}"), "Renewals");
    rename(format!("/v1/users/{user}"), "Emil Fischer");
    let position = rename(format!("/v1/teams/{team}"), "North");
    let path = format!("/v1/pipeline?pipeline={pipeline}&by=owner,team&min_position={position}");
    let figures = server.get(&path).expect(200).body;
    assert_eq!(figures["pipelines"][0]["name"], "Renewals");
    let names: Vec<_> = figures["groups"][0]["key"].as_array().unwrap().iter().map(|key| &key["name"]).collect();
    assert_eq!(names, ["Emil Fischer", "North"]);
}

#[test]
fn a_person_has_several_roles_and_only_those_who_sell_or_manage_own_deals() {
    let server = server();
    let several = json!({"name": "Greta", "roles": ["admin", "seller", "admin"]});
    let invited = server.post("/v1/users", &several).expect(201);
    let path = format!("/v1/users/{}", invited.id());
    assert_eq!(after(&invited, &path).body["roles"], json!(["seller", "admin"]));
    let problem = server.post("/v1/users", &json!({"name": "Nobody", "roles": []})).problem(400, "bad_request");
    assert_eq!(problem.body["field"], "roles");
    assert!(problem.text.contains("seller, manager, analyst, auditor or admin"), "{}", problem.text);

    let owned = || server.post("/v1/deals", &deal("Greta's", &json!({"owner": invited.id()})));
    let id = owned().expect(201).id();
    server.patch(&path, &json!({"roles": ["analyst"]})).expect(200);
    assert_eq!(owned().problem(422, "works_no_deals").body["field"], "owner");
    // What is hers already stays hers.
    let same = server.patch(&format!("/v1/deals/{id}"), &json!({"owner": invited.id()})).expect(200);
    assert_eq!(same.body["events"], 0);
}

#[test]
fn two_deals_are_not_duplicates_of_each_other() {
    let server = server();
    let create = |title: &str| server.post("/v1/deals", &deal(title, &json!({}))).expect(201).id();
    let (one, other) = (create("One"), create("Other"));
    let repeats = |id: &str, original: &str| {
        let lose = json!({"reason": "price", "duplicate_of": original});
        server.post(&format!("/v1/deals/{id}/lose"), &lose)
    };
    repeats(&one, &other).expect(200);
    let problem = repeats(&other, &one).problem(422, "duplicate_of_duplicate");
    assert_eq!((&problem.body["field"], &problem.body["allowed"]), (&json!("duplicate_of"), &json!([other])));
}

#[test]
fn users_join_and_leave_teams() {
    let server = server();
    let user = server.post("/v1/users", &json!({"name": "Clara", "roles": ["seller"]})).expect(201).id();
    let formed = server.post("/v1/teams", &json!({"name": "South"})).expect(201);
    let member = format!("/v1/teams/{}/members/{user}", formed.id());
    let members = |answer: &Answer| {
        let team = after(answer, &format!("/v1/teams/{}", formed.id())).body;
        let teams = server.get("/v1/teams").expect(200).body;
        assert!(teams["items"].as_array().unwrap().contains(&team));
        team["members"].clone()
    };
    assert_eq!(members(&formed), json!([]));
    let joined = server.call("PUT", &member).send().expect(200);
    assert_eq!(members(&joined), json!([user]));
    assert_eq!(server.call("PUT", &member).send().expect(200).body["events"], 0);
    let left = server.delete(&member).expect(200);
    assert_eq!(members(&left), json!([]));
    assert_eq!(server.delete(&member).expect(200).body["events"], 0);
    let stranger = format!("/v1/teams/{}/members/0192f3a4-5b6c-7d8e-9f00-112233445566", formed.id());
    assert_eq!(server.call("PUT", &stranger).send().problem(422, "unknown_reference").body["field"], "user");
}

#[test]
fn lists_of_customers_users_and_teams_come_in_pages() {
    let server = Server::of_a_new_company(&[]);
    let register = |index: u32| server.post("/v1/customers", &json!({"name": format!("Customer {index}")})).expect(201);
    let last = (1..=5).fold(0, |_, index| register(index).position());
    let (mut names, mut next) = (Vec::new(), String::new());
    loop {
        let page = server.get(&format!("/v1/customers?limit=2&min_position={last}{next}")).expect(200).body;
        let items = page["items"].as_array().unwrap();
        names.extend(items.iter().map(|customer| customer["name"].as_str().unwrap().to_owned()));
        if page["next"].is_null() {
            break;
        }
        next = format!("&after={}", page["next"]);
    }
    assert_eq!(names, ["Customer 5", "Customer 4", "Customer 3", "Customer 2", "Customer 1"]);
    assert_eq!(server.get("/v1/users").expect(200).body["items"], json!([]));
    assert_eq!(server.get("/v1/teams").expect(200).body["items"], json!([]));
}
