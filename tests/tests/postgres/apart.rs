//! The log in one database and the read models in another, which may be another server.

use dealog_tests::{Data, Database, Server, deal};
use serde_json::json;

#[test]
fn the_read_models_may_be_in_another_database_than_the_log() {
    let [log, views] = [Data::on_postgres(), Data::on_postgres()];
    let elsewhere = ["--views-database", views.database().unwrap()];
    let server = Server::start(&log, &elsewhere);
    let created = server.post("/v1/deals", &deal("Folded elsewhere", &json!({}))).expect(201);
    let path = format!("/v1/deals/{}?min_position={}", created.id(), created.position());
    let before = server.get(&path).expect(200).text;
    server.stop();
    log.run(["rebuild"]).args(elsewhere).succeed();
    assert_eq!(Server::start(&log, &elsewhere).get(&path).expect(200).text, before);

    let position = i64::try_from(created.position()).unwrap();
    assert_eq!(Database::found(&log, "log", "coalesce(max(position), 0)", ("events", "true")), Some(position));
    assert_eq!(Database::found(&views, "views", "position", ("checkpoints", "projection = 'deals'")), Some(position));
    assert_eq!(
        Database::found(&log, "views", "position", ("checkpoints", "projection = 'deals'")),
        None,
        "there are read models beside the log"
    );
    assert_eq!(
        Database::found(&views, "log", "coalesce(max(position), 0)", ("events", "true")),
        None,
        "there is a log beside the read models"
    );
}
