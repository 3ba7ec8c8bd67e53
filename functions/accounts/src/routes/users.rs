//! `/v1/users`: registration, profiles and passwords.

use axum::{Extension, Json, extract::State, http::StatusCode};
use hearth_domain::UserId;
use hearth_gateway::Caller;
use hearth_http::{AppState, AuditNote, ClientAddress, HttpError, JsonBody, PathParam};
use hearth_wire::{
    error::ErrorEnvelope,
    native::users::{
        ChangePassword, ChangeUser, CreateUser, CreatedCode, RegisterUser, ResetPassword, SetSignIn, UserBody,
    },
};

/// Register by the code of an invitation, or of `hearth user bootstrap`.
///
/// Then sign in: `POST /v1/users/login`.
#[utoipa::path(
    post, path = "/v1/users/register", operation_id = "register_user", tag = "accounts", security(()),
    request_body(
        content = RegisterUser,
        example = json!({
            "code": "hinv_...", "email": "ada@example.org", "name": "Ada Lovelace", "password": "a long sentence of mine"
        }),
    ),
    responses(
        (status = 201, description = "The new user", body = UserBody),
        (status = 400, description = "The request is malformed; `param` names the field", body = ErrorEnvelope),
        (status = 403, description = "The code isn't valid, or is for another address", body = ErrorEnvelope),
        (status = 409, description = "An account has this address", body = ErrorEnvelope),
        (status = 429, description = "Too many invalid codes from this network", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn register(
    State(state): State<AppState>,
    ClientAddress(address): ClientAddress,
    note: AuditNote,
    JsonBody(request): JsonBody<RegisterUser>,
) -> Result<(StatusCode, Json<UserBody>), HttpError> {
    let (owner, body) = state.gateway.register(request, address).await?;
    note.subject(owner.user, Some(owner.organisation), None);
    note.resource(owner.user);
    Ok((StatusCode::CREATED, Json(body)))
}

/// Create a member of the caller's organisation with a sign-in, without an invitation.
#[utoipa::path(
    post, path = "/v1/users", operation_id = "create_user", tag = "accounts", security(("token" = [])),
    request_body(
        content = CreateUser,
        example = json!({
            "email": "ada@example.org", "name": "Ada Lovelace", "password": "a long sentence of mine", "role": "developer"
        }),
    ),
    responses(
        (status = 201, description = "The new user", body = UserBody),
        (status = 400, description = "The request is malformed; `param` names the field", body = ErrorEnvelope),
        (status = 403, description = "The role may do more than the caller's, or the permission is missing", body = ErrorEnvelope),
        (status = 409, description = "An account has this address", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn create(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    note: AuditNote,
    JsonBody(request): JsonBody<CreateUser>,
) -> Result<(StatusCode, Json<UserBody>), HttpError> {
    note.detail("role", request.role.as_str());
    let body = state.gateway.create_user(&caller, request).await?;
    note.resource(&body.id);
    Ok((StatusCode::CREATED, Json(body)))
}

/// Get the caller's profile, preferences and memberships.
#[utoipa::path(
    get, path = "/v1/users/me", operation_id = "get_profile", tag = "accounts", security(("token" = [])),
    responses((status = 200, description = "The user", body = UserBody)),
)]
pub(crate) async fn get(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<UserBody>, HttpError> {
    Ok(Json(state.gateway.profile(&caller).await?))
}

/// Change the caller's name, preferences, or address with the present password.
#[utoipa::path(
    patch, path = "/v1/users/me", operation_id = "change_profile", tag = "accounts", security(("token" = [])),
    request_body(
        content = ChangeUser,
        example = json!({"name": "Ada", "preferences": {"models": {"text": "openai:gpt-5-mini"}}}),
    ),
    responses(
        (status = 200, description = "The user after the change", body = UserBody),
        (status = 400, description = "The request is malformed; `param` names the field", body = ErrorEnvelope),
        (status = 403, description = "The password is wrong", body = ErrorEnvelope),
        (status = 409, description = "Another account has this address", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn change(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    JsonBody(request): JsonBody<ChangeUser>,
) -> Result<Json<UserBody>, HttpError> {
    Ok(Json(state.gateway.change_profile(&caller, request).await?))
}

/// Give the gateway's operator, who has neither, an address and a password. Needs a token with every scope and model, and no end.
#[utoipa::path(
    post, path = "/v1/users/me/sign-in", operation_id = "set_sign_in", tag = "accounts", security(("token" = [])),
    request_body(
        content = SetSignIn,
        example = json!({"email": "ada@example.org", "name": "Ada Lovelace", "password": "a long sentence of mine"}),
    ),
    responses(
        (status = 200, description = "The user", body = UserBody),
        (status = 400, description = "The request is malformed; `param` names the field", body = ErrorEnvelope),
        (status = 403, description = "The caller isn't the gateway's operator, or the credential lacks a scope or a model, or is a token that ends", body = ErrorEnvelope),
        (status = 409, description = "The caller has a sign-in, or another account has this address", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn set_sign_in(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    JsonBody(request): JsonBody<SetSignIn>,
) -> Result<Json<UserBody>, HttpError> {
    Ok(Json(state.gateway.set_sign_in(&caller, request).await?))
}

/// Change the caller's password. Ends their other logins.
#[utoipa::path(
    post, path = "/v1/users/me/password", operation_id = "change_password", tag = "accounts", security(("token" = [])),
    request_body(
        content = ChangePassword,
        example = json!({"current_password": "a long sentence of mine", "new_password": "another long sentence"}),
    ),
    responses(
        (status = 204, description = "The password is changed"),
        (status = 400, description = "The request is malformed; `param` names the field", body = ErrorEnvelope),
        (status = 403, description = "The present password is wrong, or the login isn't fresh", body = ErrorEnvelope),
        (status = 409, description = "The user has no address to sign in with", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn change_password(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    JsonBody(request): JsonBody<ChangePassword>,
) -> Result<StatusCode, HttpError> {
    state.gateway.change_password(&caller, request).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Make a code by which a member sets another password. It is valid for an hour, and once.
#[utoipa::path(
    post, path = "/v1/users/{id}/password-reset", operation_id = "create_password_reset", tag = "accounts",
    security(("token" = [])), params(("id" = String, Path, description = "The user's id, `usr_...`")),
    responses(
        (status = 201, description = "The code; its text is shown this once", body = CreatedCode),
        (status = 403, description = "The member may do more than the caller, or belongs to other organisations", body = ErrorEnvelope),
        (status = 404, description = "The organisation has no such member", body = ErrorEnvelope),
        (status = 409, description = "The user has no address to sign in with", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn create_password_reset(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<UserId>,
) -> Result<(StatusCode, Json<CreatedCode>), HttpError> {
    Ok((StatusCode::CREATED, Json(state.gateway.create_password_reset(&caller, id).await?)))
}

/// Set another password by a code that an admin has made. Ends all logins of the user.
#[utoipa::path(
    post, path = "/v1/users/password-reset", operation_id = "reset_password", tag = "accounts", security(()),
    request_body(content = ResetPassword, example = json!({"code": "hreset_...", "password": "another long sentence"})),
    responses(
        (status = 204, description = "The password is changed"),
        (status = 400, description = "The request is malformed; `param` names the field", body = ErrorEnvelope),
        (status = 403, description = "The code isn't valid", body = ErrorEnvelope),
        (status = 429, description = "Too many invalid codes from this network", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn reset_password(
    State(state): State<AppState>,
    ClientAddress(address): ClientAddress,
    note: AuditNote,
    JsonBody(request): JsonBody<ResetPassword>,
) -> Result<StatusCode, HttpError> {
    let (user, organisation) = state.gateway.reset_password(request, address).await?;
    note.subject(user, organisation, None);
    Ok(StatusCode::NO_CONTENT)
}
