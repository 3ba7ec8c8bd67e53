//! `/v1/models/download` and `/v1/jobs`: downloads of models, which go on after the response.

use axum::{Extension, Json, extract::State, http::StatusCode};
use hearth_domain::JobId;
use hearth_gateway::{Caller, JobChange};
use hearth_http::{AppState, HttpError, JsonBody, PathParam, QueryParams};
use hearth_wire::{
    error::ErrorEnvelope,
    native::jobs::{DownloadRequest, JobBody, JobList, JobQuery},
};

/// Download a model to a node. The job goes on after the response, and after a restart of the node.
///
/// The same source again returns the caller's job, or one that has completed if the file is there. However many callers ask,
/// the file is transferred once.
#[utoipa::path(
    post, path = "/v1/models/download", operation_id = "download_model", tag = "models", security(("token" = [])),
    request_body(content = DownloadRequest, example = json!({"source": "Qwen/Qwen3-0.6B-GGUF:Q8_0"})),
    responses(
        (status = 202, description = "The job", body = JobBody),
        (status = 400, description = "The request is malformed; `param` names the field", body = ErrorEnvelope),
        (status = 404, description = "No such node", body = ErrorEnvelope),
        (status = 503, description = "The node can't be reached", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn download(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    JsonBody(request): JsonBody<DownloadRequest>,
) -> Result<(StatusCode, Json<JobBody>), HttpError> {
    let job = state.gateway.begin_download(&caller, request).await?;
    Ok((StatusCode::ACCEPTED, Json(job)))
}

/// List one's own jobs, newest first.
#[utoipa::path(
    get, path = "/v1/jobs", operation_id = "list_jobs", tag = "models", security(("token" = [])), params(JobQuery),
    responses(
        (status = 200, description = "A page of jobs", body = JobList),
        (status = 400, description = "The request is malformed; `param` names the field", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn list(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    QueryParams(query): QueryParams<JobQuery>,
) -> Result<Json<JobList>, HttpError> {
    Ok(Json(state.gateway.list_jobs(&caller, query).await?))
}

/// Get a job, with its present state on its node.
#[utoipa::path(
    get, path = "/v1/jobs/{job}", operation_id = "get_job", tag = "models", security(("token" = [])),
    params(("job" = String, Path, description = "The job's id")),
    responses(
        (status = 200, description = "The job", body = JobBody),
        (status = 404, description = "No such job of the caller's", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn get(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(job): PathParam<JobId>,
) -> Result<Json<JobBody>, HttpError> {
    Ok(Json(state.gateway.job(&caller, job).await?))
}

/// Cancel a job. One that has ended stays as it is: the response has the state.
#[utoipa::path(
    delete, path = "/v1/jobs/{job}", operation_id = "cancel_job", tag = "models", security(("token" = [])),
    params(("job" = String, Path, description = "The job's id")),
    responses(
        (status = 200, description = "The job after that", body = JobBody),
        (status = 404, description = "No such job of the caller's", body = ErrorEnvelope),
        (status = 503, description = "The node can't be reached", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn cancel(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(job): PathParam<JobId>,
) -> Result<Json<JobBody>, HttpError> {
    Ok(Json(state.gateway.change_job(&caller, job, JobChange::Cancel).await?))
}

/// Pause a job. Its bytes so far stay on the node.
#[utoipa::path(
    post, path = "/v1/jobs/{job}/pause", operation_id = "pause_job", tag = "models", security(("token" = [])),
    params(("job" = String, Path, description = "The job's id")),
    responses(
        (status = 200, description = "The job after that", body = JobBody),
        (status = 404, description = "No such job of the caller's", body = ErrorEnvelope),
        (status = 409, description = "The job has ended", body = ErrorEnvelope),
        (status = 503, description = "The node can't be reached", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn pause(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(job): PathParam<JobId>,
) -> Result<Json<JobBody>, HttpError> {
    Ok(Json(state.gateway.change_job(&caller, job, JobChange::Pause).await?))
}

/// Continue a paused job.
#[utoipa::path(
    post, path = "/v1/jobs/{job}/resume", operation_id = "resume_job", tag = "models", security(("token" = [])),
    params(("job" = String, Path, description = "The job's id")),
    responses(
        (status = 200, description = "The job after that", body = JobBody),
        (status = 404, description = "No such job of the caller's", body = ErrorEnvelope),
        (status = 409, description = "The job has ended", body = ErrorEnvelope),
        (status = 503, description = "The node can't be reached", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn resume(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(job): PathParam<JobId>,
) -> Result<Json<JobBody>, HttpError> {
    Ok(Json(state.gateway.change_job(&caller, job, JobChange::Resume).await?))
}
