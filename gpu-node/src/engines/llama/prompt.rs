//! From a conversation to tokens, off the engine's thread.

use std::sync::Arc;

use hearth_domain::{RunId, Sampling};
use hearth_wire::{ApiError, ErrorCode};
use llama_cpp_2::{model::LlamaModel, token::LlamaToken};

use super::{load::Loaded, template::ChatTemplate};
use crate::frames::Generate;

/// A run that is ready for a slot.
pub(super) struct Admission {
    pub(super) run: RunId,
    /// Never empty, and shorter than a slot's context.
    pub(super) prompt: Vec<LlamaToken>,
    pub(super) sampling: Sampling,
}

impl Admission {
    pub(super) fn prompt_tokens(&self) -> u32 {
        u32::try_from(self.prompt.len()).unwrap_or(u32::MAX)
    }
}

/// Renders and tokenizes.
pub(super) struct Prompter {
    model: Arc<LlamaModel>,
    template: ChatTemplate,
    context_length: u32,
}

impl Prompter {
    pub(super) fn new(loaded: &Loaded, context_length: u32) -> Result<Self, String> {
        let vocab = loaded.model.vocab();
        let text = |token| vocab.text(token).map(|t| t.to_string_lossy().into_owned()).unwrap_or_default();
        let template =
            ChatTemplate::compile(loaded.header.chat_template(), text(vocab.bos()), text(vocab.eos()))?;
        Ok(Self { model: Arc::clone(&loaded.model), template, context_length })
    }

    /// What the engine needs for a run, or why it can't be.
    pub(super) fn prepare(&self, generate: Generate) -> Result<Admission, ApiError> {
        let text = self.template.render(&generate.messages)?;
        let add_special = !self.template.begins_with_bos(&text);
        let prompt = self.model.vocab().tokenize(text.as_bytes(), add_special, true);
        if prompt.is_empty() {
            return Err(super::invalid_prompt("the conversation gives an empty prompt"));
        }
        // One place is kept for the first token of the answer.
        if prompt.len() >= self.context_length as usize {
            let message = format!(
                "the prompt has {} tokens, and the model's context holds {} with the answer; shorten it",
                prompt.len(),
                self.context_length
            );
            let error = ApiError::new(ErrorCode::ContextLengthExceeded, message).at("messages");
            return Err(error
                .with("prompt_tokens", prompt.len())
                .with("context_length", self.context_length));
        }
        Ok(Admission { run: generate.run, prompt, sampling: generate.sampling })
    }
}
