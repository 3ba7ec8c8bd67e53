//! A pull of Ollama's dialect as the job of a download.

use std::time::Duration;

use axum::{
    Json,
    response::{IntoResponse as _, Response},
};
use futures::{Stream, StreamExt as _};
use hearth_domain::{JobErrorCode, JobState, Priority, RunId};
use hearth_gateway::{Caller, Gateway};
use hearth_http::{HttpError, ndjson};
use hearth_wire::{
    ApiError, ErrorCode,
    native::jobs::{DownloadRequest, JobBody},
    ollama::{OllamaError, OllamaStatus},
    stream::Frame,
};
use tokio::time::Instant;

/// Interval of the requests for the job's state.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// Time for which a response follows the job where no response may last long.
const FOLLOW_TIMEOUT: Duration = Duration::from_secs(20);
/// Hosts of Hugging Face in names of Ollama's clients.
const HUB_HOSTS: [&str; 3] = ["hf.co/", "huggingface.co/", "https://huggingface.co/"];

/// Begins a download, or joins that of the same name, and follows it.
pub(super) async fn download(
    gateway: Gateway,
    caller: Caller,
    name: &str,
    request_id: RunId,
    streams: bool,
) -> Result<Response, HttpError> {
    let request = DownloadRequest {
        source: source_of(name),
        file: None,
        sha256: None,
        node: None,
        priority: Priority::default(),
        token: None,
    };
    let job = gateway.begin_download(&caller, request).await?;
    let mut steps = Box::pin(steps(gateway, caller, job));
    if streams {
        let request_id = request_id.to_string();
        let lines = steps.map(move |step| match step {
            Ok(status) => Frame::json(None, &status),
            Err(error) => Frame::json(None, &OllamaError::new(&error, &request_id)),
        });
        return Ok(ndjson::respond(lines));
    }
    let mut last = OllamaStatus::new("success");
    while let Some(step) = steps.next().await {
        last = step?;
    }
    Ok(Json(last).into_response())
}

/// The source of a name: a repository of Hugging Face, or a model of Ollama's library.
fn source_of(name: &str) -> String {
    let of_hub = HUB_HOSTS.iter().find_map(|host| name.strip_prefix(host));
    match of_hub {
        Some(repository) => format!("hf:{repository}"),
        None => format!("ollama:{name}"),
    }
}

/// The steps of a job until it ends: the last one is `success` or an error.
fn steps(
    gateway: Gateway,
    caller: Caller,
    mut job: JobBody,
) -> impl Stream<Item = Result<OllamaStatus, ApiError>> + Send {
    async_stream::stream! {
        yield Ok(OllamaStatus::new("pulling manifest"));
        let deadline = (!gateway.outlives_response()).then(|| Instant::now() + FOLLOW_TIMEOUT);
        let mut shown = None;
        loop {
            let (sha256, file) = (job.sha256.as_deref(), job.file.as_deref());
            if file.is_some() && shown != Some(job.done_bytes) {
                shown = Some(job.done_bytes);
                yield Ok(OllamaStatus::progress(sha256, file, job.size_bytes, job.done_bytes));
            }
            match job.state {
                JobState::Completed => {
                    for status in ["verifying sha256 digest", "writing manifest", "success"] {
                        yield Ok(OllamaStatus::new(status));
                    }
                    return;
                }
                state if state.is_terminal() => {
                    yield Err(failure(&job));
                    return;
                }
                _ => {}
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                let message = format!("the download goes on as the job {}; pull again to follow it", job.id);
                yield Err(ApiError::new(ErrorCode::ProviderTimeout, message));
                return;
            }
            tokio::time::sleep(POLL_INTERVAL).await;
            job = match gateway.job(&caller, job.id).await {
                Ok(job) => job,
                Err(error) => {
                    yield Err(error);
                    return;
                }
            };
        }
    }
}

/// The error of a job that has not completed.
fn failure(job: &JobBody) -> ApiError {
    let Some(error) = &job.error else {
        return ApiError::new(ErrorCode::Cancelled, "the download was cancelled");
    };
    let code = match error.code {
        JobErrorCode::SourceNotFound => ErrorCode::ModelNotFound,
        JobErrorCode::AccessDenied => ErrorCode::Forbidden,
        JobErrorCode::InvalidSource => ErrorCode::InvalidRequest,
        _ => ErrorCode::ProviderError,
    };
    ApiError::new(code, error.message.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_is_a_model_of_the_library_unless_it_names_the_hub() {
        for (name, source) in [
            ("qwen3:0.6b", "ollama:qwen3:0.6b"),
            ("me/own", "ollama:me/own"),
            ("hf.co/a/b:Q8_0", "hf:a/b:Q8_0"),
            ("huggingface.co/a/b", "hf:a/b"),
        ] {
            assert_eq!(source_of(name), source);
        }
    }
}
