//! Writes a run down while it goes on: its record at each change of state, its events in batches.
//!
//! The first token is written at once, the rest every 200 ms, so that a run costs a few writes a
//! second however fast it is. A failed write is kept and tried again with the next batch; the last
//! one is tried until the store has had its chance. Where the process goes on after an answer, a run that
//! ends soon is written once, with others ([`together`]).

pub(crate) mod behind;
pub(crate) mod retold;
pub(crate) mod together;

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hearth_domain::{FinishReason, ModelId, Run, RunState, Timestamp, run::Failure};
use hearth_store::{Store, StoreError};
use hearth_wire::{RunEvent, RunEventBody, answer, event::Selected};
use tokio::{sync::mpsc, task::JoinHandle};

use behind::{Behind, Progress};
use retold::tells;
use together::Together;

/// A run that ends within this is written once, and not at its beginning too. Whoever looks for it waits longer
/// ([`behind::CREATE`]). Were it shorter, a store that is slow for a moment would be given more to write, and be slower.
const SOON: Duration = Duration::from_millis(200);

const BATCH: Duration = Duration::from_millis(200);
/// Bytes of events in one item, which takes at most 400 KB.
const MAX_BATCH: usize = 256 << 10;
/// Bytes of tool calls in a record. No model writes so much; an item that is too large would lose the rest.
const MAX_CALLS: usize = 256 << 10;
/// Bytes of events, and of text, of a run that is written together with others.
const SHORT: usize = 32 << 10;
/// Waits before the last write is tried again.
const RETRIES: [Duration; 4] =
    [Duration::from_millis(50), Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(3)];

/// A run that is being recorded.
#[derive(Debug)]
pub(crate) struct Recording(Mutex<State>);

#[derive(Debug)]
enum State {
    /// It may end soon: then it is written once, with others.
    Early(Box<Recorder>, Together),
    /// A task of its own writes it.
    Begun(mpsc::UnboundedSender<RunEvent>, JoinHandle<()>),
    Ended,
}

/// Begins to record a run. Its record is noted in `behind` until it is whole; with `together` it may be
/// written late. Who is given the `whole` answer at once knows no event's place.
pub(crate) fn start(
    store: Store,
    run: Run,
    behind: &Behind,
    together: Option<Together>,
    whole: bool,
) -> Recording {
    let progress = behind.enter(run.id);
    let recorder = Recorder {
        store,
        run,
        tried: Vec::new(),
        pending: VecDeque::new(),
        changed: false,
        created: false,
        whole,
        progress,
    };
    Recording(Mutex::new(match together {
        Some(together) => State::Early(Box::new(recorder), together),
        None => recorder.begin(),
    }))
}

impl Recording {
    /// Takes the run's next event.
    pub(crate) fn note(&self, event: RunEvent) {
        match &mut *self.state() {
            State::Early(recorder, _) => drop(recorder.take(event)),
            // It may be gone, after a terminal event.
            State::Begun(recorder, _) => drop(recorder.send(event)),
            State::Ended => {}
        }
    }

    /// Has the run stored, once it has lasted a while. Never ends.
    pub(crate) async fn begin_late<T>(&self) -> T {
        tokio::time::sleep(SOON).await;
        {
            let mut state = self.state();
            *state = match std::mem::replace(&mut *state, State::Ended) {
                State::Early(recorder, _) => recorder.begin(),
                state => state,
            };
        }
        std::future::pending().await
    }

    /// Writes down what is left, after the last event; the task that does it, if there is one.
    pub(crate) fn end(&self) -> Option<JoinHandle<()>> {
        match std::mem::replace(&mut *self.state(), State::Ended) {
            State::Early(mut recorder, together) => {
                recorder.leave_out();
                match recorder.is_short() {
                    true => together.write(recorder),
                    false => drop(tokio::spawn(recorder.finish())),
                }
            }
            State::Begun(_, ended) => return Some(ended),
            State::Ended => {}
        }
        None
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct Recorder {
    store: Store,
    run: Run,
    /// Events whose write was tried. They are stored under the first one's seq, so none is added.
    tried: Vec<RunEvent>,
    /// Events behind those.
    pending: VecDeque<RunEvent>,
    /// Whether the record differs from what is stored.
    changed: bool,
    created: bool,
    /// Nobody knows the events' places.
    whole: bool,
    progress: Progress,
}

impl Recorder {
    /// Goes on in a task of its own.
    fn begin(self) -> State {
        let (events, inbox) = mpsc::unbounded_channel();
        State::Begun(events, tokio::spawn(self.run(inbox)))
    }

    async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<RunEvent>) {
        self.create().await;
        self.progress.created();
        if !self.pending.is_empty() {
            self.flush().await;
        }
        while let Some(event) = inbox.recv().await {
            if !self.take(event) {
                self.gather(&mut inbox).await;
            }
            if self.run.state.is_terminal() {
                return self.finish().await;
            }
            self.flush().await;
        }
    }

    /// Takes what comes within a batch's time, or to the first output, or to the end.
    async fn gather(&mut self, inbox: &mut mpsc::UnboundedReceiver<RunEvent>) {
        let full = tokio::time::sleep(BATCH);
        tokio::pin!(full);
        while !self.run.state.is_terminal() {
            let event = tokio::select! {
                () = &mut full => return,
                event = inbox.recv() => event,
            };
            match event.map(|event| self.take(event)) {
                Some(false) => {}
                Some(true) | None => return,
            }
        }
    }

    /// Notes an event; whether it is to be written at once: the run's place in a queue, or its first
    /// output.
    fn take(&mut self, event: RunEvent) -> bool {
        let silent = is_silent(&self.run);
        let run = &mut self.run;
        match &event.body {
            RunEventBody::Selected(selected) => self.changed |= select(run, selected),
            RunEventBody::Loading { .. } | RunEventBody::Credits { .. } => {}
            RunEventBody::Queued { position } => {
                run.queue_position = Some(*position);
                self.changed = true;
            }
            RunEventBody::Started { prompt_tokens } => {
                run.state = RunState::Running;
                run.queue_position = None;
                run.usage.prompt_tokens = *prompt_tokens;
                self.changed = true;
            }
            RunEventBody::Delta { choice: 0, text, .. } | RunEventBody::Refusal { choice: 0, text } => {
                run.text.push_str(text);
            }
            RunEventBody::ToolCall { choice: 0, index, begins, arguments } => {
                answer::go_on(&mut run.tool_calls, *index, begins.as_ref(), arguments);
            }
            RunEventBody::Delta { .. }
            | RunEventBody::Refusal { .. }
            | RunEventBody::Reasoning { .. }
            | RunEventBody::ToolCall { .. }
            | RunEventBody::StopText { .. }
            | RunEventBody::Structured { .. }
            | RunEventBody::ChoiceDone { .. }
            | RunEventBody::Embedding { .. }
            | RunEventBody::File { .. } => {}
            RunEventBody::Artifact { artifact, .. } => run.artifacts.push(artifact.clone()),
            RunEventBody::Usage { usage } => run.usage = *usage,
            RunEventBody::Cost { cost } => run.cost = Some(*cost),
            RunEventBody::Done { finish_reason } => end(run, RunState::Completed, Some(*finish_reason)),
            RunEventBody::Cancelled => end(run, RunState::Cancelled, Some(FinishReason::Cancelled)),
            RunEventBody::Error { error } => {
                run.failure =
                    Some(Failure { code: error.code.as_str().to_owned(), message: error.message.clone() });
                end(run, RunState::Failed, None);
            }
        }
        let place = matches!(event.body, RunEventBody::Queued { .. });
        self.pending.push_back(event);
        place || silent && !is_silent(&self.run)
    }

    async fn create(&mut self) {
        if let Err(error) = self.write_new().await {
            tracing::error!(run = %self.run.id, %error, "a run can't be recorded yet");
        }
    }

    async fn flush(&mut self) {
        if let Err(error) = self.write().await {
            tracing::warn!(run = %self.run.id, %error, "a run's events wait to be recorded");
        }
    }

    /// Leaves out events that the record of a run which has ended tells as well.
    fn leave_out(&mut self) {
        if self.whole && !self.created && self.run.state.is_terminal() && tells(&self.pending) {
            self.pending.clear();
        }
    }

    /// Whether all of the run fits beside others into a transaction.
    fn is_short(&self) -> bool {
        let events: usize = self.pending.iter().map(RunEvent::json_bytes).sum();
        let calls: usize = self.run.tool_calls.iter().map(|call| call.arguments.len()).sum();
        self.run.state.is_terminal() && events + calls <= SHORT && self.run.text.len() <= SHORT
    }

    async fn finish(mut self) {
        self.changed = true;
        let calls: usize =
            self.run.tool_calls.iter().map(|call| call.name.len() + call.arguments.len()).sum();
        if calls > MAX_CALLS {
            tracing::warn!(run = %self.run.id, calls, "a run's tool calls are too large for its record");
            self.run.tool_calls.clear();
        }
        for wait in RETRIES {
            match self.write().await {
                Ok(()) => return,
                Err(error) => tracing::warn!(run = %self.run.id, %error, "a run's end waits to be recorded"),
            }
            tokio::time::sleep(wait).await;
        }
        // The record has the whole text: it is worth more than the events.
        let events = self.write_events().await;
        if let Err(error) = self.write_record().await.and(events) {
            tracing::error!(run = %self.run.id, %error, "a run's end couldn't be recorded");
        }
    }

    /// Events first: whoever reads a terminal record finds all of them.
    async fn write(&mut self) -> Result<(), StoreError> {
        if !self.created {
            self.write_new().await?;
        }
        self.write_events().await?;
        self.write_record().await
    }

    /// The id was made here: a conflict is an earlier write whose answer was lost.
    async fn write_new(&mut self) -> Result<(), StoreError> {
        match self.store.runs().create(&self.run).await {
            Ok(()) | Err(StoreError::Conflict) => self.created = true,
            Err(error) => return Err(error),
        }
        Ok(())
    }

    async fn write_events(&mut self) -> Result<(), StoreError> {
        loop {
            if self.tried.is_empty() {
                self.tried = self.next_batch();
            }
            if self.tried.is_empty() {
                return Ok(());
            }
            match self.store.runs().append(self.run.id, &self.tried).await {
                Ok(()) | Err(StoreError::Conflict) => self.tried.clear(),
                Err(error) => return Err(error),
            }
        }
    }

    /// As many of the pending events as an item takes.
    fn next_batch(&mut self) -> Vec<RunEvent> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while let Some(event) = self.pending.pop_front() {
            bytes += event.json_bytes();
            if bytes > MAX_BATCH && !batch.is_empty() {
                self.pending.push_front(event);
                break;
            }
            batch.push(event);
        }
        batch
    }

    async fn write_record(&mut self) -> Result<(), StoreError> {
        if self.changed {
            match self.store.runs().update(&self.run).await {
                Ok(()) | Err(StoreError::Conflict) => self.changed = false,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Notes who serves a run; whether it is another than before.
fn select(run: &mut Run, selected: &Selected) -> bool {
    let same = run.provider == selected.provider && run.model.as_str() == selected.model;
    run.model = ModelId::new(&*selected.model);
    run.provider.clone_from(&selected.provider);
    run.node = selected.node;
    run.modality = selected.modality;
    run.reason.clone_from(&selected.reason);
    run.fallback_reason.clone_from(&selected.fallback_reason);
    !same
}

fn is_silent(run: &Run) -> bool {
    run.text.is_empty() && run.tool_calls.is_empty()
}

fn end(run: &mut Run, state: RunState, reason: Option<FinishReason>) {
    run.state = state;
    run.finish_reason = reason;
    run.queue_position = None;
    run.finished_at = Some(Timestamp::now());
}
