//! A grammar beside the engine's thread: one thread for each constrained answer computes which tokens may come next,
//! while the engine's thread decodes.
//!
//! A client's schema decides how long a mask takes. So nobody waits for one: an answer whose mask isn't ready skips
//! the step, and its run fails if the mask takes too long.

use std::{
    fmt::Display,
    sync::{Arc, Mutex, OnceLock, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

use llguidance::{CancellationHandle, Matcher, toktrie::SimpleVob};

/// How long one mask may take.
const MASK_TIMEOUT: Duration = Duration::from_secs(3);
/// How long all masks of an answer may take.
const MASKS_TIMEOUT: Duration = Duration::from_secs(20);

/// A compiled grammar, to be followed by any number of answers.
pub(in crate::engines::llama) type SharedMatcher = Arc<Mutex<Matcher>>;

/// The grammar of one answer, as far as the answer has come.
pub(in crate::engines::llama) struct Constraint {
    taken: mpsc::Sender<u32>,
    replies: mpsc::Receiver<Next>,
    next: Next,
    /// When the mask was asked for that is being computed.
    asked: Instant,
    /// How long masks have taken.
    spent: Duration,
    cancellation: Arc<OnceLock<CancellationHandle>>,
}

/// What may come next.
pub(in crate::engines::llama) enum Next {
    /// It is being computed.
    Pending,
    /// These tokens.
    Mask(SimpleVob),
    /// Nothing: the answer is complete.
    Complete,
    /// The grammar gave up, such as at a limit of its size, or it took too long.
    Failed(String),
}

impl Constraint {
    /// Follows `grammar` on a thread of its own, which calls `wake` when there is something to [`poll`](Self::poll).
    pub(in crate::engines::llama) fn start(
        grammar: &SharedMatcher,
        wake: impl Fn() + Send + 'static,
    ) -> Self {
        let (taken, tokens) = mpsc::channel();
        let (reply, replies) = mpsc::channel();
        let cancellation = Arc::new(OnceLock::new());
        let (grammar, handle) = (Arc::clone(grammar), Arc::clone(&cancellation));
        let failed = reply.clone();
        let work = move || follow(&grammar, &handle, &tokens, &reply, &wake);
        if let Err(error) = thread::Builder::new().name("grammar".to_owned()).spawn(work) {
            let _ = failed.send(Next::Failed(format!("no thread can be started for it: {error}")));
        }
        let (asked, spent) = (Instant::now(), Duration::ZERO);
        Self { taken, replies, next: Next::Pending, asked, spent, cancellation }
    }

    /// What may come next, as far as it is known now.
    pub(in crate::engines::llama) fn poll(&mut self) -> &Next {
        if matches!(self.next, Next::Pending) {
            if let Ok(next) = self.replies.try_recv() {
                self.spent += self.asked.elapsed();
                self.next = next;
            } else if self.asked.elapsed() > MASK_TIMEOUT || self.spent + self.asked.elapsed() > MASKS_TIMEOUT
            {
                self.cancel();
                self.next = Next::Failed("it takes too long to say which tokens may come next".to_owned());
            }
        }
        &self.next
    }

    /// Goes on with the token that was chosen.
    pub(in crate::engines::llama) fn take(&mut self, token: u32) {
        self.asked = Instant::now();
        // A thread that is gone has told why.
        self.next = match self.taken.send(token) {
            Ok(()) => Next::Pending,
            Err(_) => Next::Failed("its thread ended".to_owned()),
        };
    }

    fn cancel(&self) {
        if let Some(handle) = self.cancellation.get() {
            handle.cancel();
        }
    }
}

impl Drop for Constraint {
    /// Stops a mask that is being computed; the thread ends as it gets no more tokens.
    fn drop(&mut self) {
        self.cancel();
    }
}

fn follow(
    grammar: &Mutex<Matcher>,
    handle: &OnceLock<CancellationHandle>,
    tokens: &mpsc::Receiver<u32>,
    replies: &mpsc::Sender<Next>,
    wake: &impl Fn(),
) {
    let copy = grammar.lock().unwrap_or_else(PoisonError::into_inner).deep_clone();
    let mut matcher = copy.into_cancellable();
    if let Some(cancellation) = matcher.cancellation_handle() {
        let _ = handle.set(cancellation);
    }
    loop {
        let next = if matcher.is_stopped() {
            Next::Complete
        } else {
            matcher.compute_mask_or_eos().map_or_else(|error| beyond_limits(&error), Next::Mask)
        };
        let ends = !matches!(next, Next::Mask(_));
        if replies.send(next).is_err() {
            return;
        }
        wake();
        let (false, Ok(token)) = (ends, tokens.recv()) else { return };
        if let Err(error) = matcher.consume_token(token) {
            let _ = replies.send(beyond_limits(&error));
            return wake();
        }
    }
}

/// The library's limits of a step were exceeded; its words are for the log.
fn beyond_limits(error: &impl Display) -> Next {
    tracing::warn!(%error, "a grammar gave up");
    Next::Failed("it leaves more alternatives open than can be followed".to_owned())
}

#[cfg(test)]
mod tests {
    use super::{super::tests::matcher_of, *};

    fn wait(constraint: &mut Constraint, woken: &mpsc::Receiver<()>) {
        while matches!(constraint.poll(), Next::Pending) {
            woken.recv_timeout(Duration::from_secs(10)).unwrap();
        }
    }

    #[test]
    fn masks_follow_the_tokens_taken() {
        let grammar = Arc::new(Mutex::new(matcher_of(&serde_json::json!({"enum": ["a", "b"]}))));
        let (wake, woken) = mpsc::channel();
        let mut constraint = Constraint::start(&grammar, move || wake.send(()).unwrap_or_default());
        for byte in *b"\"a\"" {
            wait(&mut constraint, &woken);
            let Next::Mask(mask) = constraint.poll() else { panic!("no mask before {byte}") };
            assert!(mask.is_allowed(u32::from(byte)) && !mask.is_allowed(u32::from(b'x')));
            constraint.take(u32::from(byte));
        }
        wait(&mut constraint, &woken);
        assert!(matches!(constraint.poll(), Next::Complete));
    }

    #[test]
    fn a_late_mask_fails_its_answer() {
        let grammar = Arc::new(Mutex::new(matcher_of(&serde_json::json!({"enum": ["a"]}))));
        let held = grammar.lock().unwrap();
        let mut constraint = Constraint::start(&grammar, || ());
        assert!(matches!(constraint.poll(), Next::Pending));
        constraint.asked = constraint.asked.checked_sub(MASK_TIMEOUT * 2).unwrap();
        assert!(matches!(constraint.poll(), Next::Failed(why) if why.contains("too long")));
        drop(held);
    }
}
