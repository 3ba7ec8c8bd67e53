//! `GET /version`.

use axum::Json;
use serde_json::{Value, json};

/// Which version answers.
#[utoipa::path(
    get, path = "/version", operation_id = "get_version", tag = "ops",
    responses(
        (status = 200, description = "The name and the version", body = Value, example = json!({"name": "hearth", "version": "0.1.0", "api": "v1"})),
    ),
)]
pub(crate) async fn version() -> Json<Value> {
    Json(json!({"name": "hearth", "version": env!("CARGO_PKG_VERSION"), "api": "v1"}))
}
