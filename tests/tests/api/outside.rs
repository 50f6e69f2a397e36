//! Who is let in from outside: without tokens nobody, by way of a proxy only those that it names, and encrypted if so set.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

use dealog_tests::{Client, Data, Database, PATIENCE, Raw, Server, until};
use rcgen::{CertificateParams, KeyPair};
use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};

#[test]
fn without_tokens_what_comes_from_elsewhere_is_refused() {
    let server = Server::with(Data::fresh(), &[]);
    let refused = |what: &str, head: &str| {
        let said =
            Raw::sending(server.address(), &format!("GET /v1/deals HTTP/1.1\r\n{head}Connection: close\r\n\r\n"))
                .rest()
                .0;
        assert!(said.starts_with("HTTP/1.1 403") && said.contains("foreign_request"), "{what}: {said}");
    };
    for header in [
        "Forwarded: for=192.0.2.1",
        "X-Forwarded-For: 192.0.2.1",
        "X-Forwarded-Host: a",
        "x-forwarded-proto: https",
        "X-Real-IP: 192.0.2.1",
    ] {
        refused(header, &format!("Host: localhost\r\n{header}\r\n"));
    }
    refused("no host", "");
    refused("two hosts", "Host: localhost\r\nHost: localhost\r\n");
    refused("a host that is not ASCII", "Host: localhost\u{e9}\r\n");
    refused("an empty host", "Host: \r\n");
    refused("an origin that is not ASCII", "Host: localhost\r\nOrigin: http://localhost\u{e9}\r\n");
    refused("two origins", "Host: localhost\r\nOrigin: http://localhost\r\nOrigin: http://evil.example\r\n");
    let absolute = "GET http://evil.example/v1/deals HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    assert!(Raw::sending(server.address(), absolute).rest().0.starts_with("HTTP/1.1 403"));
    server.get("/v1/deals").expect(200);
}

#[test]
fn a_server_whose_tokens_are_gone_from_the_database_stays_closed() {
    let data = Data::on_postgres();
    let server = Server::start(&data, &[]);
    server.get("/v1/deals").expect(200);
    data.run(["token", "create", "--invite", "Olga Stern", "--role", "admin"]).succeed();
    let mut log = Database::log(&data);
    for statement in [
        "ALTER TABLE tokens DISABLE TRIGGER tokens_are_not_deleted",
        "DELETE FROM tokens",
        "ALTER TABLE tokens ENABLE ALWAYS TRIGGER tokens_are_not_deleted",
    ] {
        log.run(statement);
    }
    until("it should notice", PATIENCE, || (server.get("/v1/deals").status == 401).then_some(()));
    server.stop();
    let server = Server::start(&data, &[]);
    server.get("/v1/deals").problem(401, "no_token");
    server.stop();
}

#[test]
fn a_log_that_was_restored_without_its_tokens_stays_closed() {
    let data = Data::on_sqlite();
    let server = Server::start(&data, &[]);
    server.get("/v1/deals").expect(200);
    server.stop();
    let (log, copy) = (data.folder().join("log.db"), data.folder().join("copy.db"));
    fs::copy(&log, &copy).unwrap();
    data.run(["token", "create", "--invite", "Olga Stern", "--role", "admin"]).succeed();
    fs::rename(&copy, &log).unwrap();
    fs::remove_file(data.folder().join("views.db")).unwrap();
    let server = Server::start(&data, &[]);
    server.get("/v1/deals").problem(401, "no_token");
    server.stop();
    // Whoever means it says so.
    let is_mark = |name: &str| name.starts_with("has-tokens-");
    let files = fs::read_dir(data.folder()).unwrap().map(|file| file.unwrap());
    let marks: Vec<_> = files.filter(|file| is_mark(&file.file_name().to_string_lossy())).collect();
    assert_eq!(marks.len(), 1, "{marks:?}");
    fs::remove_file(marks[0].path()).unwrap();
    let server = Server::start(&data, &[]);
    server.get("/v1/deals").expect(200);
    server.stop();
}

#[test]
fn where_tokens_are_required_nobody_is_let_in_before_there_is_one() {
    let data = Data::fresh();
    data.set("tokens = \"required\"");
    let server = Server::start(&data, &["--listen", "0.0.0.0:0"]);
    server.logged("connections are not encrypted");
    let client = Client::of(([127, 0, 0, 1], server.address().port()).into());
    client.get("/v1/deals").problem(401, "no_token");
    let token = data.run(["token", "create", "--invite", "Olga Stern", "--role", "admin"]).succeed().stdout;
    client.with_token(token.trim()).get("/v1/deals").expect(200);
    server.stop();
}

#[test]
fn a_trusted_proxy_says_whose_failures_are_counted_and_nobody_else_does() {
    for (trusted, counted) in [("127.0.0.0/8", "198.51.100.7"), ("192.0.2.1", "127.0.0.1")] {
        let data = Data::fresh();
        data.set(&format!("trusted_proxies = [\"{trusted}\"]\ntokens = \"required\""));
        let server = Server::start(&data, &[]);
        let call = server.call("GET", "/v1/deals").header("x-forwarded-for", "203.0.113.9, 198.51.100.7");
        call.header("authorization", "bearer nonsense").send().problem(401, "invalid_token");
        server.logged(counted);
        server.stop();
    }
    let told = Data::fresh();
    told.set("trusted_proxies = [\"everyone\"]");
    assert!(told.run(["serve", "--listen", "127.0.0.1:0"]).fail().contains("`everyone` is not a proxy"));
}

#[test]
fn the_scheme_of_a_token_is_read_in_any_case_with_any_blanks() {
    let data = Data::fresh();
    let server = Server::start(&data, &[]);
    let token = data.run(["token", "create", "--invite", "Olga Stern", "--role", "admin"]).succeed().stdout;
    let token = token.trim();
    until("a token should be asked for", PATIENCE, || (server.get("/v1/deals").status == 401).then_some(()));
    for written in [format!("bearer {token}"), format!("BEARER   {token}"), format!("Bearer {token}  ")] {
        server.call("GET", "/v1/deals").header("authorization", &written).send().expect(200);
    }
    for written in [format!("Bearer{token}"), format!("Basic {token}"), token.to_owned()] {
        server.call("GET", "/v1/deals").header("authorization", &written).send().problem(401, "invalid_token");
    }
    server.stop();
}

/// A certificate for this machine and its key, both in PEM.
fn certificate() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned()];
    (CertificateParams::new(names).unwrap().self_signed(&key).unwrap().pem(), key.serialize_pem())
}

/// An encrypted connection to a server that has this certificate.
fn connect(address: SocketAddr, certificate: &str) -> std::io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).map_err(std::io::Error::other)?;
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    Ok(StreamOwned::new(connection, stream))
}

/// What it answers when it is asked whether it lives.
fn ask(stream: &mut StreamOwned<ClientConnection, TcpStream>) -> std::io::Result<String> {
    stream.write_all(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"}") {
        let mut bytes = [0; 1024];
        let read = stream.read(&mut bytes)?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        answer.extend_from_slice(&bytes[..read]);
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[test]
fn connections_are_encrypted_and_a_new_certificate_is_taken_without_dropping_any() {
    let data = Data::fresh();
    let [file, key_file] = ["certificate.pem", "key.pem"].map(|name| data.home().join(name));
    let put = |certificate: &str, key: &str| {
        fs::write(&file, certificate).unwrap();
        fs::write(&key_file, key).unwrap();
    };
    let (first, key) = certificate();
    put(&first, &key);
    let settings = "tls_certificate = \"certificate.pem\"\ntls_key = \"key.pem\"\n[limits]\nhead_ms = 1000";
    data.set(settings);
    let server = Server::start(&data, &[]);
    let mut open = connect(server.address(), &first).unwrap();
    assert!(ask(&mut open).unwrap().starts_with("HTTP/1.1 200"));

    // In the open nothing is said, and a handshake that does not come to its end is cut.
    let plain = Raw::sending(server.address(), "GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n").rest().0;
    assert!(!plain.contains("HTTP/1.1 200"), "{plain}");
    for begin in ["", "\u{16}\u{3}\u{1}"] {
        assert!(Raw::sending(server.address(), begin).rest().1 < Duration::from_secs(10));
    }

    // A key that does not fit changes nothing.
    let (second, second_key) = certificate();
    put(&first, &second_key);
    server.logged("the old ones stay");
    ask(&mut connect(server.address(), &first).unwrap()).unwrap();
    put(&second, &second_key);
    server.logged("certificates have been exchanged");
    ask(&mut connect(server.address(), &second).unwrap()).unwrap();
    let refused = connect(server.address(), &first).and_then(|mut stream| ask(&mut stream));
    assert!(refused.is_err(), "the old certificate is still shown");
    assert!(ask(&mut open).unwrap().starts_with("HTTP/1.1 200"), "the open connection was dropped");
    server.stop();
}

#[test]
fn tls_that_is_set_up_by_half_or_with_something_else_is_told() {
    let data = Data::fresh();
    data.set("tls_certificate = \"certificate.pem\"");
    assert!(data.run(["serve", "--listen", "127.0.0.1:0"]).fail().contains("tls_key"));
    data.set("tls_certificate = \"certificate.pem\"\ntls_key = \"key.pem\"");
    assert!(data.run(["serve", "--listen", "127.0.0.1:0"]).fail().contains("certificate.pem"));
    for name in ["certificate.pem", "key.pem"] {
        fs::write(data.home().join(name), "nothing of the kind").unwrap();
    }
    assert!(data.run(["serve", "--listen", "127.0.0.1:0"]).fail().contains("expected a certificate"));
}
