//! A receiver of webhooks, as well or as badly as a test wants it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use ring::hmac;
use serde_json::Value;
use tokio::{net::TcpListener, sync::Notify};

use crate::within;

/// An answer of the receiver.
#[derive(Debug, Clone)]
pub enum WebhookReply {
    /// At once.
    Status(u16),
    /// With a header.
    With(u16, &'static str, String),
    /// After this time.
    Late(Duration, u16),
    /// As soon as the test allows it.
    Held(Arc<Notify>, u16),
}

/// A request that was received.
#[derive(Debug, Clone)]
pub struct WebhookRequest {
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

#[derive(Debug, Default)]
struct Shared {
    replies: Mutex<VecDeque<WebhookReply>>,
    received: Mutex<Vec<WebhookRequest>>,
    arrived: Notify,
}

/// The receiver.
#[derive(Debug, Clone)]
pub struct WebhookReceiver {
    /// Its address.
    pub url: String,
    shared: Arc<Shared>,
}

impl WebhookRequest {
    /// The body as JSON.
    ///
    /// # Panics
    /// If it isn't.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// A header's text; empty if it isn't there.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// True if one of the signatures is verified by a secret, by the specification of Standard Webhooks: HMAC-SHA256 of
    /// `id.timestamp.body`.
    ///
    /// # Panics
    /// If the secret or a signature has another form.
    #[must_use]
    pub fn is_signed_by(&self, secret: &str) -> bool {
        let decode = |text: Option<&str>| {
            let text = text.unwrap_or_else(|| panic!("without its prefix: {self:?}"));
            BASE64_STANDARD.decode(text).unwrap_or_else(|error| panic!("{error}: {text}"))
        };
        let key = hmac::Key::new(hmac::HMAC_SHA256, &decode(secret.strip_prefix("whsec_")));
        let mut signed =
            format!("{}.{}.", self.header("webhook-id"), self.header("webhook-timestamp")).into_bytes();
        signed.extend_from_slice(&self.body);
        let mut signatures = self.header("webhook-signature").split(' ');
        signatures
            .any(|signature| hmac::verify(&key, &signed, &decode(signature.strip_prefix("v1,"))).is_ok())
    }
}

impl WebhookReceiver {
    /// Starts one on a free port.
    ///
    /// # Panics
    /// If there is no port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await;
        let listener = listener.unwrap_or_else(|error| panic!("a free port: {error}"));
        let address = listener.local_addr().unwrap_or_else(|error| panic!("its address: {error}"));
        let shared = Arc::<Shared>::default();
        let router = Router::new().fallback(receive).with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url: format!("http://{address}/hook"), shared }
    }

    /// Gives the next requests these answers; further ones get 204.
    pub fn reply(&self, replies: &[WebhookReply]) {
        let mut waiting = self.shared.replies.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.extend(replies.iter().cloned());
    }

    /// The requests that came, oldest first.
    #[must_use]
    pub fn received(&self) -> Vec<WebhookRequest> {
        self.shared.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until so many requests were received; returns all.
    ///
    /// # Panics
    /// If they don't come.
    pub async fn wait_for(&self, count: usize) -> Vec<WebhookRequest> {
        within(&format!("{count} requests at the receiver"), async {
            loop {
                let arrived = self.shared.arrived.notified();
                tokio::pin!(arrived);
                arrived.as_mut().enable();
                let received = self.received();
                if received.len() >= count {
                    return received;
                }
                arrived.await;
            }
        })
        .await
    }
}

async fn receive(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let request = WebhookRequest { headers, body };
    shared.received.lock().unwrap_or_else(PoisonError::into_inner).push(request);
    shared.arrived.notify_waiters();
    let reply = shared.replies.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let status = |status| StatusCode::from_u16(status).unwrap_or_default();
    match reply {
        None => StatusCode::NO_CONTENT.into_response(),
        Some(WebhookReply::Status(code)) => status(code).into_response(),
        Some(WebhookReply::With(code, name, value)) => (status(code), [(name, value)]).into_response(),
        Some(WebhookReply::Late(time, code)) => {
            tokio::time::sleep(time).await;
            status(code).into_response()
        }
        Some(WebhookReply::Held(released, code)) => {
            released.notified().await;
            status(code).into_response()
        }
    }
}
