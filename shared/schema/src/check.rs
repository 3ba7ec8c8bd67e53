//! Validates finished answers against a whole schema, with a limit of steps.

use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
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
const ERRORS_MAX_COUNT: usize = 5;
/// Largest length of a reported error.
const ERROR_MAX_CHARS: usize = 200;

thread_local! {
    static STEPS: Cell<u64> = const { Cell::new(0) };
    /// Reports the limit of steps from a thread that is abandoned there.
    static ABANDON: Cell<Option<Box<dyn FnOnce()>>> = const { Cell::new(None) };
}

/// Timeout of work on a thread that can't be unwound.
const WORK_TIMEOUT: Duration = Duration::from_secs(10);
/// Largest number of threads that were abandoned at the limit of steps; the next one ends the process.
const ABANDONED_MAX_COUNT: usize = 8;

static ABANDONED_COUNT: AtomicUsize = AtomicUsize::new(0);

/// Result of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckResult {
    /// True if the answer fits the schema.
    pub valid: bool,
    /// The first errors.
    pub errors: Vec<Violation>,
}

/// A place of an answer that doesn't fit the schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// JSON pointer to the place; empty for the whole answer.
    pub path: String,
    /// The reason.
    pub reason: String,
}

impl CheckResult {
    fn invalid(reason: impl Into<String>) -> Self {
        let error = Violation { path: String::new(), reason: reason.into() };
        Self { valid: false, errors: vec![error] }
    }
}

/// Validator of answers for one schema.
#[derive(Clone)]
pub struct AnswerChecker {
    validator: Arc<Validator>,
}

/// Panic payload of a check with too many steps.
struct Exhausted;

impl AnswerChecker {
    pub(super) fn new(document: &Document) -> Result<Self, String> {
        let mut schema = Document::to_schema(document.definitions.iter().cloned().enumerate());
        add_step_keyword(&mut schema);
        let build = move || {
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
        let validator = on_deep_stack(Ending::of_build(), build)
            .unwrap_or_else(|| Err("is too complex to check answers against".to_owned()))?;
        Ok(Self { validator: Arc::new(validator) })
    }

    /// Checks the text of an answer. This may take seconds of CPU time, so it must not run on an async task.
    pub fn check(&self, text: &str) -> CheckResult {
        match serde_json::from_str(text) {
            Ok(answer) => self.check_value(answer),
            Err(_) => CheckResult::invalid("the answer isn't JSON"),
        }
    }

    /// Checks an answer. This may take seconds of CPU time, so it must not run on an async task.
    pub fn check_value(&self, answer: Value) -> CheckResult {
        self.check_until(Ending::of_build(), answer)
    }

    fn check_until(&self, ending: Ending, answer: Value) -> CheckResult {
        let validator = Arc::clone(&self.validator);
        let check = move || {
            STEPS.set(0);
            let errors = validator.iter_errors(&answer).take(ERRORS_MAX_COUNT);
            let errors: Vec<Violation> = errors.map(|error| violation(&error)).collect();
            CheckResult { valid: errors.is_empty(), errors }
        };
        on_deep_stack(ending, check)
            .unwrap_or_else(|| CheckResult::invalid("the check of the answer took too many steps"))
    }
}

/// The way in which a check ends at the limit of steps. `jsonschema` has none of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// By a panic, which is caught.
    Unwind,
    /// The thread is abandoned: where a panic aborts the process, as in a Lambda function. One more than [`ABANDONED_MAX_COUNT`]
    /// aborts it indeed, with the request whose check it is, so that the checks of later requests go on in a new process.
    Abandon,
}

impl Ending {
    fn of_build() -> Self {
        if cfg!(panic = "abort") { Self::Abandon } else { Self::Unwind }
    }
}

/// Runs `work` on a thread with a large stack; `None` if it reached the limit of steps.
fn on_deep_stack<T: Send + 'static>(ending: Ending, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let builder = thread::Builder::new().stack_size(STACK_BYTES);
    if ending == Ending::Unwind {
        let guarded = move || catch_unwind(AssertUnwindSafe(work)).ok();
        return builder.spawn(guarded).ok()?.join().ok().flatten();
    }
    let (sender, result) = mpsc::channel();
    let exhausted = sender.clone();
    let reporting = move || {
        ABANDON.set(Some(Box::new(move || drop(exhausted.send(None)))));
        let _ = sender.send(Some(work()));
    };
    builder.spawn(reporting).ok()?;
    result.recv_timeout(WORK_TIMEOUT).ok().flatten()
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

/// Counts an applied schema. At the limit of steps it leaves the check: by a panic, or by never returning.
///
/// # Panics
/// At the limit of steps.
fn count_step() {
    let steps = STEPS.get() + 1;
    STEPS.set(steps);
    if steps <= STEPS_MAX_COUNT {
        return;
    }
    let Some(report) = ABANDON.take() else { resume_unwind(Box::new(Exhausted)) };
    let abandoned_count = ABANDONED_COUNT.fetch_add(1, Ordering::Relaxed);
    assert!(abandoned_count < ABANDONED_MAX_COUNT, "{ABANDONED_MAX_COUNT} checks of answers were abandoned");
    report();
    loop {
        thread::park();
    }
}

/// The problem of a schema that is valid in its draft but has no validator.
fn invalid_pattern(error: &ValidationError<'_>) -> String {
    tracing::debug!(%error, "no validator for a schema");
    let value = truncated(&error.instance().to_string());
    format!("has a pattern that isn't a regular expression, or is too large: {value}")
}

/// The place and the reason of an error.
fn violation(error: &ValidationError<'_>) -> Violation {
    Violation { path: truncated(error.instance_path().as_str()), reason: truncated(&error.to_string()) }
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
