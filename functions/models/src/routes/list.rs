//! `GET /v1/models`.

use axum::{Extension, Json, extract::State};
use hearth_gateway::Caller;
use hearth_http::{AppState, HttpError, QueryParams};
use hearth_wire::{
    error::ErrorEnvelope,
    native::models::{ModelList, ModelQuery},
};

/// The models, by id. One body serves native clients (`models`) and OpenAI's (`data`).
#[utoipa::path(
    get, path = "/v1/models", tag = "models", security(("token" = [])), params(ModelQuery),
    responses((status = 200, body = ModelList), (status = 400, body = ErrorEnvelope)),
)]
pub(crate) async fn list(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    QueryParams(query): QueryParams<ModelQuery>,
) -> Result<Json<ModelList>, HttpError> {
    let page = state.gateway.list_models(&caller, query).await?;
    let (data, next_cursor) = (page.models.clone(), page.next_cursor);
    Ok(Json(ModelList { object: "list".to_owned(), data, models: page.models, next_cursor }))
}
