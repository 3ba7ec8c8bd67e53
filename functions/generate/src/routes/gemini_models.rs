//! `GET /v1beta/models` and `/v1beta/models/{model}`: the Gemini dialect.

use axum::{Extension, Json, extract::State};
use hearth_gateway::Caller;
use hearth_http::{AppState, HttpError, QueryParams};
use hearth_wire::gemini::{GeminiError, GeminiModel, GeminiModelList, GeminiModelQuery};

/// The models, as Google's clients list them: those of nodes, then those that the providers list for their keys.
#[utoipa::path(
    get, path = "/v1beta/models", operation_id = "gemini_list_models", tag = "models", security(("token" = [])),
    params(GeminiModelQuery),
    responses(
        (status = 200, description = "The models, a page of them", body = GeminiModelList),
        (status = "4XX", description = "Refused: `status` and the details say why", body = GeminiError),
    ),
)]
pub(crate) async fn list(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    QueryParams(query): QueryParams<GeminiModelQuery>,
) -> Result<Json<GeminiModelList>, HttpError> {
    let page = state.gateway.list_models(&caller, query.into()).await?;
    let models = page.models.into_iter().map(GeminiModel::from).collect();
    Ok(Json(GeminiModelList { models, next_page_token: page.next_cursor }))
}

/// A model, as Google's clients read it.
#[utoipa::path(
    get, path = "/v1beta/models/{model}", operation_id = "gemini_get_model", tag = "models", security(("token" = [])),
    params(("model" = String, Path, description = "The model's id; may hold slashes and colons")),
    responses(
        (status = 200, description = "The model", body = GeminiModel),
        (status = "4XX", description = "Refused: `status` and the details say why", body = GeminiError),
    ),
)]
pub(crate) async fn model(
    state: &AppState,
    caller: &Caller,
    id: &str,
) -> Result<Json<GeminiModel>, HttpError> {
    Ok(Json(state.gateway.model(caller, id).await?.into()))
}
