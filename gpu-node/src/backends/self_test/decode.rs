//! Decodes tokens, and converts the engine's errors.

use std::io;

use llama_cpp_2::{context::LlamaContext, llama_batch::LlamaBatch, token::LlamaToken};

/// A reason why a test ends early.
pub(super) enum TestError {
    /// An error of the engine.
    Engine(String),
    /// Standard output cannot be written.
    Output(io::Error),
}

impl From<io::Error> for TestError {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "`map_err` hands an error over")]
pub(super) fn engine_error(error: impl ToString) -> TestError {
    TestError::Engine(error.to_string())
}

/// Decodes `tokens` from `position` on, and returns the logits of each, or of the last one only.
pub(super) fn decode(
    context: &mut LlamaContext<'_>,
    tokens: &[LlamaToken],
    position: usize,
    every: bool,
) -> Result<Vec<f32>, TestError> {
    let mut batch = LlamaBatch::new(tokens.len(), 1);
    for (n, token) in tokens.iter().enumerate() {
        let needs_logits = every || n + 1 == tokens.len();
        batch.add(*token, (position + n) as i32, &[0], needs_logits).map_err(engine_error)?;
    }
    context.decode(&mut batch).map_err(engine_error)?;
    let first = if every { 0 } else { tokens.len().saturating_sub(1) };
    Ok((first..tokens.len()).flat_map(|n| context.get_logits_ith(n as i32).to_vec()).collect())
}
