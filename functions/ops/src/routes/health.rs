//! `GET /health`.

use axum::Json;
use serde_json::{Value, json};

/// Whether the gateway answers at all. Touches nothing, and needs no token.
#[utoipa::path(
    get, path = "/health", operation_id = "get_health", tag = "ops",
    responses(
        (status = 200, description = "The process answers", body = Value, example = json!({"status": "ok"})),
    ),
)]
pub(crate) async fn health() -> Json<Value> {
    Json(json!({"status": "ok"}))
}
