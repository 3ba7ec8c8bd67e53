//! The record of a batch.

use std::{collections::BTreeMap, time::Duration};

use hearth_domain::{
    BatchCounts, BatchDialect, BatchEndpoint, BatchId, BatchState, BatchWhen, FileId, JobId, OrganisationId,
    Owner, Rate, RevisionId, Timestamp, Usage, UserId,
};
use serde::{Deserialize, Serialize};

use super::BATCH_TTL;

/// A batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BatchRecord {
    /// Its id.
    pub id: BatchId,
    /// The user who has created it.
    pub user: UserId,
    /// The organisation in which it was created.
    pub organisation: OrganisationId,
    /// The API in which it was created.
    pub dialect: BatchDialect,
    /// The route of its requests.
    pub endpoint: BatchEndpoint,
    /// The job that carries it out; none until it is submitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobId>,
    /// The file with its requests.
    pub input: FileId,
    /// Size of the input in bytes.
    pub input_bytes: u64,
    /// Texts of the client.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// The time at which its requests may be started.
    #[serde(default)]
    pub when: BatchWhen,
    /// The highest price of a provider that may serve its requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_price: Option<Rate>,
    /// Values of the header `anthropic-beta`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub betas: Vec<String>,
    /// Seconds after which the files of its results are deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_expires_after: Option<u64>,
    /// Its state.
    pub state: BatchState,
    /// Its results by kind.
    #[serde(default)]
    pub counts: BatchCounts,
    /// Tokens of its answers.
    #[serde(default)]
    pub usage: Usage,
    /// The position in its input.
    #[serde(default)]
    pub position: BatchPosition,
    /// The results of answered requests; in Anthropic's dialect all results.
    #[serde(default)]
    pub output: BatchOutput,
    /// The results of other requests.
    #[serde(default)]
    pub errors: BatchOutput,
    /// Faults of the input, or of the batch as a whole.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<BatchFault>,
    /// The reason for which its requests wait, if they do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
    /// The fencing token of the process that carries it out.
    #[serde(default)]
    pub fencing_token: u64,
    /// When it was created.
    pub created_at: Timestamp,
    /// The time up to which its requests are started.
    pub expires_at: Timestamp,
    /// When its input was checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_progress_at: Option<Timestamp>,
    /// When each of its requests had a result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finalizing_at: Option<Timestamp>,
    /// When its owner cancelled it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancelling_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
}

/// A batch as it was read from the table, with its revision.
#[derive(Debug, Clone, PartialEq)]
pub struct RevisedBatch {
    /// The batch.
    pub record: BatchRecord,
    /// Its revision.
    pub revision: RevisionId,
}

/// A position in the input of a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BatchPosition {
    /// Byte at which the next line begins.
    pub offset: u64,
    /// Number of the next line, from 0.
    pub line: u64,
    /// Requests before it that have no result.
    pub pending: Vec<PendingRequest>,
}

/// A request that was read, and has no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingRequest {
    /// Number of its line, from 0.
    pub line: u64,
    /// Byte at which its line begins.
    pub offset: u64,
    /// Bytes of its line.
    pub length: u64,
    /// The number of times that it was begun and has panicked.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub deaths: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "it is serde's form")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Results of one kind, in parts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BatchOutput {
    /// Names of the full parts, in order.
    pub sealed: Vec<String>,
    /// Name of the last part, which is replaced while it grows.
    pub tail: Option<String>,
    /// Bytes of all parts.
    pub bytes: u64,
    /// The file that they become, once it is begun.
    pub file: Option<FileId>,
}

impl BatchOutput {
    /// The names of the parts, in order.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.sealed.iter().chain(&self.tail).map(String::as_str)
    }
}

/// Fault of an input, or of a batch as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchFault {
    /// Code.
    pub code: String,
    /// Message for people.
    pub message: String,
    /// Number of the line, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// Field at fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub param: Option<String>,
}

impl BatchRecord {
    /// A batch that `owner` creates now over a file of this size.
    #[must_use]
    pub fn new(
        owner: Owner,
        dialect: BatchDialect,
        endpoint: BatchEndpoint,
        (input, input_bytes): (FileId, u64),
        window: Duration,
    ) -> Self {
        let created_at = Timestamp::now();
        Self {
            id: BatchId::new(),
            user: owner.user,
            organisation: owner.organisation,
            dialect,
            endpoint,
            job: None,
            input,
            input_bytes,
            metadata: BTreeMap::new(),
            when: BatchWhen::Now,
            max_price: None,
            betas: Vec::new(),
            output_expires_after: None,
            state: BatchState::Validating,
            counts: BatchCounts::default(),
            usage: Usage::default(),
            position: BatchPosition::default(),
            output: BatchOutput::default(),
            errors: BatchOutput::default(),
            faults: Vec::new(),
            waits_for: None,
            fencing_token: 0,
            created_at,
            expires_at: created_at.plus(window),
            in_progress_at: None,
            finalizing_at: None,
            cancelling_at: None,
            ended_at: None,
        }
    }

    /// The user and the organisation that it belongs to.
    #[must_use]
    pub fn owner(&self) -> Owner {
        Owner { user: self.user, organisation: self.organisation }
    }

    /// The names of all parts.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.output.parts().chain(self.errors.parts())
    }

    /// The time up to which the record is stored.
    pub(super) fn stored_until(&self) -> Timestamp {
        self.ended_at.unwrap_or(self.expires_at).plus(BATCH_TTL)
    }

    /// True if the record hasn't expired: the database deletes expired items late.
    pub(super) fn is_current(&self, now: Timestamp) -> bool {
        self.stored_until() > now
    }
}
