//! Compiles grammars within bounds of time and number: a client's schema decides how long it takes.

use std::{
    fmt::Display,
    sync::{Arc, Condvar, Mutex, PoisonError, mpsc},
    thread,
    time::Duration,
};

use llguidance::{Matcher, ParserFactory, api::TopLevelGrammar, toktrie::TokEnv};

/// How many grammars are compiled at once. One that is late counts until it ends: it can't be stopped.
const COMPILES_MAX_COUNT: usize = 2;
/// How long one compilation may take, its wait for the others included.
pub(super) const COMPILE_TIMEOUT: Duration = Duration::from_secs(4);
/// The stack for compiling, which llguidance does by recursion: ten times of what a schema within
/// the bounds was seen to take.
const STACK_BYTES: usize = 32 * 1024 * 1024;
/// States of the automaton that reads a grammar's words; each takes 1 to 2 KB.
const LEXER_STATES_MAX_COUNT: usize = 50_000;

/// Why there is no grammar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No text fits it.
    Empty,
    /// It takes too long.
    Late,
    /// The library's reason.
    Unsupported(String),
}

impl Display for Refusal {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Empty => formatter.write_str("nothing fits it"),
            Self::Late => formatter.write_str("it takes too long to compile; make it simpler"),
            Self::Unsupported(reason) => formatter.write_str(reason),
        }
    }
}

/// What compiles grammars for a vocabulary: one for each model.
///
/// # Errors
/// If the vocabulary can't be used.
pub(super) fn factory(vocabulary: &TokEnv) -> Result<ParserFactory, String> {
    let mut factory = ParserFactory::new_simple(vocabulary).map_err(|error| reason(&error))?;
    // The engine's standard error is the node's log.
    factory.quiet();
    let limits = factory.limits_mut();
    limits.verbose_errors = false;
    limits.max_lexer_states = LEXER_STATES_MAX_COUNT;
    Ok(factory)
}

/// What a compilation may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cost {
    /// A client's schema decides: it waits for a place.
    Unknown,
    /// Little, so it needs no place. Others may hold all of them until they end.
    Little,
}

/// Compiles grammars, a few at a time.
#[derive(Default)]
pub(super) struct Compiler {
    places: Arc<Places>,
}

impl Compiler {
    /// A matcher at the beginning of `grammar`'s language. This takes milliseconds, and more for large schemas.
    ///
    /// # Errors
    /// Why the grammar can't be followed.
    pub(super) fn compile(
        &self,
        factory: &Arc<ParserFactory>,
        grammar: TopLevelGrammar,
        cost: Cost,
    ) -> Result<Matcher, Refusal> {
        let place = match cost {
            Cost::Unknown => Some(Places::take(&self.places, COMPILE_TIMEOUT).ok_or(Refusal::Late)?),
            Cost::Little => None,
        };
        let (done, compiled) = mpsc::sync_channel(1);
        let factory = Arc::clone(factory);
        let work = move || {
            let _ = done.send(compile(&factory, grammar));
            drop(place);
        };
        let thread = thread::Builder::new().name("compile".to_owned()).stack_size(STACK_BYTES).spawn(work);
        thread.map_err(|error| Refusal::Unsupported(error.to_string()))?;
        match compiled.recv_timeout(COMPILE_TIMEOUT) {
            Ok(compiled) => compiled,
            Err(mpsc::RecvTimeoutError::Timeout) => Err(Refusal::Late),
            // It has panicked.
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                Err(Refusal::Unsupported("it is too complicated".to_owned()))
            }
        }
    }
}

fn compile(factory: &ParserFactory, grammar: TopLevelGrammar) -> Result<Matcher, Refusal> {
    let parser = factory.create_parser(grammar).map_err(|error| {
        let reason = reason(&error);
        if reason.to_lowercase().contains("unsatisfiable") {
            return Refusal::Empty;
        }
        Refusal::Unsupported(reason)
    })?;
    let mut matcher = Matcher::new(Ok(parser));
    // A language without words shows only now.
    matcher.compute_mask().map_err(|_| Refusal::Empty)?;
    Ok(matcher)
}

/// What went wrong, without places in a grammar that the client hasn't seen.
fn reason(error: &impl Display) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    if line.contains("panic") {
        return "it is too complicated".to_owned();
    }
    line.rsplit("failed to compile JSON schema: ").next().unwrap_or(line).to_owned()
}

/// The places of those who compile.
#[derive(Default)]
struct Places {
    taken: Mutex<usize>,
    freed: Condvar,
}

struct Place(Arc<Places>);

impl Places {
    /// A place, if one is free in time.
    fn take(places: &Arc<Self>, limit: Duration) -> Option<Place> {
        let taken = places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let full = |taken: &mut usize| *taken >= COMPILES_MAX_COUNT;
        let waited = places.freed.wait_timeout_while(taken, limit, full);
        let (mut taken, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        if timeout.timed_out() {
            return None;
        }
        *taken += 1;
        Some(Place(Arc::clone(places)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        *self.0.taken.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_its_holder_ends() {
        let places = Arc::new(Places::default());
        let mut held: Vec<Place> =
            (0..COMPILES_MAX_COUNT).map(|_| Places::take(&places, Duration::ZERO).unwrap()).collect();
        assert!(Places::take(&places, Duration::from_millis(5)).is_none());
        held.pop();
        assert!(Places::take(&places, Duration::ZERO).is_some());
    }
}
