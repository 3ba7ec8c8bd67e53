//! `POST /v1/requests/{id}/cancel`, and `DELETE /v1/requests/{id}`, which is the same.

use axum::{Extension, Json, extract::State};
use hearth_domain::RunId;
use hearth_gateway::Caller;
use hearth_http::{AppState, HttpError, PathParam, QueryParams};
use hearth_wire::{
    error::ErrorEnvelope,
    native::{
        output::Output,
        requests::{CancelQuery, CancelResponse},
    },
};

/// Stop a request: its inference ends between two tokens.
#[utoipa::path(
    post, path = "/v1/requests/{id}/cancel", operation_id = "cancel_request", tag = "requests", security(("token" = [])),
    params(("id" = String, Path, description = "The request's id, from `x-request-id`"), CancelQuery),
    responses(
        (status = 200, description = "The state that the request has now", body = CancelResponse),
        (status = 404, description = "There is no such thing, or it belongs to somebody else", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn cancel(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<RunId>,
    QueryParams(query): QueryParams<CancelQuery>,
) -> Result<Json<CancelResponse>, HttpError> {
    let (run, cancelled) = state.gateway.cancel_request(&caller, id).await?;
    let output = query.partial.then(|| Output::from(&run));
    Ok(Json(CancelResponse { request_id: id.to_string(), cancelled, status: run.state, output }))
}

/// The same as `POST /v1/requests/{id}/cancel`.
#[utoipa::path(
    delete, path = "/v1/requests/{id}", operation_id = "delete_request", tag = "requests", security(("token" = [])),
    params(("id" = String, Path, description = "The request's id, from `x-request-id`"), CancelQuery),
    responses(
        (status = 200, description = "The state that the request has now", body = CancelResponse),
        (status = 404, description = "There is no such thing, or it belongs to somebody else", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn delete(
    state: State<AppState>,
    caller: Extension<Caller>,
    id: PathParam<RunId>,
    query: QueryParams<CancelQuery>,
) -> Result<Json<CancelResponse>, HttpError> {
    cancel(state, caller, id, query).await
}
