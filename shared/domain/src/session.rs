//! Sessions: conversations of several turns, which the gateway stores.
//!
//! The messages of a session are a tree: each has a parent. A branch is a path from the root to a leaf, and the session's
//! head is the leaf of the branch that is continued.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    Artifact, FinishReason, Message, Modality, ModelId, OrganisationId, Owner, RevisionId, RunId, SessionId,
    SessionMessageId, Timestamp, Usage, UserId, run::Failure,
};

/// Behaviour when a session's messages no longer fit in the model's context.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ContextOverflow {
    /// The messages between the first ones and the latest ones are left out.
    #[default]
    TruncateMiddle,
    /// The oldest messages are left out.
    TruncateOldest,
    /// The oldest messages are replaced by a summary.
    Summarise,
    /// The request is refused.
    Error,
}

/// State of a session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SessionStatus {
    /// It can be continued.
    #[default]
    Open,
    /// It can be continued, and isn't in the list of open sessions.
    Archived,
    /// It can only be read, and is deleted some time later.
    Closed,
}

impl SessionStatus {
    /// The name used in JSON and in keys.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Archived => "archived",
            Self::Closed => "closed",
        }
    }
}

/// A named branch of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionBranch {
    /// Its name, unique in the session.
    pub name: String,
    /// Its leaf; `None` for a branch without messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<SessionMessageId>,
    /// When it was created.
    pub created_at: Timestamp,
}

/// A summary of the beginning of a session's active branch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionSummary {
    /// The text.
    pub text: String,
    /// The last message that it covers.
    pub through: SessionMessageId,
}

/// A session, without its messages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Its user.
    pub owner: UserId,
    /// The organisation in which the user created it.
    pub organisation: OrganisationId,
    /// Its title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// True if the title was generated: a user's title replaces it, and it replaces no user's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_title_automatic: bool,
    /// Instructions before the messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_prompt: Option<String>,
    /// The model of turns that name none, as a request names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Behaviour when the messages no longer fit in the context.
    #[serde(default)]
    pub overflow: ContextOverflow,
    /// State tokens of the latest turn that has set them: opaque to the gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_tokens: Option<Value>,
    /// Texts of the client.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// The leaf of the active branch, after which the next turn follows; `None` before the first message and after a reset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<SessionMessageId>,
    /// The name of the active branch; `None` for one without a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// The named branches, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub branches: Vec<SessionBranch>,
    /// A summary of the beginning of the active branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<SessionSummary>,
    /// The sequence number of the latest message, from 1; 0 if there was none.
    #[serde(default)]
    pub last_seq: u32,
    /// Its state.
    #[serde(default)]
    pub status: SessionStatus,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was created, or its latest turn began or ended.
    pub last_used_at: Timestamp,
    /// When its context was reset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reset_at: Option<Timestamp>,
    /// When it was closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<Timestamp>,
    /// When a closed session is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Bytes of its messages, approximately.
    #[serde(default)]
    pub stored_bytes: u64,
    /// Bytes that count in its owner's quota: at least those of its messages. None for a session of an earlier version, which
    /// doesn't count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub granted_bytes: Option<u64>,
    /// Changes with each write.
    pub revision: RevisionId,
}

impl Session {
    /// An open session of now, without title and messages.
    #[must_use]
    pub fn new(owner: Owner) -> Self {
        let now = Timestamp::now();
        Self {
            id: SessionId::new(),
            owner: owner.user,
            organisation: owner.organisation,
            title: None,
            is_title_automatic: false,
            system_prompt: None,
            model: None,
            overflow: ContextOverflow::default(),
            state_tokens: None,
            metadata: BTreeMap::new(),
            head: None,
            branch: None,
            branches: Vec::new(),
            summary: None,
            last_seq: 0,
            status: SessionStatus::Open,
            created_at: now,
            last_used_at: now,
            reset_at: None,
            closed_at: None,
            expires_at: None,
            stored_bytes: 0,
            granted_bytes: None,
            revision: RevisionId::new(),
        }
    }

    /// The user and the organisation that it belongs to.
    #[must_use]
    pub fn owner(&self) -> Owner {
        Owner { user: self.owner, organisation: self.organisation }
    }

    /// Moves the head, and with it the leaf of the active branch.
    pub fn move_head(&mut self, head: Option<SessionMessageId>) {
        self.head = head;
        if let Some(name) = &self.branch
            && let Some(branch) = self.branches.iter_mut().find(|branch| branch.name == *name)
        {
            branch.head = head;
        }
    }

    /// True if a closed session is to be deleted by `now`.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }
}

/// State of a message of a session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SessionMessageState {
    /// The message is whole.
    #[default]
    Complete,
    /// Its run is in progress.
    Pending,
    /// Its process has died before its end; the message has what was stored of it.
    Interrupted,
    /// Its run has failed; the message has what came before the failure.
    Failed,
    /// Its run was cancelled; the message has what came before.
    Cancelled,
}

impl SessionMessageState {
    /// The name used in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Pending => "pending",
            Self::Interrupted => "interrupted",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A message of a session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionMessage {
    /// Its id, which has its sequence number.
    pub id: SessionMessageId,
    /// The message before it in its branch; `None` for a first one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<SessionMessageId>,
    /// Role and content. It isn't among the other fields where those are stored.
    #[serde(skip, default = "no_message")]
    pub message: Message,
    /// Modality of the content.
    #[serde(default = "text")]
    pub modality: Modality,
    /// Files that its run has generated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<Artifact>,
    /// The model that has written it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelId>,
    /// The provider of that model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The run that has written it, or that a user's message has begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// Tokens of that run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// Reason why that run ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<FinishReason>,
    /// Failure of that run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// State tokens after the turn: opaque to the gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_tokens: Option<Value>,
    /// The order of an answer's items in OpenAI's APIs: opaque to the store.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub layout: Value,
    /// Options of the request that has begun its run, for a regeneration: opaque to the store.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub request: Value,
    /// Its state.
    #[serde(default)]
    pub state: SessionMessageState,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its run ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// When its content was last replaced by its user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited_at: Option<Timestamp>,
    /// When its content was deleted. Its place in the tree stays, and readers skip it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Timestamp>,
    /// Changes with each write.
    pub revision: RevisionId,
}

impl SessionMessage {
    /// A whole message of now, which the store gives an id with its sequence number when it is appended.
    #[must_use]
    pub fn new(message: Message) -> Self {
        Self {
            id: SessionMessageId::with_seq(0),
            parent: None,
            message,
            modality: Modality::Text,
            artifacts: Vec::new(),
            model: None,
            provider: None,
            run: None,
            usage: None,
            finish_reason: None,
            failure: None,
            state_tokens: None,
            layout: Value::Null,
            request: Value::Null,
            state: SessionMessageState::Complete,
            created_at: Timestamp::now(),
            finished_at: None,
            edited_at: None,
            deleted_at: None,
            revision: RevisionId::new(),
        }
    }
}

fn no_message() -> Message {
    Message::new(crate::Role::User, "")
}

fn text() -> Modality {
    Modality::Text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Role;

    #[test]
    fn moving_the_head_moves_the_active_branch_alone() {
        let user = UserId::new();
        let mut session = Session::new(Owner { user, organisation: OrganisationId::of_operator(user) });
        let branch = |name: &str| SessionBranch {
            name: name.to_owned(),
            head: None,
            created_at: Timestamp::from_unix(0),
        };
        session.branches = vec![branch("a"), branch("b")];
        session.branch = Some("b".to_owned());
        let head = Some(SessionMessageId::with_seq(3));
        session.move_head(head);
        assert_eq!((session.head, session.branches[0].head, session.branches[1].head), (head, None, head));
    }

    #[test]
    fn stored_fields_of_a_message_are_without_its_content() {
        let message = SessionMessage::new(Message::new(Role::User, "a secret"));
        let json = serde_json::to_string(&message).unwrap();
        assert!(!json.contains("a secret") && !json.contains("role"), "{json}");
        assert_eq!(serde_json::from_str::<SessionMessage>(&json).unwrap().id, message.id);
    }
}
