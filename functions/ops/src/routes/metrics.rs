//! `GET /metrics`.

use axum::{extract::State, http::header::CONTENT_TYPE, response::IntoResponse};
use hearth_http::AppState;

/// Metrics in Prometheus' text format. On Lambda they are those of one instance.
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
