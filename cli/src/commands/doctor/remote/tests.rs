use axum::{
    Json, Router,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use hearth_domain::{Modality, ModelInfo, Price, Rate};
use hearth_wire::{
    ApiError, ErrorCode,
    native::models::{Availability, ModelBody},
};
use serde_json::{Value, json};

use super::{super::finding::Level, *};
use crate::client::testing::{closed_port, connection, event_stream, serve};

fn refused(status: StatusCode, code: ErrorCode) -> Response {
    (status, Json(ApiError::new(code, "no").envelope("req_1"))).into_response()
}

/// A gateway that checks the token unless `open` is set, and answers `/ready` with `ready`.
fn gateway_with(open: bool, ready: (StatusCode, Value), stream: fn() -> Response) -> Router {
    let models = async move |headers: HeaderMap| match headers.get("authorization") {
        Some(token) if token == "Bearer hth_test" || open => models(),
        None if open => models(),
        _ => refused(StatusCode::UNAUTHORIZED, ErrorCode::Unauthorized),
    };
    let route = json!({"modality": "text", "passed_over": [], "candidates": [{
        "model": "tiny-chat", "provider": "local", "reason": "default", "fallback_reason": null,
        "context_length": 2048, "price": null}]});
    Router::new()
        .route("/health", get(async || Json(json!({"status": "ok"}))))
        .route("/version", get(async || Json(json!({"name": "hearth", "version": "9.9.9", "api": "v1"}))))
        .route("/ready", get(async move || (ready.0, Json(ready.1))))
        .route("/v1/models", get(models))
        .route("/v1/route", get(async move || Json(route)))
        .route("/v1/generate", post(async move || stream()))
}

fn models() -> Response {
    Json(json!({"object": "list", "data": [], "models": [], "next_cursor": null})).into_response()
}

fn answer() -> Response {
    event_stream(&[
        json!({"event": "delta", "text": "Hello"}),
        json!({"event": "complete", "request_id": "req_1", "model": "tiny-chat", "modality": "text",
            "selection": {"selected_model": "tiny-chat", "selected_provider": "local", "reason": "default",
                "fallback_used": false, "fallback_reason": null},
            "output": {"text": "Hello"}, "finish_reason": "length", "warnings": [],
            "usage": {"prompt_tokens": 5, "completion_tokens": 8, "total_tokens": 13, "cached_tokens": 0}}),
    ])
}

fn failure() -> Response {
    let error = ApiError::new(ErrorCode::ProviderError, "the provider is down").envelope("req_1").error;
    event_stream(&[json!({"event": "error", "error": error})])
}

fn ready() -> (StatusCode, Value) {
    (StatusCode::OK, json!({"status": "ready"}))
}

async fn check(connection: &Connection) -> Vec<Finding> {
    findings(&GatewayClient::new(connection).unwrap(), connection, None, true).await
}

fn about(findings: &[Finding], subject: &str) -> (Level, String) {
    let finding = findings.iter().find(|finding| finding.about == subject);
    let finding = finding.unwrap_or_else(|| panic!("no {subject} in\n{}", lines(findings)));
    (finding.level, finding.message.clone())
}

#[tokio::test]
async fn working_gateway_has_no_problem() {
    let url = serve(gateway_with(false, ready(), answer)).await;
    let findings = check(&connection(&url)).await;
    assert!(is_healthy(&findings), "{}", lines(&findings));
    let (_, message) = about(&findings, "answer");
    assert!(message.starts_with("tiny-chat answered in "), "{message}");
    assert!(message.contains("5 tokens in, 8 out; cost unknown"), "{message}");
    for subject in ["connect", "version", "latency", "clock", "auth", "token", "ready", "stream"] {
        assert_eq!(about(&findings, subject).0, Level::Ok, "{}", lines(&findings));
    }
    assert_eq!(about(&findings, "models").0, Level::Warning);
}

#[tokio::test]
async fn gateway_that_serves_everyone_is_a_problem() {
    let url = serve(gateway_with(true, ready(), answer)).await;
    let (level, message) = about(&check(&connection(&url)).await, "auth");
    assert_eq!((level, message.as_str()), (Level::Problem, "a request without a token is served"));
}

#[tokio::test]
async fn store_that_fails_is_a_problem_and_no_answer_is_requested() {
    let not_ready = json!({"status": "not ready", "checks": {"table": "unavailable"}});
    let url = serve(gateway_with(false, (StatusCode::SERVICE_UNAVAILABLE, not_ready), answer)).await;
    let findings = check(&connection(&url)).await;
    let (level, message) = about(&findings, "ready");
    assert_eq!(level, Level::Problem);
    assert!(message.contains("unavailable"), "{message}");
    assert!(findings.iter().all(|finding| finding.about != "answer"));
}

#[tokio::test]
async fn failed_answer_is_a_problem_with_the_model() {
    let url = serve(gateway_with(false, ready(), failure)).await;
    let (level, message) = about(&check(&connection(&url)).await, "answer");
    assert_eq!(level, Level::Problem);
    assert!(message.starts_with("tiny-chat: the provider is down"), "{message}");
}

#[test]
fn slow_answer_in_one_piece_and_compressed_one_are_found() {
    let streaming = |pieces, total, encoding| {
        answer::streaming(pieces, std::time::Duration::from_millis(total), encoding).level
    };
    assert_eq!(streaming(1, 2000, None), Level::Warning);
    assert_eq!(streaming(1, 20, None), Level::Ok);
    assert_eq!(streaming(5, 2000, None), Level::Ok);
    assert_eq!(streaming(5, 2000, Some("gzip")), Level::Problem);
}

#[tokio::test]
async fn missing_and_wrong_tokens_are_reported() {
    let url = serve(gateway_with(false, ready(), answer)).await;
    let without = Connection { token: None, ..connection(&url) };
    assert_eq!(about(&check(&without).await, "token").0, Level::Warning);
    let wrong = Connection { token: Some(hearth_domain::Secret::new("hth_other")), ..connection(&url) };
    assert_eq!(about(&check(&wrong).await, "token").0, Level::Problem);
}

#[tokio::test]
async fn refused_token_is_one_problem() {
    let unauthorized = (StatusCode::UNAUTHORIZED, json!({}));
    let url = serve(gateway_with(false, unauthorized, answer)).await;
    let wrong = Connection { token: Some(hearth_domain::Secret::new("hth_other")), ..connection(&url) };
    let findings = check(&wrong).await;
    let problems = findings.iter().filter(|finding| finding.level == Level::Problem);
    let problems: Vec<_> = problems.map(|finding| (finding.about, finding.message.as_str())).collect();
    assert_eq!(problems, [("token", "the token is refused")]);
}

#[test]
fn cheapest_listed_text_model_answers() {
    let model = |id: &str, modality, output: Option<&str>, availability| {
        let rate = |text: &str| text.parse::<Rate>().unwrap();
        let price = output.map(|output| Price {
            input: Some(rate("1")),
            output: Some(rate(output)),
            ..Price::default()
        });
        let info = ModelInfo { modality, price, ..ModelInfo::default() };
        ModelBody::offered("p", id, info, availability, None)
    };
    let (text, available) = (Modality::Text, Availability::Available);
    let mut models = vec![
        model("dear", text, Some("600"), available),
        model("cheap", text, Some("2"), available),
        model("image", Modality::Image, Some("1"), available),
        model("down", text, Some("1"), Availability::NoKey),
        model("unknown", text, None, available),
    ];
    models.push(ModelBody::alias("auto", models.get(1)));
    assert_eq!(answer::cheapest(&models).map(|model| model.id.as_str()), Some("p:cheap"));
    assert_eq!(answer::cheapest(&models[2..5]), None);
}

#[tokio::test]
async fn other_programs_and_closed_ports_end_the_check() {
    let other = check(&connection(&serve(Router::new()).await)).await;
    assert_eq!(about(&other, "health").0, Level::Problem);
    let closed = check(&connection(&closed_port().await)).await;
    assert_eq!((closed.len(), about(&closed, "connect").0), (1, Level::Problem));
}
