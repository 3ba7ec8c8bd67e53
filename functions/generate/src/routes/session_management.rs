//! `/v1/sessions`: sessions, created, listed, read, changed, reset, archived and closed.

use axum::{Extension, Json, extract::State, http::StatusCode};
use hearth_domain::SessionId;
use hearth_gateway::Caller;
use hearth_http::{AppState, HttpError, JsonBody, OptionalJsonBody, PathParam, QueryParams};
use hearth_wire::{
    error::ErrorEnvelope,
    native::sessions::{
        ChangeSession, CloseQuery, CreateSession, SessionBody, SessionClosed, SessionDetails, SessionList,
        SessionPageQuery, SessionQuery,
    },
};

/// Create a session: a conversation of several turns, which the gateway stores.
#[utoipa::path(
    post, path = "/v1/sessions", operation_id = "create_session", tag = "sessions", security(("token" = [])),
    request_body(content = CreateSession, example = json!({"title": "A poem about rain", "system_prompt": "Answer briefly."})),
    responses(
        (status = 201, description = "The session", body = SessionBody),
        (status = 400, description = "The request is malformed; `param` names the field", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn create(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    OptionalJsonBody(request): OptionalJsonBody<CreateSession>,
) -> Result<(StatusCode, Json<SessionBody>), HttpError> {
    Ok((StatusCode::CREATED, Json(state.gateway.create_session(&caller, request).await?)))
}

/// List the caller's sessions, the last used one first.
#[utoipa::path(
    get, path = "/v1/sessions", operation_id = "list_sessions", tag = "sessions", security(("token" = [])),
    params(SessionQuery),
    responses(
        (status = 200, description = "A page of the sessions", body = SessionList),
        (status = 400, description = "A bad limit or cursor", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn list(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    QueryParams(query): QueryParams<SessionQuery>,
) -> Result<Json<SessionList>, HttpError> {
    Ok(Json(state.gateway.list_sessions(&caller, &query).await?))
}

/// Read a session with the latest messages of its active branch.
#[utoipa::path(
    get, path = "/v1/sessions/{id}", operation_id = "get_session", tag = "sessions", security(("token" = [])),
    params(("id" = String, Path, description = "Id of the session"), SessionPageQuery),
    responses(
        (status = 200, description = "The session", body = SessionDetails),
        (status = 404, description = "No such resource, or one of another user", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn get(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<SessionId>,
    QueryParams(query): QueryParams<SessionPageQuery>,
) -> Result<Json<SessionDetails>, HttpError> {
    Ok(Json(state.gateway.session_details(&caller, id, query.limit).await?))
}

/// Change a session: its title, system prompt, model and the like. Absent fields stay as they are.
#[utoipa::path(
    put, path = "/v1/sessions/{id}", operation_id = "change_session", tag = "sessions", security(("token" = [])),
    params(("id" = String, Path, description = "Id of the session")),
    request_body(content = ChangeSession, example = json!({"title": "A poem about snow"})),
    responses(
        (status = 200, description = "The session after the change", body = SessionBody),
        (status = 400, description = "The request is malformed; `param` names the field", body = ErrorEnvelope),
        (status = 404, description = "No such resource, or one of another user", body = ErrorEnvelope),
        (status = 409, description = "The session is closed", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn change(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<SessionId>,
    JsonBody(request): JsonBody<ChangeSession>,
) -> Result<Json<SessionBody>, HttpError> {
    Ok(Json(state.gateway.change_session(&caller, id, request).await?))
}

/// Close a session: it can still be read for some days (a setting), with its state tokens. `permanent` deletes it at once.
#[utoipa::path(
    delete, path = "/v1/sessions/{id}", operation_id = "close_session", tag = "sessions", security(("token" = [])),
    params(("id" = String, Path, description = "Id of the session"), CloseQuery),
    responses(
        (status = 200, description = "The session is closed, or deleted", body = SessionClosed),
        (status = 404, description = "No such resource, or one of another user", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn close(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<SessionId>,
    QueryParams(query): QueryParams<CloseQuery>,
) -> Result<Json<SessionClosed>, HttpError> {
    Ok(Json(state.gateway.close_session(&caller, id, query.permanent).await?))
}

/// Reset a session: the next turn has no messages before it, and no state tokens. The messages can still be read.
#[utoipa::path(
    post, path = "/v1/sessions/{id}/reset", operation_id = "reset_session", tag = "sessions",
    security(("token" = [])),
    params(("id" = String, Path, description = "Id of the session")),
    responses(
        (status = 200, description = "The session after the reset", body = SessionBody),
        (status = 404, description = "No such resource, or one of another user", body = ErrorEnvelope),
        (status = 409, description = "The session is closed", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn reset(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<SessionId>,
) -> Result<Json<SessionBody>, HttpError> {
    Ok(Json(state.gateway.reset_session(&caller, id).await?))
}

/// Archive a session: it is no longer in the list of open sessions, and can be continued. `PUT` with `archived: false` moves it
/// back.
#[utoipa::path(
    post, path = "/v1/sessions/{id}/archive", operation_id = "archive_session", tag = "sessions",
    security(("token" = [])),
    params(("id" = String, Path, description = "Id of the session")),
    responses(
        (status = 200, description = "The archived session", body = SessionBody),
        (status = 404, description = "No such resource, or one of another user", body = ErrorEnvelope),
        (status = 409, description = "The session is closed", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn archive(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<SessionId>,
) -> Result<Json<SessionBody>, HttpError> {
    Ok(Json(state.gateway.archive_session(&caller, id).await?))
}
