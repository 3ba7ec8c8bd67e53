//! Health, readiness, version and metrics.

use axum::{
    Json,
    extract::State,
    http::{Extensions, HeaderMap, StatusCode, header::CONTENT_TYPE},
    response::IntoResponse,
};
use hearth_domain::Action;
use hearth_gateway::{DependencyKind, DependencyState, Readiness};
use hearth_http::{
    AppState, HttpError,
    auth::{caller, has_credential},
};
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

/// Check that the gateway can serve requests: 503 if it can't, with the state of each thing that it depends on.
///
/// `status` is `ready`, `degraded` or `not ready`. A store is `ok` or `unavailable`. `hearth up`, which tests a write too, may
/// report `disk full`, `read-only`, `locked`, `damaged`, `disk failing` or `too many open files`, and `slow` for stores that
/// haven't answered within 80 ms; a later probe has the result of that check. With a provider whose circuit is `open` or `half_open`, or a node that is `offline`, the gateway is degraded: it serves
/// other requests. A node that takes longer than 80 ms has the state of its last answer, and is `slow` without one or after two
/// seconds. The check `configuration` is `not in force` if the latest stored version of the configuration can't be followed; the
/// one before stays in force then. `GET /v1/config` has the reason. It is `slow`, as is the check `providers`, while the
/// configuration is still being read, and the check `nodes` is `unknown` while the list of nodes can't be read. The functions in
/// the cloud don't check providers and nodes.
///
/// Results serve for two seconds. With the setting `public_readiness` a request without a token gets the status alone.
#[utoipa::path(
    get, path = "/ready", operation_id = "get_ready", tag = "ops", security(("token" = [])),
    responses(
        (status = 200, description = "The gateway is ready, or degraded", body = Value, example = json!({
            "status": "ready", "uptime_seconds": 86400, "version": "0.1.0",
            "checks": {"table": {"state": "ok", "latency_ms": 0.8}, "configuration": {"state": "ok"}},
            "providers": {"openai": {"state": "ok"}}, "nodes": {"box": {"state": "ok", "latency_ms": 0.1}},
        })),
        (status = 503, description = "A store can't be used", body = Value),
    ),
)]
pub(crate) async fn ready(
    State(state): State<AppState>,
    headers: HeaderMap,
    extensions: Extensions,
) -> Result<(StatusCode, Json<Value>), HttpError> {
    let is_public = state.gateway.has_public_readiness() && !has_credential(&headers);
    if !is_public {
        caller(&state, Action::Operate, &headers, &extensions).await?;
    }
    let report = state.gateway.readiness().await;
    let code = match report.readiness {
        Readiness::Ready | Readiness::Degraded => StatusCode::OK,
        Readiness::NotReady => StatusCode::SERVICE_UNAVAILABLE,
    };
    let mut body = json!({"status": report.readiness.as_str()});
    if !is_public {
        body["uptime_seconds"] = json!(state.gateway.uptime().as_secs());
        body["version"] = json!(env!("CARGO_PKG_VERSION"));
        for (name, kind) in [
            ("checks", DependencyKind::Own),
            ("providers", DependencyKind::Provider),
            ("nodes", DependencyKind::Node),
        ] {
            let of_kind = report.dependencies.iter().filter(|dependency| dependency.kind == kind);
            body[name] = of_kind.map(|one| (one.name.clone(), state_body(one))).collect::<Map<_, _>>().into();
        }
    }
    Ok((code, Json(body)))
}

fn state_body(dependency: &DependencyState) -> Value {
    let mut body = json!({"state": dependency.state});
    if let Some(took) = dependency.took {
        // Microseconds are enough.
        body["latency_ms"] = json!((took.as_secs_f64() * 1e6).round() / 1000.0);
    }
    body
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
