//! `/v1/sign-in`: the identity providers, and the exchange of an ID token for a login.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, header::USER_AGENT},
};
use hearth_gateway::accounts::logins::LoginOrigin;
use hearth_http::{AppState, AuditNote, ClientAddress, HttpError, JsonBody};
use hearth_wire::{
    error::ErrorEnvelope,
    native::{
        logins::LoginBody,
        sign_in::{SignInByToken, SignInOptions},
    },
};

use super::logins::note_login;

/// List the identity providers by which users sign in.
///
/// A client carries out OpenID Connect's authorization code flow with PKCE at the provider itself, or OAuth's device flow, and
/// exchanges the ID token by `POST /v1/users/login/token`.
#[utoipa::path(
    get, path = "/v1/sign-in", operation_id = "list_sign_in_options", tag = "accounts",
    responses((status = 200, description = "The identity providers", body = SignInOptions)),
)]
pub(crate) async fn options(State(state): State<AppState>) -> Json<SignInOptions> {
    Json(SignInOptions { providers: state.gateway.access().sign_in_providers() })
}

/// Sign in by an ID token of an identity provider.
///
/// The token is for this gateway's client, and has the nonce of the client's authorization request. A user who is seen for
/// the first time is created, if the provider's settings allow that.
#[utoipa::path(
    post, path = "/v1/users/login/token", operation_id = "sign_in_by_token", tag = "accounts",
    request_body(
        content = SignInByToken,
        example = json!({"provider": "okta", "id_token": "eyJhbGciOiJSUzI1NiIs...", "nonce": "n-0S6_WzA2Mj"}),
    ),
    responses(
        (status = 200, description = "The tokens of the login", body = LoginBody),
        (status = 400, description = "The request is malformed, or names no identity provider", body = ErrorEnvelope),
        (status = 401, description = "The token isn't valid, was used before, or the user's access was removed", body = ErrorEnvelope),
        (status = 403, description = "The user's claims give no role", body = ErrorEnvelope),
        (status = 429, description = "Too many attempts of this address", body = ErrorEnvelope),
        (status = 503, description = "The identity provider can't be reached", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn by_token(
    State(state): State<AppState>,
    ClientAddress(address): ClientAddress,
    headers: HeaderMap,
    note: AuditNote,
    JsonBody(request): JsonBody<SignInByToken>,
) -> Result<Json<LoginBody>, HttpError> {
    let client = headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let origin = LoginOrigin { client, address, ..LoginOrigin::default() };
    let body = state.gateway.sign_in_by_token(&request, origin).await?;
    note_login(&note, &body);
    Ok(Json(body))
}
