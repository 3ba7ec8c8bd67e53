//! The fields of a response; each frame is one.

use hearth_domain::{Logprob, TokenLogprob, Usage};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::lenient::{self, is_present};

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Response {
    #[serde(deserialize_with = "lenient::objects")]
    pub(super) candidates: Vec<Candidate>,
    #[serde(deserialize_with = "lenient::object")]
    pub(super) prompt_feedback: Option<PromptFeedback>,
    #[serde(deserialize_with = "lenient::object")]
    pub(super) usage_metadata: Option<UsageMetadata>,
    pub(super) error: Value,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PromptFeedback {
    #[serde(deserialize_with = "lenient::text")]
    pub(super) block_reason: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Candidate {
    #[serde(deserialize_with = "lenient::count")]
    pub(super) index: Option<u32>,
    #[serde(deserialize_with = "lenient::object")]
    pub(super) content: Option<Content>,
    #[serde(deserialize_with = "lenient::text")]
    pub(super) finish_reason: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    pub(super) finish_message: Option<String>,
    #[serde(deserialize_with = "lenient::object")]
    pub(super) logprobs_result: Option<LogprobsResult>,
    // Only this dialect has the following fields.
    citation_metadata: Value,
    grounding_metadata: Value,
    url_context_metadata: Value,
}

impl Candidate {
    /// Takes the fields that only this dialect has, by their names.
    pub(super) fn take_own_fields(&mut self) -> Map<String, Value> {
        let own = [
            ("citationMetadata", &mut self.citation_metadata),
            ("groundingMetadata", &mut self.grounding_metadata),
            ("urlContextMetadata", &mut self.url_context_metadata),
        ];
        taken(own)
    }
}

/// Takes the values that aren't empty, with their names.
fn taken<const N: usize>(fields: [(&str, &mut Value); N]) -> Map<String, Value> {
    let present = fields.into_iter().filter(|(_, value)| is_present(value));
    present.map(|(name, value)| (name.to_owned(), std::mem::take(value))).collect()
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Content {
    #[serde(deserialize_with = "lenient::objects")]
    pub(super) parts: Vec<Part>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Part {
    #[serde(deserialize_with = "lenient::text")]
    pub(super) text: Option<String>,
    #[serde(deserialize_with = "lenient::flag")]
    pub(super) thought: bool,
    #[serde(deserialize_with = "lenient::text")]
    pub(super) thought_signature: Option<String>,
    #[serde(deserialize_with = "lenient::object")]
    pub(super) function_call: Option<FunctionCall>,
    // Only this dialect has the following parts.
    code_execution_result: Value,
    executable_code: Value,
    file_data: Value,
    inline_data: Value,
    tool_call: Value,
    tool_response: Value,
}

impl Part {
    /// Takes the part if only this dialect has it: code that Google ran and its result, a file, or a call
    /// of Google's own tool and its result.
    pub(super) fn take_own_part(&mut self) -> Option<Value> {
        let own = [
            ("codeExecutionResult", &mut self.code_execution_result),
            ("executableCode", &mut self.executable_code),
            ("fileData", &mut self.file_data),
            ("inlineData", &mut self.inline_data),
            ("toolCall", &mut self.tool_call),
            ("toolResponse", &mut self.tool_response),
        ];
        let mut part = taken(own);
        if part.is_empty() {
            return None;
        }
        let signature = self.thought_signature.take().filter(|signature| !signature.is_empty());
        part.extend(signature.map(|signature| ("thoughtSignature".to_owned(), signature.into())));
        if self.thought {
            part.insert("thought".to_owned(), true.into());
        }
        Some(part.into())
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct FunctionCall {
    #[serde(deserialize_with = "lenient::id")]
    pub(super) id: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    pub(super) name: Option<String>,
    #[serde(deserialize_with = "lenient::json_text")]
    pub(super) args: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct LogprobsResult {
    #[serde(deserialize_with = "lenient::objects")]
    chosen_candidates: Vec<LogprobCandidate>,
    #[serde(deserialize_with = "lenient::objects")]
    top_candidates: Vec<TopCandidates>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct TopCandidates {
    #[serde(deserialize_with = "lenient::objects")]
    candidates: Vec<LogprobCandidate>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct LogprobCandidate {
    #[serde(deserialize_with = "lenient::text")]
    token: Option<String>,
    #[serde(deserialize_with = "lenient::number")]
    log_probability: Option<f32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct UsageMetadata {
    #[serde(deserialize_with = "lenient::count")]
    prompt_token_count: Option<u32>,
    /// Tokens that Google's own tools have added to the prompt.
    #[serde(deserialize_with = "lenient::count")]
    tool_use_prompt_token_count: Option<u32>,
    #[serde(deserialize_with = "lenient::count")]
    candidates_token_count: Option<u32>,
    #[serde(deserialize_with = "lenient::count")]
    thoughts_token_count: Option<u32>,
    #[serde(deserialize_with = "lenient::count")]
    cached_content_token_count: Option<u32>,
}

impl From<LogprobsResult> for Vec<TokenLogprob> {
    fn from(result: LogprobsResult) -> Self {
        let mut tops = result.top_candidates.into_iter();
        let token = |chosen: LogprobCandidate| {
            let top = tops.next().unwrap_or_default().candidates;
            Some(TokenLogprob {
                token: chosen.into_logprob()?,
                top: top.into_iter().filter_map(LogprobCandidate::into_logprob).collect(),
            })
        };
        result.chosen_candidates.into_iter().filter_map(token).collect()
    }
}

impl LogprobCandidate {
    /// Converts the token; `None` if it or its number is missing.
    fn into_logprob(self) -> Option<Logprob> {
        Some(Logprob { bytes: self.token?.into_bytes(), logprob: self.log_probability? })
    }
}

impl From<UsageMetadata> for Usage {
    fn from(usage: UsageMetadata) -> Self {
        let sum = |one: Option<u32>, other: Option<u32>| {
            one.unwrap_or_default().saturating_add(other.unwrap_or_default())
        };
        Self {
            prompt_tokens: sum(usage.prompt_token_count, usage.tool_use_prompt_token_count),
            completion_tokens: sum(usage.candidates_token_count, usage.thoughts_token_count),
            cache_write_tokens: 0,
            cached_tokens: usage.cached_content_token_count.unwrap_or_default(),
            reasoning_tokens: usage.thoughts_token_count.unwrap_or_default(),
        }
    }
}
