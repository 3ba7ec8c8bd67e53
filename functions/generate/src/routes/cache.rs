//! `/v1/cache`: the cache of answers.

use axum::{Extension, Json, extract::State};
use hearth_gateway::Caller;
use hearth_http::{AppState, HttpError, QueryParams};
use hearth_wire::native::cache::{CacheDeleted, CacheQuery, CacheStats};

/// Delete the caller's cached answers: all of them, or those of the models whose names match a pattern.
///
/// The answers of other users stay. Other processes of the gateway drop the deleted ones within a minute.
#[utoipa::path(
    delete, path = "/v1/cache", operation_id = "delete_cache", tag = "cache", security(("token" = [])),
    params(CacheQuery),
    responses((status = 200, description = "The number of deleted entries", body = CacheDeleted)),
)]
pub(crate) async fn delete(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    QueryParams(query): QueryParams<CacheQuery>,
) -> Result<Json<CacheDeleted>, HttpError> {
    let deleted = state.gateway.delete_cached(&caller, query.pattern.as_deref()).await?;
    Ok(Json(CacheDeleted { deleted }))
}

/// Get the statistics of the cache, of all users, in this process.
#[utoipa::path(
    get, path = "/v1/cache/stats", operation_id = "get_cache_stats", tag = "cache", security(("token" = [])),
    responses((status = 200, description = "Hits, misses and entries", body = CacheStats)),
)]
pub(crate) async fn stats(State(state): State<AppState>) -> Json<CacheStats> {
    Json(state.gateway.cache_stats())
}
