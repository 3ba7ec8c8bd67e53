//! Checks a finished answer against its JSON Schema, of which the grammar may enforce only a part.

use hearth_domain::{Concession, Enforcement, FinishReason, SchemaViolation, Structured, StructuredOptions};
use hearth_schema::{AnswerChecker, CheckResult, Violation};

/// A client's schema, for the check of answers.
pub(in crate::engines::llama) struct SchemaCheck {
    pub(super) checker: AnswerChecker,
    /// Validator of the schema's lenient form.
    pub(super) lenient: AnswerChecker,
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
        options: StructuredOptions,
    ) -> Structured {
        let enforced =
            if self.relaxed.is_empty() { Enforcement::Grammar } else { Enforcement::GrammarAndValidated };
        let unchecked = Structured {
            enforced,
            relaxed: self.relaxed.clone(),
            valid: false,
            concession: Some(Concession::Bypassed),
            repaired: false,
            attempts,
            errors: Vec::new(),
        };
        if options.bypass_validation {
            return unchecked;
        }
        let CheckResult { valid, errors } = self.checker.check(text);
        let is_cut = !valid && reason == FinishReason::Length;
        let errors = match is_cut {
            true => vec![SchemaViolation::of_answer("the answer was cut at its token limit")],
            false => errors
                .into_iter()
                .map(|Violation { path, reason }| SchemaViolation { path, reason })
                .collect(),
        };
        let is_relaxed = !valid && !is_cut && options.allow_relaxed && self.lenient.check(text).valid;
        let concession = is_relaxed.then_some(Concession::Relaxed);
        Structured { valid, concession, errors, ..unchecked }
    }
}
