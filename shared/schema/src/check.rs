//! Validates finished answers against a whole schema, with limits of steps and time.

mod step;

use std::{
    cell::Cell,
    mem,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use jsonschema::{Draft, ValidationError, Validator};
use serde_json::{Map, Value, json};

use super::{document::Document, keywords};
use step::{PatternLimits, Step, is_too_large};

/// A custom keyword that is added before each schema of a document, to count its applications.
const STEP: &str = "x-hearth-step";
/// Largest number of schemas that a check applies, and of names that it matches: schemas that refer to each other can multiply with
/// each level of an answer.
const STEPS_MAX_COUNT: u64 = 2_000_000;
/// Stack size for building a validator and for checking, which are recursive.
const STACK_BYTES: usize = 64 << 20;
/// Largest number of reported errors.
const ERRORS_MAX_COUNT: usize = 5;
/// Largest length of a reported error.
const ERROR_MAX_CHARS: usize = 200;

/// Reports the limit that ended a check.
type Report = Box<dyn FnOnce(Unfinished)>;

thread_local! {
    static STEPS: Cell<u64> = const { Cell::new(0) };
    /// The end of the time for the work of this thread.
    static ENDS_AT: Cell<Option<Instant>> = const { Cell::new(None) };
    /// Reports the limit from a thread that is abandoned there.
    static ABANDON: Cell<Option<Report>> = const { Cell::new(None) };
}

/// Timeout of a check, and of building a validator.
const WORK_TIMEOUT: Duration = Duration::from_secs(10);
/// Time after the timeout in which a thread reports it: it looks at the clock between its steps.
const REPORT_GRACE: Duration = Duration::from_millis(200);
/// Largest number of threads that were abandoned at a limit; the next one ends the process.
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

/// The limit that ended a check. It is the payload of the panic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unfinished {
    /// The number of steps.
    Steps,
    /// The time, or a text that would take too long.
    Time,
}

impl AnswerChecker {
    pub(super) fn new(document: &Document) -> Result<Self, String> {
        let mut schema = Document::to_schema(document.definitions.iter().cloned().enumerate());
        if let Some(Value::Object(definitions)) = schema.get_mut("$defs") {
            definitions.values_mut().for_each(add_steps);
        }
        let limits = PatternLimits::new(document.pattern_count());
        let pattern_bytes = limits.pattern_bytes;
        let build = move || {
            let (patterns, cache) = (limits.options(), limits.cache.clone());
            jsonschema::options()
                .offline()
                .with_draft(Draft::Draft202012)
                .should_validate_formats(false)
                .with_pattern_options(patterns)
                .with_pattern_cache(cache)
                .with_keyword(STEP, move |_: &Map<String, Value>, value: &Value, _| {
                    Ok(Box::new(Step::new(value, &limits)))
                })
                .build(&schema)
                .map_err(|error| invalid_pattern(&error, pattern_bytes))
        };
        let validator = on_deep_stack(Ending::of_build(), Instant::now() + WORK_TIMEOUT, build)
            .unwrap_or_else(|_| Err("is too complex to check answers against".to_owned()))?;
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
        self.check_until(answer, Instant::now() + WORK_TIMEOUT)
    }

    /// Checks an answer until a time at most. An answer whose check hasn't ended then counts as one that doesn't fit.
    pub fn check_until(&self, answer: Value, ends_at: Instant) -> CheckResult {
        self.check_with(Ending::of_build(), answer, ends_at)
    }

    fn check_with(&self, ending: Ending, answer: Value, ends_at: Instant) -> CheckResult {
        let validator = Arc::clone(&self.validator);
        let check = move || {
            let errors = validator.iter_errors(&answer).take(ERRORS_MAX_COUNT);
            let errors: Vec<Violation> = errors.map(|error| violation(&error)).collect();
            CheckResult { valid: errors.is_empty(), errors }
        };
        on_deep_stack(ending, ends_at, check).unwrap_or_else(|unfinished| {
            CheckResult::invalid(match unfinished {
                Unfinished::Steps => "the check of the answer took too many steps",
                Unfinished::Time => "the check of the answer took too long",
            })
        })
    }
}

/// The way in which a check ends at a limit. `jsonschema` has none of its own.
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

/// Runs `work` on a thread with a large stack, until `ends_at` at most. The thread ends at its next step after that.
fn on_deep_stack<T: Send + 'static>(
    ending: Ending,
    ends_at: Instant,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Unfinished> {
    let (sender, result) = mpsc::channel();
    let limited = move || {
        STEPS.set(0);
        ENDS_AT.set(Some(ends_at));
        let worked = match ending {
            Ending::Unwind => catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
                panic.downcast::<Unfinished>().map_or(Unfinished::Steps, |unfinished| *unfinished)
            }),
            Ending::Abandon => {
                let abandoned = sender.clone();
                ABANDON.set(Some(Box::new(move |unfinished| drop(abandoned.send(Err(unfinished))))));
                Ok(work())
            }
        };
        // The caller may have gone on without the result.
        let _ = sender.send(worked);
    };
    thread::Builder::new().stack_size(STACK_BYTES).spawn(limited).map_err(|_| Unfinished::Time)?;
    let time_left = ends_at.saturating_duration_since(Instant::now());
    result.recv_timeout(time_left + REPORT_GRACE).unwrap_or(Err(Unfinished::Time))
}

/// Adds the counting keyword to a schema and its subschemas. It stands in a schema of its own: beside other keywords it would be
/// the last one, and not be reached where one of them fails.
fn add_steps(schema: &mut Value) {
    let Value::Object(members) = schema else { return };
    keywords::each_subschema_mut(members, &mut add_steps);
    let step = Map::from_iter([(STEP.to_owned(), step::patterns_of(members))]);
    *schema = json!({"allOf": [step, mem::take(schema)]});
}

/// Counts steps, and looks at the clock. At a limit it leaves the work.
fn count_steps(count: u64) {
    let steps = STEPS.get().saturating_add(count);
    STEPS.set(steps);
    if steps > STEPS_MAX_COUNT {
        leave(Unfinished::Steps);
    }
    if ENDS_AT.get().is_some_and(|end| Instant::now() > end) {
        leave(Unfinished::Time);
    }
}

/// Leaves the work of this thread: by a panic, or by never returning.
fn leave(unfinished: Unfinished) -> ! {
    let Some(report) = ABANDON.take() else { resume_unwind(Box::new(unfinished)) };
    let abandoned_count = ABANDONED_COUNT.fetch_add(1, Ordering::Relaxed);
    assert!(abandoned_count < ABANDONED_MAX_COUNT, "{ABANDONED_MAX_COUNT} checks of answers were abandoned");
    report(unfinished);
    loop {
        thread::park();
    }
}

/// The problem of a schema that is valid in its draft but has no validator.
fn invalid_pattern(error: &ValidationError<'_>, max_bytes: usize) -> String {
    tracing::debug!(%error, "no validator for a schema");
    let value = truncated(&error.instance().to_string());
    if error.instance().as_str().is_some_and(|pattern| is_too_large(pattern, max_bytes)) {
        return format!("has a pattern whose compiled form is over {} KiB: {value}", max_bytes >> 10);
    }
    format!("has a pattern that isn't a regular expression: {value}")
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
