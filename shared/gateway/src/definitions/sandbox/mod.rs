//! Renders the templates of users, who aren't trusted, within bounds of steps, output, memory and time.
//!
//! - **Syntax** ([`syntax`]): a template is parsed and checked before it is compiled. It can't include others, declare macros, nor
//!   build values whose size isn't bounded by the variables: no `~`, no `*`, no `+` of two variables, no lists of variables. So
//!   each value is a part of the variables, a constant, or the result of a filter. It can't compare two variables by an operator,
//!   whose work the engine doesn't count, but by a test.
//! - **Filters** ([`filters`]): the environment has no functions of the engine but those of this list. Each charges the bytes that
//!   it reads and writes to the [`Budget`] of the rendering. So do the tests that compare.
//! - **Steps**: the engine's fuel. **Depth**: its limit of recursion. **Output**: a writer with a limit. What is written into a
//!   capture is charged.
//! - **Metering** ([`metering`]): the steps whose work grows with a value charge it.
//! - **Time**: a deadline for all messages of a template, which the budget checks.
//!
//! An undefined variable is an error that names it.

mod filters;
mod metering;
mod missing_field;
mod syntax;

use std::{
    cell::Cell,
    collections::BTreeSet,
    fmt::{self, Write as _},
    io,
    time::{Duration, Instant},
};

use minijinja::{
    AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior, Value, value::Serde,
};
use serde_json::{Map, Value as Json};

/// Steps of the engine for one message, with those of the meters.
const RENDER_MAX_STEPS: u64 = 70_000;
/// Depth of recursive loops.
const RECURSION_MAX_DEPTH: usize = 64;
/// Bytes of one message's output.
pub(super) const OUTPUT_MAX_BYTES: usize = 512 << 10;
/// Bytes that one rendering may read and write in filters and captures.
const WORK_MAX_BYTES: usize = 64 << 20;
/// Time for all messages of a template.
pub(super) const RENDER_TIMEOUT: Duration = Duration::from_secs(2);
/// Advice for a template that exceeds a bound.
const SIMPLER: &str = "send shorter or simpler variables, or change it";
/// The name of the template in its environment.
const NAME: &str = "message";

/// The budget of the rendering on this thread.
#[derive(Clone, Copy)]
struct Budget {
    /// Bytes that may still be read and written.
    work_left: usize,
    /// The end of the time.
    ends_at: Option<Instant>,
}

thread_local! {
    static BUDGET: Cell<Budget> = const { Cell::new(Budget { work_left: usize::MAX, ends_at: None }) };
}

/// Charges work to the budget of the rendering on this thread.
fn charge(bytes: usize) -> Result<(), Error> {
    let Budget { work_left, ends_at } = BUDGET.get();
    let Some(work_left) = work_left.checked_sub(bytes) else { return Err(exceeded("it does too much work")) };
    BUDGET.set(Budget { work_left, ends_at });
    match ends_at {
        Some(end) if Instant::now() > end => Err(exceeded("it takes too long")),
        _ => Ok(()),
    }
}

fn exceeded(reason: &'static str) -> Error {
    Error::new(ErrorKind::OutOfFuel, reason)
}

/// Prints a value in parts, so that `write` can stop it: the text of a list may be far longer than the texts in it.
///
/// # Errors
/// The error of `write`.
fn print(value: &Value, write: impl FnMut(&str) -> Result<(), Error>) -> Result<(), Error> {
    let mut printer = Printer { write, error: None };
    let printed = write!(printer, "{value}");
    printed.map_err(|failure| printer.error.unwrap_or_else(|| Error::from(failure)))
}

struct Printer<F> {
    write: F,
    error: Option<Error>,
}

impl<F: FnMut(&str) -> Result<(), Error>> fmt::Write for Printer<F> {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        (self.write)(part).map_err(|error| {
            self.error = Some(error);
            fmt::Error
        })
    }
}

/// A message's text that is checked and compiled.
#[derive(Debug)]
pub(super) struct MessageTemplate {
    source: String,
    environment: Environment<'static>,
    /// The variables that it uses.
    pub(super) variables: BTreeSet<String>,
}

/// The reason why a message can't be rendered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RenderFailure {
    /// A variable that it uses has no value.
    Undefined(String),
    /// Another problem, as a predicate of a sentence about the message, with advice.
    Problem(String),
}

impl MessageTemplate {
    /// Checks and compiles a message's text.
    ///
    /// # Errors
    /// The problem, as the predicate of a sentence about the text.
    pub(super) fn compile(source: &str) -> Result<Self, String> {
        let sliced = syntax::check(source)?;
        let mut environment = Environment::empty();
        environment.set_fuel(Some(RENDER_MAX_STEPS));
        environment.set_recursion_limit(RECURSION_MAX_DEPTH);
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.set_formatter(|out: &mut Output<'_>, _: &mut State<'_, '_>, value: &Value| {
            print(value, |part| {
                charge(part.len())?;
                out.write_str(part).map_err(Error::from)
            })
        });
        filters::add_to(&mut environment);
        let metered = metering::meter(source)?;
        environment.add_template_owned(NAME, metered).map_err(|error| unreadable(&error))?;
        let template = environment.get_template(NAME).map_err(|error| unreadable(&error))?;
        let mut variables: BTreeSet<String> = template.undeclared_variables(false).into_iter().collect();
        variables.extend(sliced);
        variables.retain(|name| !syntax::FUNCTIONS.contains(&name.as_str()));
        Ok(Self { source: source.to_owned(), environment, variables })
    }

    /// Renders the message. `ends_at`: the end of the time for all messages.
    ///
    /// # Errors
    /// If a variable is undefined, or a bound is exceeded.
    pub(super) fn render(
        &self,
        variables: &Map<String, Json>,
        ends_at: Instant,
    ) -> Result<String, RenderFailure> {
        let template =
            self.environment.get_template(NAME).map_err(|error| self.failure(&error, variables))?;
        BUDGET.set(Budget { work_left: WORK_MAX_BYTES, ends_at: Some(ends_at) });
        let mut writer = BoundedWriter { written: Vec::new(), is_full: false };
        let rendered = charge(0)
            .and_then(|()| template.render_captured_to(Value::from(Serde(variables)), &mut writer).map(drop));
        BUDGET.set(Budget { work_left: usize::MAX, ends_at: None });
        if writer.is_full {
            let problem = format!("becomes longer than {} KiB; {SIMPLER}", OUTPUT_MAX_BYTES >> 10);
            return Err(RenderFailure::Problem(problem));
        }
        rendered.map_err(|error| self.failure(&error, variables))?;
        String::from_utf8(writer.written).map_err(|_| RenderFailure::Problem("isn't UTF-8".to_owned()))
    }

    fn failure(&self, error: &Error, variables: &Map<String, Json>) -> RenderFailure {
        match error.kind() {
            ErrorKind::UndefinedError => {
                let missing: Vec<&String> =
                    self.variables.iter().filter(|name| !variables.contains_key(*name)).collect();
                // The engine doesn't name the variable: of several the first one in the line of the error is meant.
                let line = error.line().and_then(|line| self.source.lines().nth(line.checked_sub(1)?));
                let in_line = missing.iter().find(|name| line.is_some_and(|line| has_word(line, name)));
                match in_line.or(missing.first()) {
                    Some(name) => RenderFailure::Undefined((*name).clone()),
                    None => {
                        let field = line.and_then(|line| missing_field::find(line, variables));
                        let field =
                            field.map_or_else(|| "a field".to_owned(), |field| format!("the field {field}"));
                        RenderFailure::Problem(format!(
                            "uses {field} that a variable doesn't have{}; send it, or test in the template that it `is defined`",
                            place(error)
                        ))
                    }
                }
            }
            ErrorKind::OutOfFuel => {
                let reason = error.detail().filter(|detail| detail.starts_with("it "));
                RenderFailure::Problem(format!(
                    "exceeds its bounds: {}; {SIMPLER}",
                    reason.unwrap_or("it takes too many steps")
                ))
            }
            _ => RenderFailure::Problem(format!(
                "can't be rendered with these variables: {}{}; send others, or change it",
                reason(error),
                place(error)
            )),
        }
    }
}

fn unreadable(error: &Error) -> String {
    format!("is no valid template: {}{}", reason(error), place(error))
}

fn reason(error: &Error) -> String {
    let text = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    text.chars().take(200).collect()
}

fn place(error: &Error) -> String {
    error.line().map(|line| format!(" (line {line})")).unwrap_or_default()
}

fn has_word(line: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    line.split(|c| !is_part(c)).any(|part| part == word)
}

/// A buffer with a limit.
struct BoundedWriter {
    written: Vec<u8>,
    is_full: bool,
}

impl io::Write for BoundedWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > OUTPUT_MAX_BYTES - self.written.len() {
            self.is_full = true;
            return Err(io::Error::other("the output is too long"));
        }
        self.written.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
