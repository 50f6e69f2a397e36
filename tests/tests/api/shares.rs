//! What one caller asks for is no burden to the others: commands, queries, streams, and the room in a stream.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use dealog_tests::{Answer, Client, Data, Server, deal, until};
use serde_json::{Value, json};
use socket2::SockRef;

use crate::access::{Company, token};

/// How long a stream that has ended may be counted, with something to spare on a busy machine.
const FELT: Duration = Duration::from_secs(20);

fn rename(client: &Client, id: &str, number: u32) -> Answer {
    client.patch(&format!("/v1/deals/{id}"), &json!({"title": format!("Renamed {number}")}))
}

#[test]
fn a_seller_who_sends_commands_too_fast_is_put_off_and_nobody_else() {
    let company = Company::with_limits("seller_commands_per_second = 1\nseller_commands_burst = 20");
    let id = company.anna.post("/v1/deals", &deal("Fast", &json!({}))).expect(201).id();
    let answers: Vec<Answer> = (0..60).map(|number| rename(&company.anna, &id, number)).collect();
    let told = answers[0].header("ratelimit").unwrap();
    assert!(told.starts_with("\"commands\";r=1"), "{told}");
    assert_eq!(answers[0].header("ratelimit-policy"), Some("\"commands\";q=20;w=20"));
    let (taken, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 200);
    // The burst, and what fills up in the meantime.
    assert!((19..50).contains(&taken.len()), "{}", taken.len());
    for answer in refused {
        let answer = answer.problem(429, "too_many_commands");
        assert_eq!(answer.header("ratelimit").map(|told| told.contains("r=0")), Some(true));
        assert!(answer.header("retry-after").unwrap().parse::<u32>().unwrap() >= 1);
    }
    // Questions are asked, and others send commands.
    company.anna.get("/v1/pipeline").expect(200);
    company.boris.post("/v1/deals", &deal("Calm", &json!({}))).expect(201);
    rename(&company.manager, &id, 1).expect(200);
}

#[test]
fn a_command_counts_once_for_each_event_that_it_appends() {
    let company = Company::with_limits("seller_commands_per_second = 1\nseller_commands_burst = 30");
    let body = json!({"title": "Three events", "source": "fair", "expected_close": "2031-01-01"});
    let id = company.anna.post("/v1/deals", &deal("Dear", &json!({}))).expect(201).id();
    let changed = company.anna.patch(&format!("/v1/deals/{id}"), &body).expect(200);
    assert_eq!(changed.body["events"], 3);
    let left = |answer: &Answer| -> u32 {
        answer.header("ratelimit").unwrap().split(['=', ';']).nth(2).unwrap().parse().unwrap()
    };
    // Four events were appended, and a second or a few may have filled up.
    assert!((26..30).contains(&left(&changed)), "{:?}", changed.header("ratelimit"));
}

#[test]
fn without_tokens_whoever_sits_at_the_machine_sends_as_fast_as_they_like() {
    let server = Server::with(Data::fresh().with_limits("seller_commands_burst = 1\nperson_commands_burst = 1"), &[]);
    for number in 0..20 {
        let answer = server.post("/v1/deals", &deal(&format!("{number}"), &json!({}))).expect(201);
        assert_eq!(answer.header("ratelimit"), None);
    }
}

#[test]
fn the_last_part_of_a_stream_is_for_managers_and_a_full_one_goes_on_with_a_higher_limit() {
    let limits = "stream_events_max = 10\nstream_reserved_percent = 20";
    let company = Company::with_limits(limits);
    let id = company.anna.post("/v1/deals", &deal("Long", &json!({}))).expect(201).id();
    for number in 2..=8 {
        rename(&company.anna, &id, number).expect(200);
    }
    let told = rename(&company.anna, &id, 9).problem(422, "stream_nearly_full");
    let detail = told.body["detail"].as_str().unwrap();
    assert!(detail.contains(&format!("deal-{id} has 8 events")) && detail.contains("at most 10"), "{detail}");
    assert_eq!(told.body["allowed"], json!(["manager", "admin"]));
    rename(&company.manager, &id, 9).expect(200);
    rename(&company.manager, &id, 10).expect(200);
    for client in [&company.anna, &company.manager] {
        let told = rename(client, &id, 11).problem(422, "stream_full");
        assert!(told.body["detail"].as_str().unwrap().contains("stream_events_max"), "{}", told.text);
    }
    let Company { server, data, anna_token, .. } = company;
    server.stop();
    let data = data.with_limits("stream_events_max = 20\nstream_reserved_percent = 20");
    let server = Server::start(&data, &[]);
    let anna = server.client().with_token(&anna_token);
    assert_eq!(rename(&anna, &id, 11).expect(200).body["version"], 11);
    server.stop();
}

#[test]
fn a_caller_has_so_many_streams_and_others_have_their_own() {
    let company = Company::with_limits("subscribers_per_caller_max = 2");
    let [mut first, mut second] = [company.anna.subscribe(""), company.anna.subscribe("")];
    first.expect("position");
    second.expect("position");
    let refused = company.anna.get("/v1/events/stream").problem(429, "too_many_streams");
    assert_eq!(refused.header("ratelimit-policy"), Some("\"streams\";q=2;qu=\"concurrent-requests\""));
    company.boris.subscribe("").expect("position");
    drop(first);
    until("a place should be free again", FELT, || company.anna.call("GET", "/v1/events/stream").try_open().map(drop));
}

#[test]
fn heavy_queries_of_one_caller_leave_others_their_turn_and_are_refused_beyond_a_bound() {
    let company = Company::with_limits("queries_waiting_per_caller_max = 4");
    let id = company.boris.post("/v1/deals", &deal("Light", &json!({}))).expect(201).id();
    let service = token(&company.data, &["--service", "reports", "--allow", "read"]);
    let stop = AtomicBool::new(false);
    let (slowest, answers) = thread::scope(|scope| {
        let callers: Vec<_> = (0..48)
            .map(|_| {
                let (client, stop) = (company.server.client().with_token(&service), &stop);
                scope.spawn(move || {
                    let mut answers = Vec::new();
                    while !stop.load(Ordering::Relaxed) {
                        answers.push(client.get("/v1/funnel?by=owner,month"));
                    }
                    answers
                })
            })
            .collect();
        let mut slowest = Duration::ZERO;
        for _ in 0..50 {
            let asked = Instant::now();
            company.boris.get(&format!("/v1/deals/{id}")).expect(200);
            // A heavy one of another caller's has its turn, too.
            company.boris.get("/v1/pipeline").expect(200);
            slowest = slowest.max(asked.elapsed());
        }
        stop.store(true, Ordering::Relaxed);
        let answers: Vec<Answer> = callers.into_iter().flat_map(|caller| caller.join().unwrap()).collect();
        (slowest, answers)
    });
    let (answered, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 200);
    assert!(!answered.is_empty() && !refused.is_empty(), "{} and {}", answered.len(), refused.len());
    for answer in refused {
        let answer = answer.problem(429, "too_many_queries");
        assert_eq!(answer.header("retry-after"), Some("1"));
        assert_eq!(answer.header("ratelimit-policy"), Some("\"queries\";q=4;qu=\"concurrent-requests\""));
    }
    assert!(slowest < Duration::from_secs(5), "another caller waited {slowest:?}");
}

#[test]
fn queries_of_one_caller_that_wait_for_a_position_are_few_and_another_caller_waits_for_none_of_them() {
    let company = Company::with_limits("queries_waiting_per_caller_max = 4\nmin_position_wait_ms = 3000");
    let service = token(&company.data, &["--service", "reports", "--allow", "read"]);
    let boris_token = token(&company.data, &["--user", &company.boris_id]);
    let Company { server, data, .. } = company;
    server.stop();
    // Nobody folds the log, so no query comes to what is appended now.
    let server = Server::start(&data, &["--no-workers"]);
    let boris = server.client().with_token(&boris_token);
    let appended = boris.post("/v1/deals", &deal("Not seen", &json!({}))).expect(201).body["position"].to_string();
    let path = format!("/v1/deals?min_position={appended}");
    let answers: Vec<Answer> = thread::scope(|scope| {
        let callers: Vec<_> = (0..20)
            .map(|_| {
                let (client, path) = (server.client().with_token(&service), &path);
                scope.spawn(move || client.get(path))
            })
            .collect();
        let asked = Instant::now();
        boris.get("/v1/pipeline").expect(200);
        assert!(asked.elapsed() < Duration::from_secs(2), "another caller waited {:?}", asked.elapsed());
        callers.into_iter().map(|caller| caller.join().unwrap()).collect()
    });
    let (waited, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 503);
    assert!((4..20).contains(&waited.len()), "{} waited", waited.len());
    for answer in waited {
        answer.problem(503, "not_caught_up");
    }
    for answer in refused {
        answer.problem(429, "too_many_queries");
    }
    server.stop();
}

/// Clients that ask and do not read.
const READERS: usize = 100;

/// Kilobytes that a process holds in memory.
fn resident_kb(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn answers_that_nobody_reads_stay_within_a_budget_and_others_are_answered() {
    // A caller has half of it, which is one page of these events.
    let limits = format!("response_bytes_max = {}\nqueries_waiting_per_caller_max = 1000", 4 * 1024 * 1024);
    let server = Server::with(Data::fresh().with_limits(&limits), &[]);
    let title = "x".repeat(200);
    let ids: Vec<String> = (0..1_500)
        .map(|_| server.post("/v1/deals", &deal(&title, &json!({"source": "y".repeat(100)}))).expect(201).id())
        .collect();
    let page = "/v1/events?limit=1000";
    let bytes = server.get(page).expect(200).text.len();
    assert!((700_000..2_000_000).contains(&bytes), "{bytes}");
    let before = resident_kb(server.id());

    let head = format!("GET {page} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let mut readers: Vec<TcpStream> = (0..READERS)
        .map(|_| {
            let mut reader = TcpStream::connect(server.address()).unwrap();
            reader.write_all(head.as_bytes()).unwrap();
            reader
        })
        .collect();
    // Each has its answer, or a refusal.
    let mut begun = [0; 12];
    let statuses: Vec<String> = readers
        .iter_mut()
        .map(|reader| {
            reader.read_exact(&mut begun).unwrap();
            String::from_utf8_lossy(&begun[9..]).into_owned()
        })
        .collect();
    let refused = statuses.iter().filter(|status| *status == "503").count();
    assert!((READERS - 4..READERS).contains(&refused), "{statuses:?}");
    let grown = resident_kb(server.id()).saturating_sub(before);
    assert!(grown < 40_000, "{grown} kB are held for {READERS} answers of {bytes} bytes");

    let told = server.get(page).problem(503, "responses_full");
    assert_eq!(told.header("retry-after"), Some("1"));
    // What is small is answered, and commands are carried out.
    server.get(&format!("/v1/deals/{}", ids[0])).expect(200);
    server.patch(&format!("/v1/deals/{}", ids[0]), &json!({"title": "Still here"})).expect(200);
    drop(readers);
    let read: Value = until("there should be room again", FELT, || {
        let answer = server.get(page);
        (answer.status == 200).then_some(answer.body)
    });
    assert_eq!(read["events"].as_array().unwrap().len(), 1_000);
}

#[test]
fn an_answer_that_is_read_byte_by_byte_is_cut_off() {
    let server = Server::with(Data::fresh().with_limits("write_stall_ms = 1000\nwrite_bytes_min = 1000000"), &[]);
    let path = format!("/v1/deals/{}", server.post("/v1/deals", &deal("Wordy", &json!({}))).expect(201).id());
    // Four bytes each.
    let note = "\u{1d11e}".repeat(4_000);
    for _ in 0..250 {
        server.post(&format!("{path}/lose"), &json!({"reason": "price", "note": note})).expect(200);
        server.post(&format!("{path}/reopen"), &json!({"reason": "Again"})).expect(200);
    }
    let page = format!("{path}/history?limit=1000");
    let bytes = server.get(&page).expect(200).text.len();
    assert!(bytes > 3_000_000, "{bytes}");
    let mut reader = TcpStream::connect(server.address()).unwrap();
    SockRef::from(&reader).set_recv_buffer_size(16 * 1024).unwrap();
    reader.write_all(format!("GET {page} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()).unwrap();
    // It never rests for as long as a stall, and would take some minutes.
    let mut piece = vec![0; 4 * 1024];
    let (mut read, began) = (0, Instant::now());
    while let Ok(taken @ 1..) = reader.read(&mut piece) {
        read += taken;
        assert!(began.elapsed() < FELT, "{read} bytes were read");
        thread::sleep(Duration::from_millis(100));
    }
    assert!(read < bytes, "all was sent to a reader this slow");
}

#[test]
fn a_page_of_a_history_ends_by_its_bytes_too_and_nothing_is_left_out() {
    let server = Server::of_a_new_company(&[]);
    let path = format!("/v1/deals/{}", server.post("/v1/deals", &deal("Wordy", &json!({}))).expect(201).id());
    // Four bytes each.
    let note = "\u{1d11e}".repeat(4_000);
    for _ in 0..300 {
        server.post(&format!("{path}/lose"), &json!({"reason": "price", "note": note})).expect(200);
        server.post(&format!("{path}/reopen"), &json!({"reason": "Again"})).expect(200);
    }
    let (mut versions, mut after, mut pages) = (Vec::new(), 0, 0);
    loop {
        let page = server.get(&format!("{path}/history?limit=1000&after={after}")).expect(200);
        assert!(page.text.len() < 6_000_000, "{} bytes", page.text.len());
        versions.extend(page.body["events"].as_array().unwrap().iter().map(|event| event["version"].as_u64().unwrap()));
        pages += 1;
        let Some(next) = page.body["next"].as_u64() else { break };
        after = next;
    }
    assert_eq!(versions, (1..=601).collect::<Vec<_>>());
    assert_eq!(pages, 2);
}
