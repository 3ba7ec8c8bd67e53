//! The bytes of small images and meshes in a native response.

use axum::{
    body::{Body, to_bytes},
    http::{StatusCode, header::CONTENT_LENGTH},
    response::Response,
};
use hearth_gateway::Gateway;
use hearth_wire::{ApiError, ErrorCode, native::artifacts::ArtifactBody};
use serde_json::Value;

/// Adds the bytes of the files in `output` to a whole response, as far as they are small.
///
/// # Errors
/// `not_found` or `internal` if a file can't be read.
pub(super) async fn add(gateway: &Gateway, response: Response) -> Result<Response, ApiError> {
    if response.status() != StatusCode::OK {
        return Ok(response);
    }
    let (mut parts, body) = response.into_parts();
    let unreadable = |_| ApiError::new(ErrorCode::Internal, "the response can't be read again");
    let body = to_bytes(body, usize::MAX).await.map_err(unreadable)?;
    let Ok(mut answer) = serde_json::from_slice::<Value>(&body) else {
        return Ok(Response::from_parts(parts, body.into()));
    };
    let output = &mut answer["output"];
    if let Some(images) = output["images"].as_array_mut() {
        for image in images {
            fill(gateway, image).await?;
        }
    }
    if output["mesh"].is_object() {
        fill(gateway, &mut output["mesh"]).await?;
    }
    parts.headers.remove(CONTENT_LENGTH);
    Ok(Response::from_parts(parts, Body::from(answer.to_string())))
}

async fn fill(gateway: &Gateway, file: &mut Value) -> Result<(), ApiError> {
    let Ok(artifact) = serde_json::from_value::<ArtifactBody>(file.clone()) else { return Ok(()) };
    let Ok(id) = artifact.id.parse() else { return Ok(()) };
    if artifact.size_bytes <= gateway.inline_max_bytes() {
        file["data"] = gateway.artifact_in_base64(id).await?.into();
    }
    Ok(())
}
