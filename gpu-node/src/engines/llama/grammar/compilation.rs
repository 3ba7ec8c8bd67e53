//! One compilation of a grammar, on a thread of its own.

use std::{
    fmt::Display,
    sync::{Arc, Mutex, OnceLock, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

use llguidance::{
    CancellationHandle, Matcher, ParserFactory,
    api::{StopReason, TopLevelGrammar},
};

use super::compile_semaphore::CompilePermit;
use crate::engines::llama::preparation::Preparation;

/// Interval of checks whether the run was cancelled.
pub(super) const CANCEL_CHECK_INTERVAL: Duration = Duration::from_millis(50);
/// Stack of a compilation, in which llguidance recurses: ten times of what a schema within the limits needed.
const COMPILE_STACK_BYTES: usize = 32 * 1024 * 1024;

/// Why a grammar can't be compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CompileError {
    /// It accepts no text.
    Empty,
    /// It takes too long.
    Timeout,
    /// It takes longer than a quick compilation, and others hold the permits of slow ones.
    Slow,
    /// Others hold the permits: it didn't begin.
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
            Self::Slow | Self::Busy => {
                formatter.write_str("other schemas are being compiled; try again later")
            }
            Self::Cancelled => formatter.write_str("the request was cancelled"),
            Self::Unsupported(reason) => formatter.write_str(reason),
        }
    }
}

/// A compilation on a thread of its own.
pub(super) struct Compilation {
    compiled: mpsc::Receiver<Result<Matcher, CompileError>>,
    /// Released when the thread ends.
    permit: Arc<Mutex<Option<CompilePermit>>>,
    cancellation: Cancellation,
}

impl Compilation {
    /// Starts to compile, with a permit that is released when the thread ends.
    pub(super) fn start(
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
    pub(super) fn wait(&self, timeout: Duration, preparation: &Preparation) -> Result<Matcher, CompileError> {
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

    /// Cancels the compilation. Its thread may go on for a while.
    pub(super) fn cancel(&self) {
        self.cancellation.cancel();
    }

    /// Releases the permit for another one.
    pub(super) fn replace_permit(&self, permit: CompilePermit) {
        let mut held = self.permit.lock().unwrap_or_else(PoisonError::into_inner);
        // `None` if the thread has just ended.
        if held.is_some() {
            *held = Some(permit);
        }
    }
}

/// Releases the permit of a thread when it ends.
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
pub(super) fn reason(error: &impl Display) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    if line.contains("panic") {
        return "it is too complex".to_owned();
    }
    line.rsplit("failed to compile JSON schema: ").next().unwrap_or(line).to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::{compile::factory, tests::bytes},
        *,
    };

    #[test]
    fn cancelled_compilation_computes_no_mask() {
        let (factory, cancellation) = (factory(&bytes()).unwrap(), Cancellation::default());
        let grammar = || TopLevelGrammar::from_json_schema(json!({"enum": [true]}));
        assert!(compile(&factory, grammar(), &cancellation).is_ok());
        let cancellation = Cancellation::default();
        cancellation.cancel();
        assert_eq!(compile(&factory, grammar(), &cancellation).err(), Some(CompileError::Timeout));
    }
}
