//! `GET /v1/artifacts/{id}`: a file that a run has made.

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
use hearth_gateway::artifacts::Asking;
use hearth_http::{AppState, HttpError, PathParam, QueryParams, auth};
use hearth_wire::{error::ErrorEnvelope, native::artifacts::ArtifactQuery};

/// An image or a mesh that a request has made.
///
/// A link as it stands in an answer needs no token, and ends after a while. With a token its owner has it for as
/// long as it is kept.
#[utoipa::path(
    get, path = "/v1/artifacts/{id}", operation_id = "get_artifact", tag = "generate", security((), ("token" = [])),
    params(("id" = String, Path, description = "The artifact's id"), ArtifactQuery),
    responses(
        (status = 200, description = "The file", content_type = "application/octet-stream", body = Vec<u8>),
        (status = 401, description = "No token, or one that is not valid", body = ErrorEnvelope),
        (status = 403, description = "The token lacks the scope", body = ErrorEnvelope),
        (status = 404, description = "There is no such thing, or it belongs to somebody else", body = ErrorEnvelope),
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
        (Some(expires), Some(signature)) => gateway.artifact(Asking::Link { expires, signature }, id).await?,
        _ => {
            let caller = auth::caller(&state, Scope::Generate, &headers).await?;
            gateway.artifact(Asking::Caller(&caller), id).await?
        }
    };
    let bytes = Body::from_stream(gateway.artifact_bytes(id).await?);
    Ok((head(&artifact), bytes).into_response())
}

/// A browser that opens it shows it or saves it, and runs nothing in it.
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
