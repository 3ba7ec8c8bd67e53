//! Checks a finished answer against its JSON Schema, of which the grammar may enforce only a part.

use hearth_domain::{Enforcement, FinishReason, Structured};
use hearth_schema::AnswerChecker;

/// A client's schema, for the check of answers.
pub(in crate::engines::llama) struct SchemaCheck {
    pub(super) checker: AnswerChecker,
    /// The keywords that the grammar doesn't enforce.
    pub(super) relaxed: Vec<String>,
}

impl SchemaCheck {
    /// Checks the text of an answer that ended for `reason`.
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
