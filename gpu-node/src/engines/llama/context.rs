//! Limits of a run's context, and the error for a text that exceeds them.

use hearth_wire::{ApiError, ErrorCode};

/// The context of each run, in tokens.
#[derive(Debug, Clone, Copy)]
pub(super) struct ContextLimits {
    /// Prompt and completion together.
    pub(super) length: u32,
    /// The context length that the model was trained for.
    pub(super) trained: Option<u32>,
}

impl ContextLimits {
    /// The error for a text of at least `tokens` tokens, in the field `at`.
    pub(super) fn exceeded(self, tokens: usize, at: &str) -> ApiError {
        let length = self.length;
        let larger = self.trained.filter(|trained| *trained > length);
        let advice = match larger {
            Some(trained) => format!(
                ", or set node.context_length higher than {length}: the model was trained for up to {trained}"
            ),
            None => "; the model was trained for no more".to_owned(),
        };
        let message = format!(
            "the text has {tokens} tokens or more, and the context holds {length}; shorten it{advice}"
        );
        let error = ApiError::new(ErrorCode::ContextLengthExceeded, message).at(at);
        let error = error.with("prompt_tokens", tokens).with("context_length", length);
        error.with("setting", "node.context_length").with("model_context_length", self.trained)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn context_error_names_the_setting_that_bounds_it() {
        let error = ContextLimits { length: 4096, trained: Some(32_768) }.exceeded(5000, "messages");
        assert_eq!(error.code, ErrorCode::ContextLengthExceeded);
        for word in ["5000 tokens", "holds 4096", "node.context_length", "32768"] {
            assert!(error.message.contains(word), "{}", error.message);
        }
        let error = ContextLimits { length: 4096, trained: Some(4096) }.exceeded(5000, "messages");
        assert!(error.message.ends_with("trained for no more"), "{}", error.message);
    }
}
