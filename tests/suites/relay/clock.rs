//! A node whose clock is five minutes off the gateway's: it signs by the gateway's clock after the first refusal.
//!
//! A test can't set the clock of a process. So a proxy stands for a gateway with another clock: it accepts credentials that were
//! signed by this clock, and signs them anew for the gateway behind it.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{StatusCode, header},
    response::Response,
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use hearth_auth::{NodeKey, sha256_hex};
use hearth_domain::{NodeId, Timestamp};
use hearth_tests::relay::{NodeProcess, RelayStream, RelayWorld, enrolment_code, long_request};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::{MODEL, TOKENS, undisturbed_text};

/// Lifetime of a credential, and the difference of clocks that a gateway accepts, in seconds.
const CREDENTIAL_SECONDS: i64 = 60;
const ACCEPTED_SECONDS: i64 = 10;
/// Limit of the difference between the reported clock and the right one: requests take time.
const MEASURED_SECONDS: i64 = 5;

/// A gateway whose clock is ahead of the right time, or behind it.
struct ShiftedGateway {
    url: String,
    shifted: Arc<Shifted>,
    server: tokio::task::JoinHandle<()>,
}

struct Shifted {
    /// The gateway with the right time.
    gateway: String,
    ahead_seconds: i64,
    /// The node, once it is enrolled.
    node: OnceLock<(NodeId, NodeKey)>,
    refused: AtomicUsize,
    http: reqwest::Client,
}

impl ShiftedGateway {
    async fn start(gateway: &str, ahead_seconds: i64) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shifted = Arc::new(Shifted {
            gateway: gateway.to_owned(),
            ahead_seconds,
            node: OnceLock::new(),
            refused: AtomicUsize::new(0),
            http: reqwest::Client::new(),
        });
        let routes = Router::new().fallback(answer).with_state(Arc::clone(&shifted));
        let server = tokio::spawn(async move {
            // It serves until it is aborted.
            let _ = axum::serve(listener, routes).await;
        });
        Self { url, shifted, server }
    }

    fn refused_count(&self) -> usize {
        self.shifted.refused.load(Ordering::SeqCst)
    }
}

impl Drop for ShiftedGateway {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Shifted {
    fn now(&self) -> SystemTime {
        let seconds = Duration::from_secs(self.ahead_seconds.unsigned_abs());
        if self.ahead_seconds >= 0 { SystemTime::now() + seconds } else { SystemTime::now() - seconds }
    }

    fn answer(&self, status: StatusCode, body: Bytes) -> Response {
        let date = httpdate::fmt_http_date(self.now());
        let response = Response::builder().status(status).header(header::DATE, date);
        response.header(header::CONTENT_TYPE, "application/json").body(Body::from(body)).unwrap()
    }

    /// Returns whether a credential was signed for this body and by this clock.
    fn accepts(&self, credential: &str, body: &[u8]) -> bool {
        let claims = BASE64_URL_SAFE_NO_PAD.decode(credential.split('.').nth(1).unwrap()).unwrap();
        let claims: Value = serde_json::from_slice(&claims).unwrap();
        assert_eq!(claims["body"], sha256_hex(body));
        let now = self.now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let signed_at = claims["exp"].as_i64().unwrap() - CREDENTIAL_SECONDS;
        (signed_at - i64::try_from(now).unwrap()).abs() <= ACCEPTED_SECONDS
    }

    /// A report with the node's time as a gateway with this clock sees it.
    fn translate_report(&self, body: &[u8]) -> Vec<u8> {
        let mut report: Value = serde_json::from_slice(body).unwrap();
        let now: Timestamp = serde_json::from_value(report["now"].clone()).unwrap();
        let millis = i64::try_from(now.unix_millis()).unwrap() - self.ahead_seconds * 1000;
        report["now"] = json!(Timestamp::from_unix_millis(millis.unsigned_abs()));
        report.to_string().into_bytes()
    }
}

async fn answer(State(shifted): State<Arc<Shifted>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let mut body = to_bytes(body, usize::MAX).await.unwrap().to_vec();
    let path = head.uri.path_and_query().unwrap().as_str();
    if path == "/v1/socket" {
        // The node asks for its orders instead.
        return shifted.answer(StatusCode::SERVICE_UNAVAILABLE, Bytes::from_static(b"{}"));
    }
    let mut forwarded = shifted.http.request(head.method.clone(), format!("{}{path}", shifted.gateway));
    if let Some((node, key)) = shifted.node.get() {
        let credential = head.headers[header::AUTHORIZATION].to_str().unwrap();
        if !shifted.accepts(credential.strip_prefix("Bearer ").unwrap(), &body) {
            shifted.refused.fetch_add(1, Ordering::SeqCst);
            let error = json!({"error": {"code": "unauthorized", "message": "the node's clock differs"}});
            return shifted.answer(StatusCode::UNAUTHORIZED, error.to_string().into());
        }
        if path == "/v1/node/report" {
            body = shifted.translate_report(&body);
        }
        let call = format!("{} {path}", head.method);
        let credential = key.sign(&node.to_string(), &call, &body, SystemTime::now()).unwrap();
        forwarded = forwarded.bearer_auth(credential);
    }
    let forwarded = forwarded.header(header::CONTENT_TYPE, "application/json").body(body).send().await;
    match forwarded {
        Ok(answer) => shifted.answer(answer.status(), answer.bytes().await.unwrap_or_default()),
        // The gateway stops.
        Err(_) => shifted.answer(StatusCode::BAD_GATEWAY, Bytes::new()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_whose_clock_is_five_minutes_off_serves_and_its_difference_is_listed() {
    let world = RelayWorld::start().await;
    let mut text = None;
    for ahead_seconds in [300, -300] {
        let gateway = ShiftedGateway::start(&world.home().url, ahead_seconds).await;
        let code = enrolment_code(&world.client()).await;
        let mut node = NodeProcess::enroll(&gateway.url, &code, &[]).await;
        gateway.shifted.node.set((node.id, node.key())).ok().unwrap();
        node.start().await;
        world.wait_for_model(MODEL).await;
        // One refusal for each request that was on its way before the first answer.
        let refused = gateway.refused_count();
        assert!((1..=3).contains(&refused), "{refused}");
        match &text {
            None => text = Some(undisturbed_text(&world).await),
            Some(text) => {
                let stream = RelayStream::open(&world.client(), &long_request(MODEL, TOKENS)).await;
                stream.unwrap_or_else(|answer| panic!("{answer:?}")).rest().await.assert_whole(text);
            }
        }
        assert_eq!(gateway.refused_count(), refused, "later requests are signed by the gateway's clock");
        let listed = world.client().get(&format!("/v1/nodes/{}", node.id)).await.json();
        let skew = listed["status"]["clock_skew_ms"].as_i64().unwrap();
        assert!((skew + ahead_seconds * 1000).abs() < MEASURED_SECONDS * 1000, "{listed}");
        assert!(node.stderr().contains("clock differs"), "{}", node.stderr());
        node.stop().await;
        assert!(world.client().delete(&format!("/v1/nodes/{}", node.id)).await.status.is_success());
    }
}
