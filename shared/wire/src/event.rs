//! Run events: the one stream that every dialect renders, and that the run log keeps.

use hearth_domain::{FinishReason, Usage};
use serde::{Deserialize, Serialize};

use crate::ApiError;

/// An event of a run and its place in the run's order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunEvent {
    /// From 1, without gaps.
    pub seq: u64,
    /// What happened.
    #[serde(flatten)]
    pub body: RunEventBody,
}

/// What can happen to a run. After `Done`, `Error` or `Cancelled` nothing does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum RunEventBody {
    /// The gateway chose who serves it.
    Selected(Selected),
    /// It waits; the place is counted from 1.
    Queued {
        /// Its place in the model's queue.
        position: u32,
    },
    /// Its model is being loaded.
    Loading {
        /// From 0 to 1.
        progress: f32,
    },
    /// It has a slot, and its prompt is tokenized.
    Started {
        /// Tokens of the rendered prompt.
        prompt_tokens: u32,
    },
    /// Text was generated.
    Delta {
        /// Whole characters, never empty.
        text: String,
    },
    /// What it took, once, just before `Done` or `Cancelled`.
    Usage {
        /// The tokens.
        usage: Usage,
    },
    /// It ended by itself.
    Done {
        /// Why.
        finish_reason: FinishReason,
    },
    /// It failed.
    Error {
        /// Why.
        error: ApiError,
    },
    /// It was stopped.
    Cancelled,
}

/// Who serves a run, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Selected {
    /// The model's id.
    pub model: String,
    /// Its makers' name for it.
    pub model_name: String,
    /// Who serves it.
    pub provider: String,
    /// What it makes.
    pub modality: hearth_domain::Modality,
    /// Why it was chosen.
    pub reason: String,
    /// Whether an earlier choice failed.
    pub fallback_used: bool,
}

impl RunEventBody {
    /// Whether nothing follows.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Done { .. } | Self::Error { .. } | Self::Cancelled)
    }
}
