//! Runs: the life of one generation.

use serde::{Deserialize, Serialize};

use crate::{
    AppliedDefinitions, Artifact, Cost, Modality, ModelId, NodeId, OnDisconnect, OrganisationId, Owner,
    Payer, RunId, Spend, Timestamp, ToolCall, UserId,
};

/// State of a run. A terminal state is final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// Waits for a slot, or for its model to load.
    Queued,
    /// Has a slot.
    Running,
    /// Ended by itself.
    Completed,
    /// Ended by an error.
    Failed,
    /// Cancelled by its client or an operator.
    Cancelled,
}

impl RunState {
    /// Every state.
    pub const ALL: [Self; 5] = [Self::Queued, Self::Running, Self::Completed, Self::Failed, Self::Cancelled];
    /// States that may still change.
    pub const OPEN: [Self; 2] = [Self::Queued, Self::Running];

    /// Returns whether this state is final.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        !Self::OPEN.contains(&self)
    }

    /// The name used in JSON and in keys.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Reason why a completion ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The model ended its turn, or a stop text was met.
    Stop,
    /// `max_tokens` or the context's end was reached.
    Length,
    /// The model called tools.
    ToolCalls,
    /// The provider, or the model, refused the content.
    ContentFilter,
    /// The run was cancelled.
    Cancelled,
}

/// Tokens that a run used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the rendered prompt.
    pub prompt_tokens: u32,
    /// Tokens generated, the end-of-turn token not counted.
    pub completion_tokens: u32,
    /// Prompt tokens read from the prefix cache.
    pub cached_tokens: u32,
    /// Prompt tokens that the provider has written to its cache, where it charges for that.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cache_write_tokens: u32,
    /// Generated tokens that are reasoning.
    #[serde(default)]
    pub reasoning_tokens: u32,
}

impl Usage {
    /// Returns the sum of prompt and completion tokens.
    #[must_use]
    pub fn total_tokens(&self) -> u32 {
        self.prompt_tokens.saturating_add(self.completion_tokens)
    }

    /// Returns the sum of two usages.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self {
            prompt_tokens: self.prompt_tokens.saturating_add(other.prompt_tokens),
            completion_tokens: self.completion_tokens.saturating_add(other.completion_tokens),
            cached_tokens: self.cached_tokens.saturating_add(other.cached_tokens),
            cache_write_tokens: self.cache_write_tokens.saturating_add(other.cache_write_tokens),
            reasoning_tokens: self.reasoning_tokens.saturating_add(other.reasoning_tokens),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature of serde's predicate")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// Failure of a run as reported to its client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// Error code of the API.
    pub code: String,
    /// Message for people.
    pub message: String,
}

/// Model that serves a run, and the reason of the choice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    /// Id of the model.
    pub model: ModelId,
    /// Display name of the model; empty in records of earlier versions.
    #[serde(default)]
    pub model_name: String,
    /// Provider of the model.
    pub provider: String,
    /// Node of a local model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeId>,
    /// Owner of the provider's key; none for a local model, and in records of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payer: Option<Payer>,
    /// Modality of the output.
    #[serde(default = "text")]
    pub modality: Modality,
    /// Reason of the choice.
    pub reason: String,
    /// True if it isn't the first choice.
    #[serde(default)]
    pub fallback_used: bool,
    /// Reason of the fallback: an error code, or `loading` while the first choice is being loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback_reason: Option<String>,
    /// True if it continues the text of another model.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub resumed: bool,
}

impl Selection {
    /// Creates the selection of a first choice without a node.
    pub fn new(
        model: ModelId,
        provider: impl Into<String>,
        modality: Modality,
        reason: impl Into<String>,
    ) -> Self {
        Self {
            model_name: model.to_string(),
            model,
            provider: provider.into(),
            node: None,
            payer: None,
            modality,
            reason: reason.into(),
            fallback_used: false,
            fallback_reason: None,
            resumed: false,
        }
    }
}

/// Record of a run: everything that is stored but its events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Id, also of the request.
    pub id: RunId,
    /// User who sent the request.
    pub owner: UserId,
    /// Organisation in which the user sent it; `None` in records from before there were organisations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organisation: Option<OrganisationId>,
    /// State.
    pub state: RunState,
    /// Model that serves it, and the reason of the choice.
    #[serde(flatten)]
    pub selection: Selection,
    /// Position in the queue, from 1, while it waits.
    pub queue_position: Option<u32>,
    /// Tokens used so far.
    pub usage: Usage,
    /// Cost; `None` if it isn't known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
    /// Reason why it ended.
    pub finish_reason: Option<FinishReason>,
    /// Failure.
    pub failure: Option<Failure>,
    /// Generated text; of several answers the first.
    #[serde(skip)]
    pub text: String,
    /// Tool calls; of several answers those of the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// Generated files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<Artifact>,
    /// Time of the request.
    pub created_at: Timestamp,
    /// Time at which the process that carries it out ends it; `None` for a process without a time limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// Behaviour when its client disconnects.
    #[serde(default, skip_serializing_if = "OnDisconnect::is_cancel")]
    pub on_disconnect: OnDisconnect,
    /// The most that is believed of its usage, if another process of the gateway may have to charge it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worst_case: Option<Spend>,
    /// Time at which it reached a terminal state.
    pub finished_at: Option<Timestamp>,
    /// Id of the credential that sent the request; `None` in records of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Run whose request it repeats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay_of: Option<RunId>,
    /// Schema and template of its request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definitions: Option<Box<AppliedDefinitions>>,
    /// True if its text was deleted before its record: then `text` is empty.
    #[serde(skip)]
    pub has_expired_text: bool,
}

impl Run {
    /// Returns the user and the organisation that it belongs to.
    #[must_use]
    pub fn owner(&self) -> Owner {
        Owner::of_record(self.owner, self.organisation)
    }
}

/// Modality of records that were written before runs had one.
fn text() -> Modality {
    Modality::Text
}
