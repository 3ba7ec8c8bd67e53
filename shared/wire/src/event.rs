//! Run events: the one stream that every dialect renders, and that the run log keeps.

use hearth_domain::{
    Artifact, Cost, Credits, FinishReason, NodeId, Reasoning, Structured, TokenLogprob, Usage,
};
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

impl RunEvent {
    /// How many bytes it has as JSON.
    #[must_use]
    pub fn json_bytes(&self) -> usize {
        serde_json::to_vec(self).map_or(0, |json| json.len())
    }
}

/// What can happen to a run. After `Done`, `Error` or `Cancelled` nothing does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum RunEventBody {
    /// The gateway chose who serves it.
    Selected(Selected),
    /// How the credit of a provider stands that was asked.
    Credits {
        /// The provider.
        provider: String,
        /// What is left.
        credits: Credits,
    },
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
        /// Of which answer, from 0.
        #[serde(default, skip_serializing_if = "is_zero")]
        choice: u32,
        /// Whole characters; empty only if it comes with log-probabilities.
        text: String,
        /// The tokens behind it, if they were asked for.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        logprobs: Vec<TokenLogprob>,
    },
    /// The model says that it won't answer.
    Refusal {
        /// In which answer, from 0.
        #[serde(default, skip_serializing_if = "is_zero")]
        choice: u32,
        /// What follows of its words.
        text: String,
    },
    /// The model thinks.
    Reasoning {
        /// For which answer, from 0.
        #[serde(default, skip_serializing_if = "is_zero")]
        choice: u32,
        /// Which of the answer's blocks of thoughts, from 0.
        index: u32,
        /// What is added to the block: text is appended, the rest comes whole.
        #[serde(flatten)]
        added: Reasoning,
    },
    /// A call of a tool began or went on.
    ToolCall {
        /// In which answer, from 0.
        #[serde(default, skip_serializing_if = "is_zero")]
        choice: u32,
        /// Which of the answer's calls, from 0.
        index: u32,
        /// Its id and the tool's name, in the call's first event.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        begins: Option<ToolCallBegin>,
        /// What follows of its arguments' JSON; may be empty.
        arguments: String,
    },
    /// A stop text ended an answer, of which it is no part; told where it is known which.
    StopText {
        /// Which answer, from 0.
        #[serde(default, skip_serializing_if = "is_zero")]
        choice: u32,
        /// The stop text.
        text: String,
    },
    /// How the JSON Schema of an answer that ended was enforced. Comes before the answer's end.
    Structured {
        /// Of which answer, from 0.
        #[serde(default, skip_serializing_if = "is_zero")]
        choice: u32,
        /// How, and whether the answer fits.
        structured: Structured,
    },
    /// One of several answers ended by itself; with a single answer only `Done` says so.
    ChoiceDone {
        /// Which, from 0.
        choice: u32,
        /// Why.
        finish_reason: FinishReason,
    },
    /// A text's vector.
    Embedding {
        /// Of which input, from 0.
        index: u32,
        /// The vector, of length 1.
        #[serde(with = "crate::vector")]
        vector: Vec<f32>,
    },
    /// A file was made. Whoever carries the run out keeps it, and tells of it as `Artifact`: a client is never
    /// given this, nor is the run's record.
    File {
        /// Which, from 0.
        index: u32,
        /// Its bytes.
        #[serde(with = "crate::file")]
        bytes: Vec<u8>,
        /// The prompt as the model understood it, if it tells.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        revised_prompt: Option<String>,
    },
    /// A file was made, and is kept.
    Artifact {
        /// Which, from 0.
        index: u32,
        /// Where it is.
        artifact: Artifact,
    },
    /// What it took, once, just before `Done` or `Cancelled`.
    Usage {
        /// The tokens.
        usage: Usage,
    },
    /// What that costs, just after `Usage`; from the gateway, where the price is known.
    Cost {
        /// The money.
        cost: Cost,
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

/// How a call of a tool begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCallBegin {
    /// What the result is given back under.
    pub id: String,
    /// The tool's name.
    pub name: String,
}

/// Who serves a run, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Selected {
    /// The model's id.
    pub model: String,
    /// The node that has it, for a local model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeId>,
    /// Its makers' name for it.
    pub model_name: String,
    /// Who serves it.
    pub provider: String,
    /// What it makes.
    pub modality: hearth_domain::Modality,
    /// Why it was chosen.
    pub reason: String,
    /// Whether it isn't the first choice.
    pub fallback_used: bool,
    /// Why not: `loading` while the first choice is being loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback_reason: Option<String>,
    /// Whether it goes on with the text that another model had begun.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub resumed: bool,
}

impl RunEventBody {
    /// Text of the only answer.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Delta { choice: 0, text: text.into(), logprobs: Vec::new() }
    }

    /// Whether nothing follows.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Done { .. } | Self::Error { .. } | Self::Cancelled)
    }
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}
