//! `GET /v1/models`.

use axum::{
    Extension, Json,
    extract::State,
    http::HeaderMap,
    response::{IntoResponse as _, Response},
};
use hearth_gateway::Caller;
use hearth_http::{AppState, HttpError, QueryParams, dialect};
use hearth_wire::{
    anthropic::{ModelPage, ModelPageQuery},
    error::ErrorEnvelope,
    native::models::{ModelList, ModelQuery},
};

/// The models: those of nodes, then those that the providers list for their keys, each by id.
///
/// One body serves native clients (`models`) and OpenAI's (`data`). Who sends `anthropic-version` is answered in
/// Anthropic's shape, a page of `limit` (20 if absent, 1000 at most) behind `after_id` or before `before_id`.
#[utoipa::path(
    get, path = "/v1/models", operation_id = "list_models", tag = "models", security(("token" = [])), params(
        ModelQuery, ModelPageQuery,
        ("anthropic-version" = Option<String>, Header, description = "Answers in Anthropic's shape"),
    ),
    responses(
        (status = 200, description = "The models, a page of them", body = ModelList),
        (status = 400, description = "The request is malformed; `param` names the field", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn list(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    QueryParams(query): QueryParams<ModelQuery>,
    QueryParams(page): QueryParams<ModelPageQuery>,
) -> Result<Response, HttpError> {
    if dialect::is_anthropic(&headers) {
        let models = state.gateway.every_model(&caller, &query).await?;
        return Ok(Json(ModelPage::of(models, &page, query.limit)?).into_response());
    }
    let page = state.gateway.list_models(&caller, query).await?;
    let (data, next_cursor) = (page.models.clone(), page.next_cursor);
    Ok(Json(ModelList { object: "list".to_owned(), data, models: page.models, next_cursor }).into_response())
}
