//! `GET /openapi.json`.

use axum::{http::header::CONTENT_TYPE, response::IntoResponse};

/// The OpenAPI 3.1 document of this API.
#[utoipa::path(
    get, path = "/openapi.json", operation_id = "get_openapi", tag = "ops",
    responses((status = 200, description = "This document", body = serde_json::Value)),
)]
pub(crate) async fn openapi() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], crate::OPENAPI)
}
