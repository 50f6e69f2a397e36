//! The same log gives the same answers on both databases, to the byte.

use dealog_tests::{Data, Server};

const FIGURES: [&str; 10] = [
    "pipeline",
    "board",
    "funnel",
    "funnel?mode=period",
    "forecast",
    "time-in-stage",
    "win-rate",
    "losses",
    "cycle",
    "velocity",
];
/// Both clocks, each by itself and together, in the first half of the log and at its end.
const PASTS: [&str; 5] = [
    "as_of=2026-01-31",
    "as_of=2025-06-30",
    "as_of=2025-03-15T12:30:00Z",
    "as_of=2026-01-31&known_at=20000",
    "as_of=2025-06-30&known_at=12000",
];
const GROUPS: [&str; 5] = ["owner", "team,quarter", "customer", "stage", "competitor,month"];
const SERIES: [&str; 4] = ["pipeline", "win-rate", "cycle", "velocity"];
const BEHIND: [&str; 6] = [
    "pipeline/deals?number=weighted",
    "pipeline/deals?number=overdue",
    "closed/deals?number=won_amount",
    "closed/deals?number=lost_days",
    "forecast/deals?number=historical",
    "forecast/deals?number=expected",
];
/// Requests that both databases refuse in the same words.
const REFUSED: [&str; 6] = [
    "pipeline?as_of=yesterday",
    "deals?limit=0",
    "deals/0192f3a4-5b6c-7d8e-9f00-112233445566",
    "win-rate?by=shoe_size",
    "board?stage=nowhere",
    "events?after=99999999",
];

/// Requests this path under `/v1/` from both servers and returns their common answer.
fn ask(servers: &[Server; 2], path: &str) -> String {
    let (status, text) = answer(servers, path);
    assert_eq!(status, 200, "{path}: {text}");
    text
}

fn answer(servers: &[Server; 2], path: &str) -> (u16, String) {
    let [one, other] = servers.each_ref().map(|server| server.get(&format!("/v1/{path}")));
    assert_eq!(one.status, other.status, "{path}");
    assert!(one.text == other.text, "{path}\nSQLite:     {}\nPostgreSQL: {}", one.text, other.text);
    assert_eq!(one.header("etag"), other.header("etag"), "{path}");
    (one.status, one.text)
}

/// Asks for every page, and gives how many there were.
fn pages(servers: &[Server; 2], path: &str) -> usize {
    let mut after = String::new();
    for number in 1.. {
        let page: serde_json::Value = serde_json::from_str(&ask(servers, &format!("{path}{after}"))).unwrap();
        match &page["next"] {
            serde_json::Value::Null => return number,
            serde_json::Value::String(next) => after = format!("&after={next}"),
            next => after = format!("&after={next}"),
        }
    }
    unreachable!("numbers do not end")
}

#[test]
fn every_answer_about_a_log_is_the_same_on_sqlite_and_postgresql() {
    let [sqlite, postgres] = [Data::on_sqlite(), Data::on_postgres()];
    sqlite.run(["demo", "--no-serve", "--seed", "7", "--until", "2026-01-31"]).succeed();
    sqlite.run(["copy", "--from", &sqlite.place(), "--to", &postgres.place()]).succeed();
    let servers = [Server::start(&sqlite, &[]).ready(), Server::start(&postgres, &[]).ready()];
    let [head, same] = servers.each_ref().map(|server| server.head());
    assert_eq!(head, same);
    let with = |path: &str, more: &str| {
        format!("{path}{}{more}&min_position={head}", if path.contains('?') { '&' } else { '?' })
    };

    for past in PASTS {
        for figure in FIGURES.iter().chain(&BEHIND) {
            ask(&servers, &with(figure, past));
        }
        for by in GROUPS {
            for figure in FIGURES.iter().filter(|figure| **figure != "board") {
                ask(&servers, &with(figure, &format!("{past}&by={by}&groups=7")));
            }
        }
        for figure in SERIES {
            ask(&servers, &with(figure, &format!("{past}&series=month&from=2024-06-01")));
        }
    }
    for list in ["deals?status=open", "deals?status=won&known_at=20000", "deals?amount_from=5000&known_at=12000"] {
        assert!(pages(&servers, &with(list, "limit=50")) > 2, "{list}");
    }
    assert!(pages(&servers, &with("customers", "limit=20")) > 1);
    for list in ["users", "teams", "pipelines", "settings"] {
        ask(&servers, &with(list, ""));
    }
    for after in (0..head).step_by(1_000) {
        ask(&servers, &format!("events?limit=1000&after={after}"));
    }
    let newest: serde_json::Value = serde_json::from_str(&ask(&servers, &with("deals", "limit=50"))).unwrap();
    for deal in newest["deals"].as_array().unwrap().iter().map(|deal| deal["id"].as_str().unwrap()) {
        ask(&servers, &format!("deals/{deal}?as_of=2026-01-31"));
        ask(&servers, &format!("deals/{deal}/history"));
    }
    for path in REFUSED {
        let (status, text) = answer(&servers, path);
        assert!((400..500).contains(&status), "{path}: {status} {text}");
    }
    for server in servers {
        server.stop();
    }
}
