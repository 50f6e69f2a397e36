//! `dealog demo`: the same company for everyone.

use dealog_tests::{Data, Server};

use super::log_of;

const FILL: [&str; 6] = ["demo", "--no-serve", "--seed", "7", "--until", "2026-01-31"];

#[test]
fn a_seed_and_a_day_make_the_same_log_to_the_byte_and_filling_it_again_adds_nothing() {
    let [one, two] = [Data::fresh(), Data::fresh()];
    let filled = one.run(FILL).succeed().stdout;
    let log = log_of(&one);
    let events = log.lines().count();
    assert!(filled.contains(&format!("{events} events")), "{filled}");
    assert!(events > 20_000, "{events}");
    two.run(FILL).succeed();
    assert!(log_of(&two) == log, "another log of the same seed and day");

    let again = one.run(FILL).succeed().stdout;
    assert!(again.contains("is there already"), "{again}");
    assert!(log_of(&one) == log, "the log was changed");

    let other_day = one.run(["demo", "--no-serve", "--seed", "7", "--until", "2026-02-01"]).fail();
    assert!(other_day.contains("goes until 2026-01-31") && other_day.contains("--until"), "{other_day}");
    assert!(log_of(&one) == log, "the log was changed");

    let other_seed = one.run(["demo", "--no-serve", "--seed", "8"]).fail();
    assert!(other_seed.contains("name another folder"), "{other_seed}");

    // Both ways to serve it answer the same.
    let questions = ["pipeline", "funnel", "forecast", "time-in-stage", "win-rate", "cycle", "velocity", "board"]
        .map(|figure| format!("/v1/{figure}?as_of=2026-01-15"));
    let answers = |server: Server| {
        let answers: Vec<String> = questions.iter().map(|path| server.get(path).expect(200).text).collect();
        let total = server.get(&questions[0]).expect(200).body;
        assert!(total["total"]["deals"].as_u64().unwrap() > 100 && total["closed"]["won"].as_u64().unwrap() > 500);
        server.stop();
        answers
    };
    let of_demo = answers(Server::start_command("demo", &one, &["--seed", "7"]));
    let of_serve = answers(Server::start(&one, &[]).ready());
    assert_eq!(of_demo, of_serve);
    assert!(log_of(&one) == log, "to look at it changes nothing");
}

#[test]
fn a_sample_is_never_mixed_up_with_a_company_of_ones_own() {
    let data = Data::fresh();
    let server = Server::start(&data, &[]);
    server.get("/health/live").expect(200);
    server.stop();
    let before = log_of(&data);
    let told = data.run(FILL).fail();
    assert!(told.contains("name another folder"), "{told}");
    assert_eq!(log_of(&data), before);
}
