//! `GET /v1/responses/{id}`, and `DELETE`, which forgets the conversation.

use axum::{Extension, Json, extract::State};
use hearth_domain::{Message, Role, RunId};
use hearth_gateway::Caller;
use hearth_http::{AppState, HttpError, PathParam};
use hearth_wire::{
    error::ErrorEnvelope,
    openai::responses::{DeletedResponse, Renderer, ResponseObject},
};

/// A response that was stored.
///
/// There is one from the end of a run that was asked for by `POST /v1/responses`, unless `store` was false.
#[utoipa::path(
    get, path = "/v1/responses/{id}", operation_id = "get_response", tag = "compatible", security(("token" = [])),
    params(("id" = String, Path, description = "The response's id")),
    responses(
        (status = 200, description = "The stored response", body = ResponseObject),
        (status = 404, description = "There is no such thing, or it belongs to somebody else", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn get(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<RunId>,
) -> Result<Json<ResponseObject>, HttpError> {
    let kept = state.gateway.conversation(&caller, id).await?;
    let run = state.gateway.request(&caller, id).await?;
    let asked = serde_json::from_value(kept.asked).unwrap_or_default();
    let answer = kept.messages.last().cloned().unwrap_or_else(|| Message::new(Role::Assistant, ""));
    Ok(Json(Renderer::recorded(&run, &answer, &kept.layout, asked)))
}

/// Delete a response that was stored: no request can go on from it any more.
///
/// The run's record stays, with what the model said.
#[utoipa::path(
    delete, path = "/v1/responses/{id}", operation_id = "delete_response", tag = "compatible", security(("token" = [])),
    params(("id" = String, Path, description = "The response's id")),
    responses(
        (status = 200, description = "It is deleted", body = DeletedResponse),
        (status = 404, description = "There is no such thing, or it belongs to somebody else", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn delete(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<RunId>,
) -> Result<Json<DeletedResponse>, HttpError> {
    state.gateway.forget_conversation(&caller, id).await?;
    Ok(Json(DeletedResponse::new(id.to_string())))
}
