//! Health, readiness, version, metrics and the OpenAPI document.

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::IntoResponse,
};
use hearth_http::AppState;
use serde_json::{Map, Value, json};

/// Check that the process answers. Uses no store, and needs no token.
#[utoipa::path(
    get, path = "/health", operation_id = "get_health", tag = "ops",
    responses(
        (status = 200, description = "The process answers", body = Value, example = json!({"status": "ok"})),
    ),
)]
pub(crate) async fn health() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

/// Check that the gateway's stores can be used: 503 if one can't, with the state of each.
///
/// A store is `ok` or `unavailable`. `hearth up`, which tests a write too, may report `disk full`, `read-only`, `locked`,
/// `damaged` or `disk failing`.
#[utoipa::path(
    get, path = "/ready", operation_id = "get_ready", tag = "ops", security(("token" = [])),
    responses(
        (status = 200, description = "Every store can be used", body = Value, example = json!({"status": "ready", "checks": {"table": "ok"}})),
        (status = 503, description = "A store can't be used", body = Value),
    ),
)]
pub(crate) async fn ready(State(state): State<AppState>) -> (StatusCode, Json<Value>) {
    let mut checks = Map::new();
    let mut ready = true;
    for (name, problem) in state.gateway.check_stores().await {
        ready &= problem.is_none();
        let result = match &problem {
            None => "ok",
            Some(error) => error.disk_problem().map_or("unavailable", |problem| problem.as_str()),
        };
        if let Some(error) = &problem {
            tracing::error!(name, %error, "a store can't be used");
        }
        checks.insert(name.to_owned(), json!(result));
    }
    let (code, status) =
        if ready { (StatusCode::OK, "ready") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready") };
    (code, Json(json!({"status": status, "checks": checks})))
}

/// Get the name and the version of the gateway.
#[utoipa::path(
    get, path = "/version", operation_id = "get_version", tag = "ops",
    responses(
        (status = 200, description = "The name and the version", body = Value, example = json!({"name": "hearth", "version": "0.1.0", "api": "v1"})),
    ),
)]
pub(crate) async fn version() -> Json<Value> {
    Json(json!({"name": "hearth", "version": env!("CARGO_PKG_VERSION"), "api": "v1"}))
}

/// Get the metrics in Prometheus' text format. On Lambda they are those of one instance.
#[utoipa::path(
    get, path = "/metrics", operation_id = "get_metrics", tag = "ops", security(("token" = [])),
    responses(
        (status = 200, description = "The metrics in Prometheus' text format", content_type = "text/plain", body = String),
    ),
)]
pub(crate) async fn metrics(State(state): State<AppState>) -> impl IntoResponse {
    state.gateway.update_metrics().await;
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], hearth_telemetry::metrics::render())
}

/// Get the OpenAPI 3.1 document of this API.
#[utoipa::path(
    get, path = "/openapi.json", operation_id = "get_openapi", tag = "ops",
    responses((status = 200, description = "This document", body = Value)),
)]
pub(crate) async fn openapi() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], crate::OPENAPI)
}
