//! `POST /v1/messages/count_tokens`. A node counts the tokens of its models; for others they are estimated
//! ([`crate::token_estimate`]).

use hearth_domain::{Generation, Message};
use serde::{Deserialize, Serialize};
use serde_json::Map;
use utoipa::ToSchema;

use super::{
    MessagesContent, MessagesRequest, MessagesThinking, MessagesTool, MessagesToolChoice, MessagesTurn,
    request::conversation, tools::offered_tools,
};
use crate::{
    ApiError,
    run_options::{RunOptions, SamplingOptions},
    token_estimate,
};

/// The messages and tools to count. The other fields of a message request are allowed, and ignored.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
pub struct CountTokensRequest {
    /// A model's id, or `auto`. The estimate is the same for all models that aren't local.
    #[schema(example = "tiny-chat")]
    pub model: String,
    /// The conversation, oldest first.
    #[schema(min_items = 1)]
    pub messages: Vec<MessagesTurn>,
    /// Instructions: a text, or a list of text blocks.
    pub system: Option<MessagesContent>,
    /// Tools that the model may call.
    pub tools: Option<Vec<MessagesTool>>,
    /// Controls whether the model calls a tool.
    pub tool_choice: Option<MessagesToolChoice>,
    /// Reasoning options.
    pub thinking: Option<MessagesThinking>,
}

/// Number of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CountTokensAnswer {
    /// Number of the prompt's tokens.
    pub input_tokens: u64,
}

impl CountTokensRequest {
    /// Estimates the number of tokens.
    ///
    /// # Errors
    /// `invalid_request`, naming the field.
    pub fn estimate(self) -> Result<CountTokensAnswer, ApiError> {
        let messages = conversation(self.system, self.messages, false)?;
        let messages: Vec<Message> = messages.into_iter().map(|(message, _)| message).collect();
        let offered = offered_tools(self.tools)?;
        let hosted: Vec<_> = offered.hosted.definitions.iter().collect();
        Ok(CountTokensAnswer { input_tokens: token_estimate::prompt(&messages, &offered.functions, &hosted) })
    }

    /// Converts the request to the one whose prompt is counted.
    ///
    /// # Errors
    /// `invalid_request`, naming the field.
    pub fn into_generation(self) -> Result<Generation, ApiError> {
        let request = MessagesRequest {
            model: self.model,
            messages: self.messages,
            // Any budget of `thinking` is less.
            max_tokens: u32::MAX,
            system: self.system,
            stream: None,
            stop_sequences: None,
            temperature: None,
            top_p: None,
            tools: self.tools,
            tool_choice: self.tool_choice,
            thinking: self.thinking,
            output_config: None,
            output_format: None,
            seed: None,
            sampling_options: SamplingOptions::default(),
            run_options: RunOptions::default(),
            extra: Map::new(),
        };
        request.into_generation()
    }
}
