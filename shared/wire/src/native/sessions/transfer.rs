//! Sessions searched, exported and imported.

use hearth_domain::{Role, SessionStatus};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::SessionEntry;

/// Search in the caller's sessions.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SessionSearchQuery {
    /// Words, 1 to 200 characters. A title or a message matches if it has all of them, in any case of letters.
    #[param(example = "rain poem")]
    pub query: String,
    /// `open`, `archived` or `closed`. Absent: `open`.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    pub status: Option<SessionStatus>,
    /// Maximum number of results, 1 to 200; absent: 50.
    #[serde(default)]
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[serde(default)]
    pub cursor: Option<String>,
}

/// Results of a search, from the last used session on.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SessionSearchResults {
    /// Results. A page may have fewer than `limit`, or none, and a cursor: the work of a request is limited.
    pub results: Vec<SessionSearchResult>,
    /// Cursor with which the search goes on; null at its end.
    pub next_cursor: Option<String>,
}

/// Result of a search: a message, or a session whose title matches.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SessionSearchResult {
    /// Session.
    pub session: SessionEntry,
    /// Message; null if the title matches.
    pub message_id: Option<String>,
    /// Role of the message.
    pub role: Option<Role>,
    /// Text around the first word.
    pub snippet: String,
}

/// Format of an export.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SessionExportFormat {
    /// The session with the messages of all branches, as `POST /v1/sessions/import` reads it.
    #[default]
    Json,
    /// The active branch as a text.
    Markdown,
}

/// Format of an export.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct SessionExportQuery {
    /// `json` or `markdown`. Absent: `json`.
    #[param(value_type = Option<SessionExportFormat>, inline, example = "markdown")]
    pub format: SessionExportFormat,
}

/// Report of an import.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct SessionImportReport {
    /// Detected format: `chatgpt`, `open_webui` or `hearth`.
    pub format: String,
    /// Sessions that were created.
    pub imported: Vec<ImportedSession>,
    /// Conversations and parts that were left out.
    pub skipped: Vec<SkippedPart>,
}

/// Session that was created by an import.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ImportedSession {
    /// Id.
    pub id: String,
    /// Title.
    pub title: Option<String>,
    /// Number of its messages, in all branches.
    pub messages: usize,
}

/// Reason of a [`SkippedPart`] that an earlier import of the same file has stored.
pub const IMPORTED_BEFORE: &str = "it was imported before";

/// Part of a file that wasn't imported.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SkippedPart {
    /// Title or position of the conversation.
    pub conversation: String,
    /// Reason.
    pub reason: String,
    /// Number of such parts in the conversation.
    pub count: usize,
}
