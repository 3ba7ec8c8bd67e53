//! `GET /v1/artifacts/{id}`: a generated file.

use axum::{
    body::Body,
    extract::State,
    http::{
        HeaderMap,
        header::{
            CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
            X_CONTENT_TYPE_OPTIONS,
        },
    },
    response::{IntoResponse as _, Response},
};
use hearth_domain::{Artifact, ArtifactId, Scope};
use hearth_gateway::artifacts::ArtifactAccess;
use hearth_http::{AppState, HttpError, PathParam, QueryParams, auth};
use hearth_wire::{error::ErrorEnvelope, native::artifacts::ArtifactQuery};

/// Get a generated image or mesh.
///
/// A link from a response needs no token until it expires. Without its query it needs the owner's token, and works
/// until the artifact is deleted.
#[utoipa::path(
    get, path = "/v1/artifacts/{id}", operation_id = "get_artifact", tag = "generate", security((), ("token" = [])),
    params(("id" = String, Path, description = "Id of the artifact"), ArtifactQuery),
    responses(
        (status = 200, description = "The file", content_type = "application/octet-stream", body = Vec<u8>),
        (status = 401, description = "No token, or an invalid one", body = ErrorEnvelope),
        (status = 403, description = "The token lacks the scope", body = ErrorEnvelope),
        (status = 404, description = "No such resource, or one of another user", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn get(
    State(state): State<AppState>,
    PathParam(id): PathParam<ArtifactId>,
    QueryParams(query): QueryParams<ArtifactQuery>,
    headers: HeaderMap,
) -> Result<Response, HttpError> {
    let gateway = &state.gateway;
    let artifact = match (query.expires, query.signature.as_deref()) {
        (Some(expires), Some(signature)) => {
            gateway.artifact(ArtifactAccess::Link { expires, signature }, id).await?
        }
        _ => {
            let caller = auth::caller(&state, Scope::Generate, &headers).await?;
            gateway.artifact(ArtifactAccess::Caller(&caller), id).await?
        }
    };
    let bytes = Body::from_stream(gateway.artifact_bytes(id).await?);
    Ok((head(&artifact), bytes).into_response())
}

/// Headers with which a browser shows or saves the file, and runs nothing in it.
fn head(artifact: &Artifact) -> [(axum::http::HeaderName, String); 7] {
    let shown = if artifact.media_type.starts_with("image/") { "inline" } else { "attachment" };
    [
        (CONTENT_TYPE, artifact.media_type.clone()),
        (CONTENT_LENGTH, artifact.size_bytes.to_string()),
        (CONTENT_DISPOSITION, format!("{shown}; filename=\"{}\"", artifact.file_name())),
        (X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox".to_owned()),
        // What an id stands for never changes.
        (ETAG, format!("\"{}\"", artifact.sha256)),
        (CACHE_CONTROL, "private, max-age=3600, immutable".to_owned()),
    ]
}
