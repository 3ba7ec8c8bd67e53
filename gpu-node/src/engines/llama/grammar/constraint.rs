//! Computes the grammar masks of one constrained answer on a thread of its own, while the engine's thread decodes.
//!
//! A client's schema decides how long a mask takes, so the engine's thread doesn't wait for one: an answer whose mask
//! isn't ready skips the step, and its run fails if the mask takes too long.

use std::{
    fmt::Display,
    sync::{Arc, Mutex, OnceLock, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

use llguidance::{CancellationHandle, Matcher, toktrie::SimpleVob};

/// Timeout of one mask.
const MASK_TIMEOUT: Duration = Duration::from_secs(3);
/// Timeout of all masks of an answer together.
const ANSWER_MASKS_TIMEOUT: Duration = Duration::from_secs(20);

/// A compiled grammar, which each answer clones.
pub(in crate::engines::llama) type SharedMatcher = Arc<Mutex<Matcher>>;

/// The grammar of one answer, at the answer's last token.
pub(in crate::engines::llama) struct Constraint {
    tokens: mpsc::Sender<u32>,
    replies: mpsc::Receiver<MaskState>,
    state: MaskState,
    /// Time at which the last mask was requested.
    requested_at: Instant,
    /// Total time of the masks before.
    masks_time: Duration,
    cancellation: Arc<OnceLock<CancellationHandle>>,
}

/// State of the mask for the next token.
pub(in crate::engines::llama) enum MaskState {
    /// The mask is being computed.
    Pending,
    /// The tokens that are allowed next.
    Mask(SimpleVob),
    /// No token is allowed: the answer is complete.
    Complete,
    /// The grammar failed, for this reason: at a limit of its size, or by a timeout.
    Failed(String),
}

impl Constraint {
    /// Starts a thread for `grammar`, which calls `wake` whenever [`poll`](Self::poll) has a new state.
    pub(in crate::engines::llama) fn start(
        grammar: &SharedMatcher,
        wake: impl Fn() + Send + 'static,
    ) -> Self {
        let (token_sender, tokens) = mpsc::channel();
        let (reply, replies) = mpsc::channel();
        let cancellation = Arc::new(OnceLock::new());
        let (grammar, handle) = (Arc::clone(grammar), Arc::clone(&cancellation));
        let failed = reply.clone();
        let work = move || compute_masks(&grammar, &handle, &tokens, &reply, &wake);
        if let Err(error) = thread::Builder::new().name("grammar".to_owned()).spawn(work) {
            let _ = failed.send(MaskState::Failed(format!("no thread can be started for it: {error}")));
        }
        Self {
            tokens: token_sender,
            replies,
            state: MaskState::Pending,
            requested_at: Instant::now(),
            masks_time: Duration::ZERO,
            cancellation,
        }
    }

    /// The state of the mask for the next token.
    pub(in crate::engines::llama) fn poll(&mut self) -> &MaskState {
        if matches!(self.state, MaskState::Pending) {
            let elapsed = self.requested_at.elapsed();
            if let Ok(state) = self.replies.try_recv() {
                self.masks_time += elapsed;
                self.state = state;
            } else if elapsed > MASK_TIMEOUT || self.masks_time + elapsed > ANSWER_MASKS_TIMEOUT {
                self.cancel();
                self.state =
                    MaskState::Failed("it takes too long to compute which tokens may come next".to_owned());
            }
        }
        &self.state
    }

    /// Accepts the sampled token and requests the next mask.
    pub(in crate::engines::llama) fn accept(&mut self, token: u32) {
        self.requested_at = Instant::now();
        // If the thread is gone, it has logged the reason.
        self.state = match self.tokens.send(token) {
            Ok(()) => MaskState::Pending,
            Err(_) => MaskState::Failed("its thread ended".to_owned()),
        };
    }

    fn cancel(&self) {
        if let Some(handle) = self.cancellation.get() {
            handle.cancel();
        }
    }
}

impl Drop for Constraint {
    /// Cancels a mask that is being computed. The thread ends as its token channel closes.
    fn drop(&mut self) {
        self.cancel();
    }
}

/// Sends a mask for the beginning, and for each received token.
fn compute_masks(
    grammar: &Mutex<Matcher>,
    handle: &OnceLock<CancellationHandle>,
    tokens: &mpsc::Receiver<u32>,
    replies: &mpsc::Sender<MaskState>,
    wake: &impl Fn(),
) {
    let copy = grammar.lock().unwrap_or_else(PoisonError::into_inner).deep_clone();
    let mut matcher = copy.into_cancellable();
    if let Some(cancellation) = matcher.cancellation_handle() {
        let _ = handle.set(cancellation);
    }
    loop {
        let state = if matcher.is_stopped() {
            MaskState::Complete
        } else {
            matcher.compute_mask_or_eos().map_or_else(|error| limit_exceeded(&error), MaskState::Mask)
        };
        let is_final = !matches!(state, MaskState::Mask(_));
        if replies.send(state).is_err() {
            return;
        }
        wake();
        let (false, Ok(token)) = (is_final, tokens.recv()) else { return };
        if let Err(error) = matcher.consume_token(token) {
            let _ = replies.send(limit_exceeded(&error));
            return wake();
        }
    }
}

/// The state after llguidance exceeded a limit of one step. Its own message is only logged.
fn limit_exceeded(error: &impl Display) -> MaskState {
    tracing::warn!(%error, "a grammar failed");
    MaskState::Failed("it has too many alternatives at once".to_owned())
}

#[cfg(test)]
mod tests {
    use super::{super::tests::matcher_of, *};

    fn wait(constraint: &mut Constraint, woken: &mpsc::Receiver<()>) {
        while matches!(constraint.poll(), MaskState::Pending) {
            woken.recv_timeout(Duration::from_secs(10)).unwrap();
        }
    }

    #[test]
    fn masks_follow_the_accepted_tokens() {
        let grammar = Arc::new(Mutex::new(matcher_of(&serde_json::json!({"enum": ["a", "b"]}))));
        let (wake, woken) = mpsc::channel();
        let mut constraint = Constraint::start(&grammar, move || wake.send(()).unwrap_or_default());
        for byte in *b"\"a\"" {
            wait(&mut constraint, &woken);
            let MaskState::Mask(mask) = constraint.poll() else { panic!("no mask before {byte}") };
            assert!(mask.is_allowed(u32::from(byte)) && !mask.is_allowed(u32::from(b'x')));
            constraint.accept(u32::from(byte));
        }
        wait(&mut constraint, &woken);
        assert!(matches!(constraint.poll(), MaskState::Complete));
    }

    #[test]
    fn late_mask_fails_its_answer() {
        let grammar = Arc::new(Mutex::new(matcher_of(&serde_json::json!({"enum": ["a"]}))));
        let guard = grammar.lock().unwrap();
        let mut constraint = Constraint::start(&grammar, || ());
        assert!(matches!(constraint.poll(), MaskState::Pending));
        constraint.requested_at = constraint.requested_at.checked_sub(MASK_TIMEOUT * 2).unwrap();
        assert!(matches!(constraint.poll(), MaskState::Failed(reason) if reason.contains("too long")));
        drop(guard);
    }
}
