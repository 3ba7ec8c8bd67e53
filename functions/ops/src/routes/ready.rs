//! `GET /ready`.

use axum::{Json, extract::State, http::StatusCode};
use hearth_http::AppState;
use serde_json::{Map, Value, json};

/// Whether what the gateway needs can be used: 503 when something can't, and which.
///
/// A check is `ok` or `unavailable`. A gateway with stores of its own writes to them, and may find them `disk full`,
/// `read-only`, `locked`, `damaged` or `disk failing`.
#[utoipa::path(
    get, path = "/ready", operation_id = "get_ready", tag = "ops", security(("token" = [])),
    responses(
        (status = 200, description = "Every dependency answers", body = Value, example = json!({"status": "ready", "checks": {"table": "ok"}})),
        (status = 503, description = "A dependency is down", body = Value),
    ),
)]
pub(crate) async fn ready(State(state): State<AppState>) -> (StatusCode, Json<Value>) {
    let mut checks = Map::new();
    let mut ready = true;
    for (name, problem) in state.gateway.check_stores().await {
        ready &= problem.is_none();
        let word = match &problem {
            None => "ok",
            Some(error) => error.disk_problem().map_or("unavailable", |problem| problem.as_str()),
        };
        if let Some(error) = &problem {
            tracing::error!(name, %error, "a dependency can't be used");
        }
        checks.insert(name.to_owned(), json!(word));
    }
    let (status, word) =
        if ready { (StatusCode::OK, "ready") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready") };
    (status, Json(json!({"status": word, "checks": checks})))
}
