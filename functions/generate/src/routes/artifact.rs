//! `/v1/artifacts`: generated files.

use axum::{
    Extension, Json,
    extract::State,
    http::{Extensions, HeaderMap, Method},
    response::Response,
};
use hearth_domain::{Action, ArtifactId};
use hearth_gateway::{Caller, artifacts::ArtifactAccess};
use hearth_http::{AppState, HttpError, PathParam, PublicUrl, QueryParams, auth};
use hearth_wire::{
    error::ErrorEnvelope,
    native::artifacts::{ArtifactDeleted, ArtifactList, ArtifactListQuery, ArtifactQuery},
};

use super::content;

/// List generated images and meshes, the newest first.
#[utoipa::path(
    get, path = "/v1/artifacts", operation_id = "list_artifacts", tag = "files", security(("token" = [])),
    params(ArtifactListQuery),
    responses(
        (status = 200, description = "A page of artifacts", body = ArtifactList),
        (status = 400, description = "The request is malformed; `param` names the field", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn list(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PublicUrl(base): PublicUrl,
    QueryParams(query): QueryParams<ArtifactListQuery>,
) -> Result<Json<ArtifactList>, HttpError> {
    Ok(Json(state.gateway.list_artifacts(&caller, &query, &base).await?))
}

/// Delete a generated image or mesh.
#[utoipa::path(
    delete, path = "/v1/artifacts/{id}", operation_id = "delete_artifact", tag = "files", security(("token" = [])),
    params(("id" = String, Path, description = "Id of the artifact")),
    responses(
        (status = 200, description = "It is deleted", body = ArtifactDeleted),
        (status = 404, description = "No such resource, or one of another user", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn delete(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<ArtifactId>,
) -> Result<Json<ArtifactDeleted>, HttpError> {
    Ok(Json(state.gateway.delete_artifact(&caller, id).await?))
}

/// Get a generated image or mesh.
///
/// A link from a response needs no token until it expires. Without its query it needs the owner's token, and works
/// until the artifact is deleted. `Range` requests are answered; several ranges at once get the whole file.
#[utoipa::path(
    get, path = "/v1/artifacts/{id}", operation_id = "get_artifact", tag = "generate", security((), ("token" = [])),
    params(("id" = String, Path, description = "Id of the artifact"), ArtifactQuery),
    responses(
        (status = 200, description = "The file, with its own media type", content_type = "*/*", body = Vec<u8>),
        (status = 206, description = "A part of it", content_type = "*/*", body = Vec<u8>),
        (status = 304, description = "The client has it"),
        (status = 307, description = "A link to the bucket, for a large file in the cloud"),
        (status = 401, description = "No token, or an invalid one", body = ErrorEnvelope),
        (status = 403, description = "The token lacks the scope", body = ErrorEnvelope),
        (status = 404, description = "No such resource, or one of another user", body = ErrorEnvelope),
        (status = 416, description = "The range begins behind the end", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn get(
    State(state): State<AppState>,
    method: Method,
    PathParam(id): PathParam<ArtifactId>,
    QueryParams(query): QueryParams<ArtifactQuery>,
    headers: HeaderMap,
    extensions: Extensions,
) -> Result<Response, HttpError> {
    let gateway = &state.gateway;
    let artifact = match (query.expires, query.signature.as_deref()) {
        (Some(expires), Some(signature)) => {
            gateway.stored_artifact(ArtifactAccess::Link { expires, signature }, id).await?
        }
        _ => {
            let caller = auth::caller(&state, Action::Generate, &headers, &extensions).await?;
            gateway.stored_artifact(ArtifactAccess::Caller(&caller), id).await?
        }
    };
    content::respond(gateway, &method, &headers, &artifact).await
}
