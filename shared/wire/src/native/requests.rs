//! `/v1/requests/{id}`: a run for its owner.

use hearth_domain::{
    AppliedDefinition, AppliedDefinitions, FinishReason, Run, RunId, RunState, run::Failure,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    generate::{CostBody, SelectionBody, UsageBody},
    output::Output,
};

/// State of a run, and its output.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RequestStatus {
    /// Id of the run.
    pub request_id: String,
    /// `queued`, `running`, `completed`, `failed` or `cancelled`.
    #[schema(value_type = String)]
    pub status: RunState,
    /// Model that serves it.
    pub model: String,
    /// Provider that serves it.
    pub provider: String,
    /// Model that serves it, and the reason of the choice.
    #[serde(default)]
    pub selection: SelectionBody,
    /// Id of the token, or of another credential, that sent it; null for requests of earlier versions.
    #[serde(default)]
    pub token: Option<String>,
    /// Request that it repeats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay_of: Option<String>,
    /// Schema of its answer, in the version that was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<AppliedDefinition>,
    /// Template of its prompt, in the version that was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<AppliedDefinition>,
    /// Position in the queue, from 1, while it waits.
    pub queue_position: Option<u32>,
    /// Tokens used.
    pub usage: UsageBody,
    /// Cost; null if it isn't known.
    #[serde(default)]
    pub cost: Option<CostBody>,
    /// Reason why it ended.
    #[schema(value_type = Option<String>)]
    pub finish_reason: Option<FinishReason>,
    /// Output, once the run has ended: the first answer, without log-probabilities.
    pub output: Option<Output>,
    /// True if the text of the output has expired: a text over 32 KB is deleted after 30 days. Then `output.text` is empty.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub output_expired: bool,
    /// Failure.
    pub error: Option<RequestFailure>,
    /// Time of the request, ISO 8601.
    pub created_at: String,
    /// Time of its end, ISO 8601.
    pub finished_at: Option<String>,
}

/// Failure of a run.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RequestFailure {
    /// Error code of the API.
    pub code: String,
    /// Message.
    pub message: String,
}

impl From<Failure> for RequestFailure {
    fn from(Failure { code, message }: Failure) -> Self {
        Self { code, message }
    }
}

impl RequestStatus {
    /// Creates the body of a run. `base` is the client's address of the gateway.
    #[must_use]
    pub fn new(run: Run, base: &str) -> Self {
        let output = run.state.is_terminal().then(|| Output::from(&run).with(&run.artifacts, base));
        let AppliedDefinitions { schema, template } =
            run.definitions.map(|applied| *applied).unwrap_or_default();
        Self {
            request_id: run.id.to_string(),
            status: run.state,
            model: run.selection.model.to_string(),
            selection: (&run.selection).into(),
            provider: run.selection.provider,
            token: run.token,
            replay_of: run.replay_of.map(|id| id.to_string()),
            schema,
            template,
            queue_position: run.queue_position,
            usage: run.usage.into(),
            cost: run.cost.map(Into::into),
            finish_reason: run.finish_reason,
            output,
            output_expired: run.has_expired_text,
            error: run.failure.map(Into::into),
            created_at: run.created_at.to_string(),
            finished_at: run.finished_at.map(|at| at.to_string()),
        }
    }
}

/// Result of a cancellation.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CancelResponse {
    /// Id of the run.
    pub request_id: String,
    /// True if this call stopped the run; false if it had ended before.
    pub cancelled: bool,
    /// State after the call.
    #[schema(value_type = String)]
    pub status: RunState,
    /// Output so far, with `partial=true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<Output>,
}

/// Request that continues without its client: the answer to `Prefer: respond-async`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AcceptedRequest {
    /// Id of the run.
    pub request_id: String,
    /// `queued` or `running`.
    #[schema(value_type = String)]
    pub status: RunState,
    /// Position in the queue, from 1, while it waits.
    pub queue_position: Option<u32>,
    /// Path of its state and its output.
    #[schema(example = "/v1/requests/req_01JDB4T6ZW3Q8N5XKM2C7V9RHF")]
    pub status_url: String,
    /// Path of its events.
    #[schema(example = "/v1/requests/req_01JDB4T6ZW3Q8N5XKM2C7V9RHF/events")]
    pub events_url: String,
}

impl AcceptedRequest {
    /// Creates the body for a run.
    #[must_use]
    pub fn new(id: RunId, status: RunState, queue_position: Option<u32>) -> Self {
        let status_url = format!("/v1/requests/{id}");
        let events_url = format!("{status_url}/events");
        Self { request_id: id.to_string(), status, queue_position, status_url, events_url }
    }
}

/// Options of a cancellation.
#[derive(Debug, Clone, Copy, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CancelQuery {
    /// True to return the output so far.
    #[serde(default)]
    pub partial: bool,
}

/// Start of the events.
#[derive(Debug, Clone, Copy, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EventsQuery {
    /// Sequence number of the last event that the client has. The header `Last-Event-ID` has the same meaning.
    pub after: Option<u64>,
}
