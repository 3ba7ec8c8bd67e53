//! A certificate in files.

use std::{fs, net::SocketAddr, path::Path};

use futures::{SinkExt as _, StreamExt as _};
use hearth_tests::{Process, eventually, hearth, run, within};
use reqwest::{StatusCode, tls::Version};
use serde_json::Value;
use tempfile::TempDir;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, handshake::client::generate_key, protocol::Role},
};

use crate::certificate::{self, HOST};

/// `hearth up` with a certificate, without a node.
struct Secure {
    folder: TempDir,
    process: Process,
    ready: Value,
    /// The certificate, PEM.
    certificate: String,
    address: SocketAddr,
    redirect: SocketAddr,
}

impl Secure {
    async fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let (file, key) = (folder.path().join("chain.pem"), folder.path().join("key.pem"));
        let certificate = certificate::write(&file, &key);
        let redirect = free_address();
        let data = folder.path().join("data");
        let command = hearth(
            folder.path(),
            &[
                "up",
                "--json",
                "--no-node",
                "--port",
                "0",
                "--data",
                &text(&data),
                "--tls-certificate",
                &text(&file),
                "--tls-key",
                &text(&key),
                "--tls-redirect-port",
                &redirect.port().to_string(),
            ],
        );
        let mut process = Process::spawn(command, folder.path().join("stderr.log"));
        let ready = process.ready().await;
        let url = reqwest::Url::parse(ready["url"].as_str().unwrap()).unwrap();
        assert_eq!((url.scheme(), url.host_str()), ("https", Some(HOST)), "{url}");
        let address = SocketAddr::from(([127, 0, 0, 1], url.port().unwrap()));
        Self { folder, process, ready, certificate, address, redirect }
    }

    fn url(&self, path: &str) -> String {
        format!("https://{HOST}:{}{path}", self.address.port())
    }

    fn client(&self, newest: Version) -> reqwest::Client {
        certificate::client(&self.certificate, self.address, newest)
    }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// An address of loopback at which nothing listens at the moment.
pub(super) fn free_address() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[tokio::test]
async fn requests_are_served_over_tls_1_3_alone_with_hsts() {
    let secure = Secure::start().await;
    let token = secure.ready["token"].as_str().unwrap();
    let get = secure.client(Version::TLS_1_3).get(secure.url("/v1/models")).bearer_auth(token);
    let response = get.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["strict-transport-security"], "max-age=31536000");
    let older = secure.client(Version::TLS_1_2).get(secure.url("/health")).send().await;
    assert!(older.unwrap_err().is_connect());
    // Plain HTTP on the port of TLS has no answer.
    let plain = reqwest::Client::new().get(format!("http://{}/health", secure.address)).send().await;
    assert!(plain.is_err());
    let redirected = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let redirected =
        redirected.get(format!("http://{}/v1/models?limit=1", secure.redirect)).header("host", HOST);
    let redirected = redirected.send().await.unwrap();
    assert_eq!(redirected.status(), StatusCode::PERMANENT_REDIRECT);
    assert_eq!(redirected.headers()["location"], secure.url("/v1/models?limit=1"));
    // The commands on this machine have an address of their own.
    let data = secure.folder.path().join("data");
    let list = run(hearth(secure.folder.path(), &["models", "list", "--data", &text(&data)]), "").await;
    assert!(list.status.success(), "{list:?}");
    secure.process.stop().await;
}

#[tokio::test]
async fn socket_is_opened_over_tls() {
    let secure = Secure::start().await;
    let token = secure.ready["token"].as_str().unwrap();
    let upgrade = secure.client(Version::TLS_1_3).get(secure.url("/v1/socket")).bearer_auth(token);
    let upgrade = upgrade
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", generate_key());
    let response = upgrade.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    let stream = response.upgrade().await.unwrap();
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Client, None).await;
    let heartbeat = Message::text(r#"{"type":"heartbeat"}"#);
    socket.send(heartbeat.clone()).await.unwrap();
    assert_eq!(within("the answer", socket.next()).await.unwrap().unwrap(), heartbeat);
    secure.process.stop().await;
}

#[tokio::test]
async fn new_certificate_is_used_without_a_restart_and_a_broken_one_is_not() {
    let secure = Secure::start().await;
    let (file, key) = (secure.folder.path().join("chain.pem"), secure.folder.path().join("key.pem"));
    fs::write(&file, "-----BEGIN CERTIFICATE-----\nnonsense\n").unwrap();
    let log = secure.folder.path().join("data/logs");
    let logged = || {
        let files = fs::read_dir(&log).unwrap().map(|entry| entry.unwrap().path());
        files.map(|path| fs::read_to_string(path).unwrap()).collect::<String>()
    };
    eventually("the broken certificate is reported", || async {
        logged().contains("the certificate stays as it was").then_some(())
    })
    .await;
    let get = |client: reqwest::Client| client.get(secure.url("/health")).send();
    assert!(get(secure.client(Version::TLS_1_3)).await.is_ok());
    let renewed = certificate::write(&file, &key);
    eventually("the new certificate is served", || async {
        get(certificate::client(&renewed, secure.address, Version::TLS_1_3)).await.ok()
    })
    .await;
    assert!(get(secure.client(Version::TLS_1_3)).await.is_err(), "the old certificate is still served");
    secure.process.stop().await;
}

#[tokio::test]
async fn unusable_certificate_ends_the_start_with_its_file() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| text(&folder.path().join(name));
    certificate::write(&folder.path().join("a.pem"), &folder.path().join("a.key"));
    certificate::write(&folder.path().join("b.pem"), &folder.path().join("b.key"));
    fs::write(folder.path().join("empty.pem"), "").unwrap();
    for (certificate, key, message) in [
        ("missing.pem", "a.key", "missing.pem can't be read"),
        ("empty.pem", "a.key", "the certificate has no `BEGIN CERTIFICATE`"),
        ("a.pem", "empty.pem", "the key is no PEM"),
        ("a.pem", "b.key", "can't be used together"),
    ] {
        let command = hearth(
            folder.path(),
            &[
                "up",
                "--no-node",
                "--port",
                "0",
                "--data",
                &path("data"),
                "--tls-certificate",
                &path(certificate),
                "--tls-key",
                &path(key),
            ],
        );
        let ended = run(command, "").await;
        assert_eq!(ended.status.code(), Some(1), "{ended:?}");
        assert!(ended.stderr.contains(message), "{certificate} {key}: {}", ended.stderr);
    }
}
