//! Message batches (<https://platform.claude.com/docs/en/api/creating-message-batches>).

use std::collections::HashSet;

use hearth_domain::{BatchWhen, MessageBatchId, Rate, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::MessagesError;
use crate::ApiError;

/// Longest `custom_id` in Anthropic's API, in characters.
const CUSTOM_ID_MAX_CHARS: usize = 64;

/// Request for a batch of messages.
#[derive(Debug, Clone, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MessageBatchRequest {
    /// The requests, 1 to 50000.
    #[schema(min_items = 1, max_items = 50_000)]
    pub requests: Vec<MessageBatchItem>,
    /// Extension. Time at which requests may be started: `now` (the default), `idle` while the caller's nodes have no other work,
    /// or `night` in the hours that the operator has set.
    #[serde(default)]
    pub when: Option<BatchWhen>,
    /// Extension. Highest price of a provider that may serve a request, in dollars for a million output tokens.
    #[serde(default)]
    #[schema(value_type = Option<f64>)]
    pub max_price: Option<Rate>,
}

/// Request of a batch of messages.
#[derive(Debug, Clone, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MessageBatchItem {
    /// Id of the client's choice, unique in the batch: 1 to 64 letters, digits, `-` and `_`.
    #[schema(example = "question-1")]
    pub custom_id: String,
    /// Body of a request of `POST /v1/messages`, without `stream`.
    #[schema(value_type = Object)]
    pub params: Map<String, Value>,
}

/// A batch of messages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MessageBatch {
    /// Id.
    #[schema(value_type = String, example = "msgbatch_01JDB4T6ZW3Q8N5XKM2C7V9RHF")]
    pub id: MessageBatchId,
    /// Always `message_batch`.
    #[serde(rename = "type")]
    #[schema(example = "message_batch")]
    pub kind: String,
    /// `in_progress`, `canceling` or `ended`.
    #[schema(example = "in_progress")]
    pub processing_status: String,
    /// Numbers of requests.
    pub request_counts: MessageBatchCounts,
    /// Time of the end, ISO 8601, as all times here.
    #[schema(value_type = Option<String>)]
    pub ended_at: Option<Timestamp>,
    /// Time of the creation.
    #[schema(value_type = String)]
    pub created_at: Timestamp,
    /// Time up to which requests are carried out.
    #[schema(value_type = String)]
    pub expires_at: Timestamp,
    /// Always null: a batch is deleted 30 days after its end.
    #[schema(value_type = Option<String>)]
    pub archived_at: Option<Timestamp>,
    /// Time of the cancellation.
    #[schema(value_type = Option<String>)]
    pub cancel_initiated_at: Option<Timestamp>,
    /// Address of the results, once the batch has ended.
    pub results_url: Option<String>,
    /// Extension. Reason for which the requests wait; null if they don't.
    pub waits_for: Option<String>,
}

/// Numbers of the requests of a batch of messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MessageBatchCounts {
    /// Requests without a result. Until the batch ends, all of them, as in Anthropic's API.
    pub processing: u64,
    /// Requests with an answer.
    pub succeeded: u64,
    /// Requests that ended with an error.
    pub errored: u64,
    /// Requests that weren't carried out before the cancellation.
    pub canceled: u64,
    /// Requests that weren't carried out in time.
    pub expired: u64,
}

/// Page of batches of messages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MessageBatchList {
    /// The batches, the newest first.
    pub data: Vec<MessageBatch>,
    /// True if more batches follow; with `before_id`, if more precede.
    pub has_more: bool,
    /// Id of the first batch.
    pub first_id: Option<String>,
    /// Id of the last batch.
    pub last_id: Option<String>,
}

/// Page of batches of messages to list.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct MessageBatchQuery {
    /// Only batches after the one with this id.
    pub after_id: Option<String>,
    /// Only batches before the one with this id.
    pub before_id: Option<String>,
    /// Maximum number of batches, 1 to 1000; absent: 20. A page has 100 at most.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
}

/// Batch of messages that was deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MessageBatchDeleted {
    /// Id.
    #[schema(value_type = String)]
    pub id: MessageBatchId,
    /// Always `message_batch_deleted`.
    #[serde(rename = "type")]
    #[schema(example = "message_batch_deleted")]
    pub kind: String,
}

/// Result of a batch's request: a line of its results.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MessageBatchResultLine<'a> {
    /// Id of the client's choice.
    pub custom_id: &'a str,
    /// The result.
    pub result: MessageBatchResult<'a>,
}

/// Result of a batch's request.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum MessageBatchResult<'a> {
    /// An answer.
    Succeeded {
        /// The answer, as `POST /v1/messages` has it.
        message: &'a Value,
    },
    /// An error.
    Errored {
        /// The error, as `POST /v1/messages` has it.
        error: &'a MessagesError,
    },
    /// It wasn't carried out before the cancellation.
    Canceled,
    /// It wasn't carried out in time.
    Expired,
}

impl MessageBatchRequest {
    /// Checks the number of requests and their ids.
    ///
    /// # Errors
    /// `invalid_request`, naming the field.
    pub fn check(&self, max_requests: u64) -> Result<(), ApiError> {
        if self.requests.is_empty() || self.requests.len() as u64 > max_requests {
            let message = format!("requests must have 1 to {max_requests} requests");
            return Err(ApiError::invalid("requests", message));
        }
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let mut ids = HashSet::with_capacity(self.requests.len());
        for (index, item) in self.requests.iter().enumerate() {
            let id = item.custom_id.as_str();
            let param = format!("requests[{index}].custom_id");
            if id.is_empty() || id.len() > CUSTOM_ID_MAX_CHARS || !id.chars().all(is_plain) {
                let message = format!(
                    "{param} must have 1 to {CUSTOM_ID_MAX_CHARS} letters, digits, hyphens and underscores"
                );
                return Err(ApiError::invalid(param, message));
            }
            if !ids.insert(id) {
                let message = format!("{param} is that of an earlier request; each needs one of its own");
                return Err(ApiError::invalid(param, message));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ids_are_checked() {
        let check = |ids: &[&str]| {
            let requests: Vec<_> = ids.iter().map(|id| json!({"custom_id": id, "params": {}})).collect();
            let request: MessageBatchRequest = serde_json::from_value(json!({"requests": requests})).unwrap();
            request.check(3).map_err(|error| error.param.unwrap())
        };
        check(&["a", "b-1_"]).unwrap();
        assert_eq!(check(&[]).unwrap_err(), "requests");
        assert_eq!(check(&["a", "b", "c", "d"]).unwrap_err(), "requests");
        for bad in ["", "a b", "é", &"x".repeat(65)] {
            assert_eq!(check(&["a", bad]).unwrap_err(), "requests[1].custom_id");
        }
        assert_eq!(check(&["a", "a"]).unwrap_err(), "requests[1].custom_id");
    }
}
