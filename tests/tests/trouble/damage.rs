//! `dealog check` over what no dealog writes: it names the place, ends with 1 and changes nothing.

use dealog_tests::{Data, Database, Dialect, company};

const TABLES: [&str; 4] = ["events", "commands", "streams", "head"];

/// Each is what somebody could do to a log who owns it, and what the check says of it. Position 100 is an event in its middle,
/// and 216 its end.
const DAMAGES: [(&str, &str); 5] = [
    ("DELETE FROM events WHERE position = 100", "position 100: "),
    (
        "UPDATE streams SET version = version + 1 WHERE stream = (SELECT stream FROM events WHERE position = 100)",
        "its versions are not those of its events",
    ),
    ("UPDATE events SET type = 'deal.unheard_of' WHERE position = 100", "position 100: "),
    ("DELETE FROM commands WHERE position = 216", "the commands: they brought"),
    ("DELETE FROM head", "the head: it must be one row, and there are 0"),
];

/// By one letter.
const INTO_ANOTHER_STREAM: &str = "UPDATE events SET stream = replace(stream, 'deal-', 'seal-') WHERE position = 100";
const TO_ANOTHER_VERSION: &str = "UPDATE events SET version = 99 WHERE position = 100";

/// Where the log ends is the head's to say in SQLite, and which event follows which is each event's; in PostgreSQL the last event
/// is the end, and versions alone tell what follows.
const DAMAGES_OF_ONE: [(Dialect, &str, &str); 8] = [
    (Dialect::Sqlite, INTO_ANOTHER_STREAM, "it does not follow from the event before it in its stream"),
    (Dialect::Postgres, INTO_ANOTHER_STREAM, "stream "),
    (Dialect::Sqlite, TO_ANOTHER_VERSION, "it does not follow from the event before it in its stream"),
    (Dialect::Postgres, TO_ANOTHER_VERSION, "its versions are not those of its events"),
    (Dialect::Sqlite, "DELETE FROM events WHERE position = 216", "position 216: the head says 216"),
    (Dialect::Sqlite, "UPDATE head SET position = 217", "position 217: the head says 217"),
    (Dialect::Sqlite, "UPDATE head SET position = 215", "the head says 215, and there are 216 events"),
    (Dialect::Postgres, "DELETE FROM events WHERE position = 216", "its versions are not those of its events"),
];

/// All of the log.
fn rows(log: &mut Database) -> Vec<String> {
    TABLES.iter().flat_map(|table| log.rows(table)).collect()
}

#[test]
fn damage_to_a_log_is_found_and_named_and_left_as_it_is() {
    let data = company(Data::fresh());
    let here = Database::log(&data).dialect();
    // Both databases keep what else there is beside the log; in PostgreSQL its schema is the log's alone.
    let beside = if here == Dialect::Postgres { "public" } else { "main" };
    let keep = TABLES.map(|table| format!("CREATE TABLE {beside}.kept_{table} AS SELECT * FROM {table};")).concat();
    let mend = TABLES
        .map(|table| format!("DELETE FROM {table}; INSERT INTO {table} SELECT * FROM {beside}.kept_{table};"))
        .concat();
    Database::log(&data).run(&keep);
    let sound = rows(&mut Database::log(&data));
    let of_this = DAMAGES_OF_ONE.into_iter().filter(|(dialect, ..)| *dialect == here);
    for (damage, place) in DAMAGES.into_iter().chain(of_this.map(|(_, damage, place)| (damage, place))) {
        Database::log(&data).run_past_triggers(damage);
        let damaged = rows(&mut Database::log(&data));
        assert_ne!(damaged, sound, "{damage}: it does nothing");
        let told = data.run(["check", "--log", "error"]).fail();
        assert!(told.contains(place) && told.contains("damaged"), "{damage}: {told}");
        assert_eq!(rows(&mut Database::log(&data)), damaged, "{damage}: the check changed something");
        Database::log(&data).run_past_triggers(&mend);
        assert_eq!(rows(&mut Database::log(&data)), sound);
    }
    data.run(["check"]).succeed();
}

/// Each is what somebody could do to the read models, the table that the check names, and words of what it shows of the row.
const DIFFERENCES: [(&str, &str, &str); 4] = [
    ("UPDATE users SET name = 'Nobody' WHERE began = (SELECT min(began) FROM users)", "users", "\"Nobody\""),
    ("DELETE FROM deals WHERE began = (SELECT max(began) FROM deals)", "deals", "is      no row\n"),
    (
        "INSERT INTO teams SELECT began + 1000, ended, valid_from, valid_to, team, version, created_position, name FROM teams",
        "teams",
        "should  no row\n",
    ),
    ("UPDATE stages SET probability = 4242 WHERE ordinal = 1", "stages", ", 4242, "),
];

#[test]
fn a_row_of_the_read_models_that_is_not_what_the_log_says_is_named_until_they_are_made_anew() {
    let data = company(Data::fresh());
    for (harm, table, row) in DIFFERENCES {
        data.run(["rebuild"]).succeed();
        let told = data.run(["check"]).succeed().stdout;
        assert!(told.contains("The read models match the log"), "{told}");
        Database::views(&data).run(harm);
        let harmed = data.tables();
        let done = data.run(["check", "--log", "error"]).end();
        assert_eq!(done.code, 1, "{harm}: {done:?}");
        let named = done.stderr.contains(&format!("The first difference is in {table}:"));
        assert!(named && done.stderr.contains(row), "{harm}: {}", done.stderr);
        assert!(done.stderr.contains("`dealog rebuild` makes them anew"), "{}", done.stderr);
        assert_eq!(data.tables(), harmed, "{harm}: the check changed something");
    }
}
