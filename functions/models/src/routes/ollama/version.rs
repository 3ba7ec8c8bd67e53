//! `GET /api/version`: Ollama's dialect.

use axum::Json;
use hearth_wire::ollama::OllamaVersion;

/// The version of Ollama whose API this is, which clients compare with the one that they need.
#[utoipa::path(
    get, path = "/api/version", operation_id = "ollama_version", tag = "compatible",
    responses((status = 200, description = "The version", body = OllamaVersion)),
)]
pub(crate) async fn version() -> Json<OllamaVersion> {
    Json(OllamaVersion::new(env!("CARGO_PKG_VERSION")))
}
