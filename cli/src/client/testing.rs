//! Servers for the client commands' tests.

use axum::{
    Router,
    http::header,
    response::{IntoResponse, Response},
};
use hearth_domain::Secret;
use serde_json::Value;
use tokio::net::TcpListener;

use super::{connection::Connection, gateway_client::GatewayClient};
use crate::{context::Context, settings::Settings};

/// Serves `router` on a free port until the test's runtime ends, and returns its address.
pub(crate) async fn serve(router: Router) -> String {
    // Every test installs it; all but the first fail, which is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

/// The address of a port on which nothing listens.
pub(crate) async fn closed_port() -> String {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// A connection to the gateway at `url`.
pub(crate) fn connection(url: &str) -> Connection {
    let token = Some(Secret::new("hth_test"));
    Connection { url: Some(url.to_owned()), token, ..Connection::default() }
}

/// The context of a command that uses the gateway at `url`.
pub(crate) fn context(url: &str) -> Context {
    Context { settings: Settings::default(), connection: connection(url), is_url_set: true }
}

/// A client for the gateway at `url`.
pub(crate) fn gateway(url: &str) -> GatewayClient {
    GatewayClient::new(&connection(url)).unwrap()
}

/// A response that streams `events` and `[DONE]`, of the run `req_1`.
pub(crate) fn event_stream(events: &[Value]) -> Response {
    let mut body: String = events.iter().map(|event| format!("id: 1\ndata: {event}\n\n")).collect();
    body.push_str(": a comment\n\ndata: [DONE]\n\n");
    (
        [
            (header::CONTENT_TYPE, "text/event-stream"),
            (header::HeaderName::from_static("x-request-id"), "req_1"),
        ],
        body,
    )
        .into_response()
}
