//! A database that is reached by encrypted connections only: the address says how much of the server is to be proven.

use std::{fs, path::Path};

use dealog_test_postgres::Postgres;
use dealog_tests::{Data, Database, PATIENCE, Server, until};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

/// Who vouches for servers.
fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn by(url: &str, mode: &str, authority: &Path) -> String {
    let url = url.replace("127.0.0.1", "localhost");
    let (url, _) = url.split_once('?').unwrap_or((&url, ""));
    format!("{url}?sslmode={mode}&sslrootcert={}", authority.display())
}

#[test]
fn the_log_and_the_read_models_are_reached_by_tls_and_the_server_must_be_who_it_says() {
    let postgres = Postgres::start();
    let data = Data::within(postgres.fresh());
    let url = data.database().unwrap().to_owned();
    let (ours, others) = (authority(), authority());
    let [our_file, others_file] = ["ours.pem", "others.pem"].map(|name| data.home().join(name));
    fs::write(&our_file, ours.pem()).unwrap();
    fs::write(&others_file, others.pem()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &ours).unwrap();
    postgres.demand_tls(&certificate.pem(), &key.serialize_pem());
    // It takes a moment until what it read holds for new connections.
    until("connections in the open should be refused", PATIENCE, || {
        let done = data.run(["migrate", "--database", &by(&url, "disable", &our_file)]).end();
        (done.code == 1 && done.stderr.contains("no encryption")).then_some(())
    });

    let told = data.run(["migrate", "--database", &by(&url, "verify-full", &others_file)]).fail();
    assert!(told.contains("cannot be reached") && told.contains("certificate"), "{told}");

    let server = Server::start(&data, &["--database", &by(&url, "verify-full", &our_file)]).ready();
    let mut database = Database::at(&by(&url, "verify-full", &our_file));
    let connections = |database: &mut Database, encrypted: bool| {
        let sql = format!(
            "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
             WHERE datname = current_database() AND ssl = {encrypted} AND pid <> pg_backend_pid()"
        );
        database.number(&sql)
    };
    assert_eq!(connections(&mut database, false), Some(0));
    assert!(connections(&mut database, true) >= Some(3), "for writing, for listening, and for the read models");
    server.stop();
}
