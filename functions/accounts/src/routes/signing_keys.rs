//! The keys that sign access tokens: `/.well-known/jwks.json`, and `/v1/admin/signing-keys`.

use axum::{Json, extract::State, http::HeaderName, http::header::CACHE_CONTROL};
use hearth_http::{AppState, HttpError, JsonBody};
use hearth_wire::{
    error::ErrorEnvelope,
    native::logins::{JwkSet, RotateSigningKey, SigningKeyList},
};

/// Time for which other programs may cache the keys. A new key signs at once, and a program reads again for an unknown one.
const JWKS_CACHE_CONTROL: &str = "public, max-age=60";

/// Read the public keys that verify access tokens (RFC 7517). A token's header names its key.
#[utoipa::path(
    get, path = "/.well-known/jwks.json", operation_id = "read_signing_keys", tag = "accounts",
    responses((status = 200, description = "The keys: the one that signs, and earlier ones whose tokens are still valid", body = JwkSet)),
)]
pub(crate) async fn jwks(
    State(state): State<AppState>,
) -> Result<([(HeaderName, &'static str); 1], Json<JwkSet>), HttpError> {
    Ok(([(CACHE_CONTROL, JWKS_CACHE_CONTROL)], Json(state.gateway.signing_keys().jwks().await?)))
}

/// List the keys that sign access tokens, oldest first, without their private parts.
#[utoipa::path(
    get, path = "/v1/admin/signing-keys", operation_id = "list_signing_keys", tag = "accounts", security(("token" = [])),
    responses((status = 200, description = "The keys", body = SigningKeyList)),
)]
pub(crate) async fn list(State(state): State<AppState>) -> Result<Json<SigningKeyList>, HttpError> {
    Ok(Json(state.gateway.signing_keys().list().await?))
}

/// Replace the key that signs access tokens. The earlier one verifies until the last token that it signed has expired; with
/// `revoke` its tokens are refused here at once, and in other processes within a minute.
#[utoipa::path(
    post, path = "/v1/admin/signing-keys/rotate", operation_id = "rotate_signing_key", tag = "accounts", security(("token" = [])),
    request_body(content = RotateSigningKey, example = json!({"revoke": false})),
    responses(
        (status = 200, description = "The keys after that", body = SigningKeyList),
        (status = 409, description = "Other requests rotate the keys at the same time", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn rotate(
    State(state): State<AppState>,
    JsonBody(request): JsonBody<RotateSigningKey>,
) -> Result<Json<SigningKeyList>, HttpError> {
    Ok(Json(state.gateway.rotate_signing_key(request.revoke).await?))
}
