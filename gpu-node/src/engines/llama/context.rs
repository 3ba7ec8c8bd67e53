//! How much a run may have, and what a request is told that has more.

use hearth_wire::{ApiError, ErrorCode};

/// The context of each run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context {
    /// Tokens, prompt and completion together.
    pub(super) length: u32,
    /// The context that the model was made for.
    pub(super) trained: Option<u32>,
}

impl Context {
    /// A text of at least so many tokens doesn't fit.
    pub(super) fn exceeded(self, tokens: usize, at: &str) -> ApiError {
        let length = self.length;
        let larger = self.trained.filter(|trained| *trained > length);
        let more = match larger {
            Some(trained) => format!(
                ", or set node.context_length higher than {length}: the model was made for up to {trained}"
            ),
            None => "; the model was made for no more".to_owned(),
        };
        let message =
            format!("the text has {tokens} tokens or more, and the context holds {length}; shorten it{more}");
        let error = ApiError::new(ErrorCode::ContextLengthExceeded, message).at(at);
        let error = error.with("prompt_tokens", tokens).with("context_length", length);
        error.with("setting", "node.context_length").with("model_context_length", self.trained)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_long_a_text_is_told_with_the_setting_that_bounds_it() {
        let error = Context { length: 4096, trained: Some(32_768) }.exceeded(5000, "messages");
        assert_eq!(error.code, ErrorCode::ContextLengthExceeded);
        for word in ["5000 tokens", "holds 4096", "node.context_length", "32768"] {
            assert!(error.message.contains(word), "{}", error.message);
        }
        let error = Context { length: 4096, trained: Some(4096) }.exceeded(5000, "messages");
        assert!(error.message.ends_with("made for no more"), "{}", error.message);
    }
}
