//! One request of a batch: sent as its route would send it, with waits and retries that a client's own request doesn't have.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::future::try_join_all;
use hearth_domain::{
    BatchEndpoint, BatchId, BatchWhen, Delivery, Generation, OnDisconnect, Priority, Rate, RunId, Timestamp,
    Usage,
};
use hearth_store::batches::{BatchRecord, PendingRequest};
use hearth_wire::{ApiError, ErrorCode, openai::batches::BatchLine};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

use super::{
    endpoint::{self, RequestRun},
    input::InputLine,
    recovery::{self, Recovered},
};
use crate::{Gateway, access::Caller};

/// Number of times that a request which has failed is sent again.
const RETRIES_MAX_COUNT: u32 = 3;
/// Time between two attempts at first; it doubles up to the second one.
const RETRY_INTERVAL: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// Longest wait for a rate limit, after which the limit is asked again: it may have been raised.
const RATE_LIMIT_WAIT_TIMEOUT: Duration = Duration::from_secs(15);

/// The things that the requests of a slice share.
#[derive(Debug)]
pub(super) struct RequestContext {
    pub(super) gateway: Gateway,
    pub(super) caller: Caller,
    batch: BatchId,
    created_at: Timestamp,
    endpoint: BatchEndpoint,
    betas: Vec<String>,
    max_price: Option<Rate>,
    /// A request waits while no model can serve it, since its batch is for times at which one can.
    waits_for_models: bool,
    /// Time at which the process ends, if it has a time limit.
    deadline: Option<Timestamp>,
    /// True once no request should wait any longer.
    stop: watch::Receiver<bool>,
    waits_for: Mutex<Option<ErrorCode>>,
    /// The number of requests that wait.
    waiting: AtomicUsize,
}

/// A request that has ended, or that was deferred.
#[derive(Debug)]
pub(super) struct EndedRequest {
    pub(super) place: PendingRequest,
    pub(super) custom_id: String,
    pub(super) end: RequestEnd,
    /// True if an earlier process had begun it; none if that wasn't looked for.
    pub(super) was_begun: Option<bool>,
}

/// The end of a request.
#[derive(Debug)]
pub(super) enum RequestEnd {
    Answered {
        run: RunId,
        answer: Value,
        usage: Usage,
    },
    Failed {
        run: RunId,
        error: ApiError,
    },
    /// It waited when the slice ended, and has no result.
    Deferred,
}

impl RequestContext {
    pub(super) fn new(
        gateway: &Gateway,
        caller: Caller,
        batch: &BatchRecord,
        deadline: Option<Timestamp>,
        stop: watch::Receiver<bool>,
    ) -> Self {
        Self {
            gateway: gateway.clone(),
            caller,
            batch: batch.id,
            created_at: batch.created_at,
            endpoint: batch.endpoint,
            betas: batch.betas.clone(),
            max_price: batch.max_price,
            waits_for_models: batch.max_price.is_some() || batch.when != BatchWhen::Now,
            deadline,
            stop,
            waits_for: Mutex::new(None),
            waiting: AtomicUsize::new(0),
        }
    }

    /// The error for which a request waits, if the latest one does.
    pub(super) fn waits_for(&self) -> Option<ErrorCode> {
        *self.waits_for.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of requests that wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    fn set_waits_for(&self, code: Option<ErrorCode>) {
        *self.waits_for.lock().unwrap_or_else(PoisonError::into_inner) = code;
    }

    /// The id of a run: the same one for the same line and attempt, in every process.
    pub(super) fn run_id(&self, line: u64, attempt: u32, index: usize) -> RunId {
        let text = format!("batch-request|{}|{line}|{attempt}|{index}", self.batch);
        let mut hash = [0; 16];
        hash.copy_from_slice(&Sha256::digest(text.as_bytes())[..16]);
        RunId::derived(self.created_at, hash)
    }

    /// Parses the body of a request for an attempt.
    pub(super) async fn parse(
        &self,
        body: &[u8],
        line: u64,
        attempt: u32,
    ) -> Result<Vec<RequestRun>, ApiError> {
        let how = (self.endpoint, self.betas.as_slice());
        let id = self.run_id(line, attempt, 0);
        endpoint::parse(&self.gateway.0, &self.caller, how, body, id).await
    }

    /// Sends a request, and waits for its answer.
    async fn send(&self, body: &[u8], line: u64, attempt: u32) -> Result<(Value, Usage), ApiError> {
        let runs = self.parse(body, line, attempt).await?;
        let runs = runs.into_iter().enumerate().map(|(index, run)| {
            let id = self.run_id(line, attempt, index);
            async move { self.run(run, id).await }
        });
        let (answers, usages): (Vec<_>, Vec<_>) = try_join_all(runs).await?.into_iter().unzip();
        let usage = usages.iter().fold(Usage::default(), |sum, usage: &Usage| sum.and(usage));
        Ok((endpoint::join(answers), usage))
    }

    async fn run(&self, run: RequestRun, id: RunId) -> Result<(Value, Usage), ApiError> {
        let RequestRun { generation, mut form } = run;
        let generation = self.with_options(generation);
        let stream = self.gateway.generate(&self.caller, id, generation, Delivery::Whole).await?;
        let stream = match form.take_conversation() {
            Some(conversation) => {
                let conversations = &self.gateway.0.conversations;
                conversations.store_after(&self.caller, stream, conversation, OnDisconnect::Cancel).await?
            }
            None => stream,
        };
        let events = stream.collect().await;
        let usage = endpoint::usage_of(&events);
        form.into_answer(&events).map(|answer| (answer, usage))
    }

    /// The request as a part of a batch: behind those of people who wait, and within the batch's price.
    fn with_options(&self, mut generation: Generation) -> Generation {
        generation.priority = Priority::Low;
        generation.on_disconnect = OnDisconnect::Cancel;
        generation.deadline = self.deadline;
        let prices = [generation.route.max_price, self.max_price];
        generation.route.max_price = prices.into_iter().flatten().min();
        generation
    }

    /// The number of the attempt after one that has failed. An attempt that was refused before its run began has left no record.
    async fn next_attempt(&self, line: u64, attempt: u32) -> Result<u32, ApiError> {
        match self.gateway.0.requests.get(&self.caller, self.run_id(line, attempt, 0)).await {
            Ok(_) => Ok(attempt + 1),
            Err(error) if error.code == ErrorCode::NotFound => Ok(attempt),
            Err(error) => Err(error),
        }
    }

    fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }

    /// Waits for a time; returns false if the slice ends before.
    async fn wait(&self, time: Duration) -> bool {
        let mut stop = self.stop.clone();
        let stopped = stop.wait_for(|stop| *stop);
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let is_over = tokio::time::timeout(time, stopped).await.is_err();
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        is_over
    }
}

/// Carries out the request of a line. `recovers`: an earlier process may have begun it.
pub(super) async fn carry_out(context: Arc<RequestContext>, line: InputLine, recovers: bool) -> EndedRequest {
    let place = line.place;
    let (custom_id, body) = match BatchLine::read(&line.bytes) {
        Ok(line) => line.into_body(),
        Err(error) => {
            let end = RequestEnd::Failed { run: context.run_id(place.line, 0, 0), error };
            return EndedRequest { place, custom_id: String::new(), end, was_begun: None };
        }
    };
    drop(line);
    let (mut attempt, mut was_begun) = (0, None);
    if recovers {
        match recovery::find(&context, place.line, &body).await {
            Ok(Recovered::Answer { run, answer, usage }) => {
                let end = RequestEnd::Answered { run, answer, usage };
                return EndedRequest { place, custom_id, end, was_begun: Some(true) };
            }
            Ok(Recovered::Attempt(number)) => (attempt, was_begun) = (number, Some(number > 0)),
            Err(error) => {
                tracing::warn!(batch = %context.batch, %error, "a request of a batch can't be looked for");
                return EndedRequest { place, custom_id, end: RequestEnd::Deferred, was_begun: None };
            }
        }
    }
    let end = attempts(&context, place.line, &body, attempt).await;
    EndedRequest { place, custom_id, end, was_begun }
}

/// The end of a request whose task has panicked.
pub(super) fn dead(context: &RequestContext, line: &InputLine) -> EndedRequest {
    let place = line.place;
    let custom_id = BatchLine::read(&line.bytes).map(|line| line.custom_id).unwrap_or_default();
    let message = "the gateway failed while it carried out the request; the reason is in its log";
    let error = ApiError::new(ErrorCode::Internal, message);
    let end = RequestEnd::Failed { run: context.run_id(place.line, 0, 0), error };
    EndedRequest { place, custom_id, end, was_begun: None }
}

/// Sends a request until it has an end.
async fn attempts(context: &RequestContext, line: u64, body: &[u8], first: u32) -> RequestEnd {
    let (mut attempt, mut retries, mut waits) = (first, 0, 0);
    loop {
        let slots = &context.gateway.0.batches.slots;
        let mut stop = context.stop.clone();
        let slot = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return RequestEnd::Deferred,
            slot = slots.take(context.caller.owner()) => slot,
        };
        let run = context.run_id(line, attempt, 0);
        let error = match context.send(body, line, attempt).await {
            Ok((answer, usage)) => {
                context.set_waits_for(None);
                return RequestEnd::Answered { run, answer, usage };
            }
            Err(error) => error,
        };
        drop(slot);
        if context.gateway.0.runs.is_stopping() && error.code.retryable() {
            // It was cut short, and costs no retry: the next process sends it again.
            return RequestEnd::Deferred;
        }
        let time = match Verdict::of(&error, context.waits_for_models) {
            Verdict::Final => return RequestEnd::Failed { run, error },
            Verdict::Retry if retries >= RETRIES_MAX_COUNT => return RequestEnd::Failed { run, error },
            Verdict::Retry => {
                retries += 1;
                backoff(&error, retries)
            }
            Verdict::Wait => {
                waits += 1;
                context.set_waits_for(Some(error.code));
                backoff(&error, waits)
            }
        };
        if context.is_stopping() || !context.wait(time).await {
            return RequestEnd::Deferred;
        }
        attempt = match context.next_attempt(line, attempt).await {
            Ok(attempt) => attempt,
            Err(error) => return RequestEnd::Failed { run, error },
        };
    }
}

/// The meaning of an error for a request that has time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// It would have the same error again.
    Final,
    /// It is sent again a few times.
    Retry,
    /// It waits for as long as its batch lasts.
    Wait,
}

impl Verdict {
    fn of(error: &ApiError, waits_for_models: bool) -> Self {
        match error.code {
            ErrorCode::RateLimited
            | ErrorCode::QueueFull
            | ErrorCode::Overloaded
            | ErrorCode::ProviderRateLimited
            | ErrorCode::NodeOffline => Self::Wait,
            ErrorCode::NoModelAvailable if waits_for_models => Self::Wait,
            // A run that another process has ended, or the end of this one.
            ErrorCode::Internal | ErrorCode::RunTimeout => Self::Retry,
            code if code.retryable() => Self::Retry,
            _ => Self::Final,
        }
    }
}

/// The wait before the next attempt, of which this is the number.
fn backoff(error: &ApiError, number: u32) -> Duration {
    let (first, longest) = RETRY_INTERVAL;
    let doubled = first.saturating_mul(2_u32.saturating_pow(number.saturating_sub(1))).min(longest);
    let wait = doubled.mul_f64(rand::random_range(0.5..1.0));
    error.retry_after.map_or(wait, |after| after.clamp(wait, RATE_LIMIT_WAIT_TIMEOUT))
}

#[cfg(test)]
mod tests {
    use hearth_domain::{BatchDialect, FileId};
    use hearth_store::Store;

    use super::*;
    use crate::{HttpClients, Options, Routing};

    #[test]
    fn request_waits_for_what_passes_and_ends_with_what_stays() {
        let of = |code, waits| Verdict::of(&ApiError::new(code, "no"), waits);
        assert_eq!(of(ErrorCode::RateLimited, false), Verdict::Wait);
        assert_eq!(of(ErrorCode::NodeOffline, false), Verdict::Wait);
        assert_eq!(of(ErrorCode::NoModelAvailable, true), Verdict::Wait);
        assert_eq!(of(ErrorCode::NoModelAvailable, false), Verdict::Final);
        assert_eq!(of(ErrorCode::QuotaExceeded, true), Verdict::Final, "a spent budget fails the request");
        assert_eq!(of(ErrorCode::InvalidRequest, true), Verdict::Final);
        assert_eq!(of(ErrorCode::ProviderTimeout, false), Verdict::Retry);
        for code in ErrorCode::ALL {
            assert!(!code.retryable() || of(*code, false) != Verdict::Final, "{}", code.as_str());
        }
    }

    #[tokio::test]
    async fn request_that_has_panicked_twice_has_an_error_of_the_gateway() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let options = Options { long_lived: true, ..Options::default() };
        let http = HttpClients::new().unwrap();
        let gateway = Gateway::new(Store::unconnected(), http, options, Routing::default());
        let caller = Caller::example();
        let record = BatchRecord::new(
            caller.owner(),
            BatchDialect::OpenAi,
            BatchEndpoint::ChatCompletions,
            (FileId::new(), 100),
            Duration::from_secs(60),
        );
        let context = RequestContext::new(&gateway, caller, &record, None, watch::channel(false).1);
        let text = r#"{"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "auto"}}"#;
        let place = PendingRequest { line: 7, offset: 9, length: text.len() as u64, deaths: 2 };
        let ended = dead(&context, &InputLine { place, bytes: text.into() });
        let RequestEnd::Failed { run, error } = ended.end else { panic!("{ended:?}") };
        assert_eq!((ended.custom_id.as_str(), error.code), ("a", ErrorCode::Internal));
        assert_eq!((ended.place, run), (place, context.run_id(7, 0, 0)));
    }

    #[test]
    fn wait_is_as_long_as_the_limit_says_within_bounds() {
        let error = |seconds| {
            ApiError::new(ErrorCode::RateLimited, "no").with_retry_after(Some(Duration::from_secs(seconds)))
        };
        assert_eq!(backoff(&error(12), 1), Duration::from_secs(12));
        assert_eq!(backoff(&error(3600), 1), RATE_LIMIT_WAIT_TIMEOUT);
        assert!(backoff(&error(0), 1) >= Duration::from_millis(500));
        assert!(backoff(&ApiError::new(ErrorCode::QueueFull, "no"), 99) <= RETRY_INTERVAL.1);
    }
}
