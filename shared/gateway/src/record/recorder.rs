//! The content of a run's record, and the times of its writes. Does no I/O.

use std::time::Duration;

use hearth_domain::{Delivery, FinishReason, Run, RunState, Selection, Timestamp, run::Failure};
use hearth_wire::{RunEvent, RunEventBody, answer};
use tokio::time::Instant;

use super::replay::is_lossless;

/// Limit of the bytes of tool calls in a record. No model writes so much. Larger ones are left out: with them the record
/// could exceed the limit of an item, and then nothing of it could be stored.
const TOOL_CALLS_MAX_BYTES: usize = 256 << 10;
/// Approximate limit of the bytes of events in one append, below the store's limit of a batch: each append is one item.
const APPEND_MAX_BYTES: usize = 192 << 10;
/// Bytes of events that are written before their window ends.
const BATCH_FULL_BYTES: usize = 32 << 10;
/// Limit of the bytes of events that wait for the store; above it the run waits.
const BUFFER_MAX_BYTES: usize = 1 << 20;
/// Interval between a failure to begin a record and the next attempt.
const BEGIN_RETRY_INTERVAL: Duration = Duration::from_secs(2);

/// Times at which the parts of a record are written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RecordTimes {
    /// Delay after which the record of a run whose client waits for the whole answer is begun.
    begin_delay: Duration,
    /// Time for which events are collected before they are written.
    batch_window: Duration,
    /// The same for a run's first events, and while another process follows the run.
    followed_window: Duration,
    /// Writes a place in a queue, and the first output, at once.
    is_prompt: bool,
}

impl RecordTimes {
    /// In a process with a store of its own, where a write costs little.
    pub(crate) const OWN_STORE: Self = Self {
        begin_delay: Duration::from_millis(200),
        batch_window: Duration::from_millis(200),
        followed_window: Duration::from_millis(200),
        is_prompt: true,
    };
    /// In a process whose store charges for each write. A follower in another process sees an event after the window and
    /// the interval of its polls, about a second together; it leaves a mark that this process reads after three seconds at most.
    pub(crate) const PAID_STORE: Self = Self {
        begin_delay: Duration::from_secs(30),
        batch_window: Duration::from_millis(2500),
        followed_window: Duration::from_millis(900),
        is_prompt: false,
    };
}

/// The next write.
#[derive(Debug)]
pub(super) enum Step {
    /// The run's beginning.
    Begin(Run),
    /// Events, and the record if it has changed.
    Append(Vec<RunEvent>, Option<Run>),
}

/// A run's record up to now.
#[derive(Debug)]
pub(super) struct Recorder {
    pub(super) run: Run,
    times: RecordTimes,
    /// Time at which the record is begun, unless a request waits for it before.
    begin_at: Instant,
    /// A request that waits for the record begins it at once: not after that has failed.
    begins_on_demand: bool,
    /// Events that aren't written yet.
    pending: Vec<RunEvent>,
    pending_bytes: usize,
    /// Time at which those are written; none if there are none.
    flush_at: Option<Instant>,
    /// Time up to which another process follows the run.
    followed_until: Option<Instant>,
    /// An append of events was started.
    append_started: bool,
    /// The record differs from the stored one.
    is_changed: bool,
    /// The write of the run's beginning was started, and hasn't failed.
    begin_started: bool,
    /// Some events are missing: they couldn't be written.
    has_gap: bool,
    delivery: Delivery,
}

impl Recorder {
    pub(super) fn new(mut run: Run, times: RecordTimes, delivery: Delivery) -> Self {
        if run.selection.node.is_none() {
            // A provider's queue is unknown.
            run.state = RunState::Running;
        }
        let delay = match delivery {
            Delivery::Whole => times.begin_delay,
            Delivery::Stream => Duration::ZERO,
        };
        Self {
            run,
            times,
            begin_at: Instant::now() + delay,
            begins_on_demand: true,
            pending: Vec::new(),
            pending_bytes: 0,
            flush_at: None,
            followed_until: None,
            append_started: false,
            is_changed: false,
            begin_started: false,
            has_gap: false,
            delivery,
        }
    }

    /// Records the run's next event; returns whether the next write's time may have changed.
    pub(super) fn record(&mut self, mut event: RunEvent) -> bool {
        if let RunEventBody::Progress { preview, .. } = &mut event.body {
            // No record has a picture, be it unfinished.
            *preview = Vec::new();
        }
        let was_silent = is_silent(&self.run);
        self.apply(&event.body);
        let is_urgent = matches!(event.body, RunEventBody::Waiting { .. } | RunEventBody::Queued { .. })
            || was_silent && !is_silent(&self.run);
        self.push(event);
        let (now, before) = (Instant::now(), self.flush_at);
        let at_once = self.pending_bytes >= BATCH_FULL_BYTES || is_urgent && self.times.is_prompt;
        let latest = if at_once { now } else { now + self.window(now) };
        let at = before.map_or(latest, |at| at.min(latest));
        self.flush_at = Some(at);
        before.is_none_or(|before| at < before)
    }

    /// Records that another process follows the run until `until`. Returns whether the next write's time has changed.
    pub(super) fn set_followed(&mut self, until: Instant) -> bool {
        let now = Instant::now();
        let was_followed = self.is_followed(now);
        self.followed_until = Some(until);
        if was_followed || !self.is_followed(now) {
            return false;
        }
        // The follower has waited for the mark to be read.
        let next = self.flush_at.map(|at| at.min(now));
        std::mem::replace(&mut self.flush_at, next) != next
    }

    fn is_followed(&self, now: Instant) -> bool {
        self.followed_until.is_some_and(|until| now < until)
    }

    fn window(&self, now: Instant) -> Duration {
        let is_short = !self.append_started || self.is_followed(now);
        if is_short { self.times.followed_window } else { self.times.batch_window }
    }

    /// Appends an event to those that aren't written. A client that gets the whole answer at once never sees sequence
    /// numbers, so a text becomes one event.
    fn push(&mut self, event: RunEvent) {
        if self.delivery == Delivery::Whole
            && let (Some(last), RunEventBody::Delta { choice, text, logprobs }) =
                (self.pending.last_mut(), &event.body)
            && let RunEventBody::Delta { choice: same, text: before, logprobs: none } = &mut last.body
            && same == choice
            && none.is_empty()
            && logprobs.is_empty()
        {
            before.push_str(text);
            last.seq = event.seq;
            self.pending_bytes += text.len();
            return;
        }
        if !self.has_gap {
            let mut event = event;
            if let RunEventBody::Extension { extension, .. } = &mut event.body
                && !extension.is_stored()
            {
                *extension = extension.stored().into_owned();
            }
            self.pending_bytes += size(&event.body);
            self.pending.push(event);
        }
    }

    fn apply(&mut self, event: &RunEventBody) {
        let run = &mut self.run;
        match event {
            RunEventBody::Selected(selected) => self.is_changed |= select(run, selected),
            RunEventBody::Queued { position } => {
                run.state = RunState::Queued;
                run.queue_position = Some(*position);
                self.is_changed = true;
            }
            RunEventBody::Started { prompt_tokens } => {
                self.is_changed |= run.state != RunState::Running;
                run.state = RunState::Running;
                run.queue_position = None;
                run.usage.prompt_tokens = *prompt_tokens;
            }
            RunEventBody::Delta { choice: 0, text, .. } | RunEventBody::Refusal { choice: 0, text } => {
                run.text.push_str(text);
            }
            RunEventBody::ToolCall { choice: 0, index, begins, arguments } => {
                answer::apply_tool_delta(&mut run.tool_calls, *index, begins.as_ref(), arguments);
            }
            RunEventBody::Waiting { .. } => {
                run.state = RunState::Queued;
                run.queue_position = None;
                self.is_changed = true;
            }
            RunEventBody::Loading { .. }
            | RunEventBody::Progress { .. }
            | RunEventBody::Credits { .. }
            | RunEventBody::Delta { .. }
            | RunEventBody::Refusal { .. }
            | RunEventBody::Reasoning { .. }
            | RunEventBody::ToolCall { .. }
            | RunEventBody::Extension { .. }
            | RunEventBody::StopText { .. }
            | RunEventBody::Structured { .. }
            | RunEventBody::ChoiceDone { .. }
            | RunEventBody::Embedding { .. }
            | RunEventBody::File { .. }
            | RunEventBody::FilePart { .. } => {}
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
    }

    /// Time of the next write; none if there is nothing to write. `is_wanted`: a request waits for the record.
    pub(super) fn next_write(&self, is_wanted: bool) -> Option<Instant> {
        if self.begin_started {
            return self.flush_at;
        }
        Some(if is_wanted && self.begins_on_demand { Instant::now() } else { self.begin_at })
    }

    /// The write that is due now.
    pub(super) fn next_step(&mut self) -> Step {
        if !std::mem::replace(&mut self.begin_started, true) {
            self.is_changed = false;
            return Step::Begin(self.run.clone());
        }
        self.flush_at = None;
        self.append_started = true;
        let changed = std::mem::take(&mut self.is_changed).then(|| self.run.clone());
        Step::Append(self.take_pending(), changed)
    }

    /// The events that aren't written.
    pub(super) fn take_pending(&mut self) -> Vec<RunEvent> {
        self.pending_bytes = 0;
        std::mem::take(&mut self.pending)
    }

    /// True if so many events wait for the store that the run waits too. Those of a run whose record isn't begun yet are
    /// within the limit of its answer.
    pub(super) fn is_full(&self) -> bool {
        self.begin_started && self.pending_bytes > BUFFER_MAX_BYTES
    }

    /// Schedules another attempt to write the run's beginning, after one that failed.
    pub(super) fn begin_failed(&mut self) {
        self.begin_started = false;
        self.begins_on_demand = false;
        self.begin_at = Instant::now() + BEGIN_RETRY_INTERVAL;
    }

    /// Drops the events, which couldn't be written, and all later ones: events after a gap are useless to a reader.
    pub(super) fn lose_events(&mut self) {
        self.has_gap = true;
        self.pending = Vec::new();
        self.pending_bytes = 0;
    }

    /// True if the client gets the answer as a stream, whose head waits for the run's beginning.
    pub(super) fn is_streamed(&self) -> bool {
        self.delivery == Delivery::Stream
    }

    /// True if the write of the run's beginning was started, and hasn't failed.
    pub(super) fn begin_started(&self) -> bool {
        self.begin_started
    }

    /// Removes from a run that has ended the parts that don't fit its record, or that it has twice.
    pub(super) fn trim(&mut self) {
        let calls = self.run.tool_calls.iter().map(|call| call.name.len() + call.arguments.len());
        let calls = calls.sum::<usize>();
        if calls > TOOL_CALLS_MAX_BYTES {
            tracing::warn!(run = %self.run.id, calls, "a run's tool calls are too large for its record");
            self.run.tool_calls.clear();
        }
        if self.delivery == Delivery::Whole && !self.begin_started && is_lossless(&self.pending) {
            self.take_pending();
        }
    }
}

/// Splits events into the parts that are appended one by one, each within [`APPEND_MAX_BYTES`] or a single event.
pub(super) fn split_for_appends(events: &[RunEvent]) -> Vec<&[RunEvent]> {
    let (mut parts, mut first, mut bytes) = (Vec::new(), 0, 0);
    for (place, event) in events.iter().enumerate() {
        let size = size(&event.body);
        if bytes + size > APPEND_MAX_BYTES && place > first {
            parts.push(&events[first..place]);
            (first, bytes) = (place, 0);
        }
        bytes += size;
    }
    if first < events.len() {
        parts.push(&events[first..]);
    }
    parts
}

/// About how many bytes an event takes when it is stored.
fn size(event: &RunEventBody) -> usize {
    const BASE: usize = 24;
    BASE + match event {
        RunEventBody::Delta { text, logprobs, .. } => text.len() + 256 * logprobs.len(),
        RunEventBody::Refusal { text, .. } | RunEventBody::StopText { text, .. } => text.len(),
        RunEventBody::Reasoning { added, .. } => {
            let sealed = [&added.signature, &added.encrypted];
            added.text.len() + sealed.into_iter().flatten().map(String::len).sum::<usize>()
        }
        RunEventBody::ToolCall { arguments, .. } => 64 + arguments.len(),
        RunEventBody::Extension { extension, .. } => 64 + extension.bytes(),
        _ => 256,
    }
}

/// Records the model that serves a run; returns whether it has changed.
fn select(run: &mut Run, selection: &Selection) -> bool {
    let same = run.selection.provider == selection.provider && run.selection.model == selection.model;
    run.selection.clone_from(selection);
    !same
}

fn is_silent(run: &Run) -> bool {
    run.text.is_empty() && run.tool_calls.is_empty()
}

fn end(run: &mut Run, state: RunState, reason: Option<FinishReason>) {
    run.state = state;
    run.finish_reason = reason;
    run.queue_position = None;
    run.deadline = None;
    run.finished_at = Some(Timestamp::now());
}
