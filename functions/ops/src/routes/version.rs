//! `GET /version`.

use axum::Json;
use serde_json::{Value, json};

/// Which version answers.
#[utoipa::path(
    get, path = "/version", tag = "ops",
    responses((status = 200, body = Value, example = json!({"name": "hearth", "version": "0.1.0", "api": "v1"}))),
)]
pub(crate) async fn version() -> Json<Value> {
    Json(json!({"name": "hearth", "version": env!("CARGO_PKG_VERSION"), "api": "v1"}))
}
