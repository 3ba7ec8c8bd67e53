//! A vendor's list, and its balance, as they come over a socket.

use std::sync::{Arc, Mutex};

use axum::{
    Json, Router,
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use hearth_domain::{CreditStatus, Secret};
use hearth_wire::ErrorCode;
use serde_json::{Value, json};

use crate::{HttpProvider, Provider as _, ProviderConfig};

/// What answers a path and its query.
type Answers = fn(&str) -> Response;

/// The paths that were asked for, with their queries, and the key.
type Asked = Arc<Mutex<Vec<(String, String)>>>;

async fn server(answers: Answers) -> (String, Asked) {
    let asked = Asked::default();
    let handler = async move |State(asked): State<Asked>, request: Request| {
        let path = request.uri().to_string();
        let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
        let key = header("authorization").or(header("x-api-key")).unwrap_or_default().to_owned();
        asked.lock().unwrap().push((path.clone(), key));
        answers(&path)
    };
    let router = Router::new().fallback(handler).with_state(Arc::clone(&asked));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, asked)
}

fn provider(kind: &str, url: &str) -> HttpProvider {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = ProviderConfig { base_url: Some(format!("{url}/v1")), ..ProviderConfig::default() };
    let endpoint = config.endpoint(kind, Some(Secret::new("sk-1"))).unwrap();
    HttpProvider::new(endpoint, crate::vendor_client().unwrap())
}

fn told(body: Value) -> Response {
    Json(body).into_response()
}

#[tokio::test]
async fn every_page_is_read_with_the_key() {
    let (url, asked) = server(|path| {
        let model = |id: &str| json!({"type": "model", "id": id, "display_name": id});
        told(match path {
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
    assert!(asked.lock().unwrap().iter().all(|(_, key)| key == "sk-1"), "{asked:?}");
}

#[tokio::test]
async fn a_list_without_an_end_has_one() {
    let (url, asked) =
        server(|_| told(json!({"data": [{"id": "m"}], "has_more": true, "last_id": "m"}))).await;
    assert_eq!(provider("anthropic", &url).models().await.unwrap().len(), 1);
    assert_eq!(asked.lock().unwrap().len(), 20);
    let (url, _) = server(|_| {
        let many: Vec<Value> = (0..5000).map(|n| json!({"id": format!("m{n}")})).collect();
        told(json!({"data": many}))
    })
    .await;
    assert_eq!(provider("openai", &url).models().await.unwrap().len(), 3000);
    let (url, _) = server(|_| vec![b' '; 17 << 20].into_response()).await;
    assert_eq!(provider("openai", &url).models().await.unwrap_err().code, ErrorCode::ProviderError);
}

#[tokio::test]
async fn a_refusal_is_told_without_the_key() {
    let (url, _) = server(|_| (StatusCode::UNAUTHORIZED, "sk-1 is wrong").into_response()).await;
    let error = provider("openai", &url).models().await.unwrap_err();
    assert_eq!(error.code, ErrorCode::ProviderAuth);
    assert!(!error.message.contains("sk-1"), "{error}");
    assert!(!provider("bedrock", &url).lists_models() && !provider("azure", &url).lists_models());
    assert_eq!(provider("azure", &url).models().await.unwrap_err().code, ErrorCode::NotFound);
}

#[tokio::test]
async fn the_balance_is_that_of_the_first_place_that_tells() {
    let (url, asked) = server(|path| match path {
        "/v1/key" => told(json!({"data": {"limit_remaining": null}})),
        _ => told(json!({"data": {"total_credits": 5, "total_usage": 5}})),
    })
    .await;
    let provider = provider("openrouter", &url);
    assert_eq!(provider.credits().unwrap().status, CreditStatus::Unknown);
    provider.check_balance().await.unwrap();
    let credits = provider.credits().unwrap();
    assert_eq!(credits.status, CreditStatus::Exhausted);
    assert_eq!(credits.remaining.unwrap().balance.unwrap().amount, "0");
    let paths: Vec<String> = asked.lock().unwrap().iter().map(|(path, _)| path.clone()).collect();
    assert_eq!(paths, ["/v1/key", "/v1/credits"]);
}
