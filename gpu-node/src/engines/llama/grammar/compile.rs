//! Compiles grammars with limits on time and on concurrent compilations: a client's schema decides how long one takes.

use std::{
    fmt::Display,
    sync::{Arc, Condvar, Mutex, PoisonError, mpsc},
    thread,
    time::Duration,
};

use llguidance::{Matcher, ParserFactory, api::TopLevelGrammar, toktrie::TokEnv};

/// Maximum number of concurrent compilations. A late one counts until it ends, since it can't be stopped.
const COMPILES_MAX_COUNT: usize = 2;
/// Timeout of the wait for a permit, and of the compilation.
pub(super) const COMPILE_TIMEOUT: Duration = Duration::from_secs(4);
/// Stack of a compilation, in which llguidance recurses: ten times of what a schema within the limits needed.
const COMPILE_STACK_BYTES: usize = 32 * 1024 * 1024;
/// Maximum number of states of a grammar's lexer; each takes 1 to 2 KB.
const LEXER_STATES_MAX_COUNT: usize = 50_000;

/// Why a grammar can't be compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CompileError {
    /// It accepts no text.
    Empty,
    /// It takes too long.
    Timeout,
    /// llguidance refuses it, for this reason.
    Unsupported(String),
}

impl Display for CompileError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Empty => formatter.write_str("it accepts no text"),
            Self::Timeout => formatter.write_str("it takes too long to compile; make it simpler"),
            Self::Unsupported(reason) => formatter.write_str(reason),
        }
    }
}

/// Creates llguidance's parser factory for a model's vocabulary.
///
/// # Errors
/// If the vocabulary can't be used.
pub(super) fn factory(vocabulary: &TokEnv) -> Result<ParserFactory, String> {
    let mut factory = ParserFactory::new_simple(vocabulary).map_err(|error| reason(&error))?;
    // Otherwise llguidance writes to standard error, which goes to the node's log.
    factory.quiet();
    let limits = factory.limits_mut();
    limits.verbose_errors = false;
    limits.max_lexer_states = LEXER_STATES_MAX_COUNT;
    Ok(factory)
}

/// The cost of a compilation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CompileCost {
    /// Depends on a client's schema: the compilation waits for a permit.
    Unbounded,
    /// Small: the compilation needs no permit, as others may hold all of them until they end.
    Bounded,
}

/// Compiles grammars, at most [`COMPILES_MAX_COUNT`] at once.
#[derive(Default)]
pub(super) struct Compiler {
    semaphore: Arc<CompileSemaphore>,
}

impl Compiler {
    /// Compiles `grammar` to a matcher before the first token. This takes milliseconds, and more for large schemas.
    ///
    /// # Errors
    /// If the grammar accepts nothing, takes too long, or isn't supported.
    pub(super) fn compile(
        &self,
        factory: &Arc<ParserFactory>,
        grammar: TopLevelGrammar,
        cost: CompileCost,
    ) -> Result<Matcher, CompileError> {
        let permit = match cost {
            CompileCost::Unbounded => Some(
                CompileSemaphore::acquire(&self.semaphore, COMPILE_TIMEOUT).ok_or(CompileError::Timeout)?,
            ),
            CompileCost::Bounded => None,
        };
        let (done, compiled) = mpsc::sync_channel(1);
        let factory = Arc::clone(factory);
        let work = move || {
            let _ = done.send(compile(&factory, grammar));
            drop(permit);
        };
        let thread =
            thread::Builder::new().name("compile".to_owned()).stack_size(COMPILE_STACK_BYTES).spawn(work);
        thread.map_err(|error| CompileError::Unsupported(error.to_string()))?;
        match compiled.recv_timeout(COMPILE_TIMEOUT) {
            Ok(compiled) => compiled,
            Err(mpsc::RecvTimeoutError::Timeout) => Err(CompileError::Timeout),
            // The thread has panicked.
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                Err(CompileError::Unsupported("it is too complex".to_owned()))
            }
        }
    }
}

fn compile(factory: &ParserFactory, grammar: TopLevelGrammar) -> Result<Matcher, CompileError> {
    let parser = factory.create_parser(grammar).map_err(|error| {
        let reason = reason(&error);
        if reason.to_lowercase().contains("unsatisfiable") {
            return CompileError::Empty;
        }
        CompileError::Unsupported(reason)
    })?;
    let mut matcher = Matcher::new(Ok(parser));
    // Only this fails for a grammar that accepts nothing.
    matcher.compute_mask().map_err(|_| CompileError::Empty)?;
    Ok(matcher)
}

/// The reason of an error, without positions in a grammar that the client hasn't seen.
fn reason(error: &impl Display) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    if line.contains("panic") {
        return "it is too complex".to_owned();
    }
    line.rsplit("failed to compile JSON schema: ").next().unwrap_or(line).to_owned()
}

/// A counting semaphore with a timeout.
#[derive(Default)]
struct CompileSemaphore {
    acquired: Mutex<usize>,
    released: Condvar,
}

struct CompilePermit(Arc<CompileSemaphore>);

impl CompileSemaphore {
    /// Acquires a permit; `None` if none is released in time.
    fn acquire(semaphore: &Arc<Self>, timeout: Duration) -> Option<CompilePermit> {
        let acquired = semaphore.acquired.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = |acquired: &mut usize| *acquired >= COMPILES_MAX_COUNT;
        let waited = semaphore.released.wait_timeout_while(acquired, timeout, is_full);
        let (mut acquired, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        if timeout.timed_out() {
            return None;
        }
        *acquired += 1;
        Some(CompilePermit(Arc::clone(semaphore)))
    }
}

impl Drop for CompilePermit {
    fn drop(&mut self) {
        *self.0.acquired.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.released.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropped_permit_can_be_acquired_again() {
        let semaphore = Arc::new(CompileSemaphore::default());
        let mut permits: Vec<CompilePermit> = (0..COMPILES_MAX_COUNT)
            .map(|_| CompileSemaphore::acquire(&semaphore, Duration::ZERO).unwrap())
            .collect();
        assert!(CompileSemaphore::acquire(&semaphore, Duration::from_millis(5)).is_none());
        permits.pop();
        assert!(CompileSemaphore::acquire(&semaphore, Duration::ZERO).is_some());
    }
}
