//! Compiles grammars with limits on time and on concurrent compilations: a client's schema decides how long one takes.
//!
//! A compilation begins as a quick one. When it isn't done after [`QUICK_TIMEOUT`], it goes on as a slow one if there is a place
//! for it, and is cancelled otherwise. A large grammar is a slow one from its beginning: a compilation that is cancelled holds its
//! place until it ends. So a few schemas that take long don't hold back those of others, which take milliseconds.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use llguidance::{Matcher, ParserFactory, api::TopLevelGrammar, toktrie::TokEnv};

use super::{
    compilation::{CANCEL_CHECK_INTERVAL, Compilation, CompileError, reason},
    compile_semaphore::{CompilePermit, CompileSemaphore},
};
use crate::engines::llama::preparation::Preparation;

/// Maximum number of concurrent quick compilations. A cancelled one counts until it ends: only the first mask can be
/// interrupted. Building the parser before it is limited by [`PARSER_FUEL`].
const QUICK_COMPILES_MAX_COUNT: usize = 4;
/// Maximum number of concurrent slow compilations.
const SLOW_COMPILES_MAX_COUNT: usize = 2;
/// Time after which a compilation is a slow one.
const QUICK_TIMEOUT: Duration = Duration::from_millis(500);
/// Bytes, as JSON, from which on a grammar is large: one of 2000 properties has 60 KB and may take seconds on a slow machine.
const LARGE_GRAMMAR_MIN_BYTES: usize = 32 << 10;
/// Timeout of the wait for a permit, and of a compilation from its beginning.
pub(super) const COMPILE_TIMEOUT: Duration = Duration::from_secs(4);
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
        let is_large = cost == CompileCost::Unbounded && is_large(&grammar);
        let permit = match cost {
            CompileCost::Bounded => None,
            CompileCost::Unbounded if is_large => Some(wait_for_permit(&self.slow, preparation)?),
            CompileCost::Unbounded => Some(wait_for_permit(&self.quick, preparation)?),
        };
        let compilation = Compilation::start(factory, grammar, permit)?;
        let compiled = match cost {
            CompileCost::Unbounded if !is_large => self.wait_for_quick(&compilation, preparation),
            _ => compilation.wait(COMPILE_TIMEOUT, preparation),
        };
        if matches!(compiled, Err(CompileError::Timeout | CompileError::Slow | CompileError::Cancelled)) {
            compilation.cancel();
        }
        compiled
    }

    /// Waits for a compilation that has begun as a quick one.
    fn wait_for_quick(
        &self,
        compilation: &Compilation,
        preparation: &Preparation,
    ) -> Result<Matcher, CompileError> {
        match compilation.wait(QUICK_TIMEOUT, preparation) {
            Err(CompileError::Timeout) => {
                let permit = self.slow.acquire(Duration::ZERO).ok_or(CompileError::Slow)?;
                compilation.replace_permit(permit);
                compilation.wait(COMPILE_TIMEOUT - QUICK_TIMEOUT, preparation)
            }
            compiled => compiled,
        }
    }
}

/// Returns whether a grammar is large; one that isn't JSON is.
fn is_large(grammar: &TopLevelGrammar) -> bool {
    serde_json::to_vec(grammar).map_or(true, |json| json.len() >= LARGE_GRAMMAR_MIN_BYTES)
}

/// Waits for a permit, until the timeout or until the run is cancelled.
fn wait_for_permit(
    semaphore: &Arc<CompileSemaphore>,
    preparation: &Preparation,
) -> Result<CompilePermit, CompileError> {
    let deadline = Instant::now() + COMPILE_TIMEOUT;
    loop {
        let rest = deadline.saturating_duration_since(Instant::now());
        match semaphore.acquire(rest.min(CANCEL_CHECK_INTERVAL)) {
            Some(permit) => return Ok(permit),
            None if preparation.checkpoint().is_err() => return Err(CompileError::Cancelled),
            None if rest.is_zero() => return Err(CompileError::Busy),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use serde_json::json;

    use super::{super::tests::bytes, *};

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
    fn slow_compilation_without_a_place_is_cancelled() {
        let (compiler, factory) = (Compiler::default(), Arc::new(factory(&bytes()).unwrap()));
        let places: Vec<_> =
            (0..SLOW_COMPILES_MAX_COUNT).map(|_| compiler.slow.acquire(Duration::ZERO).unwrap()).collect();
        let preparation = Preparation::default();
        let compiled = compiler.compile(&factory, slow_grammar(), CompileCost::Unbounded, &preparation);
        assert_eq!(compiled.err(), Some(CompileError::Slow));
        drop(places);
    }

    #[test]
    fn large_and_small_grammars_wait_for_different_places() {
        let (compiler, factory) = (Compiler::default(), Arc::new(factory(&bytes()).unwrap()));
        let compile = |schema| {
            let (grammar, cost) = (TopLevelGrammar::from_json_schema(schema), CompileCost::Unbounded);
            compiler.compile(&factory, grammar, cost, &Preparation::default()).err()
        };
        // The thread of an earlier compilation may have its permit for a moment longer.
        let take = |semaphore: &Arc<CompileSemaphore>, count| -> Vec<_> {
            (0..count).map(|_| semaphore.acquire(COMPILE_TIMEOUT).unwrap()).collect()
        };
        let quick = take(&compiler.quick, QUICK_COMPILES_MAX_COUNT);
        // Large by a text that costs nothing.
        let large = json!({"type": "boolean", "description": "x".repeat(LARGE_GRAMMAR_MIN_BYTES)});
        assert_eq!(compile(large), None);
        drop(quick);
        let slow = take(&compiler.slow, SLOW_COMPILES_MAX_COUNT);
        assert_eq!(compile(json!({"type": "boolean"})), None);
        drop(slow);
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
