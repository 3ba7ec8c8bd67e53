//! Messages and branches of sessions: `/v1/sessions/{id}/messages`, `/branches` and `/switch`.

use axum::{Extension, Json, extract::State, http::StatusCode};
use hearth_domain::{SessionId, SessionMessageId};
use hearth_gateway::Caller;
use hearth_http::{AppState, HttpError, JsonBody, PathParam, QueryParams};
use hearth_wire::{
    error::ErrorEnvelope,
    native::sessions::{
        BranchList, ChangeMessage, CreateBranch, MessageQuery, SessionBody, SessionMessageBody,
        SessionMessageList, SwitchBranch,
    },
};

/// List the messages of a session, from the latest ones back.
#[utoipa::path(
    get, path = "/v1/sessions/{id}/messages", operation_id = "list_session_messages", tag = "sessions",
    security(("token" = [])),
    params(("id" = String, Path, description = "Id of the session"), MessageQuery),
    responses(
        (status = 200, description = "A page of the messages", body = SessionMessageList),
        (status = 400, description = "A bad limit or cursor", body = ErrorEnvelope),
        (status = 404, description = "No such resource, or one of another user", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn list(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<SessionId>,
    QueryParams(query): QueryParams<MessageQuery>,
) -> Result<Json<SessionMessageList>, HttpError> {
    Ok(Json(state.gateway.session_messages(&caller, id, &query).await?))
}

/// Read a message.
#[utoipa::path(
    get, path = "/v1/sessions/{id}/messages/{message}", operation_id = "get_session_message", tag = "sessions",
    security(("token" = [])),
    params(
        ("id" = String, Path, description = "Id of the session"),
        ("message" = String, Path, description = "Id of the message"),
    ),
    responses(
        (status = 200, description = "The message", body = SessionMessageBody),
        (status = 404, description = "No such resource, or one of another user", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn get(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam((id, message)): PathParam<(SessionId, SessionMessageId)>,
) -> Result<Json<SessionMessageBody>, HttpError> {
    Ok(Json(state.gateway.session_message(&caller, id, message).await?))
}

/// Replace the text of a message. Later turns see the new one.
#[utoipa::path(
    patch, path = "/v1/sessions/{id}/messages/{message}", operation_id = "change_session_message",
    tag = "sessions", security(("token" = [])),
    params(
        ("id" = String, Path, description = "Id of the session"),
        ("message" = String, Path, description = "Id of the message"),
    ),
    request_body(content = ChangeMessage, example = json!({"content": "Write a poem about snow."})),
    responses(
        (status = 200, description = "The message after the change", body = SessionMessageBody),
        (status = 404, description = "No such resource, or one of another user", body = ErrorEnvelope),
        (status = 409, description = "The message's run is in progress, or the session is closed", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn change(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam((id, message)): PathParam<(SessionId, SessionMessageId)>,
    JsonBody(change): JsonBody<ChangeMessage>,
) -> Result<Json<SessionMessageBody>, HttpError> {
    Ok(Json(state.gateway.change_session_message(&caller, id, message, change).await?))
}

/// Delete a message. Those after it stay.
#[utoipa::path(
    delete, path = "/v1/sessions/{id}/messages/{message}", operation_id = "delete_session_message",
    tag = "sessions", security(("token" = [])),
    params(
        ("id" = String, Path, description = "Id of the session"),
        ("message" = String, Path, description = "Id of the message"),
    ),
    responses(
        (status = 204, description = "The message is deleted"),
        (status = 404, description = "No such resource, or one of another user", body = ErrorEnvelope),
        (status = 409, description = "The message's run is in progress, or the session is closed", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn delete(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam((id, message)): PathParam<(SessionId, SessionMessageId)>,
) -> Result<StatusCode, HttpError> {
    state.gateway.delete_session_message(&caller, id, message).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List the named branches of a session.
#[utoipa::path(
    get, path = "/v1/sessions/{id}/branches", operation_id = "list_session_branches", tag = "sessions",
    security(("token" = [])),
    params(("id" = String, Path, description = "Id of the session")),
    responses(
        (status = 200, description = "The branches, oldest first", body = BranchList),
        (status = 404, description = "No such resource, or one of another user", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn list_branches(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<SessionId>,
) -> Result<Json<BranchList>, HttpError> {
    Ok(Json(state.gateway.session_branches(&caller, id).await?))
}

/// Create a branch with a name, a thread: it begins after a message of the session, and becomes the active one.
#[utoipa::path(
    post, path = "/v1/sessions/{id}/branches", operation_id = "create_session_branch", tag = "sessions",
    security(("token" = [])),
    params(("id" = String, Path, description = "Id of the session")),
    request_body(content = CreateBranch, example = json!({"name": "a sadder one"})),
    responses(
        (status = 201, description = "The branches, oldest first", body = BranchList),
        (status = 404, description = "No such resource, or one of another user", body = ErrorEnvelope),
        (status = 409, description = "The name is taken, or the session is closed", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn create_branch(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<SessionId>,
    JsonBody(request): JsonBody<CreateBranch>,
) -> Result<(StatusCode, Json<BranchList>), HttpError> {
    Ok((StatusCode::CREATED, Json(state.gateway.create_session_branch(&caller, id, request).await?)))
}

/// Remove the name of a branch. Its messages stay.
#[utoipa::path(
    delete, path = "/v1/sessions/{id}/branches/{branch}", operation_id = "delete_session_branch",
    tag = "sessions", security(("token" = [])),
    params(
        ("id" = String, Path, description = "Id of the session"),
        ("branch" = String, Path, description = "Name of the branch"),
    ),
    responses(
        (status = 204, description = "The name is removed"),
        (status = 404, description = "No such resource, or one of another user", body = ErrorEnvelope),
        (status = 409, description = "The session is closed", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn delete_branch(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam((id, branch)): PathParam<(SessionId, String)>,
) -> Result<StatusCode, HttpError> {
    state.gateway.delete_session_branch(&caller, id, &branch).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Make a branch the active one, which the next turn continues: by its name, or after any message of the session.
#[utoipa::path(
    post, path = "/v1/sessions/{id}/switch", operation_id = "switch_session_branch", tag = "sessions",
    security(("token" = [])),
    params(("id" = String, Path, description = "Id of the session")),
    request_body(content = SwitchBranch, example = json!({"branch": "a sadder one"})),
    responses(
        (status = 200, description = "The session after the change", body = SessionBody),
        (status = 404, description = "No such resource, or one of another user", body = ErrorEnvelope),
        (status = 409, description = "The session is closed", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn switch(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<SessionId>,
    JsonBody(request): JsonBody<SwitchBranch>,
) -> Result<Json<SessionBody>, HttpError> {
    Ok(Json(state.gateway.switch_session_branch(&caller, id, request).await?))
}
