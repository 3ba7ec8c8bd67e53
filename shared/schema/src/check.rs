//! Validates finished answers against a whole schema, with a limit of steps.

use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    thread,
};

use jsonschema::{Draft, Keyword, PatternOptions, ValidationError, Validator};
use serde_json::{Map, Value};

use super::{document::Document, keywords};

/// A custom keyword that is added to each schema of a document, to count its applications.
const STEP: &str = "x-hearth-step";
/// Largest number of schemas that a check applies: schemas that refer to each other can multiply with each level of an
/// answer.
const STEPS_MAX_COUNT: u64 = 2_000_000;
/// Largest number of backtracking steps of a pattern; then it doesn't match.
const BACKTRACK_MAX_COUNT: usize = 100_000;
/// Largest size of a compiled pattern.
const PATTERN_MAX_BYTES: usize = 1 << 20;
/// Stack size for building a validator and for checking, which are recursive.
const STACK_BYTES: usize = 64 << 20;
/// Largest number of reported errors.
const ERRORS_MAX_COUNT: usize = 3;
/// Largest length of a reported error.
const ERROR_MAX_CHARS: usize = 200;

thread_local! {
    static STEPS: Cell<u64> = const { Cell::new(0) };
}

/// Result of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckResult {
    /// True if the answer fits the schema.
    pub valid: bool,
    /// The first errors.
    pub errors: Vec<String>,
}

impl CheckResult {
    fn invalid(error: impl Into<String>) -> Self {
        Self { valid: false, errors: vec![error.into()] }
    }
}

/// Validator of answers for one schema.
pub struct AnswerChecker {
    validator: Validator,
}

/// Panic payload of a check with too many steps.
struct Exhausted;

impl AnswerChecker {
    pub(super) fn new(document: &Document) -> Result<Self, String> {
        let mut schema = Document::to_schema(document.definitions.iter().cloned().enumerate());
        add_step_keyword(&mut schema);
        let build = || {
            let patterns = PatternOptions::fancy_regex()
                .backtrack_limit(BACKTRACK_MAX_COUNT)
                .size_limit(PATTERN_MAX_BYTES)
                .dfa_size_limit(PATTERN_MAX_BYTES);
            jsonschema::options()
                .offline()
                .with_draft(Draft::Draft202012)
                .should_validate_formats(false)
                .with_pattern_options(patterns)
                .with_keyword(STEP, |_: &Map<String, Value>, _: &Value, _| Ok(Box::new(Step)))
                .build(&schema)
                .map_err(|error| invalid_pattern(&error))
        };
        let validator = on_deep_stack(build)
            .unwrap_or_else(|| Err("is too complex to check answers against".to_owned()))?;
        Ok(Self { validator })
    }

    /// Checks the text of an answer. This may take seconds of CPU time, so it must not run on an async task.
    pub fn check(&self, text: &str) -> CheckResult {
        let Ok(answer) = serde_json::from_str::<Value>(text) else {
            return CheckResult::invalid("the answer isn't JSON");
        };
        let check = || {
            STEPS.set(0);
            let errors =
                self.validator.iter_errors(&answer).take(ERRORS_MAX_COUNT).map(|error| format_error(&error));
            let errors: Vec<String> = errors.collect();
            CheckResult { valid: errors.is_empty(), errors }
        };
        on_deep_stack(check)
            .unwrap_or_else(|| CheckResult::invalid("the check of the answer took too many steps"))
    }
}

/// Runs `work` on a thread with a large stack; `None` if it panicked, as at the limit of steps.
fn on_deep_stack<T: Send>(work: impl FnOnce() -> T + Send) -> Option<T> {
    thread::scope(|scope| {
        let guarded = move || catch_unwind(AssertUnwindSafe(work)).ok();
        let thread = thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, guarded).ok()?;
        thread.join().ok().flatten()
    })
}

/// Adds the counting keyword to each schema.
fn add_step_keyword(schema: &mut Value) {
    let mut step =
        |members: &mut Map<String, Value>| drop(members.shift_insert(0, STEP.to_owned(), Value::Bool(true)));
    if let Some(Value::Object(definitions)) = schema.get_mut("$defs") {
        definitions.values_mut().for_each(|schema| keywords::visit_mut(schema, &mut step));
    }
}

struct Step;

impl<'i> Keyword<'i> for Step {
    fn validate(&self, _: &'i Value) -> Result<(), ValidationError<'i>> {
        count_step();
        Ok(())
    }

    fn is_valid(&self, _: &'i Value) -> bool {
        count_step();
        true
    }
}

/// Counts an applied schema, and panics at the limit of steps to leave the check.
fn count_step() {
    let steps = STEPS.get() + 1;
    STEPS.set(steps);
    if steps > STEPS_MAX_COUNT {
        resume_unwind(Box::new(Exhausted));
    }
}

/// The problem of a schema that is valid in its draft but has no validator.
fn invalid_pattern(error: &ValidationError<'_>) -> String {
    tracing::debug!(%error, "no validator for a schema");
    let value = truncated(&error.instance().to_string());
    format!("has a pattern that isn't a regular expression, or is too large: {value}")
}

/// Formats an error with its path in the answer.
fn format_error(error: &ValidationError<'_>) -> String {
    let path = error.instance_path().as_str();
    truncated(&if path.is_empty() { error.to_string() } else { format!("{path}: {error}") })
}

fn truncated(text: &str) -> String {
    let mut truncated: String = text.chars().take(ERROR_MAX_CHARS).collect();
    if truncated.len() < text.len() {
        truncated.push('…');
    }
    truncated
}

#[cfg(test)]
mod tests;
