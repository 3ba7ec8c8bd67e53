//! The handlers of downloads.

use axum::{
    Json,
    extract::{Path, State},
};
use hearth_domain::JobId;
use hearth_wire::node_downloads::{NodeDownload, NodeDownloadCommand, NodeDownloads, NodeJobs};

use super::{json_body::JsonBody, routes::LinkError};
use crate::supervisor::Node;

pub(super) async fn begin(
    State(node): State<Node>,
    JsonBody(command): JsonBody<NodeDownloadCommand>,
) -> Result<Json<NodeDownload>, LinkError> {
    Ok(Json(node.downloads().begin(&command)?))
}

pub(super) async fn states(
    State(node): State<Node>,
    JsonBody(query): JsonBody<NodeJobs>,
) -> Json<NodeDownloads> {
    Json(node.downloads().states(&query.jobs))
}

pub(super) async fn cancel(
    State(node): State<Node>,
    Path(job): Path<JobId>,
) -> Result<Json<NodeDownload>, LinkError> {
    Ok(Json(node.downloads().cancel(job)?))
}

pub(super) async fn pause(
    State(node): State<Node>,
    Path(job): Path<JobId>,
) -> Result<Json<NodeDownload>, LinkError> {
    Ok(Json(node.downloads().pause(job)?))
}

pub(super) async fn resume(
    State(node): State<Node>,
    Path(job): Path<JobId>,
) -> Result<Json<NodeDownload>, LinkError> {
    Ok(Json(node.downloads().resume(job)?))
}
