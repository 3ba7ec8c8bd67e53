//! Direct or relay: the gateway's choice, by a challenge that the node signs.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use hearth_auth::{NodeKey, sha256_hex};
use hearth_tests::{Client, Home};
use rcgen::{CertifiedKey, PublicKeyData as _, generate_simple_self_signed};
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

/// A node's side of the link, as far as a probe and a status need it.
struct PlayedNode {
    url: String,
    /// SHA-256 of its certificate's key.
    certificate_key: String,
    challenges: Arc<AtomicUsize>,
    /// The node's id, once it is enrolled.
    id: Arc<std::sync::OnceLock<String>>,
}

impl PlayedNode {
    /// Serves with `key`, and with a certificate of its own or without TLS.
    async fn start(key: NodeKey, has_tls: bool) -> Self {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(vec!["box.example".to_owned()]).unwrap();
        let certificate_key = sha256_hex(&signing_key.subject_public_key_info());
        let private = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config =
            ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config =
            config.with_no_client_auth().with_single_cert(vec![cert.der().clone()], private).unwrap();
        let acceptor = has_tls.then(|| TlsAcceptor::from(Arc::new(config)));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let scheme = if has_tls { "https" } else { "http" };
        let url = format!("{scheme}://{}", listener.local_addr().unwrap());
        let node = Self { url, certificate_key, challenges: Arc::default(), id: Arc::default() };
        let (challenges, id, key) = (Arc::clone(&node.challenges), Arc::clone(&node.id), Arc::new(key));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, key, challenges, id) =
                    (acceptor.clone(), Arc::clone(&key), Arc::clone(&challenges), Arc::clone(&id));
                tokio::spawn(async move {
                    match acceptor {
                        None => answer(stream, &key, &challenges, &id).await,
                        Some(acceptor) => {
                            if let Ok(stream) = acceptor.accept(stream).await {
                                answer(stream, &key, &challenges, &id).await;
                            }
                        }
                    }
                });
            }
        });
        node
    }

    /// Enrols it with this public key; returns the gateway's description of it.
    async fn enroll(&self, home: &Home, key: &NodeKey, certificate_key: Option<&str>) -> Value {
        let client = home.client();
        let code = client.post("/v1/nodes/codes", &json!({})).await.json()["code"].clone();
        let body = json!({
            "code": code, "public_key": key.public_key(), "name": "box", "version": "1", "url": self.url,
            "certificate_key": certificate_key,
        });
        let enrolled = Client::new(&home.url, None).post("/v1/node/enroll", &body).await;
        assert!(enrolled.status.is_success(), "{enrolled:?}");
        let id = enrolled.json()["node"].as_str().unwrap().to_owned();
        self.id.set(id.clone()).unwrap();
        client.get(&format!("/v1/nodes/{id}")).await.json()
    }
}

/// Answers one request: a challenge by the key's signature, another one by a status without models.
async fn answer(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    key: &NodeKey,
    challenges: &AtomicUsize,
    id: &std::sync::OnceLock<String>,
) {
    let (mut head, mut bytes) = (String::new(), [0; 4096]);
    while !head.contains("\r\n\r\n") {
        match stream.read(&mut bytes).await {
            Ok(count @ 1..) => head.push_str(std::str::from_utf8(&bytes[..count]).unwrap()),
            _ => return,
        }
    }
    let path = head.split_whitespace().nth(1).unwrap();
    let body = match path.strip_prefix("/v1/challenge?nonce=") {
        Some(nonce) => {
            challenges.fetch_add(1, Ordering::SeqCst);
            json!({"signature": key.sign_challenge(id.get().map_or("", String::as_str), nonce)})
        }
        None => json!({"models": []}),
    };
    let body = body.to_string();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
    let _ = stream.shutdown().await;
}

fn transport(node: &Value) -> (&str, &str) {
    let text = |field: &str| node["status"][field].as_str().unwrap_or_else(|| panic!("{node}"));
    (text("transport"), text("transport_reason"))
}

#[tokio::test(flavor = "multi_thread")]
async fn node_that_signs_the_challenge_at_its_address_is_reached_directly() {
    let home = Home::start_with(&["--no-node"]).await;
    let key = NodeKey::generate();
    let node = PlayedNode::start(key.clone(), false).await;
    let described = node.enroll(&home, &key, None).await;
    assert_eq!(transport(&described).0, "direct", "{described}");
    assert_eq!(described["status"]["alive"], true, "{described}");
    // The next requests use the probe's result.
    home.client().get("/v1/nodes").await;
    assert_eq!(node.challenges.load(Ordering::SeqCst), 1);
    home.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_node_at_the_address_or_none_means_relay() {
    let home = Home::start_with(&["--no-node"]).await;
    let node = PlayedNode::start(NodeKey::generate(), false).await;
    let described = node.enroll(&home, &NodeKey::generate(), None).await;
    let (transport_of_it, reason) = transport(&described);
    assert_eq!(transport_of_it, "relay", "{described}");
    let reason = reason.to_owned();
    let mut silent = PlayedNode::start(NodeKey::generate(), false).await;
    silent.url = "http://127.0.0.1:1".to_owned();
    let described = silent.enroll(&home, &NodeKey::generate(), None).await;
    let (transport_of_it, silent_reason) = transport(&described);
    assert_eq!(
        (transport_of_it, described["status"]["alive"].as_bool()),
        ("relay", Some(false)),
        "{described}"
    );
    // The reason doesn't tell whether something listens there.
    assert_eq!(silent_reason, reason);
    assert!(reason.contains("can't be reached"), "{described}");
    home.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn certificate_of_the_nodes_own_is_accepted_by_its_pinned_key_alone() {
    let home = Home::start_with(&["--no-node"]).await;
    let key = NodeKey::generate();
    for (pin, expected) in [("own", "direct"), ("another", "relay"), ("none", "relay")] {
        let node = PlayedNode::start(key.clone(), true).await;
        let other = "0f".repeat(32);
        let pinned = match pin {
            "own" => Some(node.certificate_key.as_str()),
            "another" => Some(other.as_str()),
            _ => None,
        };
        let described = node.enroll(&home, &key, pinned).await;
        assert_eq!(transport(&described).0, expected, "{pin}: {described}");
        let was_asked = node.challenges.load(Ordering::SeqCst) > 0;
        assert_eq!(was_asked, expected == "direct", "{pin}: a request passed");
    }
    home.stop().await;
}
