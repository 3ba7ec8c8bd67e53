//! `/v1/users/login`, `refresh`, `logout`, and `/v1/users/me/logins`.

use axum::{Extension, Json, extract::State, http::HeaderMap, http::StatusCode, http::header::USER_AGENT};
use hearth_domain::LoginId;
use hearth_gateway::{Caller, accounts::logins::LoginOrigin};
use hearth_http::{AppState, AuditNote, ClientAddress, HttpError, JsonBody, PathParam};
use hearth_wire::{
    error::ErrorEnvelope,
    native::logins::{LoginBody, LoginList, LoginRequest, LogoutRequest, RefreshRequest},
};

/// Sign in by a password. The answer is the same, and takes as long, whether the address or the password is wrong.
#[utoipa::path(
    post, path = "/v1/users/login", operation_id = "login", tag = "accounts",
    request_body(
        content = LoginRequest,
        example = json!({"email": "ada@example.org", "password": "a long sentence of mine, yes"}),
    ),
    responses(
        (status = 200, description = "An access token, and a refresh token to get the next one", body = LoginBody),
        (status = 400, description = "The request is malformed; `param` names the field", body = ErrorEnvelope),
        (status = 401, description = "The address or the password is wrong", body = ErrorEnvelope),
        (status = 403, description = "The user is a member of no organisation", body = ErrorEnvelope),
        (status = 404, description = "The user isn't a member of this organisation", body = ErrorEnvelope),
        (status = 429, description = "Too many failed attempts; `retry-after` says when the next one may follow", body = ErrorEnvelope),
        (status = 503, description = "Too many passwords are being verified", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn login(
    State(state): State<AppState>,
    ClientAddress(address): ClientAddress,
    headers: HeaderMap,
    note: AuditNote,
    JsonBody(request): JsonBody<LoginRequest>,
) -> Result<Json<LoginBody>, HttpError> {
    let client = headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let origin = LoginOrigin { client, address, ..LoginOrigin::default() };
    let body = state.gateway.logins().sign_in(request, origin).await?;
    note_login(&note, &body);
    Ok(Json(body))
}

/// Get a new access token. The refresh token is replaced, and each is valid once: a replaced one that is used again ends the
/// login. For a minute the latest replaced one returns the same replacement again, for a client that lost the response.
#[utoipa::path(
    post, path = "/v1/users/refresh", operation_id = "refresh_login", tag = "accounts",
    request_body(
        content = RefreshRequest,
        example = json!({"refresh_token": "hrt_..."}),
    ),
    responses(
        (status = 200, description = "The next access token and refresh token", body = LoginBody),
        (status = 400, description = "The request is malformed; `param` names the field", body = ErrorEnvelope),
        (status = 401, description = "The refresh token isn't valid, or the login has ended: sign in again", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn refresh(
    State(state): State<AppState>,
    note: AuditNote,
    JsonBody(request): JsonBody<RefreshRequest>,
) -> Result<Json<LoginBody>, HttpError> {
    let body = state.gateway.logins().refresh(&request.refresh_token).await?;
    note_login(&note, &body);
    Ok(Json(body))
}

pub(super) fn note_login(note: &AuditNote, body: &LoginBody) {
    note.subject(body.user, Some(body.organisation), Some(body.login.to_string()));
}

/// End the login of this request's access token; with `everywhere` all logins of the user. Its tokens end at once in this
/// process, and within ten seconds in others.
#[utoipa::path(
    post, path = "/v1/users/logout", operation_id = "logout", tag = "accounts", security(("token" = [])),
    request_body(content = LogoutRequest, example = json!({"everywhere": false})),
    responses(
        (status = 204, description = "The login has ended"),
        (status = 400, description = "The request was sent with another credential than an access token of a login", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn logout(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    JsonBody(request): JsonBody<LogoutRequest>,
) -> Result<StatusCode, HttpError> {
    let logins = state.gateway.logins();
    if request.everywhere {
        logins.end_all(caller.user, None).await?;
    } else {
        logins.end_own(&caller).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// List the valid logins of the caller's user, oldest first.
#[utoipa::path(
    get, path = "/v1/users/me/logins", operation_id = "list_logins", tag = "accounts", security(("token" = [])),
    responses((status = 200, description = "The logins, without their tokens", body = LoginList)),
)]
pub(crate) async fn list(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<LoginList>, HttpError> {
    Ok(Json(state.gateway.logins().list(&caller).await?))
}

/// End a login of the caller's user.
#[utoipa::path(
    delete, path = "/v1/users/me/logins/{id}", operation_id = "end_login", tag = "accounts", security(("token" = [])),
    params(("id" = String, Path, description = "The login's id, `login_...`")),
    responses(
        (status = 204, description = "The login has ended: here at once, in other processes within ten seconds"),
        (status = 404, description = "No such login", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn end(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<LoginId>,
) -> Result<StatusCode, HttpError> {
    state.gateway.logins().end(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
