//! Runs: started, driven at one candidate after the other, and streamed to their clients.
//!
//! The driver sends each event to the record and to the client, through a channel of limited length: a client that reads
//! slowly slows the run. A client that goes away is noticed at once, whether the run then stops or goes on.
//!
//! - [`Runs::start`] starts a run, [`Runs::replay`] serves one with a cached answer.
//! - `driver`: asks the candidates in turn, with retries (`retry`); `attempt`: asks one candidate once; `output`: sends
//!   the events, and counts usage and cost (`pricing`); `resume`: continues an answer that broke off.
//! - `stop_watch`: stops a run at the time limit of its process, or when another process has cancelled it.
//! - `summary`: the outcome, times, tokens and cost of a run, as metrics.
//! - `driver_task`: the task that the driver works in; `stream`: the events on their way to the client.

mod active;
mod attempt;
mod attempt_times;
mod context;
mod driver;
mod driver_task;
mod errors;
mod limits;
mod output;
mod pricing;
mod resume;
mod retry;
mod stop_watch;
mod stream;
mod summary;
mod trace;
mod trace_content;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use hearth_domain::{Delivery, Generation, OnDisconnect, Run, RunId, RunState, Selection, Timestamp, Usage};
use hearth_telemetry::traces::{Span, SpanKind, TraceContext};
use hearth_wire::{ApiError, RunEventBody};

pub(crate) use stream::EventSender;
pub use stream::RunStream;

use crate::{
    access::Caller,
    artifacts::Artifacts,
    cache::{CacheOutcome, CachedAnswer, Capture},
    configuration::RoutingSnapshot,
    error,
    providers::Providers,
    record::Records,
    routing::Router,
    stage::Stage,
};
use active::StopReason;
use context::RunContext;
use driver::Driver;
use driver_task::DriverTask;
use errors::{driver_died, is_stopping, no_candidate};
use output::RunOutput;
use stream::{channel, next};
use summary::RunSummary;

/// Entry of this module: starts, replays and stops runs. It has the components that they share; the registry of those in
/// progress is [`ActiveRuns`](active::ActiveRuns).
#[derive(Debug)]
pub(crate) struct Runs(Arc<RunContext>);

/// The way in which a run is started.
pub(crate) struct StartOptions {
    /// The way the client receives the answer.
    pub(crate) delivery: Delivery,
    /// Stores the answer in the cache.
    pub(crate) capture: Option<Capture>,
    /// The routing that the run follows to its end.
    pub(crate) routing: Arc<RoutingSnapshot>,
    /// The position in the request's trace.
    pub(crate) trace: TraceContext,
}

impl Runs {
    /// `answer_max_bytes`: limit of the bytes of one answer.
    pub(crate) fn new(
        router: Arc<Router>,
        providers: Arc<Providers>,
        artifacts: Arc<Artifacts>,
        records: Arc<Records>,
        answer_max_bytes: u64,
    ) -> Self {
        Self(Arc::new(RunContext::new(router, providers, artifacts, records, answer_max_bytes)))
    }

    /// Starts a run that a model serves.
    ///
    /// # Errors
    /// As [`Router::resolve`], and the error of a run that fails before it waits in a queue or has a slot.
    pub(crate) async fn start(
        &self,
        caller: &Caller,
        id: RunId,
        generation: Generation,
        options: StartOptions,
    ) -> Result<RunStream, ApiError> {
        let StartOptions { delivery, capture, routing, trace } = options;
        let context = &self.0;
        let mut span = Span::child(&trace, SpanKind::Internal, "resolve");
        let candidates = Stage::Resolve.measure(context.router.resolve(&routing, caller, &generation)).await;
        let candidates = candidates.inspect_err(|error| span.fail(error.code.as_str()))?;
        span.set("hearth.candidates", i64::try_from(candidates.len()).unwrap_or(i64::MAX));
        drop(span);
        let first = candidates.first().ok_or_else(no_candidate)?;
        let run = Run { deadline: generation.deadline, ..new_run(caller, id, &first.selected) };
        if context.active.is_stopping() {
            return Err(is_stopping());
        }
        let (client, mut events, end) = channel();
        let on_disconnect = generation.on_disconnect;
        let recorded_as = delivery_of(delivery, on_disconnect);
        let recording = context.records.start(run, recorded_as, trace.clone());
        if on_disconnect == OnDisconnect::Continue {
            // The client may go away, and look for the run later: it must be there, whatever happens.
            recording.begin().await.map_err(error::store)?;
        }
        let output = RunOutput::new(context, id, generation, client, recording, capture, &trace);
        let driver = Driver::new(output, caller.clone(), routing, delivery);
        let mut driver = DriverTask::new(driver.run(candidates));
        let mut first = VecDeque::new();
        loop {
            let event = next(&mut events, &mut driver).await.ok_or_else(driver_died)?;
            if let RunEventBody::Error { error } = event.body {
                // Until the driver ends: on Lambda the process is frozen after the response.
                while next(&mut events, &mut driver).await.is_some() {}
                return Err(error);
            }
            let has_begun = !matches!(event.body, RunEventBody::Selected(_) | RunEventBody::Credits { .. });
            first.push_back(event);
            if has_begun {
                break;
            }
        }
        // A streamed response's head has the run's id, by which it can be read from then on. The wait has a limit: a store
        // that is down costs the record, and not the answer.
        if recorded_as == Delivery::Stream {
            tokio::select! {
                () = context.records.wait_begun(id) => {}
                never = driver.work() => never,
            }
        }
        Ok(RunStream { id, cache: None, first, rest: events, driver, end })
    }

    /// Serves the run `id` with a cached answer. It is recorded as any other, in one write.
    ///
    /// # Errors
    /// `internal` if the run outlives its client, and the store can't be written.
    pub(crate) async fn replay(
        &self,
        caller: &Caller,
        id: RunId,
        answer: &CachedAnswer,
        on_disconnect: OnDisconnect,
        delivery: Delivery,
        trace: &TraceContext,
    ) -> Result<RunStream, ApiError> {
        let records = &self.0.records;
        let first: VecDeque<_> = answer.replay().collect();
        // No event follows.
        let (_, rest, end) = channel();
        let outlives_client = on_disconnect == OnDisconnect::Continue;
        let delivery = delivery_of(delivery, on_disconnect);
        // The head of a streamed response has the run's id.
        let is_in_head = delivery == Delivery::Stream && !records.is_down();
        let waits = outlives_client || is_in_head || records.end_waits();
        let selection = answer.selected();
        if records.are_shared() {
            RunSummary::log_cached(&selection, id, trace);
        }
        let recording = records.start(new_run(caller, id, &selection), delivery, trace.clone());
        let mut receipt = None;
        for event in &first {
            match &event.body {
                RunEventBody::Embedding { .. } => {}
                body if body.is_terminal() => receipt = recording.end(event.clone()),
                _ => recording.record(event.clone()),
            }
        }
        if let Some(receipt) = receipt.filter(|_| waits)
            && !receipt.wait().await
        {
            if outlives_client {
                return Err(error::not_recorded());
            }
            tracing::error!(run = %id, "the record of a run that the cache has served is late");
        }
        Ok(RunStream { id, cache: Some(CacheOutcome::Hit), first, rest, driver: DriverTask::none(), end })
    }

    /// Cancels a run; returns whether it is in progress in this process.
    pub(crate) fn cancel(&self, id: RunId) -> bool {
        self.0.active.stop(id, StopReason::Cancelled)
    }

    /// The number of runs in progress.
    pub(crate) fn in_progress(&self) -> usize {
        self.0.active.count()
    }

    /// Starts no more runs, waits for those in progress for `grace` at most, and then ends them.
    pub(crate) async fn stop_all(&self, grace: Duration) {
        self.0.active.stop_all(grace).await;
    }
}

/// The delivery as the record sees it. A run that outlives its client is recorded as a streamed one: it is read while it
/// goes on.
fn delivery_of(delivery: Delivery, on_disconnect: OnDisconnect) -> Delivery {
    match on_disconnect {
        OnDisconnect::Cancel => delivery,
        OnDisconnect::Continue => Delivery::Stream,
    }
}

/// A new run that `selection` serves.
fn new_run(caller: &Caller, id: RunId, selection: &Selection) -> Run {
    Run {
        id,
        owner: caller.user,
        state: RunState::Queued,
        selection: selection.clone(),
        queue_position: None,
        usage: Usage::default(),
        cost: None,
        finish_reason: None,
        failure: None,
        text: String::new(),
        tool_calls: Vec::new(),
        artifacts: Vec::new(),
        created_at: Timestamp::now(),
        deadline: None,
        finished_at: None,
    }
}
