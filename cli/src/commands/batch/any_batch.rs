//! Batches of both APIs: `/v1/batches`, and `/v1/messages/batches` of Anthropic's clients.

use std::{fmt, str::FromStr};

use anyhow::bail;
use hearth_domain::{BatchEndpoint, BatchId, BatchState, FileId, MessageBatchId, Timestamp};
use hearth_wire::{
    anthropic::{MessageBatch, MessageBatchList},
    openai::batches::{BatchBody, BatchList},
};
use serde::Serialize;
use serde_json::json;

use crate::client::{gateway_client::GatewayClient, terminal};

/// Batches of a page, the maximum of `/v1/batches`.
const PAGE_MAX_COUNT: usize = 100;
/// State of a batch of messages that has ended.
const ENDED: &str = "ended";

/// Id of a batch of either API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AnyBatchId {
    /// Of `/v1/batches`.
    File(BatchId),
    /// Of `/v1/messages/batches`.
    Messages(MessageBatchId),
}

/// Batch of either API, as the gateway returns it.
#[derive(Debug, Serialize)]
#[serde(untagged)]
#[expect(clippy::large_enum_variant, reason = "there is one at a time, on its way to the output")]
pub(super) enum AnyBatch {
    /// Of `/v1/batches`.
    File(Box<BatchBody>),
    /// Of `/v1/messages/batches`.
    Messages(MessageBatch),
}

/// List of the latest batches of both APIs, in the form of `/v1/batches`.
#[derive(Debug, Serialize)]
pub(super) struct AnyBatchList {
    object: &'static str,
    pub(super) data: Vec<AnyBatch>,
    first_id: Option<String>,
    last_id: Option<String>,
    has_more: bool,
}

/// Numbers of requests.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counts {
    pub(super) answered: u64,
    pub(super) failed: u64,
    pub(super) total: u64,
}

impl FromStr for AnyBatchId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text.parse(), text.parse()) {
            (Ok(id), _) => Ok(Self::File(id)),
            (_, Ok(id)) => Ok(Self::Messages(id)),
            (Err(error), _) => Err(error.to_string()),
        }
    }
}

impl fmt::Display for AnyBatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(id) => id.fmt(f),
            Self::Messages(id) => id.fmt(f),
        }
    }
}

impl AnyBatchId {
    /// Reads the batch.
    pub(super) async fn get(self, gateway: &GatewayClient) -> anyhow::Result<AnyBatch> {
        match self {
            Self::File(id) => gateway.get(&["v1", "batches", &id.to_string()], &[]).await.map(AnyBatch::File),
            Self::Messages(id) => {
                let path = ["v1", "messages", "batches", &id.to_string()];
                gateway.get(&path, &[]).await.map(AnyBatch::Messages)
            }
        }
    }

    /// Cancels the batch.
    pub(super) async fn cancel(self, gateway: &GatewayClient) -> anyhow::Result<AnyBatch> {
        match self {
            Self::File(id) => {
                let path = ["v1", "batches", &id.to_string(), "cancel"];
                gateway.post(&path, &json!({})).await.map(AnyBatch::File)
            }
            Self::Messages(id) => {
                let path = ["v1", "messages", "batches", &id.to_string(), "cancel"];
                gateway.post(&path, &json!({})).await.map(AnyBatch::Messages)
            }
        }
    }
}

impl AnyBatch {
    pub(super) fn id(&self) -> String {
        match self {
            Self::File(batch) => batch.id.clone(),
            Self::Messages(batch) => batch.id.to_string(),
        }
    }

    pub(super) fn state(&self) -> &str {
        match self {
            Self::File(batch) => batch.status.as_str(),
            Self::Messages(batch) => &batch.processing_status,
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        match self {
            Self::File(batch) => batch.status.is_terminal(),
            Self::Messages(batch) => batch.processing_status == ENDED,
        }
    }

    /// Checks that an ended batch was carried out to its end.
    ///
    /// # Errors
    /// If it has failed, or was cancelled.
    pub(super) fn ensure_completed(&self) -> anyhow::Result<()> {
        match self {
            Self::File(batch) if batch.status != BatchState::Completed => {
                bail!("the batch is {}", batch.status.as_str())
            }
            Self::Messages(batch) if batch.cancel_initiated_at.is_some() => bail!("the batch is cancelled"),
            _ => Ok(()),
        }
    }

    pub(super) fn endpoint(&self) -> BatchEndpoint {
        match self {
            Self::File(batch) => batch.endpoint,
            Self::Messages(_) => BatchEndpoint::Messages,
        }
    }

    pub(super) fn counts(&self) -> Counts {
        match self {
            Self::File(batch) => {
                let counts = batch.request_counts;
                Counts { answered: counts.completed, failed: counts.failed, total: counts.total }
            }
            Self::Messages(batch) => {
                let counts = &batch.request_counts;
                let failed = counts.errored + counts.canceled + counts.expired;
                let total = counts.processing + counts.succeeded + failed;
                Counts { answered: counts.succeeded, failed, total }
            }
        }
    }

    pub(super) fn created(&self) -> Timestamp {
        match self {
            Self::File(batch) => Timestamp::from_unix(batch.created_at),
            // To the second, as the other API.
            Self::Messages(batch) => Timestamp::from_unix(batch.created_at.unix()),
        }
    }

    pub(super) fn waits_for(&self) -> Option<&str> {
        match self {
            Self::File(batch) => batch.waits_for.as_deref(),
            Self::Messages(batch) => batch.waits_for.as_deref(),
        }
    }

    /// All about a batch.
    pub(super) fn lines(&self) -> String {
        let Counts { answered, failed, total } = self.counts();
        let mut lines = vec![
            ("id", self.id()),
            ("status", self.state().to_owned()),
            ("endpoint", self.endpoint().to_string()),
            ("requests", format!("{answered} of {total} answered, {failed} failed")),
            ("created", self.created().to_string()),
        ];
        lines.extend(self.waits_for().map(|reason| ("waits for", reason.to_owned())));
        if let Self::File(batch) = self {
            let file = |file: Option<FileId>| file.map(|id| id.to_string());
            lines.extend(file(batch.output_file_id).map(|id| ("output file", id)));
            lines.extend(file(batch.error_file_id).map(|id| ("error file", id)));
            for fault in batch.errors.iter().flat_map(|errors| &errors.data) {
                let line = fault.line.map(|line| format!("line {line}: ")).unwrap_or_default();
                let message = terminal::printable(&fault.message, terminal::stdout_is_terminal());
                lines.push(("error", format!("{line}{message}")));
            }
        }
        lines.iter().map(|(name, value)| format!("{name:<12} {value}\n")).collect()
    }
}

/// The latest batches of both APIs, the newest first.
pub(super) async fn latest(gateway: &GatewayClient, limit: usize) -> anyhow::Result<AnyBatchList> {
    let (mut batches, mut has_more) = (Vec::new(), false);
    let mut after: Option<String> = None;
    while batches.len() < limit {
        let count = (limit - batches.len()).min(PAGE_MAX_COUNT).to_string();
        let mut query = vec![("limit", count.as_str())];
        query.extend(after.as_deref().map(|after| ("after", after)));
        let page: BatchList = gateway.get(&["v1", "batches"], &query).await?;
        after = page.last_id;
        batches.extend(page.data.into_iter().map(|batch| AnyBatch::File(Box::new(batch))));
        has_more |= page.has_more && batches.len() >= limit;
        if !page.has_more || after.is_none() {
            break;
        }
    }
    let (mut of_messages, mut after) = (0, None::<String>);
    while of_messages < limit {
        let count = (limit - of_messages).min(PAGE_MAX_COUNT).to_string();
        let mut query = vec![("limit", count.as_str())];
        query.extend(after.as_deref().map(|after| ("after_id", after)));
        let page: MessageBatchList = gateway.get(&["v1", "messages", "batches"], &query).await?;
        after = page.last_id;
        of_messages += page.data.len();
        batches.extend(page.data.into_iter().map(AnyBatch::Messages));
        has_more |= page.has_more && of_messages >= limit;
        if !page.has_more || after.is_none() {
            break;
        }
    }
    batches.sort_by_key(|batch| std::cmp::Reverse(batch.created()));
    has_more |= batches.len() > limit;
    batches.truncate(limit);
    let [first_id, last_id] = [batches.first(), batches.last()].map(|batch| batch.map(AnyBatch::id));
    Ok(AnyBatchList { object: "list", data: batches, first_id, last_id, has_more })
}
