//! `/v1/audit`: the audit log.

use std::collections::BTreeMap;

use hearth_domain::AuditResult;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Filter and page of the entries.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// Time of the first entry, ISO 8601, or a day; absent: seven days ago.
    #[param(example = "2026-01-31T09:30:00.000Z")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Time of the last entry, ISO 8601, or a day with all of it; absent: now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Id of the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Name of the action, such as `manage_tokens`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// Operation, such as `create_token`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// Result: `done`, `refused` or `failed`.
    #[param(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<AuditResult>,
    /// Id of a thing that was changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// Log to read: an organisation's id, `gateway` for requests of no organisation, or `all`. Absent: that of the caller's
    /// organisation. Others take the action `administer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organisation: Option<String>,
    /// Maximum number of entries, 1 to 1000; absent: 50.
    #[param(minimum = 1, maximum = 1000)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// Entries, oldest first. With `organisation=all` each day has the logs one after the other.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AuditList {
    /// Entries.
    pub entries: Vec<AuditEntryBody>,
    /// Cursor of the next page, which may have no entries; null after the last one.
    pub next_cursor: Option<String>,
}

/// Entry of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditEntryBody {
    /// Id.
    #[schema(example = "aud_01JZ0000000000000000000000")]
    pub id: String,
    /// Time, ISO 8601.
    pub at: String,
    /// Organisation in which the caller acted; null before it is known.
    pub organisation: Option<String>,
    /// User.
    pub user: Option<String>,
    /// Id of the user's credential.
    pub credential: Option<String>,
    /// Action.
    #[schema(example = "manage_tokens")]
    pub action: String,
    /// Operation of the API, or the command.
    #[schema(example = "create_token")]
    pub operation: String,
    /// Ids of the things that were changed.
    pub resources: Vec<String>,
    /// Result.
    #[schema(value_type = String, example = "done")]
    pub result: AuditResult,
    /// Status of the response; null of a command.
    pub status: Option<u16>,
    /// Code of the error.
    pub code: Option<String>,
    /// Address of the client.
    pub address: Option<String>,
    /// Id of the request.
    pub request_id: Option<String>,
    /// Number of like requests within a minute that the entry stands for.
    pub count: u32,
    /// Further facts.
    pub details: BTreeMap<String, String>,
    /// Place of the entry in its chain.
    pub chain: AuditPlaceBody,
}

/// Place of an entry in its hash chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditPlaceBody {
    /// Chain.
    #[schema(example = "chain_01JZ0000000000000000000000")]
    pub id: String,
    /// Number in the chain, from 1.
    pub number: u64,
    /// Hash of the record before it.
    pub previous: String,
    /// Hash of the record.
    pub hash: String,
}

/// Part of a log to verify.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct VerifyQuery {
    /// First day; absent: the first that hasn't expired.
    #[param(example = "2026-01-31")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Last day; absent: today.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Log to verify: an organisation's id, or `gateway`. Absent: that of the caller's organisation. Others take the action
    /// `administer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organisation: Option<String>,
    /// Seal that the log must still have, `NUMBER:HASH` as an earlier verification has returned it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seal: Option<String>,
}

/// Result of a verification.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AuditVerification {
    /// Log that was verified.
    #[schema(example = "org_01JZ0000000000000000000000")]
    pub organisation: String,
    /// True if there is no break up to where the verification ended.
    pub intact: bool,
    /// First break; null if there is none.
    pub first_break: Option<AuditBreakBody>,
    /// Records that were checked.
    pub records: u64,
    /// Chains that were checked.
    pub chains: u64,
    /// Seals that were checked.
    pub seals: u64,
    /// Records that no seal has yet.
    pub unsealed: u64,
    /// Last seal, `NUMBER:HASH`: note it down elsewhere, and give it to a later verification.
    #[schema(example = "42:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")]
    pub last_seal: Option<String>,
    /// Day from which a next request continues; null if the last day was reached.
    pub next_from: Option<String>,
}

/// Place at which a log isn't as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditBreakBody {
    /// Kind: `changed`, `removed`, `inserted`, `reordered` or `unreadable`.
    #[schema(example = "removed")]
    pub kind: String,
    /// Finding.
    pub message: String,
    /// Day; null of a seal.
    pub day: Option<String>,
    /// Chain; null of a seal.
    pub chain: Option<String>,
    /// Number of the record in its chain, or of the seal.
    pub number: Option<u64>,
    /// Id of the record.
    pub id: Option<String>,
}
