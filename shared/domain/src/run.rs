//! Runs: the life of one generation.

use serde::{Deserialize, Serialize};

use crate::{Artifact, Cost, Modality, ModelId, NodeId, RunId, Timestamp, ToolCall, UserId};

/// Where a run stands. A terminal state is final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// Waits for a slot or for its model to load.
    Queued,
    /// Has a slot.
    Running,
    /// Ended by itself.
    Completed,
    /// Ended by an error.
    Failed,
    /// Ended by its client or an operator.
    Cancelled,
}

impl RunState {
    /// Every state that may still change.
    pub const OPEN: [Self; 2] = [Self::Queued, Self::Running];

    /// Whether this state is final.
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

/// Why a completion ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The model ended its turn, or a stop text was met.
    Stop,
    /// `max_tokens` or the context's end was reached.
    Length,
    /// The model called tools, and waits for their results.
    ToolCalls,
    /// The provider, or the model, would not say it.
    ContentFilter,
    /// The run was cancelled.
    Cancelled,
}

/// Tokens that a run took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the rendered prompt.
    pub prompt_tokens: u32,
    /// Tokens generated, the end-of-turn token not counted.
    pub completion_tokens: u32,
    /// Prompt tokens that needed no computing, since they were kept.
    pub cached_tokens: u32,
    /// Of the tokens generated, those that were thoughts.
    #[serde(default)]
    pub reasoning_tokens: u32,
}

impl Usage {
    /// Prompt and completion together.
    #[must_use]
    pub fn total_tokens(&self) -> u32 {
        self.prompt_tokens.saturating_add(self.completion_tokens)
    }

    /// These and those of another request together.
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

/// Why a run failed, as its client was told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// One of the API's error codes.
    pub code: String,
    /// What happened, for people.
    pub message: String,
}

/// A run's record: all that is kept of it but its events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Its id, also the request's.
    pub id: RunId,
    /// Who asked.
    pub owner: UserId,
    /// Where it stands.
    pub state: RunState,
    /// The model that serves it.
    pub model: ModelId,
    /// The provider that serves it.
    pub provider: String,
    /// The node that serves it, for local models.
    pub node: Option<NodeId>,
    /// What it makes.
    #[serde(default = "text")]
    pub modality: Modality,
    /// Why this model was chosen.
    pub reason: String,
    /// Why it isn't the first choice, if it isn't.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback_reason: Option<String>,
    /// Its place in the queue, from 1, while it waits.
    pub queue_position: Option<u32>,
    /// What it took so far.
    pub usage: Usage,
    /// What that costs; none where it isn't known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
    /// Why it ended.
    pub finish_reason: Option<FinishReason>,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// The text it made; of several answers that of the first.
    #[serde(skip)]
    pub text: String,
    /// The tools that it calls; of several answers those of the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// The files that it made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<Artifact>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it reached a terminal state.
    pub finished_at: Option<Timestamp>,
}

/// What runs made before they told.
fn text() -> Modality {
    Modality::Text
}
