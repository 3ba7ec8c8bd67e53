//! Run events: the stream that every dialect renders and the run log stores.

use hearth_domain::{
    Artifact, ClientDialect, Cost, Credits, FinishReason, Reasoning, Selection, Structured, Timestamp,
    TokenLogprob, Usage, WaitReason, objects_only,
};
use serde::{Deserialize, Serialize};

use crate::{ApiError, extension::Extension};

/// Event of a run and its position.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunEvent {
    /// Sequence number, from 1, without gaps.
    pub seq: u64,
    /// Event.
    #[serde(flatten)]
    pub body: RunEventBody,
}

impl RunEvent {
    /// Returns its size as JSON in bytes.
    #[must_use]
    pub fn json_bytes(&self) -> usize {
        serde_json::to_vec(self).map_or(0, |json| json.len())
    }
}

/// Event of a run. Nothing follows `Done`, `Error` or `Cancelled`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum RunEventBody {
    /// The gateway selected a model.
    Selected(Selection),
    /// Credit of a provider that was called.
    Credits {
        /// Name of the provider.
        provider: String,
        /// Credit.
        credits: Credits,
    },
    /// The run waits for a node of its caller, from the gateway. Sent again when the reason changes.
    Waiting {
        /// Reason.
        reason: WaitReason,
        /// Time at which the run goes to a provider, or fails.
        until: Timestamp,
    },
    /// The run waits in a queue.
    Queued {
        /// Position in the model's queue, from 1.
        position: u32,
    },
    /// The model is being loaded.
    Loading {
        /// Progress, from 0 to 1.
        progress: f32,
    },
    /// The run has a slot, and its prompt is tokenized.
    Started {
        /// Tokens of the rendered prompt.
        prompt_tokens: u32,
    },
    /// A picture is being made, step by step.
    Progress {
        /// Finished steps, of all pictures of the run.
        step: u32,
        /// All steps.
        steps: u32,
        /// A small PNG of the unfinished picture; empty without one. It is in no record.
        #[serde(default, skip_serializing_if = "Vec::is_empty", with = "crate::base64_bytes")]
        preview: Vec<u8>,
    },
    /// Piece of text.
    Delta {
        /// Index of the answer, from 0.
        #[serde(default, skip_serializing_if = "is_zero")]
        choice: u32,
        /// Whole characters; empty only with log-probabilities.
        text: String,
        /// Tokens of the piece, if requested.
        #[serde(
            default,
            skip_serializing_if = "Vec::is_empty",
            deserialize_with = "objects_only::deserialize"
        )]
        logprobs: Vec<TokenLogprob>,
    },
    /// Piece of a refusal.
    Refusal {
        /// Index of the answer, from 0.
        #[serde(default, skip_serializing_if = "is_zero")]
        choice: u32,
        /// Text to append.
        text: String,
    },
    /// Piece of reasoning.
    Reasoning {
        /// Index of the answer, from 0.
        #[serde(default, skip_serializing_if = "is_zero")]
        choice: u32,
        /// Index of the block within the answer, from 0.
        index: u32,
        /// Addition to the block: text is appended, other fields come whole.
        #[serde(flatten)]
        added: Reasoning,
    },
    /// Piece of a tool call.
    ToolCall {
        /// Index of the answer, from 0.
        #[serde(default, skip_serializing_if = "is_zero")]
        choice: u32,
        /// Index of the call within the answer, from 0.
        index: u32,
        /// Id and the tool's name, in the call's first event.
        #[serde(
            default,
            skip_serializing_if = "Option::is_none",
            deserialize_with = "objects_only::deserialize"
        )]
        begins: Option<ToolCallBegin>,
        /// JSON text to append to the arguments; may be empty.
        arguments: String,
    },
    /// Part of an answer that only clients of the provider's dialect get.
    Extension {
        /// Index of the answer, from 0.
        #[serde(default, skip_serializing_if = "is_zero")]
        choice: u32,
        /// Dialect of the provider.
        dialect: ClientDialect,
        /// The part.
        extension: Extension,
    },
    /// A stop text ended an answer, which doesn't contain it. Sent if it is known which one.
    StopText {
        /// Index of the answer, from 0.
        #[serde(default, skip_serializing_if = "is_zero")]
        choice: u32,
        /// Stop text.
        text: String,
    },
    /// Enforcement of the JSON Schema of an answer that ended. Comes before the answer's end.
    Structured {
        /// Index of the answer, from 0.
        #[serde(default, skip_serializing_if = "is_zero")]
        choice: u32,
        /// Enforcement, and result of the validation.
        #[serde(deserialize_with = "objects_only::deserialize")]
        structured: Structured,
    },
    /// One of several answers ended. A single answer ends with `Done` alone.
    ChoiceDone {
        /// Index, from 0.
        choice: u32,
        /// Reason.
        finish_reason: FinishReason,
    },
    /// Embedding vector of an input.
    Embedding {
        /// Index of the input, from 0.
        index: u32,
        /// Vector, normalized to length 1.
        #[serde(with = "crate::base64_f32")]
        vector: Vec<f32>,
    },
    /// Generated file, from a provider. The gateway's `ArtifactStoringProvider` stores it and sends `Artifact` in its place,
    /// before the driver: neither a client nor the run's record gets the bytes.
    File {
        /// Index, from 0.
        index: u32,
        /// Bytes of the file.
        #[serde(with = "crate::base64_bytes")]
        bytes: Vec<u8>,
        /// Prompt as the model rewrote it, if the provider returns it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        revised_prompt: Option<String>,
    },
    /// Piece of a generated file, from a node, whose events are bounded. The gateway's `ArtifactStoringProvider` joins the pieces,
    /// which come in order, and treats the file as one of `File`.
    FilePart {
        /// Index of the file, from 0.
        index: u32,
        /// Bytes to append.
        #[serde(with = "crate::base64_bytes")]
        bytes: Vec<u8>,
        /// The file is complete.
        last: bool,
    },
    /// Generated and stored file.
    Artifact {
        /// Index, from 0.
        index: u32,
        /// File.
        artifact: Artifact,
    },
    /// Token usage. Comes once, just before `Done` or `Cancelled`.
    Usage {
        /// Tokens.
        #[serde(deserialize_with = "objects_only::deserialize")]
        usage: Usage,
    },
    /// Cost, from the gateway, if the price is known. Comes just after `Usage`.
    Cost {
        /// Amount.
        cost: Cost,
    },
    /// The run completed.
    Done {
        /// Reason.
        finish_reason: FinishReason,
    },
    /// The run failed.
    Error {
        /// Reason.
        #[serde(deserialize_with = "objects_only::deserialize")]
        error: ApiError,
    },
    /// The run was cancelled.
    Cancelled,
}

/// Start of a tool call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCallBegin {
    /// Id, which the result refers to.
    pub id: String,
    /// Name of the tool.
    pub name: String,
}

impl RunEventBody {
    /// Creates a piece of text of the first answer.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Delta { choice: 0, text: text.into(), logprobs: Vec::new() }
    }

    /// Creates an extension of the first answer.
    pub fn extension(dialect: ClientDialect, extension: Extension) -> Self {
        Self::Extension { choice: 0, dialect, extension }
    }

    /// Returns whether it commits the run to its candidate: after it the client has a part of the answer, or its usage,
    /// and no other candidate can begin the answer anew. `StopText` and `Structured` don't: they describe an answer, and
    /// contain no piece of it.
    #[must_use]
    pub fn commits_to_candidate(&self) -> bool {
        match self {
            Self::Delta { .. }
            | Self::Refusal { .. }
            | Self::Reasoning { .. }
            | Self::ToolCall { .. }
            | Self::Extension { .. }
            | Self::ChoiceDone { .. }
            | Self::Embedding { .. }
            | Self::Artifact { .. }
            | Self::Usage { .. }
            | Self::Cost { .. } => true,
            Self::Selected(_)
            | Self::Credits { .. }
            | Self::Waiting { .. }
            | Self::Queued { .. }
            | Self::Loading { .. }
            | Self::Started { .. }
            | Self::Progress { .. }
            | Self::StopText { .. }
            | Self::Structured { .. }
            | Self::File { .. }
            | Self::FilePart { .. }
            | Self::Done { .. }
            | Self::Error { .. }
            | Self::Cancelled => false,
        }
    }

    /// Returns the index of the answer that it is part of; `None` for an event of the whole run.
    #[must_use]
    pub fn choice(&self) -> Option<u32> {
        match self {
            Self::Delta { choice, .. }
            | Self::Refusal { choice, .. }
            | Self::Reasoning { choice, .. }
            | Self::ToolCall { choice, .. }
            | Self::Extension { choice, .. }
            | Self::StopText { choice, .. }
            | Self::Structured { choice, .. }
            | Self::ChoiceDone { choice, .. } => Some(*choice),
            Self::Selected(_)
            | Self::Credits { .. }
            | Self::Waiting { .. }
            | Self::Queued { .. }
            | Self::Loading { .. }
            | Self::Started { .. }
            | Self::Progress { .. }
            | Self::Embedding { .. }
            | Self::File { .. }
            | Self::FilePart { .. }
            | Self::Artifact { .. }
            | Self::Usage { .. }
            | Self::Cost { .. }
            | Self::Done { .. }
            | Self::Error { .. }
            | Self::Cancelled => None,
        }
    }

    /// Returns whether it is the run's last event.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Done { .. } | Self::Error { .. } | Self::Cancelled)
    }
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}
