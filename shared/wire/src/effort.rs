//! Reasoning effort in OpenAI's words, which the native dialect uses too.

use hearth_domain::ReasoningEffort;

use crate::ApiError;

/// Parses a `reasoning_effort`.
///
/// # Errors
/// `invalid_request` for another word.
pub(crate) fn effort(word: &str) -> Result<ReasoningEffort, ApiError> {
    match word {
        "none" => Ok(ReasoningEffort::None),
        "minimal" => Ok(ReasoningEffort::Minimal),
        "low" => Ok(ReasoningEffort::Low),
        "medium" => Ok(ReasoningEffort::Medium),
        // Words for more, of newer models and of Codex; high is the most here.
        "high" | "xhigh" | "max" | "ultra" => Ok(ReasoningEffort::High),
        _ => {
            let message = "reasoning_effort must be none, minimal, low, medium or high";
            Err(ApiError::invalid("reasoning_effort", message))
        }
    }
}
