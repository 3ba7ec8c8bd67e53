use axum::{
    Json, Router,
    extract::Path,
    http::{HeaderMap, StatusCode},
    routing::{get, post},
};
use hearth_wire::{ApiError, ErrorCode};
use serde_json::json;

use super::*;
use crate::client::testing::{closed_port, gateway, serve};

#[tokio::test]
async fn request_has_the_token() {
    let echo = async |headers: HeaderMap| Json(json!(headers["authorization"].to_str().unwrap()));
    let url = serve(Router::new().route("/v1/echo", get(echo))).await;
    let header: String = gateway(&url).get(&["v1", "echo"], &[]).await.unwrap();
    assert_eq!(header, "Bearer hth_test");
}

#[tokio::test]
async fn route_keeps_slashes_of_ids_and_the_path_of_the_base() {
    let echo = async |Path(id): Path<String>| Json(json!(id));
    let url = serve(Router::new().route("/stage/v1/models/{*id}", get(echo))).await;
    let gateway = gateway(&format!("{url}/stage/"));
    let id: String = gateway.get(&["v1", "models", "owner/a b?.gguf"], &[]).await.unwrap();
    assert_eq!(id, "owner/a b?.gguf");
}

#[tokio::test]
async fn error_response_becomes_an_error_with_a_hint() {
    let fail = async || {
        let error = ApiError::new(ErrorCode::Unauthorized, "no such token");
        (StatusCode::UNAUTHORIZED, Json(error.envelope("req_7")))
    };
    let url = serve(Router::new().route("/v1/models", get(fail))).await;
    let error = gateway(&url).get::<Value>(&["v1", "models"], &[]).await.unwrap_err().to_string();
    assert!(error.starts_with("no such token (unauthorized, request id req_7)"), "{error}");
    assert!(error.contains("hearth token create"), "{error}");
}

#[tokio::test]
async fn unreachable_gateway_is_an_error_with_advice() {
    let url = closed_port().await;
    let error = gateway(&url).get::<Value>(&["v1", "models"], &[]).await.unwrap_err().to_string();
    assert!(error.contains(&format!("no gateway answers at {url}")), "{error}");
    assert!(error.contains("hearth up"), "{error}");
}

#[tokio::test]
async fn redirect_and_a_wrong_scheme_are_errors_that_name_the_other_address() {
    let redirect =
        async || (StatusCode::PERMANENT_REDIRECT, [("location", "https://hearth.example/v1/models")]);
    let url = serve(Router::new().route("/v1/models", get(redirect))).await;
    let error = gateway(&url).get::<Value>(&["v1", "models"], &[]).await.unwrap_err().to_string();
    assert!(error.contains("redirects to https://hearth.example;"), "{error}");

    // A server of TLS answers a plain request with an alert.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        tokio::io::AsyncReadExt::read(&mut stream, &mut [0; 1024]).await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, &[21, 3, 3, 0, 2, 2, 50]).await.unwrap();
    });
    let error = gateway(&url).get::<Value>(&["v1", "models"], &[]).await.unwrap_err().to_string();
    assert!(error.contains("https://"), "{error}");
    let corrupt = scheme_hint("https", "received corrupt message of type InvalidContentType");
    assert!(corrupt.contains("http://"), "{corrupt}");
}

#[tokio::test]
async fn response_without_a_body_is_null() {
    let url = serve(Router::new().route("/v1/x", post(async || StatusCode::NO_CONTENT))).await;
    assert_eq!(gateway(&url).post::<Value>(&["v1", "x"], &json!({})).await.unwrap(), Value::Null);
}
