//! Tests of model lists and balances over a socket.

use std::sync::{Arc, Mutex};

use axum::{
    Json, Router,
    extract::{Request, State},
    http::{StatusCode, header::CONTENT_ENCODING},
    response::{IntoResponse as _, Response},
};
use hearth_domain::{CreditStatus, Secret};
use hearth_wire::ErrorCode;
use serde_json::{Value, json};

use crate::{Endpoint, HttpProvider, Provider as _, ProviderSettings, decompress::gzipped};

/// Returns the response to a path and its query.
type Respond = fn(&str) -> Response;

/// The received paths with their queries, each with the key.
type Requests = Arc<Mutex<Vec<(String, String)>>>;

async fn server(respond: Respond) -> (String, Requests) {
    let requests = Requests::default();
    let handler = async move |State(requests): State<Requests>, request: Request| {
        let path = request.uri().to_string();
        let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
        let key = header("authorization").or(header("x-api-key")).unwrap_or_default().to_owned();
        requests.lock().unwrap().push((path.clone(), key));
        respond(&path)
    };
    let router = Router::new().fallback(handler).with_state(Arc::clone(&requests));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, requests)
}

fn provider(kind: &str, url: &str) -> HttpProvider {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = ProviderSettings { base_url: Some(format!("{url}/v1")), ..ProviderSettings::default() };
    let endpoint = Endpoint::new(kind, &config, Some(Secret::new("sk-1"))).unwrap();
    HttpProvider::new(endpoint, crate::vendor_client().unwrap())
}

fn json_response(body: Value) -> Response {
    Json(body).into_response()
}

#[tokio::test]
async fn every_page_is_requested_with_the_key() {
    let (url, requests) = server(|path| {
        let model = |id: &str| json!({"type": "model", "id": id, "display_name": id});
        json_response(match path {
            "/v1/models?limit=1000" => {
                json!({"data": [model("b"), model("a 1")], "has_more": true, "last_id": "a 1"})
            }
            "/v1/models?limit=1000&after_id=a%201" => {
                json!({"data": [model("c"), model("b")], "has_more": false})
            }
            other => panic!("{other}"),
        })
    })
    .await;
    let models = provider("anthropic", &url).models().await.unwrap();
    assert_eq!(models.iter().map(|model| model.id.as_str()).collect::<Vec<_>>(), ["a 1", "b", "c"]);
    assert!(requests.lock().unwrap().iter().all(|(_, key)| key == "sk-1"), "{requests:?}");
}

#[tokio::test]
async fn endless_and_oversized_lists_are_bounded() {
    let (url, requests) =
        server(|_| json_response(json!({"data": [{"id": "m"}], "has_more": true, "last_id": "m"}))).await;
    assert_eq!(provider("anthropic", &url).models().await.unwrap().len(), 1);
    assert_eq!(requests.lock().unwrap().len(), 20);
    let (url, _) = server(|_| {
        let many: Vec<Value> = (0..5000).map(|n| json!({"id": format!("m{n}")})).collect();
        json_response(json!({"data": many}))
    })
    .await;
    assert_eq!(provider("openai", &url).models().await.unwrap().len(), 3000);
    let (url, _) = server(|_| vec![b' '; 17 << 20].into_response()).await;
    assert_eq!(provider("openai", &url).models().await.unwrap_err().code, ErrorCode::ProviderError);
}

#[tokio::test]
async fn refusal_is_reported_without_the_key() {
    let (url, _) = server(|_| (StatusCode::UNAUTHORIZED, "sk-1 is wrong").into_response()).await;
    let error = provider("openai", &url).models().await.unwrap_err();
    assert_eq!(error.code, ErrorCode::ProviderAuth);
    assert!(!error.message.contains("sk-1"), "{error}");
    assert!(!provider("bedrock", &url).lists_models() && !provider("azure", &url).lists_models());
    assert_eq!(provider("azure", &url).models().await.unwrap_err().code, ErrorCode::NotFound);
}

#[tokio::test]
async fn balance_is_of_the_first_api_that_reports_one() {
    let (url, requests) = server(|path| match path {
        "/v1/key" => json_response(json!({"data": {"limit_remaining": null}})),
        _ => json_response(json!({"data": {"total_credits": 5, "total_usage": 5}})),
    })
    .await;
    let provider = provider("openrouter", &url);
    assert_eq!(provider.credits().unwrap().status, CreditStatus::Unknown);
    provider.poll_balance().await.unwrap();
    let credits = provider.credits().unwrap();
    assert_eq!(credits.status, CreditStatus::Exhausted);
    assert_eq!(credits.remaining.unwrap().balance.unwrap().amount, "0");
    let paths: Vec<String> = requests.lock().unwrap().iter().map(|(path, _)| path.clone()).collect();
    assert_eq!(paths, ["/v1/key", "/v1/credits"]);
}

/// A response with a byte order mark, compressed, as some proxies send it.
fn marked_and_compressed(status: StatusCode, body: &Value) -> Response {
    let body = gzipped(format!("\u{feff}{body}").as_bytes());
    (status, [(CONTENT_ENCODING, "gzip")], body).into_response()
}

#[tokio::test]
async fn list_balance_and_error_are_read_with_a_byte_order_mark_and_compressed() {
    let (url, _) = server(|path| match path {
        "/v1/models" => marked_and_compressed(StatusCode::OK, &json!({"data": [{"id": "m"}]})),
        "/v1/key" => marked_and_compressed(StatusCode::OK, &json!({"data": {"limit_remaining": 0}})),
        _ => {
            let error = json!({"error": {"message": "this key has no access to models"}});
            marked_and_compressed(StatusCode::FORBIDDEN, &error)
        }
    })
    .await;
    let router = provider("openrouter", &url);
    assert_eq!(router.models().await.unwrap()[0].id, "m");
    router.poll_balance().await.unwrap();
    assert_eq!(router.credits().unwrap().status, CreditStatus::Exhausted);
    let error = provider("anthropic", &url).models().await.unwrap_err();
    assert_eq!(error.code, ErrorCode::ProviderAuth);
    assert!(error.message.ends_with(": this key has no access to models"), "{error}");
}

#[tokio::test]
async fn error_in_place_of_a_list_keeps_its_message_without_the_key() {
    let (url, _) = server(|_| {
        json_response(json!({"error": {"message": "sk-1 is over its limit", "type": "rate_limit_error"}}))
    })
    .await;
    let error = provider("openai", &url).models().await.unwrap_err();
    assert_eq!(error.code, ErrorCode::ProviderRateLimited);
    assert!(error.message.ends_with(": [hidden] is over its limit"), "{error}");
}
