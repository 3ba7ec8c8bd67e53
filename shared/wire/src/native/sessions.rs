//! `/v1/sessions`: sessions, their messages and their branches.

mod transfer;

use std::collections::BTreeMap;

use hearth_domain::{ContextOverflow, Modality, Role, SessionMessageId, SessionMessageState, SessionStatus};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

pub use transfer::{
    IMPORTED_BEFORE, ImportedSession, SessionExportFormat, SessionExportQuery, SessionImportReport,
    SessionSearchQuery, SessionSearchResult, SessionSearchResults, SkippedPart,
};

use super::{generate::UsageBody, requests::RequestFailure};

/// Session to create.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CreateSession {
    /// Title, 1 to 200 characters. Absent: one is generated after the first turn.
    #[schema(example = "A poem about rain", max_length = 200)]
    pub title: Option<String>,
    /// Instructions before the messages.
    #[schema(example = "Answer briefly.")]
    pub system_prompt: Option<String>,
    /// Model of the turns that name none: a model id, `provider:model`, or an alias.
    #[schema(example = "tiny-chat")]
    pub model: Option<String>,
    /// Behaviour when the session no longer fits in the model's context. Absent: `truncate_middle`.
    pub context_overflow: Option<ContextOverflow>,
    /// Texts of the client, 16 at most.
    pub metadata: BTreeMap<String, String>,
    /// State tokens: any JSON value of at most 16 KiB, which is passed on with each turn until it is replaced.
    #[schema(value_type = Option<Value>)]
    pub state_tokens: Option<Value>,
}

/// Changes of a session. Absent fields stay as they are; null removes a title, a system prompt, a model or state tokens.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ChangeSession {
    /// Title, 1 to 200 characters. Null: one is generated after the next turn.
    #[schema(value_type = Option<String>, example = "A poem about rain", max_length = 200)]
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub title: Option<Option<String>>,
    /// Instructions before the messages.
    #[schema(value_type = Option<String>)]
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub system_prompt: Option<Option<String>>,
    /// Model of the turns that name none.
    #[schema(value_type = Option<String>)]
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub model: Option<Option<String>>,
    /// Behaviour when the session no longer fits in the model's context.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_overflow: Option<ContextOverflow>,
    /// Texts of the client, in place of the ones of before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<BTreeMap<String, String>>,
    /// State tokens, in place of the ones of before.
    #[schema(value_type = Option<Value>)]
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub state_tokens: Option<Option<Value>>,
    /// False moves an archived session back to the open ones; true archives it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archived: Option<bool>,
}

/// Reads a field that may be null: `Some(None)` then, and `None` only where it is absent.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(value: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(value).map(Some)
}

/// Session.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SessionBody {
    /// Id, `sess_...`.
    pub id: String,
    /// Title.
    pub title: Option<String>,
    /// True if the title was generated.
    pub title_is_automatic: bool,
    /// Instructions before the messages.
    pub system_prompt: Option<String>,
    /// Model of the turns that name none.
    pub model: Option<String>,
    /// Behaviour when the session no longer fits in the model's context.
    pub context_overflow: ContextOverflow,
    /// Texts of the client.
    pub metadata: BTreeMap<String, String>,
    /// State tokens of the latest turn.
    #[schema(value_type = Option<Value>)]
    pub state_tokens: Option<Value>,
    /// `open`, `archived` or `closed`.
    pub status: SessionStatus,
    /// Name of the active branch; null for one without a name.
    pub branch: Option<String>,
    /// Id of the latest message of the active branch.
    pub head: Option<String>,
    /// Time of creation, ISO 8601.
    pub created_at: String,
    /// Time of the latest turn, ISO 8601.
    pub last_used_at: String,
    /// Time of the latest reset, ISO 8601.
    pub reset_at: Option<String>,
    /// Time at which it was closed, ISO 8601.
    pub closed_at: Option<String>,
    /// Time at which the closed session is deleted, ISO 8601.
    pub expires_at: Option<String>,
}

/// Session with the latest messages of its active branch.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SessionDetails {
    /// Session.
    #[serde(flatten)]
    pub session: SessionBody,
    /// Latest messages of the active branch, oldest first.
    pub messages: Vec<SessionMessageBody>,
    /// Cursor of the messages before these, for `GET /v1/sessions/{id}/messages`; null if these are all.
    pub messages_cursor: Option<String>,
}

/// Session in a list.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SessionEntry {
    /// Id, `sess_...`.
    pub id: String,
    /// Title.
    pub title: Option<String>,
    /// Time of the latest turn, ISO 8601.
    pub last_used_at: String,
    /// Time of creation, ISO 8601.
    pub created_at: String,
    /// `open`, `archived` or `closed`.
    pub status: SessionStatus,
}

/// Sessions, the last used one first.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SessionList {
    /// Sessions.
    pub sessions: Vec<SessionEntry>,
    /// Cursor of the next page; null after the last one.
    pub next_cursor: Option<String>,
}

/// Filter and page of the sessions.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct SessionQuery {
    /// `open`, `archived` or `closed`. Absent: `open`.
    #[param(inline)]
    pub status: Option<SessionStatus>,
    /// Maximum number of sessions, 1 to 200; absent: 50.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// Number of messages that are returned with a session.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct SessionPageQuery {
    /// Maximum number of messages, 1 to 200; absent: 50.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
}

/// Page of the messages of a session.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct MessageQuery {
    /// Name of a branch. Absent: the active one.
    pub branch: Option<String>,
    /// True for the messages of all branches, and of the time before a reset, oldest first.
    pub all: bool,
    /// Maximum number of messages, 1 to 200; absent: 50.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// Messages of a session, oldest first within the page. The first page of a branch has its latest messages, and the next one
/// those before them.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SessionMessageList {
    /// Messages.
    pub messages: Vec<SessionMessageBody>,
    /// Cursor of the next page; null after the last one.
    pub next_cursor: Option<String>,
}

/// Message of a session.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SessionMessageBody {
    /// Id, `msg_...`.
    pub id: String,
    /// Id of the message before it.
    pub parent_id: Option<String>,
    /// `system`, `user`, `assistant` or `tool`.
    pub role: Role,
    /// Text; empty for a message of another kind.
    pub content: String,
    /// Number of images in the message.
    pub images: usize,
    /// Calls of tools, as in OpenAI's chat completions.
    #[schema(value_type = Vec<Object>)]
    pub tool_calls: Vec<Value>,
    /// Id of the call that a tool's message answers.
    pub tool_call_id: Option<String>,
    /// Modality of the content.
    #[schema(value_type = String)]
    pub modality: Modality,
    /// Files that its run has generated.
    pub artifacts: Vec<SessionArtifact>,
    /// Model that has written it.
    pub model: Option<String>,
    /// Provider of that model.
    pub provider: Option<String>,
    /// Run that has written it, or that it has begun.
    pub request_id: Option<String>,
    /// `complete`, `pending`, `interrupted`, `failed` or `cancelled`.
    pub state: SessionMessageState,
    /// Tokens that its run has used.
    pub usage: Option<UsageBody>,
    /// Reason why its run ended.
    pub finish_reason: Option<String>,
    /// Failure of its run; null unless the state is `failed` or `interrupted`.
    #[serde(default)]
    pub error: Option<RequestFailure>,
    /// State tokens after the turn.
    #[schema(value_type = Option<Value>)]
    pub state_tokens: Option<Value>,
    /// Time of creation, ISO 8601 in UTC.
    #[schema(example = "2026-01-31T09:30:00.000Z")]
    pub created_at: String,
    /// Time at which its run ended, ISO 8601 in UTC.
    pub finished_at: Option<String>,
    /// Time at which its content was changed, ISO 8601 in UTC.
    pub edited_at: Option<String>,
}

/// File of a message.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SessionArtifact {
    /// Id, `art_...`.
    pub id: String,
    /// Media type.
    #[serde(rename = "type")]
    pub media_type: String,
    /// Time of deletion, ISO 8601.
    pub expires_at: String,
}

/// Change of a message.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeMessage {
    /// Text, in place of the one of before.
    #[schema(example = "Write a poem about snow.")]
    pub content: String,
}

/// Branch to create.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateBranch {
    /// Name, 1 to 100 characters, unique in the session.
    #[schema(example = "a sadder one", max_length = 100)]
    pub name: String,
    /// Id of the message after which it begins. Absent: the latest one of the active branch.
    #[schema(value_type = Option<String>)]
    #[serde(default)]
    pub from: Option<SessionMessageId>,
    /// False leaves the active branch as it is.
    #[serde(default = "yes")]
    pub switch: bool,
}

fn yes() -> bool {
    true
}

/// Branch that becomes the active one: one of the two.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SwitchBranch {
    /// Name of the branch.
    #[schema(example = "a sadder one")]
    pub branch: Option<String>,
    /// Id of a message: the session is continued after it, in a branch without a name.
    #[schema(value_type = Option<String>)]
    pub message_id: Option<SessionMessageId>,
}

/// Branch of a session.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct BranchBody {
    /// Name.
    pub name: String,
    /// Id of its latest message.
    pub head: Option<String>,
    /// True if it is the active one.
    pub active: bool,
    /// Time of creation, ISO 8601.
    pub created_at: String,
}

/// Branches of a session with a name, oldest first.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct BranchList {
    /// Branches.
    pub branches: Vec<BranchBody>,
}

/// Choice between closing a session and deleting it at once.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct CloseQuery {
    /// True deletes the session with its messages at once, closed or not.
    pub permanent: bool,
}

/// Session that was closed or deleted.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SessionClosed {
    /// Id.
    pub id: String,
    /// True if it is deleted; false if it is closed, and can still be read.
    pub deleted: bool,
    /// Time at which the closed session is deleted, ISO 8601.
    pub expires_at: Option<String>,
}
