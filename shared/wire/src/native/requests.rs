//! `/v1/requests/{id}`: a run as its owner sees it.

use hearth_domain::{FinishReason, Run, RunId, RunState};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    generate::{CostBody, UsageBody},
    output::Output,
};

/// A run's state and what it made so far.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RequestStatus {
    /// The run's id.
    pub request_id: String,
    /// `queued`, `running`, `completed`, `failed` or `cancelled`.
    #[schema(value_type = String)]
    pub status: RunState,
    /// The model that serves it.
    pub model: String,
    /// Who serves it.
    pub provider: String,
    /// Its place in the queue, from 1, while it waits.
    pub queue_position: Option<u32>,
    /// Tokens taken.
    pub usage: UsageBody,
    /// What that costs; null where it isn't known.
    #[serde(default)]
    pub cost: Option<CostBody>,
    /// Why it ended.
    #[schema(value_type = Option<String>)]
    pub finish_reason: Option<FinishReason>,
    /// What it made; kept once it has ended. Of several answers it has the first, and no log-probabilities.
    pub output: Option<Output>,
    /// Why it failed.
    pub error: Option<RequestFailure>,
    /// When it was asked for, ISO 8601.
    pub created_at: String,
    /// When it ended, ISO 8601.
    pub finished_at: Option<String>,
}

/// Why a run failed.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RequestFailure {
    /// One of the API's error codes.
    pub code: String,
    /// What happened.
    pub message: String,
}

impl RequestStatus {
    /// The run as a client sees it that reaches the gateway at `base`.
    #[must_use]
    pub fn new(run: Run, base: &str) -> Self {
        let output = run.state.is_terminal().then(|| Output::from(&run).with(&run.artifacts, base));
        Self {
            request_id: run.id.to_string(),
            status: run.state,
            model: run.model.to_string(),
            provider: run.provider,
            queue_position: run.queue_position,
            usage: run.usage.into(),
            cost: run.cost.map(Into::into),
            finish_reason: run.finish_reason,
            output,
            error: run.failure.map(|f| RequestFailure { code: f.code, message: f.message }),
            created_at: run.created_at.to_string(),
            finished_at: run.finished_at.map(|at| at.to_string()),
        }
    }
}

/// What became of a request to cancel.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CancelResponse {
    /// The run's id.
    pub request_id: String,
    /// Whether this call stopped it; false if it had ended before.
    pub cancelled: bool,
    /// Its state now.
    #[schema(value_type = String)]
    pub status: RunState,
    /// What it had made, if `partial=true` was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<Output>,
}

/// A request that goes on by itself: the answer to `Prefer: respond-async`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AcceptedRequest {
    /// The run's id.
    pub request_id: String,
    /// `queued` or `running`.
    #[schema(value_type = String)]
    pub status: RunState,
    /// Its place in the queue, from 1, while it waits.
    pub queue_position: Option<u32>,
    /// Where its state and its output are.
    #[schema(example = "/v1/requests/req_01JDB4T6ZW3Q8N5XKM2C7V9RHF")]
    pub status_url: String,
    /// Where its events are.
    #[schema(example = "/v1/requests/req_01JDB4T6ZW3Q8N5XKM2C7V9RHF/events")]
    pub events_url: String,
}

impl AcceptedRequest {
    /// The run `id`.
    #[must_use]
    pub fn new(id: RunId, status: RunState, queue_position: Option<u32>) -> Self {
        let status_url = format!("/v1/requests/{id}");
        let events_url = format!("{status_url}/events");
        Self { request_id: id.to_string(), status, queue_position, status_url, events_url }
    }
}

/// How to cancel.
#[derive(Debug, Clone, Copy, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct CancelQuery {
    /// Whether to answer with what was made so far.
    #[serde(default)]
    pub partial: bool,
}

/// Where to begin.
#[derive(Debug, Clone, Copy, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct EventsQuery {
    /// Only events after this seq. The header `Last-Event-ID` means the same.
    pub after: Option<u64>,
}
