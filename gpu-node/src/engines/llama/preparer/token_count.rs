//! Counts the tokens of texts, for a gateway that chooses which messages fit in the context.

use hearth_domain::{TextTask, ToolChoice};
use hearth_wire::{
    ApiError, ErrorCode,
    node::{NodeCountBody, NodeTokenCount},
};

use super::Preparer;
use crate::engines::llama::{preparation::Preparation, tokenizer::TokenizeError};

impl Preparer {
    /// Counts the tokens of texts, each up to the length of the context.
    ///
    /// # Errors
    /// If the model computes embeddings, or its chat template refuses the task's messages.
    pub(in crate::engines::llama) fn count_tokens(
        &self,
        body: &NodeCountBody,
    ) -> Result<NodeTokenCount, ApiError> {
        if self.is_embedding {
            let message = "this model computes embeddings, and has no conversations to count";
            return Err(ApiError::invalid("model", message));
        }
        let preparation = Preparation::default();
        let prompt = body.task.as_ref().map(|task| self.prompt_tokens(task, &preparation)).transpose()?;
        let texts = body.texts.iter().map(|text| self.text_tokens(text, &preparation));
        Ok(NodeTokenCount { prompt, texts: texts.collect() })
    }

    fn prompt_tokens(&self, task: &TextTask, preparation: &Preparation) -> Result<u32, ApiError> {
        let has_tools = task.tool_choice != ToolChoice::None && !task.tools.is_empty();
        match self.check_size(task).and_then(|()| self.chat_prompt(task, has_tools, preparation)) {
            Ok((tokens, _)) => Ok(count_of(tokens.len())),
            Err(error) if error.code == ErrorCode::ContextLengthExceeded => Ok(self.context.length),
            Err(error) => Err(error),
        }
    }

    fn text_tokens(&self, text: &str, preparation: &Preparation) -> u32 {
        match self.tokenizer.fragment(text, self.context.length as usize, preparation) {
            Ok(tokens) => count_of(tokens.len()),
            Err(TokenizeError::TooMany(tokens)) => count_of(tokens).max(self.context.length),
            // Nobody cancels a count.
            Err(TokenizeError::Cancelled) => self.context.length,
        }
    }
}

fn count_of(tokens: usize) -> u32 {
    u32::try_from(tokens).unwrap_or(u32::MAX)
}
