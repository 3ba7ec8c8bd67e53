//! Compiles grammars with limits on time and on concurrent compilations: a client's schema decides how long one takes.
//!
//! A compilation begins as a quick one. When it isn't done after [`QUICK_TIMEOUT`], it goes on as a slow one if there is a place
//! for it, and is cancelled otherwise. So a few schemas that take long don't hold back those of others, which take milliseconds.

use std::{
    fmt::Display,
    sync::{Arc, Condvar, Mutex, OnceLock, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

use llguidance::{
    CancellationHandle, Matcher, ParserFactory,
    api::{StopReason, TopLevelGrammar},
    toktrie::TokEnv,
};

use crate::engines::llama::preparation::Preparation;

/// Maximum number of concurrent quick compilations. A cancelled one counts until it ends: only the first mask can be
/// interrupted. Building the parser before it is limited by [`PARSER_FUEL`].
const QUICK_COMPILES_MAX_COUNT: usize = 4;
/// Maximum number of concurrent slow compilations.
const SLOW_COMPILES_MAX_COUNT: usize = 2;
/// Time after which a compilation is a slow one.
const QUICK_TIMEOUT: Duration = Duration::from_millis(500);
/// Timeout of the wait for a permit, and of a compilation from its beginning.
pub(super) const COMPILE_TIMEOUT: Duration = Duration::from_secs(4);
/// Interval of checks whether the run was cancelled.
const CANCEL_CHECK_INTERVAL: Duration = Duration::from_millis(50);
/// Stack of a compilation, in which llguidance recurses: ten times of what a schema within the limits needed.
const COMPILE_STACK_BYTES: usize = 32 * 1024 * 1024;
/// Maximum work of building a parser, in llguidance's unit: half of its default, which took six seconds and 500 MB. A schema of
/// the FHIR standard, with megabytes of JSON, takes as much.
const PARSER_FUEL: u64 = 500_000;
/// Maximum number of a parser's items after one token: an object with 2000 optional properties, of which any may be next, has four
/// for each of them.
const PARSER_ROW_MAX_COUNT: usize = 10_000;
/// Maximum number of items, and work of the lexer, for one mask: each about 100 ms. A longer mask is cancelled.
const MASK_ITEMS_MAX_COUNT: usize = 1_000_000;
const MASK_FUEL: u64 = 1_000_000;
/// Maximum number of states of a grammar's lexer; each takes 1 to 2 KB.
const LEXER_STATES_MAX_COUNT: usize = 50_000;

/// Why a grammar can't be compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CompileError {
    /// It accepts no text.
    Empty,
    /// It takes too long.
    Timeout,
    /// It takes longer than a quick compilation, and others hold the permits.
    Busy,
    /// Its run was cancelled.
    Cancelled,
    /// llguidance refuses it, for this reason.
    Unsupported(String),
}

impl Display for CompileError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Empty => formatter.write_str("it accepts no text"),
            Self::Timeout => formatter.write_str("it takes too long to compile; make it simpler"),
            Self::Busy => formatter.write_str("other schemas are being compiled; try again later"),
            Self::Cancelled => formatter.write_str("the request was cancelled"),
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
    limits.initial_lexer_fuel = PARSER_FUEL;
    limits.max_lexer_states = LEXER_STATES_MAX_COUNT;
    limits.max_items_in_row = PARSER_ROW_MAX_COUNT;
    limits.step_max_items = MASK_ITEMS_MAX_COUNT;
    limits.step_lexer_fuel = MASK_FUEL;
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

/// Compiles grammars, with a limited number of concurrent compilations.
pub(super) struct Compiler {
    quick: Arc<CompileSemaphore>,
    slow: Arc<CompileSemaphore>,
}

impl Default for Compiler {
    fn default() -> Self {
        Self {
            quick: CompileSemaphore::new(QUICK_COMPILES_MAX_COUNT),
            slow: CompileSemaphore::new(SLOW_COMPILES_MAX_COUNT),
        }
    }
}

impl Compiler {
    /// Compiles `grammar` to a matcher before the first token. This takes milliseconds, and more for large schemas.
    ///
    /// # Errors
    /// If the grammar accepts nothing, takes too long, or isn't supported, or the run was cancelled.
    pub(super) fn compile(
        &self,
        factory: &Arc<ParserFactory>,
        grammar: TopLevelGrammar,
        cost: CompileCost,
        preparation: &Preparation,
    ) -> Result<Matcher, CompileError> {
        let quick_permit = match cost {
            CompileCost::Unbounded => Some(self.quick_permit(preparation)?),
            CompileCost::Bounded => None,
        };
        let compilation = Compilation::start(factory, grammar, quick_permit)?;
        let rest = COMPILE_TIMEOUT - QUICK_TIMEOUT;
        let compiled = match compilation.wait(QUICK_TIMEOUT, preparation) {
            Err(CompileError::Timeout) if cost == CompileCost::Bounded => compilation.wait(rest, preparation),
            Err(CompileError::Timeout) => match self.slow.acquire(Duration::ZERO) {
                Some(permit) => {
                    compilation.replace_permit(permit);
                    compilation.wait(rest, preparation)
                }
                None => Err(CompileError::Busy),
            },
            compiled => compiled,
        };
        if matches!(compiled, Err(CompileError::Timeout | CompileError::Busy | CompileError::Cancelled)) {
            compilation.cancellation.cancel();
        }
        compiled
    }

    /// Waits for the permit of a quick compilation, until the timeout or until the run is cancelled.
    fn quick_permit(&self, preparation: &Preparation) -> Result<CompilePermit, CompileError> {
        let deadline = Instant::now() + COMPILE_TIMEOUT;
        loop {
            let rest = deadline.saturating_duration_since(Instant::now());
            match self.quick.acquire(rest.min(CANCEL_CHECK_INTERVAL)) {
                Some(permit) => return Ok(permit),
                None if preparation.checkpoint().is_err() => return Err(CompileError::Cancelled),
                None if rest.is_zero() => return Err(CompileError::Busy),
                None => {}
            }
        }
    }
}

/// A compilation on a thread of its own.
struct Compilation {
    compiled: mpsc::Receiver<Result<Matcher, CompileError>>,
    /// Released when the thread ends.
    permit: Arc<Mutex<Option<CompilePermit>>>,
    cancellation: Cancellation,
}

impl Compilation {
    fn start(
        factory: &Arc<ParserFactory>,
        grammar: TopLevelGrammar,
        permit: Option<CompilePermit>,
    ) -> Result<Self, CompileError> {
        let (done, compiled) = mpsc::sync_channel(1);
        let permit = Arc::new(Mutex::new(permit));
        let cancellation = Cancellation::default();
        let (factory, held, cancelled) = (Arc::clone(factory), Arc::clone(&permit), cancellation.clone());
        let work = move || {
            // Released also when llguidance panics.
            let _permit = ReleaseAtEnd(held);
            let _ = done.send(compile(&factory, grammar, &cancelled));
        };
        let thread =
            thread::Builder::new().name("compile".to_owned()).stack_size(COMPILE_STACK_BYTES).spawn(work);
        thread.map_err(|error| CompileError::Unsupported(error.to_string()))?;
        Ok(Self { compiled, permit, cancellation })
    }

    /// Waits for the result, until the timeout or until the run is cancelled.
    fn wait(&self, timeout: Duration, preparation: &Preparation) -> Result<Matcher, CompileError> {
        let deadline = Instant::now() + timeout;
        loop {
            let rest = deadline.saturating_duration_since(Instant::now());
            match self.compiled.recv_timeout(rest.min(CANCEL_CHECK_INTERVAL)) {
                Ok(compiled) => return compiled,
                // The thread has panicked.
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    return Err(CompileError::Unsupported("it is too complex".to_owned()));
                }
                Err(mpsc::RecvTimeoutError::Timeout) if preparation.checkpoint().is_err() => {
                    return Err(CompileError::Cancelled);
                }
                Err(mpsc::RecvTimeoutError::Timeout) if rest.is_zero() => return Err(CompileError::Timeout),
                Err(mpsc::RecvTimeoutError::Timeout) => {}
            }
        }
    }

    fn replace_permit(&self, permit: CompilePermit) {
        let mut held = self.permit.lock().unwrap_or_else(PoisonError::into_inner);
        // `None` if the thread has just ended.
        if held.is_some() {
            *held = Some(permit);
        }
    }
}

struct ReleaseAtEnd(Arc<Mutex<Option<CompilePermit>>>);

impl Drop for ReleaseAtEnd {
    fn drop(&mut self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// Cancels the first mask of a compilation, also before the mask has begun.
#[derive(Clone, Default)]
struct Cancellation(Arc<OnceLock<Option<CancellationHandle>>>);

impl Cancellation {
    fn cancel(&self) {
        if let Some(handle) = self.0.get_or_init(|| None) {
            handle.cancel();
        }
    }

    /// Returns false if the compilation was cancelled before.
    fn set_handle(&self, handle: CancellationHandle) -> bool {
        self.0.set(Some(handle)).is_ok()
    }
}

fn compile(
    factory: &ParserFactory,
    grammar: TopLevelGrammar,
    cancellation: &Cancellation,
) -> Result<Matcher, CompileError> {
    let mut parser = factory.create_parser(grammar).map_err(|error| {
        let reason = reason(&error);
        if reason.to_lowercase().contains("unsatisfiable") {
            return CompileError::Empty;
        }
        CompileError::Unsupported(reason)
    })?;
    if !cancellation.set_handle(parser.enable_cancellation()) {
        return Err(CompileError::Timeout);
    }
    parser.start_without_prompt();
    // Only this fails for a grammar that accepts nothing.
    match parser.compute_mask() {
        Ok(_) => Ok(Matcher::new(Ok(parser))),
        Err(error) => Err(match parser.stop_reason() {
            StopReason::Cancelled => CompileError::Timeout,
            StopReason::NoExtension | StopReason::NoExtensionBias => CompileError::Empty,
            _ => CompileError::Unsupported(reason(&error)),
        }),
    }
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
struct CompileSemaphore {
    max_count: usize,
    acquired: Mutex<usize>,
    released: Condvar,
}

struct CompilePermit(Arc<CompileSemaphore>);

impl CompileSemaphore {
    fn new(max_count: usize) -> Arc<Self> {
        Arc::new(Self { max_count, acquired: Mutex::new(0), released: Condvar::new() })
    }

    /// Acquires a permit; `None` if none is released in time.
    fn acquire(self: &Arc<Self>, timeout: Duration) -> Option<CompilePermit> {
        let acquired = self.acquired.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = |acquired: &mut usize| *acquired >= self.max_count;
        let waited = self.released.wait_timeout_while(acquired, timeout, is_full);
        let (mut acquired, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if *acquired >= self.max_count {
            return None;
        }
        *acquired += 1;
        Some(CompilePermit(Arc::clone(self)))
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
    use serde_json::json;

    use super::{super::tests::bytes, *};

    #[test]
    fn dropped_permit_can_be_acquired_again() {
        let semaphore = CompileSemaphore::new(2);
        let mut permits: Vec<CompilePermit> =
            (0..2).map(|_| semaphore.acquire(Duration::ZERO).unwrap()).collect();
        assert!(semaphore.acquire(Duration::from_millis(5)).is_none());
        permits.pop();
        assert!(semaphore.acquire(Duration::ZERO).is_some());
    }

    /// A grammar whose parser takes longer than the time of a quick compilation: its lexer has a state for each remainder.
    fn slow_grammar() -> TopLevelGrammar {
        TopLevelGrammar::from_json_schema(json!({"type": "integer", "multipleOf": 199_999}))
    }

    #[test]
    fn slow_compilations_do_not_hold_others_back() {
        let (compiler, factory) = (Compiler::default(), Arc::new(factory(&bytes()).unwrap()));
        let compile =
            |grammar| compiler.compile(&factory, grammar, CompileCost::Unbounded, &Preparation::default());
        thread::scope(|scope| {
            let slow: Vec<_> = (0..3).map(|_| scope.spawn(|| compile(slow_grammar()))).collect();
            // All of them have begun before the others are compiled.
            let begin = Instant::now();
            while *compiler.quick.acquired.lock().unwrap() + *compiler.slow.acquired.lock().unwrap() < 3 {
                assert!(begin.elapsed() < COMPILE_TIMEOUT, "the three didn't begin");
                thread::yield_now();
            }
            for n in 0..4 {
                let started = Instant::now();
                let schema = json!({"type": "object", "properties": {"a": {"enum": [n]}}});
                let compiled = compile(TopLevelGrammar::from_json_schema(schema));
                assert!(compiled.is_ok(), "{:?}", compiled.err());
                assert!(started.elapsed() < COMPILE_TIMEOUT / 2, "{:?}", started.elapsed());
            }
            let late = slow.into_iter().filter_map(|compilation| compilation.join().unwrap().err());
            assert!(late.count() > 0, "no compilation was slow");
        });
    }

    #[test]
    fn slow_compilation_without_a_place_is_busy() {
        let (compiler, factory) = (Compiler::default(), Arc::new(factory(&bytes()).unwrap()));
        let places: Vec<_> =
            (0..SLOW_COMPILES_MAX_COUNT).map(|_| compiler.slow.acquire(Duration::ZERO).unwrap()).collect();
        let preparation = Preparation::default();
        let compiled = compiler.compile(&factory, slow_grammar(), CompileCost::Unbounded, &preparation);
        assert_eq!(compiled.err(), Some(CompileError::Busy));
        drop(places);
    }

    #[test]
    fn cancelled_run_waits_for_no_compilation() {
        let (compiler, factory) = (Compiler::default(), Arc::new(factory(&bytes()).unwrap()));
        let (preparation, started) = (Preparation::default(), Instant::now());
        preparation.cancel();
        let compiled = compiler.compile(&factory, slow_grammar(), CompileCost::Unbounded, &preparation);
        assert_eq!(compiled.err(), Some(CompileError::Cancelled));
        assert!(started.elapsed() < COMPILE_TIMEOUT / 2, "{:?}", started.elapsed());
    }

    #[test]
    fn cancelled_compilation_computes_no_mask() {
        let (factory, cancellation) = (factory(&bytes()).unwrap(), Cancellation::default());
        let grammar = || TopLevelGrammar::from_json_schema(json!({"enum": [true]}));
        assert!(compile(&factory, grammar(), &cancellation).is_ok());
        let cancellation = Cancellation::default();
        cancellation.cancel();
        assert_eq!(compile(&factory, grammar(), &cancellation).err(), Some(CompileError::Timeout));
    }

    #[test]
    fn cancelled_copy_of_a_grammar_leaves_others_usable() {
        let (compiler, factory) = (Compiler::default(), Arc::new(factory(&bytes()).unwrap()));
        let grammar = TopLevelGrammar::from_json_schema(json!({"enum": [true]}));
        let preparation = Preparation::default();
        let matcher = compiler.compile(&factory, grammar, CompileCost::Unbounded, &preparation).unwrap();
        let mut copies = [matcher.deep_clone().into_cancellable(), matcher.deep_clone().into_cancellable()];
        copies[0].cancellation_handle().unwrap().cancel();
        assert!(copies[0].compute_mask().is_err());
        assert!(copies[1].compute_mask().unwrap().is_allowed(u32::from(b't')));
    }
}
