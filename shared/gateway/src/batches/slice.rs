//! A slice of the requests of a batch.

mod rest;
mod results;

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use hearth_domain::{BatchState, Timestamp};
use hearth_store::batches::{BatchFault, BatchPosition, PendingRequest};
use tokio::{
    runtime::Handle,
    sync::watch,
    task::{Id, JoinSet},
    time::{MissedTickBehavior, interval},
};

use super::{
    end,
    finish::join_results,
    gate::{self, Gate},
    input::{InputError, InputFile, InputLine, LineReader},
    lease::{BatchError, BatchLease},
    request::{self, EndedRequest, RequestContext},
    result_line::{NotCarriedOut, ResultLines},
    validation,
};
use crate::{
    Gateway, background,
    jobs::engine::{LeasedJob, StopSlice},
};

/// Interval between two looks at the clock, the batch's owner and the nodes.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Interval of the writes of results. After a kill, later results are read from the records of their runs.
const SAVE_INTERVAL: Duration = Duration::from_secs(5);
/// Time before the end of a slice of a process with a time limit at which no further request is started; a quarter of a shorter
/// slice.
const LAST_START_GRACE: Duration = Duration::from_secs(60);
/// Time before the end of such a slice, or after the order to stop, at which requests in progress are given up.
pub(super) const GIVE_UP_GRACE: Duration = Duration::from_secs(5);
/// Bytes of requests that are in memory.
const REQUESTS_MAX_BYTES: u64 = 64 << 20;

/// Time between two slices whose requests all wait, or may not be started, where a process without work costs money.
const PAID_WAIT_INTERVAL: Duration = Duration::from_secs(60);
/// Time until the next slice of a batch with deferred requests.
const WAIT_INTERVAL: Duration = Duration::from_secs(5);

/// The reason why no further requests are started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Halt {
    /// The owner has cancelled the batch.
    Cancelled,
    /// Its time is over.
    Expired,
    /// The slice ends; the next one follows after this time.
    Slice(Duration),
}

/// The outcome of a slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SliceEnd {
    /// Each request has a result.
    Complete,
    /// The batch has ended: its input can't be read.
    Ended,
    /// The batch goes on after this time.
    Unfinished(Duration),
}

/// A slice of the requests of a batch.
pub(super) struct Slice<'a> {
    gateway: &'a Gateway,
    job: &'a mut LeasedJob,
    lease: &'a mut BatchLease,
    context: Arc<RequestContext>,
    lines: ResultLines,
    input: InputFile,
    reader: LineReader,
    /// Requests that were read by an earlier slice, or deferred by this one.
    pending: VecDeque<PendingRequest>,
    /// A request that was read, and has no room yet.
    next: Option<InputLine>,
    requests: JoinSet<EndedRequest>,
    /// The requests in progress, by their tasks.
    places: HashMap<Id, PendingRequest>,
    stop: watch::Sender<bool>,
    /// Time before the end of the slice at which no further request is started.
    last_start_grace: Duration,
    halt: Option<Halt>,
    /// The reason for which no requests may be started yet.
    gate_waits_for: Option<&'static str>,
    /// Looks for runs of an earlier process; false once enough requests that were answered had none.
    recovers: bool,
    not_begun_count: usize,
    saved_at: Instant,
    is_changed: bool,
}

impl<'a> Slice<'a> {
    pub(super) fn new(
        gateway: &'a Gateway,
        job: &'a mut LeasedJob,
        lease: &'a mut BatchLease,
        context: RequestContext,
        input: InputFile,
        (stop, recovers): (watch::Sender<bool>, bool),
    ) -> Self {
        let record = lease.record();
        let BatchPosition { offset, line, pending } = record.position.clone();
        let time = job.slice_deadline().saturating_duration_since(Instant::now());
        let lines = ResultLines { dialect: record.dialect, endpoint: record.endpoint };
        Self {
            gateway,
            job,
            lease,
            context: Arc::new(context),
            lines,
            reader: LineReader::new(input.clone(), offset, line),
            input,
            pending: pending.into(),
            next: None,
            requests: JoinSet::new(),
            places: HashMap::new(),
            stop,
            last_start_grace: LAST_START_GRACE.min(time / 4),
            halt: None,
            gate_waits_for: None,
            recovers,
            not_begun_count: 0,
            saved_at: Instant::now(),
            is_changed: false,
        }
    }

    /// Carries out requests until the slice ends.
    pub(super) async fn carry_out(&mut self) -> Result<SliceEnd, BatchError> {
        let carried_out = self.carry_out_requests().await;
        if let Err(BatchError::Store(_)) = &carried_out {
            // The results that are in memory may still be saved.
            let _ = self.save().await;
        }
        if let Some(fault) = carried_out? {
            self.requests.shutdown().await;
            self.lease.record_mut().faults = vec![fault];
            self.save().await?;
            join_results(&self.gateway.0.files, self.lease).await?;
            end::end(self.gateway, self.lease, BatchState::Failed).await?;
            return Ok(SliceEnd::Ended);
        }
        let reason = match self.halt {
            Some(Halt::Slice(after)) => return Ok(SliceEnd::Unfinished(after)),
            Some(Halt::Cancelled) => Some(NotCarriedOut::Cancelled),
            Some(Halt::Expired) => Some(NotCarriedOut::Expired),
            None => None,
        };
        if let Some(reason) = reason
            && !self.end_rest(reason).await?
        {
            return Ok(SliceEnd::Unfinished(Duration::ZERO));
        }
        let record = self.lease.record_mut();
        record.finalizing_at = Some(Timestamp::now());
        record.waits_for = None;
        if record.cancelling_at.is_none() {
            record.state = BatchState::Finalizing;
        }
        self.save().await?;
        Ok(SliceEnd::Complete)
    }

    /// Carries out requests until all have ended, or the slice ends. Returns the fault of an input that can't be read on.
    async fn carry_out_requests(&mut self) -> Result<Option<BatchFault>, BatchError> {
        let mut looks = interval(LOOK_INTERVAL);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                // The first one is at once.
                _ = looks.tick() => self.look().await?,
                Some(ended) = self.requests.join_next_with_id() => match ended {
                    Ok((task, ended)) => {
                        self.places.remove(&task);
                        self.add(ended);
                    }
                    Err(error) => match self.end_dead(&error).await {
                        Ok(()) => {}
                        Err(InputError::Store(error)) => return Err(error.into()),
                        Err(error) => return Ok(Some(validation::fault_of_input(&error))),
                    },
                },
            }
            if self.must_give_up() {
                // They have no result, and are carried out again.
                self.requests.shutdown().await;
                self.pending.extend(self.places.drain().map(|(_, place)| place));
                self.halt = Some(Halt::Slice(Duration::ZERO));
                break;
            }
            let is_exhausted = match self.halt {
                None => match self.start_requests().await {
                    Ok(is_exhausted) => is_exhausted,
                    Err(InputError::Store(error)) => return Err(error.into()),
                    Err(error) => return Ok(Some(validation::fault_of_input(&error))),
                },
                Some(_) => true,
            };
            if is_exhausted && self.requests.is_empty() {
                break;
            }
            let is_changed = self.is_changed || self.waits_for() != self.lease.record().waits_for;
            if self.lease.is_full() || is_changed && self.saved_at.elapsed() >= SAVE_INTERVAL {
                self.save().await?;
            }
        }
        self.save().await?;
        // Deferred requests wait for something.
        if self.halt.is_none() && self.has_rest() {
            self.halt = Some(Halt::Slice(WAIT_INTERVAL));
        }
        Ok(None)
    }

    /// Looks whether the slice must end.
    async fn look(&mut self) -> Result<(), BatchError> {
        if self.job.stop_reason() == Some(StopSlice::Ended) {
            return Err(BatchError::Lost);
        }
        if self.halt.is_some() {
            return Ok(());
        }
        self.lease.refresh().await?;
        let record = self.lease.record();
        self.halt = if record.cancelling_at.is_some() {
            Some(Halt::Cancelled)
        } else if record.expires_at <= Timestamp::now() {
            Some(Halt::Expired)
        } else if self.job.should_stop() || self.is_near_end(self.last_start_grace) {
            Some(Halt::Slice(Duration::ZERO))
        } else if self.waits_in_vain() {
            Some(Halt::Slice(PAID_WAIT_INTERVAL))
        } else {
            let when = record.when;
            match gate::look(&self.gateway.0, &self.context.caller, when).await {
                Gate::Open => None,
                Gate::Closed { waits_for, after } => {
                    self.gate_waits_for = Some(waits_for);
                    let least =
                        if self.gateway.outlives_response() { Duration::ZERO } else { PAID_WAIT_INTERVAL };
                    let after = after.max(least);
                    let left = Timestamp::now().until(self.lease.record().expires_at);
                    Some(Halt::Slice(after.min(left)))
                }
            }
        };
        if self.halt.is_some() {
            // Requests that wait for a rate or a node end; those in progress go on.
            self.stop.send_replace(true);
        }
        Ok(())
    }

    /// True if every request waits, in a process whose time is paid for.
    fn waits_in_vain(&self) -> bool {
        let is_paid_for = !self.gateway.outlives_response();
        is_paid_for && !self.requests.is_empty() && self.context.waiting() == self.requests.len()
    }

    /// True if so little is left of the time of a process with a limit.
    fn is_near_end(&self, grace: Duration) -> bool {
        !self.gateway.outlives_response() && Instant::now() + grace >= self.job.slice_deadline()
    }

    /// True if requests in progress have no time left.
    fn must_give_up(&self) -> bool {
        self.is_near_end(GIVE_UP_GRACE) || self.job.stop_reason() == Some(StopSlice::ProcessStops)
    }

    /// Starts requests as far as there is room. Returns true if none is left.
    async fn start_requests(&mut self) -> Result<bool, InputError> {
        let concurrency = self.gateway.0.batches.settings.concurrency as usize;
        while self.requests.len() < concurrency {
            let Some(line) = self.read().await? else { return Ok(true) };
            let in_memory: u64 = self.places.values().map(|place| place.length).sum();
            if !self.places.is_empty() && in_memory + line.place.length > REQUESTS_MAX_BYTES {
                self.next = Some(line);
                break;
            }
            let place = line.place;
            let request = request::carry_out(Arc::clone(&self.context), line, self.recovers);
            let runtime = background::runtime().unwrap_or_else(Handle::current);
            let task = self.requests.spawn_on(request, &runtime);
            self.places.insert(task.id(), place);
        }
        Ok(false)
    }

    /// The next request to carry out.
    async fn read(&mut self) -> Result<Option<InputLine>, InputError> {
        if let Some(line) = self.next.take() {
            return Ok(Some(line));
        }
        match self.pending.pop_front() {
            Some(place) => self.input.line_at(place).await.map(Some),
            None => self.reader.next().await,
        }
    }

    fn has_rest(&self) -> bool {
        self.next.is_some() || !self.pending.is_empty() || self.reader.position().0 < self.input.size_bytes
    }
}
