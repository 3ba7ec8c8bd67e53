//! The cache of an issuer's keys, at an issuer that changes its keys and fails.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use hearth_auth::UnverifiedToken;
use hearth_settings::IdentityProviderSettings;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::{fetch_budget::FETCH_BURST_COUNT, keys::IssuerKeyCache};

/// Age at which keys are fetched again, and used while the issuer is down.
const KEYS_AGE: Duration = Duration::from_secs(3600);

/// An issuer: the ids of its keys, and the number of times that they were fetched.
struct Issuer {
    url: String,
    state: Arc<IssuerState>,
}

struct IssuerState {
    /// None: it answers with an error.
    key_ids: Mutex<Option<Vec<&'static str>>>,
    fetches: AtomicUsize,
    /// The issuer that its discovery document names, if it isn't its own.
    other_issuer: Mutex<Option<String>>,
}

impl Issuer {
    async fn start(key_ids: &[&'static str]) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(IssuerState {
            key_ids: Mutex::new(Some(key_ids.to_vec())),
            fetches: AtomicUsize::new(0),
            other_issuer: Mutex::default(),
        });
        let (own, served) = (url.clone(), Arc::clone(&state));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, own.clone(), Arc::clone(&served)));
            }
        });
        Self { url, state }
    }

    fn cache(&self) -> IssuerKeyCache {
        let settings = IdentityProviderSettings {
            issuer: self.url.clone(),
            allow_http: true,
            ..IdentityProviderSettings::default()
        };
        IssuerKeyCache::new(&settings, reqwest::Client::builder().no_proxy().build().unwrap())
    }

    fn set_keys(&self, key_ids: Option<&[&'static str]>) {
        *self.state.key_ids.lock().unwrap() = key_ids.map(<[_]>::to_vec);
    }

    fn fetches(&self) -> usize {
        self.state.fetches.load(Ordering::SeqCst)
    }
}

async fn serve(mut stream: TcpStream, url: String, state: Arc<IssuerState>) -> Option<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if stream.read_buf(&mut head).await.ok()? == 0 {
            return None;
        }
    }
    let is_discovery = head.starts_with(b"GET /.well-known/openid-configuration ");
    let key_ids = state.key_ids.lock().unwrap().clone();
    let (status, body) = match key_ids {
        None => ("500 Internal Server Error", json!({})),
        Some(_) if is_discovery => {
            let issuer = state.other_issuer.lock().unwrap().clone().unwrap_or_else(|| url.clone());
            ("200 OK", json!({"issuer": issuer, "jwks_uri": format!("{url}/keys")}))
        }
        Some(key_ids) => {
            state.fetches.fetch_add(1, Ordering::SeqCst);
            let key = |id: &&str| json!({"kty": "OKP", "crv": "Ed25519", "kid": id, "x": "AAAA"});
            ("200 OK", json!({"keys": key_ids.iter().map(key).collect::<Vec<_>>()}))
        }
    };
    let body = body.to_string();
    let length = body.len();
    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
    stream.write_all(answer.as_bytes()).await.ok()
}

fn token(key_id: &str) -> UnverifiedToken {
    let encode = |json: Value| BASE64_URL_SAFE_NO_PAD.encode(json.to_string());
    let header = encode(json!({"alg": "EdDSA", "kid": key_id}));
    UnverifiedToken::parse(&format!("{header}.{}.AAAA", encode(json!({"iss": "i"})))).unwrap()
}

#[tokio::test]
async fn keys_are_cached_until_they_are_old_or_lack_a_key() {
    let issuer = Issuer::start(&["1"]).await;
    let cache = issuer.cache();
    for _ in 0..10 {
        assert!(token("1").has_key_in(&cache.get(&token("1")).await.unwrap()));
    }
    assert_eq!(issuer.fetches(), 1);
    issuer.set_keys(Some(&["1", "2"]));
    assert!(token("2").has_key_in(&cache.get(&token("2")).await.unwrap()));
    assert_eq!(issuer.fetches(), 2);
    issuer.set_keys(Some(&["2"]));
    cache.set_age(KEYS_AGE);
    assert!(!token("1").has_key_in(&cache.get(&token("1")).await.unwrap()), "the key was withdrawn");
    assert_eq!(issuer.fetches(), 3);
}

#[tokio::test]
async fn flood_of_unknown_key_ids_fetches_a_few_times() {
    let issuer = Issuer::start(&["1"]).await;
    let cache = issuer.cache();
    for at in 0..200 {
        assert!(!token(&format!("unknown-{at}")).has_key_in(&cache.get(&token("unknown")).await.unwrap()));
    }
    assert_eq!(issuer.fetches(), usize::try_from(FETCH_BURST_COUNT).unwrap());
    assert!(token("1").has_key_in(&cache.get(&token("1")).await.unwrap()));
}

#[tokio::test]
async fn concurrent_requests_fetch_once() {
    let issuer = Issuer::start(&["1"]).await;
    let (cache, one) = (issuer.cache(), token("1"));
    let all = futures::future::join_all((0..50).map(|_| cache.get(&one))).await;
    assert!(all.into_iter().all(|keys| one.has_key_in(&keys.unwrap())));
    assert_eq!(issuer.fetches(), 1);
}

#[tokio::test]
async fn keys_are_used_for_six_hours_while_the_issuer_is_down() {
    let issuer = Issuer::start(&["1"]).await;
    let (cache, one) = (issuer.cache(), token("1"));
    cache.get(&one).await.unwrap();
    issuer.set_keys(None);
    cache.set_age(KEYS_AGE);
    for _ in 0..20 {
        assert!(one.has_key_in(&cache.get(&one).await.unwrap()));
    }
    cache.set_age(KEYS_AGE * 7);
    let error = cache.get(&one).await.unwrap_err().to_string();
    assert!(error.contains("within a minute"), "{error}");
}

#[tokio::test]
async fn discovery_document_of_another_issuer_is_refused() {
    let issuer = Issuer::start(&["1"]).await;
    *issuer.state.other_issuer.lock().unwrap() = Some(format!("{}/", issuer.url));
    let error = issuer.cache().get(&token("1")).await.unwrap_err().to_string();
    assert!(error.contains("of another issuer"), "{error}");
    assert_eq!(issuer.fetches(), 0);
}
