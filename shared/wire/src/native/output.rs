//! Output of a run.

use hearth_domain::{Artifact, FinishReason, Reasoning, Run, ToolCall};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::artifacts::ArtifactBody;
use crate::{
    answer::{Answer, Answers},
    logprobs::{TokenLogprobBody, token_logprobs},
    reasoning::{ReasoningDetail, reasoning_details},
    structured::StructuredBody,
    tools::ToolCallBody,
};

/// Output of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Output {
    /// Text; of several answers the first.
    pub text: String,
    /// Reasoning before the text, if the model returns it; of several answers the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<String>,
    /// Reasoning with signatures, if the vendor requires them in the next turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_details: Option<Vec<ReasoningDetail>>,
    /// Tool calls; of several answers those of the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCallBody>,
    /// Tokens of the text, if requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<Vec<TokenLogprobBody>>,
    /// All answers, if there are several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<OutputChoice>,
    /// Images, in the order of generation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<ArtifactBody>,
    /// Mesh.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mesh: Option<ArtifactBody>,
    /// All generated files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<ArtifactBody>,
}

impl Output {
    /// Adds files. `base` is the client's address of the gateway.
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
    /// Index, from 0.
    pub index: u32,
    /// Text.
    pub text: String,
    /// Reasoning before the text, if the model returns it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<String>,
    /// Reasoning with signatures, if the vendor requires them in the next turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_details: Option<Vec<ReasoningDetail>>,
    /// Tool calls.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCallBody>,
    /// Tokens of the text, if requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<Vec<TokenLogprobBody>>,
    /// Enforcement of the JSON Schema, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub structured: Option<StructuredBody>,
    /// `stop`, `length`, `tool_calls`, `content_filter` or `cancelled`.
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
            text: answer.text_with_refusal(),
            reasoning: thoughts(&answer.reasoning),
            reasoning_details: reasoning_details(&answer.reasoning),
            tool_calls: bodies(&answer.tool_calls),
            logprobs: (!answer.logprobs.is_empty()).then(|| token_logprobs(&answer.logprobs)),
            structured: answer.structured.as_ref().map(Into::into),
            finish_reason: answer.finish_reason,
        }
    }
}

/// Output in a run's record.
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
