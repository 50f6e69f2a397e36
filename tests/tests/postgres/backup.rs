//! What `dealog backup` says of a log that is not in a file.

use dealog_tests::{Data, Server};

#[test]
fn a_log_in_postgresql_is_backed_up_by_its_own_programs() {
    let data = Data::on_postgres();
    Server::start(&data, &[]).ready().stop();
    let refused = data.run(["backup", "copy.db"]).fail();
    assert!(refused.contains("pg_dump") && refused.contains("dealog copy"), "{refused}");
    assert!(!data.home().join("copy.db").exists());
}
