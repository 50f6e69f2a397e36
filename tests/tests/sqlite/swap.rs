//! A build that is killed while its tables are swapped in.

use std::fs;

use dealog_tests::{Data, Database, PATIENCE, exit_within, until};

/// Where the next tables grow.
const NEXT: &str = "views.deals.next.db";

/// The same files once more.
fn copy(from: &Data) -> Data {
    let to = Data::on_sqlite();
    fs::create_dir(to.folder()).unwrap();
    for entry in fs::read_dir(from.folder()).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.folder().join(entry.file_name())).unwrap();
    }
    to
}

#[test]
fn a_rebuild_killed_during_the_swap_leaves_the_old_tables_and_the_next_one_swaps_again() {
    let built = Data::on_sqlite();
    built.run(["demo", "--no-serve", "--until", "2026-01-01", "--seed", "3"]).succeed();
    built.run(["rebuild"]).succeed();
    let before = built.tables();
    let head = built.projection().0["head"].as_i64().unwrap();

    // Killed once the next tables have caught up: all that is left to do is the swap.
    let next = |data: &Data| {
        let file = data.folder().join(NEXT);
        file.exists().then(|| Database::file(&file).number("SELECT position FROM checkpoints")).flatten()
    };
    until("a rebuild should be killed before its swap", PATIENCE, || {
        let mut killed = built.rebuilding();
        built.built_to(head);
        killed.kill().unwrap();
        exit_within(&mut killed, PATIENCE);
        (next(&built) == Some(head)).then_some(())
    });
    let number = built.build_number();

    // The swap writes all rows into the journal of views.db. It is killed as soon as that grows.
    let data = until("a rebuild should be killed during its swap", PATIENCE, || {
        let data = copy(&built);
        let journal = || fs::metadata(data.folder().join("views.db-wal")).map_or(0, |journal| journal.len());
        let mut killed = data.rebuilding();
        while journal() < 500_000 && killed.try_wait().unwrap().is_none() {
            std::hint::spin_loop();
        }
        killed.kill().unwrap();
        exit_within(&mut killed, PATIENCE);
        // Whoever opens the database from here on tidies its journal up.
        let swapping = journal() >= 500_000;
        (swapping && data.build_number() == number).then_some(data)
    });
    assert_eq!(data.tables(), before);
    assert_eq!(next(&data), Some(head), "what was built is lost");
    data.run(["rebuild"]).succeed();
    assert_eq!(data.build_number(), number.map(|number| number + 1));
    assert_eq!(data.tables(), before);
    assert!(!data.folder().join(NEXT).exists());
}
