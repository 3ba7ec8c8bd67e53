//! The least that a gateway can be, in a process of its own: takes a request with axum, sends it on with
//! reqwest, and hands the answer's bytes back as they come. It knows nobody and notes nothing.

use anyhow::Result;
use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    response::{IntoResponse as _, Response},
    routing::post,
};
use http::{HeaderMap, StatusCode, header::CONTENT_TYPE};

use super::upstream::serve_on_a_free_port;

/// Serves in front of `upstream` until the process is ended, and says where in a line of JSON.
pub(crate) async fn serve(upstream: String) -> Result<()> {
    let to = (crate::client::http()?, format!("{upstream}/v1/chat/completions"));
    serve_on_a_free_port(Router::new().route("/v1/chat/completions", post(pass)).with_state(to)).await
}

async fn pass(
    State((http, url)): State<(reqwest::Client, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut request = http.post(url).body(body);
    if let Some(kind) = headers.get(CONTENT_TYPE) {
        request = request.header(CONTENT_TYPE, kind);
    }
    let answer = match request.send().await {
        Ok(answer) => answer,
        Err(error) => return (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    };
    let (status, kind) = (answer.status(), answer.headers().get(CONTENT_TYPE).cloned());
    let mut response = (status, Body::from_stream(answer.bytes_stream())).into_response();
    if let Some(kind) = kind {
        response.headers_mut().insert(CONTENT_TYPE, kind);
    }
    response
}
