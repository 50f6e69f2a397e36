//! `dealog serve` and `dealog work`: where they listen, and how they stop.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    time::Duration,
};

use dealog_tests::{DEFAULT_PIPELINE, Data, Server, Worker, deal, until};
use serde_json::{Value, json};

use super::log_of;

#[test]
fn without_tokens_it_listens_on_loopback_only() {
    let data = Data::fresh();
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:8080"] {
        let told = data.run(["serve", "--listen", address]).fail();
        assert!(told.contains("is not a loopback address") && told.contains(address), "{told}");
    }
    assert!(data.is_untouched(), "something was begun");
}

#[test]
fn an_address_is_understood_as_people_write_it_or_the_refusal_shows_how() {
    let data = Data::fresh();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    for address in [port.to_string(), format!("localhost:{port}")] {
        let told = data.run(["serve", "--listen", &address]).fail();
        assert!(told.starts_with(&format!("cannot listen on 127.0.0.1:{port}")), "{told}");
    }
    for address in [":8080", "everywhere", "127.0.0.1"] {
        let done = data.run(["serve", "--listen", address]).end();
        assert_eq!(done.code, 2, "{}", done.stderr);
        assert!(done.stderr.contains("expected 127.0.0.1:8080, or just 8080"), "{}", done.stderr);
        data.set(&format!("listen = \"{address}\""));
        let told = data.run(["serve"]).fail();
        assert!(told.contains("expected 127.0.0.1:8080, or just 8080"), "{told}");
        data.set("");
    }
    assert!(data.is_untouched(), "something was begun");
}

#[test]
fn variables_that_kubernetes_sets_for_a_service_of_this_name_are_not_settings() {
    let data = Data::fresh();
    let of_a_service = [
        ("DEALOG_PORT", "tcp://10.0.0.11:8080"),
        ("DEALOG_PORT_8080_TCP", "tcp://10.0.0.11:8080"),
        ("DEALOG_PORT_8080_TCP_ADDR", "10.0.0.11"),
        ("DEALOG_SERVICE_HOST", "10.0.0.11"),
        ("DEALOG_SERVICE_PORT", "8080"),
        ("DEALOG_SERVICE_PORT_HTTP", "8080"),
    ];
    let with = |variables: &[(&str, &str)]| {
        variables.iter().fold(data.run(["token", "list"]), |run, (name, value)| run.env(name, value))
    };
    Server::start(&data, &[]).stop();
    with(&of_a_service).succeed();
    let told = with(&[("DEALOG_PROT", "8080")]).fail();
    assert!(told.contains("prot"), "{told}");
}

#[test]
fn a_currency_or_a_time_zone_that_the_company_has_not_is_refused() {
    let data = Data::fresh();
    Server::start(&data, &["--currency", "SEK", "--time-zone", "Europe/Stockholm"]).stop();
    let serve = |flag: &str, value: &str| data.run(["serve", "--listen", "127.0.0.1:0", flag, value]).fail();
    let told = serve("--currency", "EUR");
    assert!(told.contains("--currency EUR is for a new company, and this one has SEK"), "{told}");
    let told = serve("--time-zone", "UTC");
    assert!(told.contains("this one has Europe/Stockholm") && told.contains("PATCH /v1/settings"), "{told}");
    Server::start(&data, &["--currency", "SEK"]).stop();
}

#[test]
fn a_taken_port_is_told_and_nothing_is_begun() {
    let data = Data::fresh();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let told = data.run(["serve", "--listen", &address]).fail();
    assert!(told.starts_with(&format!("cannot listen on {address}")) && told.contains("--listen"), "{told}");
    assert!(data.is_untouched(), "something was begun");
}

#[test]
fn a_request_under_way_comes_to_its_end_before_the_server_stops() {
    let data = Data::fresh();
    let server = Server::start(&data, &[]);
    let body = deal("Under way", &json!({})).to_string();
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // The server asks for the body when it has begun with the request, and not before.
    write!(
        stream,
        "POST /v1/deals HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Expect: 100-continue\r\n\r\n",
        body.len()
    )
    .unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    assert!(line.starts_with("HTTP/1.1 100"), "{line}");

    server.terminate();
    server.logged("stopping");
    until("no new connections should be taken", Duration::from_secs(10), || {
        TcpStream::connect_timeout(&server.address(), Duration::from_secs(5)).is_err().then_some(())
    });
    stream.write_all(body.as_bytes()).unwrap();
    let mut answer = String::new();
    reader.read_to_string(&mut answer).unwrap();
    assert!(answer.trim_start().starts_with("HTTP/1.1 201"), "{answer}");
    let mut server = server;
    server.ended();
    assert!(log_of(&data).contains("Under way"));
}

#[test]
fn a_request_that_never_ends_is_cut_off_after_a_while() {
    let data = Data::fresh();
    data.set("shutdown_seconds = 1");
    let server = Server::start(&data, &[]);
    let _under_way = hang(&server);
    assert!(server.stop().contains("cut off"));
}

#[test]
fn what_was_done_is_there_after_a_stop_and_the_company_is_founded_once() {
    let data = Data::fresh();
    let server = Server::start(&data, &["--currency", "SEK"]);
    let created = server.post("/v1/deals", &deal("Kept", &json!({}))).expect(201);
    let before = server.events();
    server.stop();
    // The currency is for a new company only.
    data.set("currency = \"USD\"");
    let server = Server::start(&data, &[]);
    assert_eq!(server.events(), before);
    assert_eq!(server.get("/v1/settings").expect(200).body["reporting_currency"], "SEK");
    assert_eq!(server.get(&format!("/v1/deals/{}", created.id())).expect(200).body["title"], "Kept");
    server.stop();
}

#[test]
fn read_models_may_be_kept_by_another_process() {
    let data = Data::fresh();
    let server = Server::start(&data, &["--no-workers"]);
    let work = Worker::start(&data);
    let created = server.post("/v1/deals", &deal("Folded elsewhere", &json!({}))).expect(201);
    let path = format!("/v1/deals/{}?min_position={}", created.id(), created.position());
    assert_eq!(server.get(&path).expect(200).body["title"], "Folded elsewhere");
    let ready = server.get("/health/ready").expect(200).body;
    assert_eq!((&ready["ready"], &ready["projections"][0]["trouble"]), (&json!(true), &Value::Null));
    work.stop();
    server.stop();
}

#[test]
fn two_servers_on_one_log_take_turns() {
    let data = Data::fresh();
    let servers = [Server::start(&data, &[]), Server::start(&data, &[])];
    let mut ids = Vec::new();
    for index in 0..10 {
        let server = &servers[index % 2];
        ids.push(server.post("/v1/deals", &deal(&format!("Deal {index}"), &json!({}))).expect(201).id());
    }
    // Each acts on what the other has done.
    for (index, id) in ids.iter().enumerate() {
        let other = &servers[(index + 1) % 2];
        let moved = other.post(&format!("/v1/deals/{id}/move"), &json!({"stage": "contract"})).expect(200);
        assert_eq!(moved.body["version"], 2);
        let path = format!("/v1/deals/{id}?min_position={}", moved.position());
        assert_eq!(servers[index % 2].get(&path).expect(200).body["stage"], "contract");
    }
    assert_eq!(servers[0].events(), servers[1].events());
    assert_eq!(servers[0].events().len(), 4 + 20);
    let path = format!("/v1/board?pipeline={DEFAULT_PIPELINE}&stage=contract&min_position=24");
    assert_eq!(servers[1].get(&path).expect(200).body["columns"][0]["deals"], 10);
    for server in servers {
        server.stop();
    }
}

#[test]
fn a_server_can_be_stopped_as_soon_as_it_says_that_it_serves() {
    for _ in 0..20 {
        Server::start(&Data::fresh(), &[]).stop();
    }
}

#[test]
fn a_question_before_there_are_read_models_is_told_to_come_again() {
    let server = Server::of_a_new_company(&["--no-workers"]);
    assert_eq!(server.not_ready().body["projections"][0]["position"], Value::Null);
    let answer = server.get("/v1/deals").problem(503, "not_caught_up");
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert!(answer.body["detail"].as_str().unwrap().contains("dealog work"), "{}", answer.text);
}

#[test]
fn to_stop_again_is_to_end_at_once() {
    let mut server = Server::of_a_new_company(&[]);
    let _under_way = hang(&server);
    server.terminate();
    server.logged("stopping");
    until("it should be cut off", Duration::from_secs(5), || {
        server.terminate();
        server.has_logged("stopped again").then_some(())
    });
    server.ended();
}

#[test]
fn there_is_no_work_without_a_log() {
    let told = Data::fresh().run(["work"]).fail();
    assert!(told.contains("there is no log") && told.contains("--data"), "{told}");
}

/// A request whose body never comes. The server has begun with it.
fn hang(server: &Server) -> TcpStream {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let head = "POST /v1/deals HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let mut line = String::new();
    BufReader::new(stream.try_clone().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("HTTP/1.1 100"), "{line}");
    stream
}
