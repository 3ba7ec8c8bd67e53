//! Validates finished answers against a whole schema, within bounds of work.

use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    thread,
};

use jsonschema::{Draft, Keyword, PatternOptions, ValidationError, Validator};
use serde_json::{Map, Value};

use super::{document::Document, keywords};

/// A keyword that each schema of a document has, to count how often it is applied.
const STEP: &str = "x-hearth-step";
/// How many schemas a check may apply: schemas that refer to each other can multiply with each level of an answer.
const STEPS_MAX_COUNT: u64 = 2_000_000;
/// How often a pattern may backtrack before its match is given up.
const BACKTRACK_MAX_COUNT: usize = 100_000;
/// How large a compiled pattern may be, in bytes.
const PATTERN_MAX_BYTES: usize = 1 << 20;
/// The stack for building a validator and checking with it, which recurse, in bytes.
const STACK_BYTES: usize = 64 << 20;
/// How many errors a verdict has.
const ERRORS_MAX_COUNT: usize = 3;
/// How long each may be, in characters.
const ERROR_MAX_CHARS: usize = 200;

thread_local! {
    static STEPS: Cell<u64> = const { Cell::new(0) };
}

/// Whether an answer fits its schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it does.
    pub valid: bool,
    /// Why not.
    pub errors: Vec<String>,
}

impl Verdict {
    fn invalid(error: impl Into<String>) -> Self {
        Self { valid: false, errors: vec![error.into()] }
    }
}

/// Checks answers against one schema.
pub struct Checker {
    validator: Validator,
}

/// A check took too many steps.
struct Exhausted;

impl Checker {
    pub(super) fn new(document: &Document) -> Result<Self, String> {
        let mut schema = Document::to_schema(document.definitions.iter().cloned().enumerate());
        count_steps(&mut schema);
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
                .map_err(|error| refused(&error))
        };
        let validator = on_deep_stack(build)
            .unwrap_or_else(|| Err("is too complicated to check answers by".to_owned()))?;
        Ok(Self { validator })
    }

    /// Checks the text of an answer. It may take seconds of computing: not for a task that others wait for.
    pub fn check(&self, text: &str) -> Verdict {
        let Ok(answer) = serde_json::from_str::<Value>(text) else {
            return Verdict::invalid("the answer isn't JSON");
        };
        let check = || {
            STEPS.set(0);
            let errors =
                self.validator.iter_errors(&answer).take(ERRORS_MAX_COUNT).map(|error| shown(&error));
            let errors: Vec<String> = errors.collect();
            Verdict { valid: errors.is_empty(), errors }
        };
        on_deep_stack(check)
            .unwrap_or_else(|| Verdict::invalid("the check of the answer took too many steps"))
    }
}

/// Runs `work` on a thread with a large stack; none if it was given up.
fn on_deep_stack<T: Send>(work: impl FnOnce() -> T + Send) -> Option<T> {
    thread::scope(|scope| {
        let guarded = move || catch_unwind(AssertUnwindSafe(work)).ok();
        let thread = thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, guarded).ok()?;
        thread.join().ok().flatten()
    })
}

/// Puts the counting keyword into each schema.
fn count_steps(schema: &mut Value) {
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

/// Counts a schema that is applied; unwinds out of the check when it was one too many.
fn count_step() {
    let steps = STEPS.get() + 1;
    STEPS.set(steps);
    if steps > STEPS_MAX_COUNT {
        resume_unwind(Box::new(Exhausted));
    }
}

/// Why no validator can be built for a schema that is valid by its draft.
fn refused(error: &ValidationError<'_>) -> String {
    tracing::debug!(%error, "a schema can't be checked by");
    let value = cut(&error.instance().to_string());
    format!("has a pattern that isn't a regular expression, or is too large: {value}")
}

/// An error with the place in the answer.
fn shown(error: &ValidationError<'_>) -> String {
    let place = error.instance_path().as_str();
    cut(&if place.is_empty() { error.to_string() } else { format!("{place}: {error}") })
}

fn cut(text: &str) -> String {
    let mut shown: String = text.chars().take(ERROR_MAX_CHARS).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests;
