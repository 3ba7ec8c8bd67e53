//! `/v1/models/download` and `/v1/jobs`: downloads of models and other work, which go on after the response.

use axum::{
    Extension, Json,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use hearth_domain::{JobId, JobKind};
use hearth_gateway::{Caller, JobChange};
use hearth_http::{AppState, HttpError, JsonBody, PathParam, QueryParams};
use hearth_wire::{
    ApiError,
    error::ErrorEnvelope,
    native::jobs::{
        DownloadRequest, JobBody, JobList, JobPauseList, JobPauseQuery, JobQuery, JobRequest, PausableJobKind,
    },
};
use serde_json::Value;

/// Header by which a repeated submission returns the first job.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

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

/// Submit a job: work that goes on after the response, and after a restart of the gateway.
///
/// A job is carried out once, however often its process dies. An attempt that fails by no fault of its request is repeated, with
/// growing intervals; after the last one the job has failed, and is a dead letter until it is retried or dropped. With a header
/// `Idempotency-Key` a repeated submission returns the first job.
#[utoipa::path(
    post, path = "/v1/jobs", operation_id = "submit_job", tag = "jobs", security(("token" = [])),
    params(("idempotency-key" = Option<String>, Header, description = "Name of the submission, up to 255 characters")),
    request_body(
        content = JobRequest,
        example = json!({"kind": "generate", "input": {"input": {"prompt": "What is the capital of France?"}}}),
    ),
    responses(
        (status = 202, description = "The job", body = JobBody),
        (status = 400, description = "The request is malformed; `param` names the field", body = ErrorEnvelope),
        (status = 409, description = "The Idempotency-Key came with another body", body = ErrorEnvelope),
        (status = 429, description = "Too many jobs wait", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn submit(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    JsonBody(request): JsonBody<JobRequest>,
) -> Result<(StatusCode, Json<JobBody>), HttpError> {
    let key = headers.get(IDEMPOTENCY_KEY).map(|key| {
        let message = "Idempotency-Key must have printable ASCII characters only";
        key.to_str().map_err(|_| ApiError::invalid(IDEMPOTENCY_KEY, message))
    });
    let job = state.gateway.submit_job(&caller, request, key.transpose()?).await?;
    Ok((StatusCode::ACCEPTED, Json(job)))
}

/// List one's own jobs, newest first.
#[utoipa::path(
    get, path = "/v1/jobs", operation_id = "list_jobs", tag = "jobs", security(("token" = [])), params(JobQuery),
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

/// Get a job; a download with its present state on its node.
#[utoipa::path(
    get, path = "/v1/jobs/{job}", operation_id = "get_job", tag = "jobs", security(("token" = [])),
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
    delete, path = "/v1/jobs/{job}", operation_id = "cancel_job", tag = "jobs", security(("token" = [])),
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

/// Pause a job. The bytes of a download so far stay on the node; a generation in progress ends, and the job with it.
#[utoipa::path(
    post, path = "/v1/jobs/{job}/pause", operation_id = "pause_job", tag = "jobs", security(("token" = [])),
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
    post, path = "/v1/jobs/{job}/resume", operation_id = "resume_job", tag = "jobs", security(("token" = [])),
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

/// Get the result of a completed job: of `generate` the response of `POST /v1/generate`, of `analyze` that of `POST /v1/analyze`.
#[utoipa::path(
    get, path = "/v1/jobs/{job}/result", operation_id = "get_job_result", tag = "jobs", security(("token" = [])),
    params(("job" = String, Path, description = "The job's id")),
    responses(
        (status = 200, description = "The result", body = Object),
        (status = 404, description = "No such job of the caller's", body = ErrorEnvelope),
        (status = 409, description = "The job isn't complete", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn result(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(job): PathParam<JobId>,
) -> Result<Json<Value>, HttpError> {
    Ok(Json(state.gateway.job_result(&caller, job).await?))
}

/// Submit the input of a job that has ended once more, as a new job with `replay_of`. A dead letter is none any longer then.
#[utoipa::path(
    post, path = "/v1/jobs/{job}/retry", operation_id = "retry_job", tag = "jobs", security(("token" = [])),
    params(("job" = String, Path, description = "The job's id")),
    responses(
        (status = 202, description = "The new job; of a repeated request that of the first one", body = JobBody),
        (status = 404, description = "No such job of the caller's", body = ErrorEnvelope),
        (status = 409, description = "The job hasn't ended, is a download, or is that of a batch", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn retry(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(job): PathParam<JobId>,
) -> Result<(StatusCode, Json<JobBody>), HttpError> {
    Ok((StatusCode::ACCEPTED, Json(state.gateway.retry_job(&caller, job).await?)))
}

/// Drop a dead letter: the failed job is no longer listed with `dead=true`.
#[utoipa::path(
    post, path = "/v1/jobs/{job}/drop", operation_id = "drop_job", tag = "jobs", security(("token" = [])),
    params(("job" = String, Path, description = "The job's id")),
    responses(
        (status = 200, description = "The job after that", body = JobBody),
        (status = 404, description = "No such job of the caller's", body = ErrorEnvelope),
        (status = 409, description = "The job isn't among the dead letters", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn remove_dead(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(job): PathParam<JobId>,
) -> Result<Json<JobBody>, HttpError> {
    Ok(Json(state.gateway.drop_job(&caller, job).await?))
}

/// List the paused kinds of jobs.
#[utoipa::path(
    get, path = "/v1/job-pauses", operation_id = "list_job_pauses", tag = "jobs", security(("token" = [])),
    responses((status = 200, description = "Pauses that hold jobs of one's organisation", body = JobPauseList)),
)]
pub(crate) async fn pauses(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<JobPauseList>, HttpError> {
    Ok(Json(state.gateway.job_pauses(&caller).await?))
}

/// Pause a kind of jobs: those in progress end their slice, and no other begins. In a cloud stack it has effect within seconds.
#[utoipa::path(
    put, path = "/v1/job-pauses/{kind}", operation_id = "pause_job_kind", tag = "jobs", security(("token" = [])),
    params(("kind" = inline(PausableJobKind), Path, description = "`generate`, `analyze`, `batch` or `delivery`"), JobPauseQuery),
    responses(
        (status = 200, description = "The pauses after that", body = JobPauseList),
        (status = 400, description = "No such kind", body = ErrorEnvelope),
        (status = 403, description = "The scope is the operator's", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn pause_kind(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(kind): PathParam<String>,
    QueryParams(query): QueryParams<JobPauseQuery>,
) -> Result<Json<JobPauseList>, HttpError> {
    Ok(Json(state.gateway.set_job_pause(&caller, kind_of(&kind), query.scope, true).await?))
}

/// Resume a paused kind of jobs. In a cloud stack the jobs that wait begin within five minutes.
#[utoipa::path(
    delete, path = "/v1/job-pauses/{kind}", operation_id = "resume_job_kind", tag = "jobs", security(("token" = [])),
    params(("kind" = inline(PausableJobKind), Path, description = "`generate`, `analyze`, `batch` or `delivery`"), JobPauseQuery),
    responses(
        (status = 200, description = "The pauses after that", body = JobPauseList),
        (status = 400, description = "No such kind", body = ErrorEnvelope),
        (status = 403, description = "The scope is the operator's", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn resume_kind(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(kind): PathParam<String>,
    QueryParams(query): QueryParams<JobPauseQuery>,
) -> Result<Json<JobPauseList>, HttpError> {
    Ok(Json(state.gateway.set_job_pause(&caller, kind_of(&kind), query.scope, false).await?))
}

/// The kind of this name. Another one isn't paused, with an error that names the kinds.
fn kind_of(name: &str) -> JobKind {
    JobKind::CARRIED_OUT.into_iter().find(|kind| kind.as_str() == name).unwrap_or(JobKind::Other)
}
