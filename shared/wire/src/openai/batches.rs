//! Batches: `/v1/batches`, as OpenAI's SDKs send and read it (<https://platform.openai.com/docs/api-reference/batch>).

mod line;

use std::collections::BTreeMap;

use hearth_domain::{BatchEndpoint, BatchState, BatchWhen, FileId, JobId, Rate};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{ApiError, openai::files::ExpiresAfter};

pub use line::{
    BatchLine, BatchLineError, BatchLineResponse, BatchResultLine, CUSTOM_ID_MAX_BYTES, check_custom_id,
};

/// The window that the API has.
pub const COMPLETION_WINDOW: &str = "24h";
/// Largest number of texts of a client, and of the characters of their names and values.
const METADATA_MAX_COUNT: usize = 16;
const METADATA_NAME_MAX_CHARS: usize = 64;
const METADATA_VALUE_MAX_CHARS: usize = 512;

/// Time within which a batch is carried out.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[expect(dead_code, reason = "it only documents the value")]
enum CompletionWindow {
    /// A day, the only value.
    #[serde(rename = "24h")]
    Day,
}

/// Request for a batch.
#[derive(Debug, Clone, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchRequest {
    /// Id of the file with the requests, one on each line, uploaded with the purpose `batch`.
    #[schema(example = "file-01JDB4T6ZW3Q8N5XKM2C7V9RHF")]
    pub input_file_id: String,
    /// Route of the requests.
    #[schema(value_type = BatchEndpoint, example = "/v1/chat/completions")]
    pub endpoint: String,
    /// Always `24h`.
    #[schema(value_type = CompletionWindow, example = "24h")]
    pub completion_window: String,
    /// Up to 16 texts of the client, by names of at most 64 characters.
    #[serde(default)]
    pub metadata: Option<BTreeMap<String, String>>,
    /// Time after which the files of the results are deleted by themselves.
    #[serde(default)]
    pub output_expires_after: Option<ExpiresAfter>,
    /// Extension. Time at which requests may be started: `now` (the default), `idle` while the caller's nodes have no other work,
    /// or `night` in the hours that the operator has set.
    #[serde(default)]
    pub when: Option<BatchWhen>,
    /// Extension. Highest price of a provider that may serve a request, in dollars for a million output tokens; of embeddings,
    /// for a million input tokens. A request waits while no model within the price can serve it.
    #[serde(default)]
    #[schema(value_type = Option<f64>, example = 0.6)]
    pub max_price: Option<Rate>,
}

/// A batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BatchBody {
    /// Id.
    #[schema(example = "batch_01JDB4T6ZW3Q8N5XKM2C7V9RHF")]
    pub id: String,
    /// Always `batch`.
    #[schema(example = "batch")]
    pub object: String,
    /// Route of the requests.
    pub endpoint: BatchEndpoint,
    /// Faults of the input, or of the batch as a whole; null if there are none.
    pub errors: Option<BatchErrors>,
    /// Id of the file with the requests.
    pub input_file_id: String,
    /// Always `24h`.
    pub completion_window: String,
    /// State.
    pub status: BatchState,
    /// Id of the file with the results of answered requests, once it is complete; null if there are none.
    #[schema(value_type = Option<String>)]
    pub output_file_id: Option<FileId>,
    /// Id of the file with the results of other requests, once it is complete; null if there are none.
    #[schema(value_type = Option<String>)]
    pub error_file_id: Option<FileId>,
    /// Time of the creation, in seconds since 1970, as all times here.
    pub created_at: i64,
    /// Time at which the input was checked.
    pub in_progress_at: Option<i64>,
    /// Time up to which requests are carried out.
    pub expires_at: Option<i64>,
    /// Time at which each request had a result.
    pub finalizing_at: Option<i64>,
    /// Time of the end.
    pub completed_at: Option<i64>,
    /// Time of the failure.
    pub failed_at: Option<i64>,
    /// Time of the expiry.
    pub expired_at: Option<i64>,
    /// Time of the cancellation.
    pub cancelling_at: Option<i64>,
    /// Time of the end after a cancellation.
    pub cancelled_at: Option<i64>,
    /// Numbers of requests.
    pub request_counts: BatchRequestCounts,
    /// Tokens of the answers.
    pub usage: BatchUsage,
    /// Texts of the client; null if there are none.
    pub metadata: Option<BTreeMap<String, String>>,
    /// Extension. Time at which the requests may be started.
    pub when: BatchWhen,
    /// Extension. Highest price of a provider that may serve a request.
    #[schema(value_type = Option<f64>)]
    pub max_price: Option<Rate>,
    /// Extension. Reason for which the requests wait; null if they don't.
    pub waits_for: Option<String>,
    /// Extension. The job that carries out the batch.
    #[schema(value_type = Option<String>)]
    pub job_id: Option<JobId>,
}

/// Faults of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BatchErrors {
    /// Always `list`.
    #[schema(example = "list")]
    pub object: String,
    /// The first faults.
    pub data: Vec<BatchFaultBody>,
}

/// Fault of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BatchFaultBody {
    /// Code.
    #[schema(example = "duplicate_custom_id")]
    pub code: String,
    /// Number of the line of the input, from 1; null for a fault of the whole.
    pub line: Option<u64>,
    /// Message: what happened and what to do.
    pub message: String,
    /// Field at fault.
    pub param: Option<String>,
}

/// Numbers of a batch's requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BatchRequestCounts {
    /// Requests of the input.
    pub total: u64,
    /// Requests with an answer.
    pub completed: u64,
    /// Requests that ended with an error.
    pub failed: u64,
}

/// Tokens of a batch's answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BatchUsage {
    /// Tokens of the prompts.
    pub input_tokens: u32,
    /// Details of the prompts' tokens.
    pub input_tokens_details: BatchInputTokens,
    /// Tokens of the answers.
    pub output_tokens: u32,
    /// Details of the answers' tokens.
    pub output_tokens_details: BatchOutputTokens,
    /// Sum of both.
    pub total_tokens: u32,
}

/// Details of the tokens of prompts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BatchInputTokens {
    /// Tokens read from a cache.
    pub cached_tokens: u32,
}

/// Details of the tokens of answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BatchOutputTokens {
    /// Tokens of reasoning.
    pub reasoning_tokens: u32,
}

/// Page of batches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BatchList {
    /// Always `list`.
    #[schema(example = "list")]
    pub object: String,
    /// The batches, the newest first.
    pub data: Vec<BatchBody>,
    /// Id of the first batch; null if there is none.
    pub first_id: Option<String>,
    /// Id of the last batch; null if there is none.
    pub last_id: Option<String>,
    /// True if more batches follow.
    pub has_more: bool,
}

/// Page of batches to list.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct BatchQuery {
    /// Id of the last batch of the page before.
    pub after: Option<String>,
    /// Maximum number of batches, 1 to 100; absent: 20.
    #[param(minimum = 1, maximum = 100)]
    pub limit: Option<u32>,
}

impl BatchRequest {
    /// Checks the fields that need no look at the input, and returns the route of the requests.
    ///
    /// # Errors
    /// `invalid_request`, naming the field.
    pub fn check(&self) -> Result<BatchEndpoint, ApiError> {
        let endpoint = self.endpoint.parse::<BatchEndpoint>();
        let endpoint =
            endpoint.map_err(|error| ApiError::invalid("endpoint", format!("endpoint {error}")))?;
        if self.completion_window != COMPLETION_WINDOW {
            let message = format!("completion_window must be {COMPLETION_WINDOW}");
            return Err(ApiError::invalid("completion_window", message));
        }
        check_metadata(self.metadata.as_ref())?;
        Ok(endpoint)
    }
}

fn check_metadata(metadata: Option<&BTreeMap<String, String>>) -> Result<(), ApiError> {
    let Some(metadata) = metadata else { return Ok(()) };
    let is_long = |text: &str, max: usize| text.chars().count() > max;
    let has_long = metadata.iter().any(|(name, value)| {
        is_long(name, METADATA_NAME_MAX_CHARS) || is_long(value, METADATA_VALUE_MAX_CHARS)
    });
    if metadata.len() > METADATA_MAX_COUNT || has_long {
        let message = format!(
            "metadata must have at most {METADATA_MAX_COUNT} texts, with names of at most {METADATA_NAME_MAX_CHARS} and values of \
             at most {METADATA_VALUE_MAX_CHARS} characters"
        );
        return Err(ApiError::invalid("metadata", message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn with(change: &Value) -> Result<BatchEndpoint, ApiError> {
        let mut body = json!({
            "input_file_id": "file-1", "endpoint": "/v1/responses", "completion_window": "24h",
            "metadata": {"run": "7"}, "when": "night", "max_price": 0.5,
        });
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        serde_json::from_value::<BatchRequest>(body).unwrap().check()
    }

    #[test]
    fn wrong_field_is_named() {
        assert_eq!(with(&json!({})).unwrap(), BatchEndpoint::Responses);
        let long = "x".repeat(513);
        let many: serde_json::Map<_, _> = (0..17).map(|index| (index.to_string(), json!("x"))).collect();
        for (change, param) in [
            (json!({"endpoint": "/v1/images"}), "endpoint"),
            (json!({"completion_window": "1h"}), "completion_window"),
            (json!({"metadata": {"a": long}}), "metadata"),
            (json!({"metadata": many}), "metadata"),
        ] {
            assert_eq!(with(&change).unwrap_err().param.as_deref(), Some(param));
        }
    }
}
