//! `:countTokens`. A node counts the tokens of its models; for others they are estimated ([`crate::token_estimate`]).

use hearth_domain::{Generation, Message};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{
    GeminiContent, GeminiTool, GenerateContentRequest, conversation::conversation, proto_json::one_or_many,
    tools::offered_tools,
};
use crate::{ApiError, token_estimate};

/// The messages and tools to count: `contents`, or a whole request.
#[derive(Debug, Clone, Default, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct GeminiCountRequest {
    /// The conversation, oldest first.
    #[serde(deserialize_with = "one_or_many")]
    pub contents: Vec<GeminiContent>,
    /// A whole request to count, in place of `contents`.
    #[serde(alias = "generate_content_request")]
    pub generate_content_request: Option<GenerateContentRequest>,
    /// Instructions: text parts.
    #[serde(alias = "system_instruction")]
    pub system_instruction: Option<GeminiContent>,
    /// Tools that the model may call.
    #[serde(deserialize_with = "one_or_many")]
    pub tools: Vec<GeminiTool>,
}

/// Number of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GeminiCountAnswer {
    /// Number of the prompt's tokens.
    pub total_tokens: u64,
}

impl GeminiCountRequest {
    /// Estimates the number of tokens.
    ///
    /// # Errors
    /// `invalid_request`, naming the field.
    pub fn estimate(self) -> Result<GeminiCountAnswer, ApiError> {
        let (system, contents, tools) = match self.generate_content_request {
            Some(request) => (request.system_instruction, request.contents, request.tools),
            None => (self.system_instruction, self.contents, self.tools),
        };
        let messages: Vec<Message> =
            conversation(system, contents, false)?.into_iter().map(|(message, _)| message).collect();
        let offered = offered_tools(tools);
        let hosted: Vec<&Value> = offered.hosted.definitions.iter().collect();
        let total_tokens = token_estimate::prompt(&messages, &offered.functions, &hosted);
        Ok(GeminiCountAnswer { total_tokens })
    }

    /// Converts the request to the one to `model` whose prompt is counted.
    ///
    /// # Errors
    /// `invalid_request`, naming the field.
    pub fn into_generation(self, model: String) -> Result<Generation, ApiError> {
        let request = self.generate_content_request.unwrap_or_else(|| GenerateContentRequest {
            contents: self.contents,
            system_instruction: self.system_instruction,
            tools: self.tools,
            ..GenerateContentRequest::default()
        });
        request.into_generation(model)
    }
}
