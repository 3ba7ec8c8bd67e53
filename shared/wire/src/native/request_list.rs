//! `/v1/requests`: the recorded runs of a user, and what can be done with one of them.

use hearth_domain::{FinishReason, Modality, Run, RunState};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    generate::{CostBody, UsageBody},
    requests::RequestFailure,
};

/// Filter and page of the requests.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct RequestQuery {
    /// States, separated by commas: `queued`, `running`, `completed`, `failed`, `cancelled`. Absent: all.
    #[param(example = "queued,running")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Id of the model that served the request, or `provider:model`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Id of the token, or of another credential, that sent the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Time of the earliest request, ISO 8601, or a day in UTC.
    #[param(example = "2026-01-31T09:30:00.000Z")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Time of the latest request, ISO 8601, or a day in UTC with all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Maximum number of requests, 1 to 200; absent: 50.
    #[param(minimum = 1, maximum = 200)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// Requests, newest first.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RequestList {
    /// Requests.
    pub requests: Vec<RequestEntry>,
    /// Cursor of the next page, which may have no requests; null after the last one. A filter that selects few requests gives
    /// pages with fewer of them than `limit`.
    pub next_cursor: Option<String>,
}

/// Request in a list, without its output.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RequestEntry {
    /// Id of the run.
    pub request_id: String,
    /// `queued`, `running`, `completed`, `failed` or `cancelled`.
    #[schema(value_type = String)]
    pub status: RunState,
    /// Model that serves it.
    pub model: String,
    /// Provider that serves it.
    pub provider: String,
    /// Modality of the output.
    #[schema(value_type = String)]
    pub modality: Modality,
    /// True if the model isn't the first choice.
    pub fallback_used: bool,
    /// Id of the token, or of another credential, that sent it; null for requests of earlier versions.
    pub token: Option<String>,
    /// Request that it repeats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay_of: Option<String>,
    /// Position in the queue, from 1, while it waits.
    pub queue_position: Option<u32>,
    /// Tokens used.
    pub usage: UsageBody,
    /// Cost; null if it isn't known.
    pub cost: Option<CostBody>,
    /// Reason why it ended.
    #[schema(value_type = Option<String>)]
    pub finish_reason: Option<FinishReason>,
    /// Failure.
    pub error: Option<RequestFailure>,
    /// Time of the request, ISO 8601.
    pub created_at: String,
    /// Time of its end, ISO 8601.
    pub finished_at: Option<String>,
}

impl From<Run> for RequestEntry {
    fn from(run: Run) -> Self {
        Self {
            request_id: run.id.to_string(),
            status: run.state,
            model: run.selection.model.to_string(),
            provider: run.selection.provider,
            modality: run.selection.modality,
            fallback_used: run.selection.fallback_used,
            token: run.token,
            replay_of: run.replay_of.map(|id| id.to_string()),
            queue_position: run.queue_position,
            usage: run.usage.into(),
            cost: run.cost.map(Into::into),
            finish_reason: run.finish_reason,
            error: run.failure.map(Into::into),
            created_at: run.created_at.to_string(),
            finished_at: run.finished_at.map(|at| at.to_string()),
        }
    }
}

/// Deletion of a request's record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RequestDeleted {
    /// Id of the run.
    pub request_id: String,
    /// True: its record, output, events, conversation and files are deleted.
    pub deleted: bool,
}

/// Options of a replay.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct ReplayQuery {
    /// Model to use in place of the request's.
    pub model: Option<String>,
    /// True for an answer as server-sent events.
    pub stream: bool,
}
