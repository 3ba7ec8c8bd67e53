//! Runs: the life of one generation.

use serde::{Deserialize, Serialize};

use crate::{Artifact, Cost, Modality, ModelId, NodeId, RunId, Timestamp, ToolCall, UserId};

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
            reasoning_tokens: self.reasoning_tokens.saturating_add(other.reasoning_tokens),
        }
    }
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
    /// Time at which it reached a terminal state.
    pub finished_at: Option<Timestamp>,
}

/// Modality of records that were written before runs had one.
fn text() -> Modality {
    Modality::Text
}
