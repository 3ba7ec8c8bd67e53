//! `GET /v1beta/models` and `/v1beta/models/{model}`: Gemini's dialect.

use axum::{Extension, Json, extract::State};
use hearth_gateway::Caller;
use hearth_http::{AppState, HttpError, QueryParams};
use hearth_wire::{
    ApiError,
    gemini::{GeminiError, GeminiModel, GeminiModelList, GeminiModelQuery},
};

/// List models, as Google's clients do: first those of nodes, then those that the providers list for their keys.
#[utoipa::path(
    get, path = "/v1beta/models", operation_id = "gemini_list_models", tag = "models", security(("token" = [])),
    params(GeminiModelQuery),
    responses(
        (status = 200, description = "Page of models", body = GeminiModelList),
        (status = "4XX", description = "Refused: `status` and `details` have the reason", body = GeminiError),
    ),
)]
pub(crate) async fn list(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    QueryParams(query): QueryParams<GeminiModelQuery>,
) -> Result<Json<GeminiModelList>, HttpError> {
    let page = state.gateway.list_models(&caller, query.into()).await.map_err(in_google_terms)?;
    let models = page.models.into_iter().map(GeminiModel::from).collect();
    Ok(Json(GeminiModelList { models, next_page_token: page.next_cursor }))
}

/// Renames the parameter at fault as Google's API does.
fn in_google_terms(error: ApiError) -> ApiError {
    match error.param.as_deref() {
        Some("cursor") => {
            ApiError::invalid("pageToken", "pageToken isn't one of this list; begin without a pageToken")
        }
        Some("limit") => error.at("pageSize"),
        _ => error,
    }
}

/// Get a model, as Google's clients do.
#[utoipa::path(
    get, path = "/v1beta/models/{model}", operation_id = "gemini_get_model", tag = "models", security(("token" = [])),
    params(("model" = String, Path, description = "Model id; may contain slashes and colons")),
    responses(
        (status = 200, description = "The model", body = GeminiModel),
        (status = "4XX", description = "Refused: `status` and `details` have the reason", body = GeminiError),
    ),
)]
pub(crate) async fn model(
    state: &AppState,
    caller: &Caller,
    id: &str,
) -> Result<Json<GeminiModel>, HttpError> {
    Ok(Json(state.gateway.model(caller, id).await?.into()))
}
