//! What an answer's JSON Schema became: how much of it the grammar enforces, and a check of the rest.

use hearth_domain::{Enforcement, FinishReason, Structured};
use hearth_schema::Checker;

/// How an answer is held to a client's schema.
pub(in crate::engines::llama) struct Structure {
    pub(super) checker: Checker,
    /// The keywords that the grammar doesn't enforce.
    pub(super) relaxed: Vec<String>,
}

impl Structure {
    /// Checks an answer that ended for `reason`, after so many attempts.
    pub(in crate::engines::llama) fn check(
        &self,
        text: &str,
        reason: FinishReason,
        attempts: u32,
    ) -> Structured {
        let enforced =
            if self.relaxed.is_empty() { Enforcement::Grammar } else { Enforcement::GrammarAndValidated };
        let mut verdict = self.checker.check(text);
        if !verdict.valid && reason == FinishReason::Length {
            verdict.errors = vec!["the answer was cut at its token limit".to_owned()];
        }
        let (valid, errors) = (verdict.valid, verdict.errors);
        Structured { enforced, relaxed: self.relaxed.clone(), valid, attempts, errors }
    }
}
