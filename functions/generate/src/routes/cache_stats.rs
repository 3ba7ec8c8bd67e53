//! `GET /v1/cache/stats`: how the cache does.

use axum::{Json, extract::State};
use hearth_http::AppState;
use hearth_wire::{error::ErrorEnvelope, native::cache::CacheStats};

/// How the cache of answers does, of all users, in the process that answers.
#[utoipa::path(
    get, path = "/v1/cache/stats", tag = "cache", security(("token" = [])),
    responses((status = 200, body = CacheStats), (status = "4XX", body = ErrorEnvelope)),
)]
pub(crate) async fn stats(State(state): State<AppState>) -> Json<CacheStats> {
    Json(state.gateway.cache_stats())
}
