//! Requests to a provider through the proxy that the environment names.

#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hearth_tests::{Client, Home, Reply, Setup, Upstream};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

use crate::{ANSWER_TEXT, answer, chat};

/// A host whose name only the proxy can resolve.
const HOST: &str = "vendor.invalid";
/// User and password of the proxy.
const PROXY_LOGIN: &str = "gate:planted-proxy-pw";

/// A proxy that takes every host for one server: it forwards requests to it, and opens tunnels to its TLS.
struct Proxy {
    address: String,
    /// The heads of the requests that it got.
    heads: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    async fn start(forward_to: String, tunnel_to: String) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let seen = Arc::clone(&heads);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, forward_to, tunnel_to) =
                    (Arc::clone(&seen), forward_to.clone(), tunnel_to.clone());
                tokio::spawn(async move { serve(stream, &seen, &forward_to, &tunnel_to).await });
            }
        });
        Self { address, heads }
    }

    /// The heads so far.
    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn serve(mut client: TcpStream, seen: &Mutex<Vec<String>>, forward_to: &str, tunnel_to: &str) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = client.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8(head).unwrap();
    seen.lock().unwrap_or_else(PoisonError::into_inner).push(head.clone());
    let is_tunnel = head.starts_with("CONNECT ");
    let mut server = TcpStream::connect(if is_tunnel { tunnel_to } else { forward_to }).await.unwrap();
    if is_tunnel {
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    } else {
        // The server gets the path, and none of what is for the proxy; the next request comes over another connection.
        let lines = head.trim_end().split("\r\n").filter(|line| !is_login(line));
        let head = lines.collect::<Vec<_>>().join("\r\n").replace(&format!(" http://{HOST}"), " ");
        server.write_all(format!("{head}\r\nconnection: close\r\n\r\n").as_bytes()).await.unwrap();
    }
    let _ = copy_bidirectional(&mut client, &mut server).await;
}

fn is_login(line: &str) -> bool {
    line.to_ascii_lowercase().starts_with("proxy-authorization:")
}

/// Serves `upstream` by TLS with a certificate for [`HOST`], which is written to `file`. Returns the address.
async fn serve_tls(upstream: &Upstream, file: &Path) -> String {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(vec![HOST.to_owned()]).unwrap();
    std::fs::write(file, cert.pem()).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![cert.der().clone()], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let plain = address_of(upstream);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, plain) = (acceptor.clone(), plain.clone());
            tokio::spawn(async move {
                let Ok(mut client) = acceptor.accept(stream).await else { return };
                let mut server = TcpStream::connect(plain).await.unwrap();
                let _ = copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    address
}

fn address_of(upstream: &Upstream) -> String {
    upstream.url.replace("http://", "")
}

fn provider(name: &str, base_url: &str) -> String {
    format!(
        "[providers.{name}]\nkind = 'openai_compatible'\nbase_url = '{base_url}/v1'\napi_key = 'sk-rig'\n"
    )
}

/// Starts a gateway that logs everything, with these variables.
async fn home(settings: &str, variables: &[String]) -> Home {
    let setup = Setup::new().settings(&format!("log_level = 'trace'\n\n{settings}")).without_node();
    let under: Vec<&str> =
        std::iter::once("/usr/bin/env").chain(variables.iter().map(String::as_str)).collect();
    setup.under(&under).start().await
}

/// Asks for a text, streamed and in one piece, and for vectors.
async fn ask(client: &Client, upstream: &Upstream, provider: &str) {
    for stream in [true, false] {
        upstream.reply(if stream { answer() } else { whole_answer() });
        let mut body = chat(&format!("{provider}:big"));
        (body["stream"], body["max_tokens"]) = (json!(stream), json!(100));
        let answer = client.post("/v1/chat/completions", &body).await;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!(answer.status, 200, "{text}");
        assert!(text.contains("from afar."), "{text}");
    }
    let vector = json!({"data": [{"index": 0, "embedding": [1.0, 0.0]}]});
    upstream.reply(Reply::json(200, &vector));
    let body = json!({"model": format!("{provider}:embed"), "input": "Hi"});
    assert_eq!(client.post("/v1/embeddings", &body).await.status, 200);
}

fn whole_answer() -> Reply {
    let message: Value = json!({"role": "assistant", "content": ANSWER_TEXT});
    let choice = json!({"index": 0, "message": message, "finish_reason": "stop"});
    Reply::json(200, &json!({"object": "chat.completion", "choices": [choice]}))
}

/// Stops a gateway, and checks that no file that it wrote has a login.
async fn stop_without_login(home: Home, login: &str) {
    let data = home.data();
    let folder = home.stop().await;
    let (_, password) = login.split_once(':').unwrap();
    for path in crate::redaction::files_below(folder.path()) {
        let bytes = std::fs::read(&path).unwrap();
        for secret in [password, &STANDARD.encode(login)] {
            assert!(!crate::redaction::find(&bytes, secret), "{secret} is in {}", path.display());
        }
    }
    assert!(data.join("logs").is_dir(), "nothing was logged");
}

#[tokio::test]
async fn provider_is_reached_through_the_proxy_of_the_environment() {
    let upstream = Upstream::start().await;
    let certificates = tempfile::NamedTempFile::new().unwrap();
    let tls = serve_tls(&upstream, certificates.path()).await;
    let proxy = Proxy::start(address_of(&upstream), tls).await;
    let proxy_url = format!("http://{PROXY_LOGIN}@{}", proxy.address);
    let settings = provider("plain", &format!("http://{HOST}"))
        + &provider("safe", &format!("https://{HOST}"))
        + &provider("near", &upstream.url);
    let variables = [
        format!("HTTP_PROXY={proxy_url}"),
        format!("HTTPS_PROXY={proxy_url}"),
        "NO_PROXY=127.0.0.1".to_owned(),
        format!("SSL_CERT_FILE={}", certificates.path().display()),
    ];
    let home = home(&settings, &variables).await;
    let login = format!("basic {}", STANDARD.encode(PROXY_LOGIN)).to_ascii_lowercase();
    for name in ["plain", "safe"] {
        let before = upstream.received().len();
        ask(&home.client(), &upstream, name).await;
        let received = &upstream.received()[before..];
        assert_eq!(received.len(), 3, "{name}: {received:?}");
        for request in received {
            assert_eq!(request.headers["authorization"], "Bearer sk-rig", "{name}");
            assert!(!request.headers.contains_key("proxy-authorization"), "{name}: {request:?}");
        }
    }
    // NO_PROXY has its address.
    ask(&home.client(), &upstream, "near").await;
    let heads: Vec<String> = proxy.heads().iter().map(|head| head.to_ascii_lowercase()).collect();
    let count = |begins: String| heads.iter().filter(|head| head.starts_with(&begins)).count();
    assert_eq!(count(format!("post http://{HOST}/v1/")), 3, "{heads:?}");
    let tunnels = count(format!("connect {HOST}:443 "));
    assert!(tunnels > 0, "{heads:?}");
    for head in &heads {
        assert!(head.contains(&login) && !head.contains("127.0.0.1"), "{head}");
        // In a tunnel TLS hides the key from the proxy.
        assert_eq!(head.contains("sk-rig"), !head.starts_with("connect"), "{head}");
    }
    stop_without_login(home, PROXY_LOGIN).await;
}

#[tokio::test]
async fn failure_of_a_proxy_is_reported_without_its_login() {
    let free = TcpListener::bind(("127.0.0.1", 0)).await.unwrap().local_addr().unwrap();
    let proxy_url = format!("http://{PROXY_LOGIN}@{free}");
    let settings =
        provider("plain", &format!("http://{HOST}")) + &provider("safe", &format!("https://{HOST}"));
    let variables = [format!("HTTP_PROXY={proxy_url}"), format!("HTTPS_PROXY={proxy_url}")];
    let home = home(&settings, &variables).await;
    for name in ["plain", "safe"] {
        let answer = home.client().post("/v1/chat/completions", &chat(&format!("{name}:big"))).await;
        let error = answer.error(502, "provider_error");
        let message = error["message"].as_str().unwrap_or_default();
        assert!(message.starts_with(&format!("the provider {name} can't be reached")), "{message}");
        let (user, password) = PROXY_LOGIN.split_once(':').unwrap();
        assert!(!message.contains(user) && !message.contains(password), "{message}");
    }
    stop_without_login(home, PROXY_LOGIN).await;
}
