//! Servers for the client commands' tests.

use axum::{
    Router,
    http::header,
    response::{IntoResponse, Response},
};
use hearth_domain::Secret;
use serde_json::Value;
use tokio::net::TcpListener;

use super::{connection::Connection, http::Gateway};

/// Serves `router` on a free port until the test's runtime ends; gives its address.
pub(super) async fn serve(router: Router) -> String {
    // Every test installs it; all but the first find it there.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

/// The address of a port on which nothing listens.
pub(super) async fn closed_port() -> String {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// How a command would reach the gateway at `url`.
pub(super) fn connection(url: &str) -> Connection {
    Connection { url: Some(url.to_owned()), token: Some(Secret::new("hth_test")), json: false }
}

/// The gateway at `url`.
pub(super) fn gateway(url: &str) -> Gateway {
    Gateway::new(&connection(url)).unwrap()
}

/// An answer that streams `events` and `[DONE]`, as the run `req_1`.
pub(super) fn event_stream(events: &[Value]) -> Response {
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
