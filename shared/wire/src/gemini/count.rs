//! `:countTokens`: the same estimate as that of `/v1/messages/count_tokens`.

use hearth_domain::Message;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{
    GeminiContent, GeminiTool, GenerateContentRequest, conversation::conversation, proto_json::one_or_many,
    tools::Offer,
};
use crate::{ApiError, token_estimate};

/// What to count: `contents`, or a whole request.
#[derive(Debug, Clone, Default, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct GeminiCountRequest {
    /// The conversation, oldest first.
    #[serde(deserialize_with = "one_or_many")]
    pub contents: Vec<GeminiContent>,
    /// The request that is to be counted, in place of `contents`.
    #[serde(alias = "generate_content_request")]
    pub generate_content_request: Option<GenerateContentRequest>,
    /// Instructions: texts.
    #[serde(alias = "system_instruction")]
    pub system_instruction: Option<GeminiContent>,
    /// Tools that the model may call.
    #[serde(deserialize_with = "one_or_many")]
    pub tools: Vec<GeminiTool>,
}

/// How many tokens there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GeminiCountAnswer {
    /// About how many tokens the prompt has.
    pub total_tokens: u64,
}

impl GeminiCountRequest {
    /// The estimate.
    ///
    /// # Errors
    /// `invalid_request`, naming the field.
    pub fn estimate(self) -> Result<GeminiCountAnswer, ApiError> {
        let (system, contents, tools) = match self.generate_content_request {
            Some(request) => (request.system_instruction, request.contents, request.tools),
            None => (self.system_instruction, self.contents, self.tools),
        };
        let messages: Vec<Message> =
            conversation(system, contents)?.into_iter().map(|(message, _)| message).collect();
        let offer = Offer::of(tools);
        let hosted: Vec<&Value> = offer.hosted.definitions.iter().collect();
        let total_tokens = token_estimate::prompt(&messages, &offer.tools, &hosted);
        Ok(GeminiCountAnswer { total_tokens })
    }
}
