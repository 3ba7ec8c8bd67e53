//! The handle to the record of one run.
//!
//! States of a record:
//!
//! ```text
//!                  the write fails: the next attempt is later
//!               ┌───────────────────────────────┐
//!               ▼                               │
//! start ──▶ not begun ── due, or wanted ──▶ begin started ──▶ begin stored ──▶ events appended, record updated, …
//!               │                               │                  │
//!               └───────────────┬───────────────┴──────────────────┘
//!                               ▼ terminal event
//!                             ended ──▶ write in progress ──▶ last write ──▶ done: stored, or lost
//! ```
//!
//! - Due: at once for a streamed answer, after a delay for a whole one. Wanted: a request waits for the record.
//! - The last write of a record whose beginning isn't stored is the whole record in one; else the rest of the events, and
//!   an update of the record.
//! - Each flag has one meaning: `Recorder::begin_started`, `Shared::begin_stored`, and `RecordStage::begin_tried` of
//!   [`pending`](super::pending), for requests that wait.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use futures::{FutureExt as _, future::BoxFuture};
use hearth_domain::{Delivery, Run, RunId};
use hearth_store::StoreError;
use hearth_telemetry::traces::{Span, SpanKind, TraceContext};
use hearth_wire::RunEvent;
use tokio::{sync::Notify, time::Instant};

use super::{
    pending::{EndReceipt, PendingRecords, Progress, RECORD_WAIT_TIMEOUT},
    recorder::{RecordTimes, Recorder, Step, split_for_appends},
    writer::RecordWriter,
};
use crate::{in_place::pin_in_place, stage::Stage};

/// `error.type` of a failed write.
const STORE_ERROR: &str = "store";

/// A run that is being recorded.
#[derive(Clone)]
pub(crate) struct Recording(Arc<Shared>);

struct Shared {
    id: RunId,
    writer: RecordWriter,
    /// None once the run has ended.
    recorder: Mutex<Option<(Box<Recorder>, Progress)>>,
    /// Wakes [`Recording::work`]: something is to be written.
    due: Notify,
    /// Wakes [`Recording::wait_for_room`]: something was written.
    room: Notify,
    /// The store has the run's beginning.
    begin_stored: AtomicBool,
    /// The write in progress. It stays here when the task that waits for it is dropped.
    write: tokio::sync::Mutex<Option<BoxFuture<'static, ()>>>,
    /// The position of the request that the run belongs to.
    trace: TraceContext,
}

/// Begins to record a run.
pub(super) fn start(
    writer: RecordWriter,
    pending: &PendingRecords,
    run: Run,
    times: RecordTimes,
    delivery: Delivery,
    trace: TraceContext,
) -> Recording {
    let (id, progress) = (run.id, pending.enter(run.id, delivery));
    let recorder = Box::new(Recorder::new(run, times, delivery));
    Recording(Arc::new(Shared {
        id,
        writer,
        recorder: Mutex::new(Some((recorder, progress))),
        due: Notify::new(),
        room: Notify::new(),
        begin_stored: AtomicBool::new(false),
        write: tokio::sync::Mutex::default(),
        trace,
    }))
}

impl Recording {
    /// Records the run's next event.
    pub(crate) fn record(&self, event: RunEvent) {
        if let Some((recorder, _)) = &mut *self.0.recorder()
            && recorder.record(event)
        {
            self.0.due.notify_one();
        }
    }

    /// Records that another process follows the run until `until`: its events are written in shorter intervals.
    pub(crate) fn set_followed(&self, until: Instant) {
        if let Some((recorder, _)) = &mut *self.0.recorder()
            && recorder.set_followed(until)
        {
            self.0.due.notify_one();
        }
    }

    /// Waits until the store has taken enough of the events. After some time the run goes on, and its events are
    /// recorded no longer.
    pub(crate) async fn wait_for_room(&self) {
        let is_full = || matches!(&*self.0.recorder(), Some((recorder, _)) if recorder.is_full());
        if !is_full() {
            return;
        }
        let has_room = async {
            loop {
                // Before the check, so that a write that ends after it isn't missed.
                let written = self.0.room.notified();
                if !is_full() {
                    return;
                }
                written.await;
            }
        };
        if tokio::time::timeout(RECORD_WAIT_TIMEOUT, has_room).await.is_err()
            && let Some((recorder, _)) = &mut *self.0.recorder()
        {
            tracing::warn!(run = %self.0.id, trace_id = self.0.trace.trace_id(), "the store is too slow for a run's events; its record will contain the answer");
            recorder.lose_events();
        }
    }

    /// Stores the run's beginning now.
    ///
    /// # Errors
    /// If the store fails.
    pub(crate) async fn begin(&self) -> Result<(), StoreError> {
        let run = match &mut *self.0.recorder() {
            Some((recorder, _)) if !recorder.begin_started() => match recorder.next_step() {
                Step::Begin(run) => run,
                Step::Append(..) => return Ok(()),
            },
            _ => return Ok(()),
        };
        self.0.begin(&run).await
    }

    /// Writes all that is due, as long as it is polled. Never returns, so its type fits every `select!`: there the branch
    /// `never = recording.work() => never` drives the writes while another branch is awaited.
    pub(crate) async fn work<T>(&self) -> T {
        loop {
            {
                let mut write = self.0.write.lock().await;
                if let Some(running) = write.as_mut() {
                    running.await;
                    *write = None;
                    self.0.room.notify_waiters();
                }
            }
            let next =
                self.0.recorder().as_ref().map(|(recorder, progress)| {
                    (recorder.next_write(progress.is_wanted()), progress.wanted())
                });
            let Some((at, wanted)) = next else { return std::future::pending().await };
            let time = async {
                match at {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = time => {}
                () = self.0.due.notified() => continue,
                () = wanted => continue,
            }
            let step = self.0.recorder().as_mut().map(|(recorder, _)| recorder.next_step());
            if let Some(step) = step {
                let shared = Arc::clone(&self.0);
                *self.0.write.lock().await = Some(async move { shared.take_step(step).await }.boxed());
            }
        }
    }

    /// Records the run's terminal event, and writes the rest. The write is in the store's queue when this returns, if the
    /// queue has room.
    pub(crate) fn end(&self, event: RunEvent) -> Option<EndReceipt> {
        let (mut recorder, mut progress) = self.0.recorder().take()?;
        recorder.record(event);
        recorder.trim();
        progress.set_ended();
        self.0.due.notify_one();
        self.0.room.notify_waiters();
        let receipt = progress.receipt();
        // The head of a stream waits for its beginning.
        let is_awaited =
            (progress.is_wanted() || recorder.is_streamed()) && !self.0.begin_stored.load(Ordering::Acquire);
        let mut rest = pin_in_place(|| finish(Arc::clone(&self.0), recorder, progress));
        if (&mut rest).now_or_never().is_none() {
            self.0.writer.end_writes().add(rest, is_awaited);
        }
        Some(receipt)
    }
}

impl Shared {
    async fn take_step(&self, step: Step) {
        match step {
            Step::Begin(run) => drop(self.begin(&run).await),
            Step::Append(events, changed) => {
                let mut span = self.span("append");
                for part in split_for_appends(&events) {
                    if let Err(error) = self.writer.append(self.id, part).await {
                        span.fail(STORE_ERROR);
                        tracing::warn!(run = %self.id, trace_id = self.trace.trace_id(), %error, "a run's events aren't recorded; its record will contain the answer");
                        if let Some((recorder, _)) = &mut *self.recorder() {
                            recorder.lose_events();
                        }
                        break;
                    }
                }
                if let Some(run) = changed
                    && let Err(error) = self.writer.update(&run).await
                {
                    tracing::warn!(run = %self.id, trace_id = self.trace.trace_id(), %error, "a run's state isn't recorded yet");
                }
            }
        }
    }

    async fn begin(&self, run: &Run) -> Result<(), StoreError> {
        let mut span = self.span("begin");
        let result = self.writer.begin(run).await;
        if result.is_err() {
            span.fail(STORE_ERROR);
        }
        drop(span);
        self.begin_stored.store(result.is_ok(), Ordering::Release);
        if let Some((recorder, progress)) = &mut *self.recorder() {
            progress.set_begin_tried();
            if let Err(error) = &result {
                tracing::error!(run = %self.id, trace_id = self.trace.trace_id(), %error, "a run can't be recorded yet");
                recorder.begin_failed();
            }
        }
        result
    }

    async fn write_end(&self, recorder: &mut Recorder) -> Result<(), StoreError> {
        let mut span = self.span("end");
        self.write_rest(recorder).await.inspect_err(|_| span.fail(STORE_ERROR))
    }

    async fn write_rest(&self, recorder: &mut Recorder) -> Result<(), StoreError> {
        let events = recorder.take_pending();
        let run = &recorder.run;
        if !self.begin_stored.load(Ordering::Acquire) {
            return self.writer.record_ended(run, &events).await;
        }
        for part in split_for_appends(&events) {
            // The record contains the whole text, so it matters more than the events.
            if let Err(error) = self.writer.append(run.id, part).await {
                tracing::warn!(run = %run.id, trace_id = self.trace.trace_id(), %error, "a run's last events aren't recorded");
                break;
            }
        }
        self.writer.update(run).await
    }

    /// The span of a write of the record.
    fn span(&self, part: &'static str) -> Span {
        let mut span = Span::child(&self.trace, SpanKind::Client, "record write");
        span.set("hearth.record.part", part);
        span
    }

    fn recorder(&self) -> MutexGuard<'_, Option<(Box<Recorder>, Progress)>> {
        self.recorder.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes the rest of a run that has ended.
async fn finish(shared: Arc<Shared>, mut recorder: Box<Recorder>, progress: Progress) {
    // The write in progress comes first: a reader of a record that has ended finds all events.
    if let Some(running) = shared.write.lock().await.take() {
        running.await;
        if shared.begin_stored.load(Ordering::Acquire) {
            progress.set_begin_tried();
        }
    }
    let announced = shared.writer.announce_end(&recorder.run).await;
    match Stage::Record.measure(shared.write_end(&mut recorder)).await {
        Ok(()) => {
            // Before the response may end: a process that is frozen then would send the event late.
            announced.confirm().await;
            progress.set_stored();
        }
        Err(error) => {
            announced.leave();
            metrics::counter!("hearth_records_lost_total").increment(1);
            tracing::error!(run = %shared.id, trace_id = shared.trace.trace_id(), %error, "a run's end couldn't be recorded");
        }
    }
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Recording").field(&self.0.id).finish()
    }
}

#[cfg(test)]
mod terminal_rule;
#[cfg(test)]
mod tests;
