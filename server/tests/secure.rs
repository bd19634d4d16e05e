//! A server as its first start makes it: own certificate, a password for `postgres`, SCRAM over TLS.

use server::config::Options;
use server::start::Server;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_postgres::{Config, NoTls, SimpleQueryMessage};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// SSLRequest, then the handshake against the server's own certificate.
async fn encrypted(address: SocketAddr, certificate: &std::path::Path) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate).unwrap()).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(&[0, 0, 0, 8, 4, 210, 22, 47]).await.unwrap();
    let mut answer = [0];
    socket.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"S");
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, socket).await.unwrap()
}

fn login(password: &str) -> Config {
    let mut config = Config::new();
    config.user("postgres").dbname("postgres").password(password);
    config
}

fn shown(messages: &[SimpleQueryMessage]) -> Vec<String> {
    let rows = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    });
    rows.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_logs_in_by_scram_over_tls_and_the_drain_ends_it() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        data_dir: Some(dir.path().to_owned()),
        sql_addr: Some("127.0.0.1:0".to_owned()),
        http_addr: Some("127.0.0.1:0".to_owned()),
        memory: Some("128MiB".to_owned()),
        ..Options::default()
    };
    let config = options.load().unwrap();
    let server = Server::start(&config).await.unwrap();
    let password = server.password.clone().expect("a first start makes a password");
    let certificate = dir.path().join("certs/server.crt");

    let wrong = login("wrong").connect_raw(encrypted(server.sql_addr, &certificate).await, NoTls).await;
    assert_eq!(wrong.err().and_then(|e| e.code().cloned()).unwrap().code(), "28P01");

    let socket = encrypted(server.sql_addr, &certificate).await;
    let (client, connection) = login(&password).connect_raw(socket, NoTls).await.unwrap();
    let ended = tokio::spawn(connection);
    let script = "begin; set local work_mem = '7MB'; show work_mem; rollback; show work_mem";
    assert_eq!(shown(&client.simple_query(script).await.unwrap()), ["7MB", "4MB"]);
    let failed = client.simple_query("begin; set nonsense = 1").await.unwrap_err();
    assert_eq!(failed.code().unwrap().code(), "42704");
    let ignored = client.simple_query("show work_mem").await.unwrap_err();
    assert_eq!(ignored.code().unwrap().code(), "25P02");
    client.simple_query("rollback").await.unwrap();
    let prepared = client.prepare("show search_path").await.unwrap();
    let row = client.query_one(&prepared, &[]).await.unwrap();
    assert_eq!(row.get::<_, String>(0), "\"$user\", public");

    server.shutdown().await.unwrap();
    let end = ended.await.unwrap().unwrap_err();
    assert_eq!(end.code().unwrap().code(), "57P01");
}
