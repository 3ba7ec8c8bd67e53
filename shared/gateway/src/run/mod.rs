//! Runs: started, driven at one candidate after the other, and streamed to their clients.
//!
//! The driver sends each event to the record and to the client, through a channel of limited length: a client that reads
//! slowly slows the run. A client that goes away is noticed at once, whether the run then stops or goes on.
//!
//! - [`Runs::start`] starts a run, [`Runs::replay`] serves one with a cached answer.
//! - `driver`: asks the candidates in turn, with retries (`retry`); `attempt`: asks one candidate once; `output`: sends
//!   the events, and counts usage and cost (`pricing`); `resume`: continues an answer that broke off; `schema_retry`: requests
//!   an answer again that doesn't fit its JSON Schema.
//! - `home`: waits for a node of the caller, for a request that prefers one; `waiting`: limits the runs that wait;
//!   `renewal`: their callers and routing, read again.
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
mod home;
mod limits;
mod output;
mod pricing;
mod readers;
mod renewal;
mod resume;
mod retry;
mod schema_retry;
mod stop_watch;
mod stream;
mod summary;
mod trace;
mod trace_content;
mod unreported;
mod waiting;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use hearth_domain::{Delivery, Generation, OnDisconnect, Run, RunId, RunState, Selection, Timestamp, Usage};
use hearth_telemetry::traces::{Span, SpanKind, TraceContext};
use hearth_wire::{ApiError, RunEventBody};

pub(crate) use driver_task::DriverTask;
pub(crate) use errors::{driver_died, gateway_killed};
pub(crate) use readers::Reader;
pub use stream::RunStream;
pub(crate) use stream::{EventSender, channel};

use crate::{
    access::{Access, Caller},
    artifacts::Artifacts,
    cache::{CacheOutcome, CachedAnswer, Capture},
    configuration::RoutingSnapshot,
    error,
    limits::{Admission, Limiter, estimate::worst_case},
    providers::Providers,
    record::Records,
    routing::Router,
    stage::Stage,
};
use active::StopReason;
use context::RunContext;
use driver::Driver;
use errors::{is_stopping, no_candidate};
use output::RunOutput;
use stream::next;
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
    /// The caller's rates with this request counted; none if nothing is limited.
    pub(crate) admission: Option<Box<Admission>>,
    /// The request as its client has sent it, if it is to be stored.
    pub(crate) stored: Option<Box<Generation>>,
}

impl Runs {
    /// `answer_max_bytes`: limit of the bytes of one answer.
    pub(crate) fn new(
        router: Arc<Router>,
        providers: Arc<Providers>,
        artifacts: Arc<Artifacts>,
        records: Arc<Records>,
        access: Arc<Access>,
        limits: Arc<Limiter>,
        answer_max_bytes: u64,
    ) -> Self {
        Self(Arc::new(RunContext::new(
            router,
            providers,
            artifacts,
            records,
            access,
            limits,
            answer_max_bytes,
        )))
    }

    /// Starts a run that a model serves.
    ///
    /// # Errors
    /// As [`Router::resolve`], and the error of a run that fails before it waits in a queue or has a slot.
    pub(crate) async fn start(
        &self,
        caller: &Caller,
        id: RunId,
        mut generation: Generation,
        options: StartOptions,
    ) -> Result<RunStream, ApiError> {
        let StartOptions { delivery, capture, routing, trace, admission, stored } = options;
        let context = &self.0;
        let mut span = Span::child(&trace, SpanKind::Internal, "resolve");
        let plan = Stage::Resolve.measure(self.plan(&routing, caller, &mut generation)).await;
        let plan = plan.inspect_err(|error| span.fail(error.code.as_str()))?;
        let candidates = plan.candidates();
        span.set("hearth.candidates", i64::try_from(candidates.len()).unwrap_or(i64::MAX));
        drop(span);
        let selection = plan.selection(&generation).ok_or_else(no_candidate)?;
        let on_disconnect = generation.on_disconnect;
        let worst_case = on_disconnect.outlives_client().then(|| worst_case(&generation, &candidates));
        let run = new_run(caller, id, &selection);
        let (deadline, replay_of) = (generation.deadline, generation.replay_of);
        let definitions = generation.applied.clone();
        let run =
            Run { deadline, on_disconnect, worst_case, replay_of, definitions: definitions.clone(), ..run };
        if context.active.is_stopping() {
            return Err(is_stopping());
        }
        if let Some(request) = stored {
            context.records.put_request(id, caller.owner(), &request).await?;
        }
        let rate = admission.as_ref().and_then(|admission| admission.status());
        let account = context.limits.open(caller, id, &generation, &candidates, admission).await?;
        let (client, mut events, end) = channel();
        let recorded_as = delivery_of(delivery, on_disconnect);
        let recording = context.records.start(run, recorded_as, trace.clone());
        if on_disconnect.outlives_client() {
            // The client may go away, and look for the run later: it must be there, whatever happens.
            if let Err(failure) = recording.begin().await {
                account.settle().await;
                return Err(error::store(failure));
            }
        }
        let output = RunOutput::new(context, account, generation, client, recording, capture, &trace);
        let reader = context.active.add_reader(id);
        let driver = Driver::new(output, caller.clone(), routing, delivery);
        let mut driver = DriverTask::new(|| driver.run(plan));
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
        Ok(RunStream { id, cache: None, rate, definitions, first, rest: events, driver, end, reader })
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
        generation: &Generation,
        delivery: Delivery,
        trace: &TraceContext,
    ) -> Result<RunStream, ApiError> {
        let records = &self.0.records;
        let (on_disconnect, definitions) = (generation.on_disconnect, generation.applied.clone());
        let first: VecDeque<_> = answer.replay().collect();
        // No event follows.
        let (_, rest, end) = channel();
        let outlives_client = on_disconnect.outlives_client();
        let delivery = delivery_of(delivery, on_disconnect);
        // The head of a streamed response has the run's id.
        let is_in_head = delivery == Delivery::Stream && !records.is_down();
        let waits = outlives_client || is_in_head || records.end_waits();
        let selection = answer.selected();
        if records.are_shared() {
            // The line names no provider that a member has named.
            let logged = Selection { payer: answer.maker_payer(), ..selection.clone() };
            RunSummary::log_cached(&logged, id, trace);
        }
        let run = Run { definitions: definitions.clone(), ..new_run(caller, id, &selection) };
        let recording = records.start(run, delivery, trace.clone());
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
                return Err(error::not_recorded(records.disk_problem()));
            }
            tracing::error!(run = %id, "the record of a run that the cache has served is late");
        }
        let (cache, driver) = (Some(CacheOutcome::Hit), DriverTask::none());
        Ok(RunStream { id, cache, rate: None, definitions, first, rest, driver, end, reader: None })
    }

    /// Cancels a run; returns whether it is in progress in this process.
    pub(crate) fn cancel(&self, id: RunId) -> bool {
        self.0.active.stop(id, StopReason::Cancelled)
    }

    /// True if this process carries out the run.
    pub(crate) fn is_active(&self, id: RunId) -> bool {
        self.0.active.contains(id)
    }

    /// Counts a reader of a run's events; `None` if the run isn't in progress in this process.
    pub(crate) fn add_reader(&self, id: RunId) -> Option<Reader> {
        self.0.active.add_reader(id)
    }

    /// The number of runs in progress.
    pub(crate) fn in_progress(&self) -> usize {
        self.0.active.count()
    }

    /// True if the process stops: it starts no more runs, and cuts those in progress short.
    pub(crate) fn is_stopping(&self) -> bool {
        self.0.active.is_stopping()
    }

    /// Starts no more runs, waits for those in progress for `grace` at most, and then ends them.
    pub(crate) async fn stop_all(&self, grace: Duration) {
        self.0.active.stop_all(grace).await;
    }
}

/// The delivery as the record sees it. A run that outlives its client is recorded as a streamed one: it is read while it
/// goes on.
fn delivery_of(delivery: Delivery, on_disconnect: OnDisconnect) -> Delivery {
    if on_disconnect.outlives_client() { Delivery::Stream } else { delivery }
}

/// A new run that `selection` serves.
fn new_run(caller: &Caller, id: RunId, selection: &Selection) -> Run {
    Run {
        id,
        owner: caller.user,
        organisation: Some(caller.organisation),
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
        on_disconnect: OnDisconnect::default(),
        worst_case: None,
        finished_at: None,
        token: Some(caller.credential_id()),
        replay_of: None,
        definitions: None,
        has_expired_text: false,
    }
}
