//! `dealog import`: another system's CSV files.

use std::{fs, path::Path, process::Stdio, time::Duration};

use dealog_tests::{Data, Database, Done, Run, Server, exit_within, until};
use serde_json::Value;

use super::{
    events, log_of,
    maven::{mapping, sample, write_deals},
    without_recorded_at,
};

fn import(data: &Data, files: &Path) -> Run {
    data.run(["import".as_ref(), "--mapping".as_ref(), mapping().as_os_str(), files.as_os_str()])
}

/// The number in the line `N new events` of a report.
fn new_events(done: &Done) -> usize {
    let line = done.stdout.lines().find_map(|line| line.strip_suffix(" new events"));
    line.unwrap_or_else(|| panic!("no count in the report:\n{}", done.stdout)).parse().unwrap()
}

#[test]
fn an_import_reports_what_came_of_each_file_and_again_adds_nothing() {
    let data = Data::fresh();
    let first = import(&data, &sample()).succeed();
    let log = log_of(&data);
    assert_eq!(new_events(&first), log.lines().count());
    for file in ["accounts.csv", "products.csv", "sales_teams.csv", "sales_pipeline.csv"] {
        assert!(first.stdout.contains(file), "{file} is not in the report:\n{}", first.stdout);
    }
    let rows = fs::read_to_string(sample().join("sales_pipeline.csv")).unwrap().lines().count() - 1;
    let created = events(&log).iter().filter(|event| event["type"] == "deal.created").count();
    assert!(created > 50 && created <= rows, "{created} deals of {rows} rows");
    let imported = |event: &Value| event["actor"].as_str().unwrap().starts_with("import:");
    assert!(events(&log).iter().all(imported));
    assert!(events(&log).iter().all(|event| event["occurred_at"].as_str().unwrap() < "2018"));

    let again = import(&data, &sample()).succeed();
    assert_eq!(new_events(&again), 0);
    assert_eq!(log_of(&data), log);
}

#[test]
fn a_bad_row_is_reported_with_its_place_and_the_others_are_taken() {
    let data = Data::fresh();
    let files = data.home().join("files");
    fs::create_dir(&files).unwrap();
    write_deals(&files, 6);
    let path = files.join("sales_pipeline.csv");
    let rows =
        fs::read_to_string(&path).unwrap().replace("D000003,Ilse Brandt,GTX Basic", "D000003,Ilse Brandt,Nothing");
    fs::write(&path, rows).unwrap();
    let done = import(&data, &files).succeed();
    assert!(done.stdout.contains("sales_pipeline.csv:5: product `Nothing`"), "{}", done.stdout);
    let created = events(&log_of(&data)).iter().filter(|event| event["type"] == "deal.created").count();
    assert_eq!(created, 5);

    let strict = Data::fresh();
    let told = import(&strict, &files).args(["--strict"]).fail();
    assert!(told.contains("sales_pipeline.csv:5"), "{told}");
    assert_eq!(log_of(&strict), "");
}

#[test]
fn what_cannot_be_read_is_named() {
    let data = Data::fresh();
    let told = import(&data, data.home()).fail();
    assert!(told.contains(".csv: No such file"), "{told}");
    let wrong = data.home().join("wrong.toml");
    fs::write(&wrong, fs::read_to_string(mapping()).unwrap().replace("since =", "sinse =")).unwrap();
    let sample = sample();
    let done = data.run(["import", "--mapping", wrong.to_str().unwrap(), sample.to_str().unwrap()]).end();
    assert_eq!(done.code, 1);
    assert!(done.stderr.contains("sinse"), "{}", done.stderr);
    assert_eq!(Server::start(&data, &[]).head(), 4, "a company that begins has this many events");
}

#[test]
fn a_running_server_sees_what_is_imported_beside_it() {
    let data = Data::fresh();
    let server = Server::start(&data, &["--currency", "USD"]);
    let founded = server.head();
    let done = import(&data, &sample()).succeed();
    let head = server.head();
    assert_eq!(head, founded + u64::try_from(new_events(&done)).unwrap());
    let (mut found, mut after) = (0, String::new());
    loop {
        let page = server.get(&format!("/v1/deals?limit=20&min_position={head}{after}")).expect(200).body;
        found += page["deals"].as_array().unwrap().len();
        if page["next"].is_null() {
            break;
        }
        after = format!("&after={}", page["next"]);
    }
    let created = server.events().iter().filter(|event| event["type"] == "deal.created").count();
    assert_eq!(found, created);
    let figures = server.get(&format!("/v1/pipeline?as_of=2017-12-31&min_position={head}")).expect(200).body;
    let total = |what: &str| figures["closed"][what].as_u64().unwrap();
    let open = figures["total"]["deals"].as_u64().unwrap();
    assert_eq!(open + total("won") + total("lost"), u64::try_from(created).unwrap());
    server.stop();
}

#[test]
fn amounts_in_another_currency_than_the_companys_are_refused() {
    let data = Data::fresh();
    let server = Server::start(&data, &["--currency", "EUR"]);
    server.get("/health/live").expect(200);
    server.stop();
    let before = log_of(&data);
    let told = import(&data, &sample()).fail();
    assert!(told.contains("USD") && told.contains("EUR"), "{told}");
    assert_eq!(log_of(&data), before);
}

#[test]
fn an_import_that_was_killed_goes_on_to_the_log_that_it_would_have_written() {
    const DEALS: u32 = 4_000;
    const TRIES: usize = 10;
    let undisturbed = Data::fresh();
    let files = undisturbed.home().join("files");
    fs::create_dir(&files).unwrap();
    write_deals(&files, DEALS);
    import(&undisturbed, &files).succeed();
    let expected = without_recorded_at(&log_of(&undisturbed));
    assert!(expected.len() > 8_000, "{}", expected.len());

    // The import is quick, and a busy machine may be late to kill it: then another one is begun.
    let killed = (0..TRIES).map(|_| Data::fresh()).find(|data| killed_in_the_middle(data, &files));
    let killed = killed.unwrap_or_else(|| panic!("{TRIES} imports had ended before they were killed"));
    let beginning = without_recorded_at(&log_of(&killed));
    assert!(beginning.len() < expected.len(), "the import was killed too late to show anything");
    assert_eq!(beginning, expected[..beginning.len()], "what a killed import leaves is a beginning");

    let done = import(&killed, &files).succeed();
    assert_eq!(new_events(&done), expected.len() - beginning.len());
    assert!(without_recorded_at(&log_of(&killed)) == expected, "the logs differ");
}

/// Begins an import and kills it when it has written something. False where it had ended before.
fn killed_in_the_middle(data: &Data, files: &Path) -> bool {
    const WRITTEN_EVENTS: i64 = 1_000;
    let mut child = data
        .command()
        .arg("import")
        .arg("--mapping")
        .arg(mapping())
        .arg(files)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until("the import should write or end", Duration::from_mins(1), || {
        let written =
            Database::found(data, "log", "coalesce(max(position), 0)", ("events", "true")).unwrap_or_default();
        (written > WRITTEN_EVENTS || child.try_wait().unwrap().is_some()).then_some(())
    });
    child.kill().unwrap();
    exit_within(&mut child, Duration::from_secs(20)).code().is_none()
}

/// What an analyst asks of a day in the past.
fn asked(server: &Server, known_at: Option<u64>) -> Value {
    let known_at = known_at.map(|position| format!("&known_at={position}")).unwrap_or_default();
    let figures = ["/v1/pipeline?as_of=2017-08-31", "/v1/funnel?as_of=2017-08-31", "/v1/win-rate?as_of=2017-08-31"];
    figures.iter().map(|figure| server.get(&format!("{figure}{known_at}")).expect(200).body).collect()
}

#[test]
fn what_was_known_before_a_backdated_import_can_still_be_asked() {
    let data = Data::fresh();
    let half = data.home().join("half");
    fs::create_dir(&half).unwrap();
    for file in ["accounts.csv", "products.csv", "sales_teams.csv", "sales_pipeline.csv"] {
        let rows = fs::read_to_string(sample().join(file)).unwrap();
        let kept = if file == "sales_pipeline.csv" { 31 } else { usize::MAX };
        fs::write(half.join(file), rows.split_inclusive('\n').take(kept).collect::<String>()).unwrap();
    }
    import(&data, &half).succeed();
    let server = Server::start(&data, &[]);
    let before = server.head();
    let known_before = asked(&server, None);

    // Beside the running server, and about days long past.
    assert!(new_events(&import(&data, &sample()).succeed()) > 50);
    let after = server.head();
    server.get(&format!("/v1/pipeline?min_position={after}")).expect(200);
    let known_after = asked(&server, None);
    assert_ne!(known_before, known_after, "the import changed nothing about that day");
    assert_eq!(asked(&server, Some(before)), known_before);
    assert_eq!(asked(&server, Some(after)), known_after);
}
