//! `POST /v1/provider-keys/{id}/verify`: the check of a stored key. It decrypts the key, and only this function may.

use axum::{Extension, Json, extract::State};
use hearth_domain::CredentialId;
use hearth_gateway::Caller;
use hearth_http::{AppState, HttpError, PathParam};
use hearth_wire::{error::ErrorEnvelope, native::provider_keys::VerificationBody};

/// Check a stored key at its provider, by requests that cost nothing: a key of one's own, or with the permission for
/// those, one of the organisation or its teams. A check less than 10 s ago is the answer, and the provider isn't asked.
#[utoipa::path(
    post, path = "/v1/provider-keys/{id}/verify", operation_id = "verify_provider_key", tag = "accounts", security(("token" = [])),
    params(("id" = String, Path, description = "The key's id, `cred_...`")),
    responses(
        (status = 200, description = "The result, which is also stored with the key", body = VerificationBody),
        (status = 404, description = "No such key", body = ErrorEnvelope),
        (status = 429, description = "Another request checks the key, or has just done so", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn verify(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<CredentialId>,
) -> Result<Json<VerificationBody>, HttpError> {
    let keys = state.gateway.provider_keys();
    let scope = keys.scope_of(&caller, id).await?;
    Ok(Json(keys.verify(&caller, scope, id).await?))
}
