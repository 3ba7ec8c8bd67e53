//! `DELETE /v1/cache`: forget answers.

use axum::{Extension, Json, extract::State};
use hearth_gateway::Caller;
use hearth_http::{AppState, HttpError, QueryParams};
use hearth_wire::native::cache::{CacheDeleted, CacheQuery};

/// Delete your kept answers: all of them, or those of the models whose names fit a pattern.
///
/// Only answers that requests of yours have made. Other processes of the gateway forget them within a minute.
#[utoipa::path(
    delete, path = "/v1/cache", operation_id = "delete_cache", tag = "cache", security(("token" = [])),
    params(CacheQuery),
    responses((status = 200, description = "The number of entries that were deleted", body = CacheDeleted)),
)]
pub(crate) async fn delete(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    QueryParams(query): QueryParams<CacheQuery>,
) -> Result<Json<CacheDeleted>, HttpError> {
    let deleted = state.gateway.delete_cached(&caller, query.pattern.as_deref()).await?;
    Ok(Json(CacheDeleted { deleted }))
}
