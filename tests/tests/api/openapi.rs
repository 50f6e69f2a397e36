//! The API's description, and the page to read and try it.

use std::{collections::BTreeSet, path::Path};

use serde_json::Value;

use crate::server;

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

fn is(file: &str, extension: &str) -> bool {
    Path::new(file).extension().is_some_and(|found| found == extension)
}

fn description() -> Value {
    server().get("/openapi.json").expect(200).body
}

/// Each operation with a name to tell of it by.
fn operations(description: &Value) -> Vec<(String, &Value)> {
    let paths = description["paths"].as_object().unwrap();
    let operations = paths.iter().flat_map(|(path, item)| {
        METHODS.iter().filter_map(move |method| Some((format!("{method} {path}"), item.get(method)?)))
    });
    operations.collect()
}

fn visit<'a>(value: &'a Value, see: &mut impl FnMut(&'a Value)) {
    see(value);
    match value {
        Value::Array(items) => items.iter().for_each(|item| visit(item, see)),
        Value::Object(members) => members.values().for_each(|member| visit(member, see)),
        _ => {}
    }
}

#[test]
fn the_description_is_openapi_3_1_and_says_what_it_is_about() {
    let description = description();
    assert!(description["openapi"].as_str().unwrap().starts_with("3.1"));
    assert_eq!(description["info"]["title"], "Dealog");
    assert!(operations(&description).len() >= 35, "{}", operations(&description).len());
}

#[test]
fn the_root_says_what_this_is_and_where_to_go_next() {
    let text = server().get("/").expect(200);
    for path in ["/docs", "/openapi.json", "/health/ready", "/v1/pipeline"] {
        assert!(text.text.contains(path), "{path}: {}", text.text);
        assert!([200, 303].contains(&server().get(path).status), "{path}");
    }
    let page = server().call("GET", "/").header("Accept", "text/html,*/*;q=0.8").send().expect(200);
    assert!(page.header("content-type").unwrap().starts_with("text/html"));
    assert!(page.text.contains("<a href=\"/docs\">"), "{}", page.text);
}

#[test]
fn the_description_is_not_sent_again_to_those_who_have_it() {
    let description = server().get("/openapi.json").expect(200);
    let etag = description.header("etag").unwrap();
    let again = server().call("GET", "/openapi.json").header("If-None-Match", etag).send().expect(304);
    assert!(again.text.is_empty());
    server().call("GET", "/openapi.json").header("If-None-Match", "\"another\"").send().expect(200);
}

#[test]
fn every_operation_has_a_summary_a_tag_and_answers_with_schemas() {
    let description = description();
    let tags: BTreeSet<&str> =
        description["tags"].as_array().unwrap().iter().map(|tag| tag["name"].as_str().unwrap()).collect();
    for (name, operation) in operations(&description) {
        assert!(operation["summary"].as_str().is_some_and(|summary| !summary.is_empty()), "{name} has no summary");
        assert!(tags.contains(operation["tags"][0].as_str().unwrap()), "{name} has no tag");
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.keys().any(|status| status.starts_with('2')), "{name} never succeeds");
        for (status, response) in responses {
            // It says that there is nothing to send.
            if status == "304" {
                continue;
            }
            let content = response["content"].as_object().unwrap_or_else(|| panic!("{name} {status} has no content"));
            for (media_type, body) in content {
                assert!(body["schema"].is_object(), "{name} {status} {media_type} has no schema");
                let problem = status.starts_with(['4', '5']) && !name.contains("/health");
                assert_eq!(media_type == "application/problem+json", problem, "{name} {status} {media_type}");
            }
            assert!(response["description"].is_string(), "{name} {status} has no description");
        }
    }
}

#[test]
fn every_parameter_of_a_path_is_described_and_every_parameter_has_a_schema() {
    let description = description();
    for (name, operation) in operations(&description) {
        let none = Vec::new();
        let parameters = operation["parameters"].as_array().unwrap_or(&none);
        let described = |wanted: &str| {
            let mut found = parameters.iter().filter(|parameter| parameter["in"] == "path");
            found.any(|parameter| parameter["name"] == wanted)
        };
        for in_path in name.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
            assert!(described(in_path), "{name} does not describe {in_path}");
        }
        for parameter in parameters {
            assert!(parameter["schema"].is_object(), "{name}: {} has no schema", parameter["name"]);
            assert!(parameter["description"].is_string() || parameter["in"] == "path", "{name}: {}", parameter["name"]);
        }
        let has_body = ["post ", "put ", "patch "].iter().any(|method| name.starts_with(method));
        assert_eq!(operation["requestBody"].is_object(), has_body, "{name}");
    }
}

#[test]
fn no_reference_in_the_description_leads_nowhere() {
    let description = description();
    let mut references = BTreeSet::new();
    visit(&description, &mut |value| {
        references.extend(value.get("$ref").and_then(Value::as_str));
    });
    assert!(!references.is_empty());
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap_or_else(|| panic!("{reference} leads out of the document"));
        assert!(description.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
}

#[test]
fn operation_ids_are_unique() {
    let description = description();
    let mut seen = BTreeSet::new();
    for (name, operation) in operations(&description) {
        let id = operation["operationId"].as_str().unwrap_or_else(|| panic!("{name} has no id"));
        assert!(seen.insert(id), "{name}: another operation is called {id} too");
    }
}

#[test]
fn the_page_to_read_the_api_takes_nothing_from_elsewhere() {
    let page = server().get("/docs/").expect(200);
    assert!(page.header("content-type").unwrap().starts_with("text/html"));
    let mut files = Vec::new();
    for attribute in ["src=\"", "href=\""] {
        files.extend(page.text.split(attribute).skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()));
    }
    assert!(files.iter().any(|file| is(file, "js")), "{files:?}");
    for file in &files {
        assert!(!file.contains("//"), "the page takes {file} from elsewhere");
        if file.starts_with("data:") {
            continue;
        }
        let path = match file.strip_prefix('/') {
            Some(path) => format!("/{path}"),
            None => format!("/docs/{}", file.trim_start_matches("./")),
        };
        let found = server().get(&path).expect(200);
        if is(&path, "css") {
            let elsewhere = ["url(http", "url(\"http", "url('http", "@import"];
            assert!(!elsewhere.iter().any(|way| found.text.contains(way)), "{path} takes something from elsewhere");
        }
        if path.ends_with("initializer.js") {
            assert!(found.text.contains("/openapi.json"), "{path} does not show this API");
            assert!(!found.text.contains("https://"), "{path} takes something from elsewhere");
        }
    }
}

#[test]
fn the_page_is_found_without_its_slash() {
    let answer = server().get("/docs");
    assert!([301, 302, 303, 307, 308, 200].contains(&answer.status), "{}", answer.status);
    if answer.status != 200 {
        assert_eq!(answer.header("location"), Some("/docs/"));
    }
}
