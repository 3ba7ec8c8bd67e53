//! `GET /v1/requests/{id}`, and `/status`, which is the same under the name that older clients use.

use axum::{Extension, Json, extract::State};
use hearth_domain::RunId;
use hearth_gateway::Caller;
use hearth_http::{AppState, HttpError, PathParam, PublicUrl};
use hearth_wire::{error::ErrorEnvelope, native::requests::RequestStatus};

/// A request's state, usage and output.
#[utoipa::path(
    get, path = "/v1/requests/{id}", operation_id = "get_request", tag = "requests", security(("token" = [])),
    params(("id" = String, Path, description = "The request's id, from `x-request-id`")),
    responses(
        (status = 200, description = "The request: its state, its answer so far, its usage", body = RequestStatus),
        (status = 404, description = "There is no such thing, or it belongs to somebody else", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn get(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<RunId>,
    PublicUrl(base): PublicUrl,
) -> Result<Json<RequestStatus>, HttpError> {
    Ok(Json(RequestStatus::new(state.gateway.request(&caller, id).await?, &base)))
}

/// The same as `GET /v1/requests/{id}`.
#[utoipa::path(
    get, path = "/v1/requests/{id}/status", operation_id = "get_request_status", tag = "requests", security(("token" = [])),
    params(("id" = String, Path, description = "The request's id, from `x-request-id`")),
    responses(
        (status = 200, description = "The request: its state, its answer so far, its usage", body = RequestStatus),
        (status = 404, description = "There is no such thing, or it belongs to somebody else", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn status(
    state: State<AppState>,
    caller: Extension<Caller>,
    id: PathParam<RunId>,
    base: PublicUrl,
) -> Result<Json<RequestStatus>, HttpError> {
    get(state, caller, id, base).await
}
