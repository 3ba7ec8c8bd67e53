//! What was generated.

use hearth_domain::{Artifact, FinishReason, Reasoning, Run, ToolCall};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::artifacts::ArtifactBody;
use crate::{
    answer::{Answer, Answers},
    openai::{
        logprobs::{TokenLogprobBody, entries},
        reasoning::{ReasoningDetail, details},
        tools::ToolCallBody,
    },
    structured::StructuredBody,
};

/// What was made.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Output {
    /// The text; of several answers that of the first.
    pub text: String,
    /// What the model thought before it, if it tells; of several answers that of the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<String>,
    /// The same with what its maker wants back in the next turn, where it wants something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_details: Option<Vec<ReasoningDetail>>,
    /// The tools that the model calls, if any; of several answers those of the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCallBody>,
    /// The tokens of the text, if they were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<Vec<TokenLogprobBody>>,
    /// Every answer, if there are several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<OutputChoice>,
    /// The images, in the order in which they were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<ArtifactBody>,
    /// The mesh.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mesh: Option<ArtifactBody>,
    /// Every file that was made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<ArtifactBody>,
}

impl Output {
    /// The same with files, for clients that reach the gateway at `base`.
    #[must_use]
    pub fn with(mut self, artifacts: &[Artifact], base: &str) -> Self {
        self.artifacts = artifacts.iter().map(|artifact| ArtifactBody::new(artifact, base)).collect();
        self.images = self.artifacts.iter().filter(|artifact| artifact.kind == "image").cloned().collect();
        self.mesh = self.artifacts.iter().find(|artifact| artifact.kind == "mesh").cloned();
        self
    }
}

/// One of several answers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OutputChoice {
    /// Which, from 0.
    pub index: u32,
    /// The text.
    pub text: String,
    /// What the model thought before it, if it tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<String>,
    /// The same with what its maker wants back in the next turn, where it wants something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_details: Option<Vec<ReasoningDetail>>,
    /// The tools that the model calls, if any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCallBody>,
    /// The tokens of the text, if they were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<Vec<TokenLogprobBody>>,
    /// How its JSON Schema was enforced, where it had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub structured: Option<StructuredBody>,
    /// `stop`, `length`, `tool_calls` or `cancelled`.
    #[schema(value_type = Option<String>)]
    pub finish_reason: Option<FinishReason>,
}

impl From<&Answers> for Output {
    fn from(answers: &Answers) -> Self {
        let choices: Vec<OutputChoice> =
            (0..).zip(answers.all()).map(|(index, answer)| OutputChoice::new(index, answer)).collect();
        let first = choices.first().cloned().unwrap_or_default();
        let choices = if choices.len() > 1 { choices } else { Vec::new() };
        let OutputChoice { text, reasoning, reasoning_details, tool_calls, logprobs, .. } = first;
        Self { text, reasoning, reasoning_details, tool_calls, logprobs, choices, ..Self::default() }
    }
}

impl OutputChoice {
    fn new(index: u32, answer: &Answer) -> Self {
        Self {
            index,
            text: answer.said(),
            reasoning: thoughts(&answer.reasoning),
            reasoning_details: details(&answer.reasoning),
            tool_calls: bodies(&answer.tool_calls),
            logprobs: (!answer.logprobs.is_empty()).then(|| entries(&answer.logprobs)),
            structured: answer.structured.as_ref().map(Into::into),
            finish_reason: answer.finish_reason,
        }
    }
}

/// What a run's record has.
impl From<&Run> for Output {
    fn from(run: &Run) -> Self {
        Self { text: run.text.clone(), tool_calls: bodies(&run.tool_calls), ..Self::default() }
    }
}

fn thoughts(blocks: &[Reasoning]) -> Option<String> {
    let text: String = blocks.iter().map(|block| block.text.as_str()).collect();
    (!text.is_empty()).then_some(text)
}

fn bodies(calls: &[ToolCall]) -> Vec<ToolCallBody> {
    calls.iter().cloned().map(Into::into).collect()
}
