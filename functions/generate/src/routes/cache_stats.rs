//! `GET /v1/cache/stats`: how the cache does.

use axum::{Json, extract::State};
use hearth_http::AppState;
use hearth_wire::native::cache::CacheStats;

/// How the cache of answers does, of all users, in the process that answers.
#[utoipa::path(
    get, path = "/v1/cache/stats", operation_id = "get_cache_stats", tag = "cache", security(("token" = [])),
    responses((status = 200, description = "Hits, misses and entries", body = CacheStats)),
)]
pub(crate) async fn stats(State(state): State<AppState>) -> Json<CacheStats> {
    Json(state.gateway.cache_stats())
}
