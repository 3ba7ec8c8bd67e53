//! Circuit breakers: a model of a provider gets requests or not, by the outcomes of the latest ones.
//!
//! There is one circuit for each account at a provider and each model, in this process. It counts requests of clients, each once,
//! however often it was retried; an error that the request itself causes doesn't count. [`circuit`] has the rules by
//! which it opens and closes.
//!
//! An open circuit sends requests to other candidates. Where there are none, or all of them failed, the model gets
//! requests in spite of it ([`CircuitBreakers::acquire`]): they are probes then, one at a time, and the others wait. A
//! waiting request fails when the model has failed twice since it came: the two latest failures, of probes or of other
//! requests, both ended after its arrival. After one failure it still waits, since that may be the fault of the request
//! that failed. So no request is refused for an earlier failure, and a provider that is down gets one request in two
//! seconds ([`circuit::PROBE_INTERVAL`]).

mod circuit;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use hearth_wire::{ApiError, ErrorCode};
use metrics::Counter;
use tokio::{sync::watch, time::timeout_at};

use super::own_keys::provider_of;
use circuit::Circuit;
pub(crate) use circuit::State;

/// Time for which a request waits for the outcome of a probe. Then it is sent itself: a model may reason for longer.
const PROBE_WAIT_TIMEOUT: Duration = Duration::from_secs(5);
/// Time after which a probe without an outcome is replaced by the next one.
const PROBE_TIMEOUT: Duration = Duration::from_secs(30);
/// Limit of the number of circuits. Clients choose the names of models.
const CIRCUIT_MAX_COUNT: usize = 1000;

/// An account at a provider and its name for a model.
type CircuitKey = (String, String);

/// The circuits of all providers' models. Clones are the same circuits.
#[derive(Debug, Clone, Default)]
pub(crate) struct CircuitBreakers(Arc<Mutex<HashMap<CircuitKey, Entry>>>);

#[derive(Debug, Default)]
struct Entry {
    circuit: Circuit,
    probe: Option<Probe>,
    last_failure: Option<Failure>,
    counters: Option<OutcomeCounters>,
}

/// The metrics of the requests of one provider.
#[derive(Debug)]
struct OutcomeCounters {
    ok: Counter,
    failed: Counter,
}

/// A request that finds out whether a model works again.
#[derive(Debug)]
struct Probe {
    number: u64,
    began: Instant,
    /// Dropped when the probe ends, which wakes the requests that wait for it.
    end: watch::Sender<()>,
}

#[derive(Debug, Clone, Copy)]
struct Failure {
    at: Instant,
    /// The time of the failure before, if there was one.
    previous: Option<Instant>,
    code: ErrorCode,
    /// The time from which the provider accepts the next request, by its own report.
    retry_at: Option<Instant>,
}

/// The next step of a request that has no other candidate.
enum AcquireStep {
    /// Send the request.
    Send(Permit),
    /// Wait until the next probe may begin.
    WaitUntil(Instant),
    /// Wait for the end of the present probe, which closes the channel.
    WaitForProbe(watch::Receiver<()>),
    /// Fail: the model has failed twice since the request came.
    Fail { code: ErrorCode, retry_after: Duration },
}

/// A circuit that isn't closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OpenCircuit {
    pub(crate) account: String,
    pub(crate) model: String,
    pub(crate) state: State,
    /// The time until the circuit is half-open.
    pub(crate) retry_after: Duration,
}

impl CircuitBreakers {
    /// The state of a model's circuit.
    pub(crate) fn state(&self, account: &str, model: &str, now: Instant) -> State {
        self.entries().get(&key(account, model)).map_or(State::Closed, |entry| entry.circuit.state(now))
    }

    /// True if [`CircuitBreakers::try_acquire`] would permit a request.
    pub(crate) fn permits(&self, account: &str, model: &str, now: Instant) -> bool {
        self.entries().get(&key(account, model)).is_none_or(|entry| entry.permits(now))
    }

    /// Permits a request that other candidates could serve too: always while the circuit is closed, and once at a
    /// time while it is half-open.
    pub(crate) fn try_acquire(&self, account: &str, model: &str, now: Instant) -> Option<Permit> {
        let key = key(account, model);
        let mut entries = self.entries();
        let probe = match entries.get_mut(&key) {
            Some(entry) if !entry.permits(now) => return None,
            Some(entry) if entry.circuit.state(now) != State::Closed => Some(entry.begin_probe(now)),
            _ => None,
        };
        Some(self.permit(key, probe, now))
    }

    /// Permits a request that no other candidate can serve. While the circuit isn't closed it becomes the next
    /// probe, or waits for the outcome of the present one.
    ///
    /// # Errors
    /// With the code of the requests that failed meanwhile, and the time until the next probe.
    pub(crate) async fn acquire(&self, account: &str, model: &str) -> Result<Permit, ApiError> {
        let (key, came) = (key(account, model), Instant::now());
        let deadline = tokio::time::Instant::from_std(came) + PROBE_WAIT_TIMEOUT;
        loop {
            match self.acquire_step(&key, came, Instant::now()) {
                AcquireStep::Send(permit) => return Ok(permit),
                AcquireStep::Fail { code, retry_after } => {
                    return Err(shared_failure(account, model, code, retry_after));
                }
                AcquireStep::WaitUntil(at) => tokio::time::sleep_until(deadline.min(at.into())).await,
                AcquireStep::WaitForProbe(mut end) => {
                    let _ = timeout_at(deadline, end.changed()).await;
                }
            }
            if tokio::time::Instant::now() >= deadline {
                return Ok(self.permit(key, None, Instant::now()));
            }
        }
    }

    fn acquire_step(&self, key: &CircuitKey, came: Instant, now: Instant) -> AcquireStep {
        let mut entries = self.entries();
        let open = entries.get_mut(key).and_then(|entry| Some((entry.circuit.next_probe()?, entry)));
        let Some((next_probe, entry)) = open else {
            return AcquireStep::Send(self.permit(key.clone(), None, now));
        };
        if let Some(failure) = entry.last_failure.filter(|failure| failure.previous >= Some(came)) {
            let retry_at = failure.retry_at.unwrap_or(next_probe);
            let retry_after = retry_at.saturating_duration_since(now);
            return AcquireStep::Fail { code: failure.code, retry_after };
        }
        if let Some(probe) = &entry.probe {
            return AcquireStep::WaitForProbe(probe.end.subscribe());
        }
        if now < next_probe {
            return AcquireStep::WaitUntil(next_probe);
        }
        let probe = entry.begin_probe(now);
        AcquireStep::Send(self.permit(key.clone(), Some(probe), now))
    }

    fn permit(&self, key: CircuitKey, probe: Option<u64>, began: Instant) -> Permit {
        Permit { breakers: self.clone(), key, probe, began, answered: false }
    }

    /// Removes an account's circuits: its settings or its key have changed.
    pub(crate) fn forget(&self, account: &str) {
        self.entries().retain(|(name, _), _| name != account);
        // The gauge is of the operator's account alone.
        if provider_of(account) == account {
            set_gauge(account, State::Closed);
        }
    }

    /// The circuits that aren't closed.
    pub(crate) fn open(&self, now: Instant) -> Vec<OpenCircuit> {
        let entries = self.entries();
        let open = entries.iter().filter_map(|((account, model), entry)| {
            let state = entry.circuit.state(now);
            (state != State::Closed).then(|| OpenCircuit {
                account: account.clone(),
                model: model.clone(),
                state,
                retry_after: entry.circuit.half_open_in(now),
            })
        });
        open.collect()
    }

    /// The worst state of a provider's circuits.
    pub(crate) fn worst(&self, provider: &str, now: Instant) -> State {
        let entries = self.entries();
        let states = entries.iter().filter(|((name, _), _)| name == provider);
        states.map(|(_, entry)| entry.circuit.state(now)).max().unwrap_or(State::Closed)
    }

    /// Sets the metric `hearth_provider_state` of `providers`: the worst state of a provider's circuits.
    pub(crate) fn update_gauges<'a>(&self, providers: impl Iterator<Item = &'a str>, now: Instant) {
        for provider in providers {
            set_gauge(provider, self.worst(provider, now));
        }
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<CircuitKey, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn permits(&self, now: Instant) -> bool {
        match self.circuit.state(now) {
            State::Closed => true,
            State::Open => false,
            State::HalfOpen => {
                self.probe.as_ref().is_none_or(|probe| now.duration_since(probe.began) > PROBE_TIMEOUT)
            }
        }
    }

    /// Makes the request that calls this the probe.
    fn begin_probe(&mut self, now: Instant) -> u64 {
        let number = self.circuit.next_number();
        self.probe = Some(Probe { number, began: now, end: watch::Sender::new(()) });
        number
    }
}

impl OutcomeCounters {
    fn new(provider: &str) -> Self {
        let counter = |result: &'static str| metrics::counter!("hearth_provider_requests_total", "provider" => provider.to_owned(), "result" => result);
        Self { ok: counter("ok"), failed: counter("failed") }
    }
}

/// The permission for one request of a client to one model, and the guard that reports its outcome. Dropped without
/// one, the request says nothing about the model: its client went away, or it was at fault itself.
#[derive(Debug)]
pub(crate) struct Permit {
    breakers: CircuitBreakers,
    key: CircuitKey,
    probe: Option<u64>,
    began: Instant,
    answered: bool,
}

impl Permit {
    /// Records that the model has begun to answer, and closes the circuit.
    pub(crate) fn record_answer(&mut self) {
        if std::mem::replace(&mut self.answered, true) {
            return;
        }
        if let Some(entry) = self.breakers.entries().get_mut(&self.key)
            && entry.circuit.close(self.began)
        {
            entry.probe = None;
        }
    }

    /// Counts the request, which has ended well, or with `error`. `label`: the provider's name in metrics.
    pub(crate) fn finish(self, label: &str, error: Option<&ApiError>) {
        let blamed = error.filter(|error| error.code.blames_provider());
        if blamed.is_none() && (error.is_some() || !self.answered) {
            return;
        }
        let now = Instant::now();
        let mut entries = self.breakers.entries();
        make_room(&mut entries, &self.key);
        let entry = entries.entry(self.key.clone()).or_default();
        match blamed {
            Some(error) => {
                entry.circuit.record_failure(error.retry_after, now);
                let retry_at = error.retry_after.map(|wait| now + wait);
                let previous = entry.last_failure.map(|failure| failure.at);
                entry.last_failure = Some(Failure { at: now, previous, code: error.code, retry_at });
            }
            None => entry.circuit.record_success(now),
        }
        let counters = entry.counters.get_or_insert_with(|| OutcomeCounters::new(label));
        let counter = if blamed.is_some() { &counters.failed } else { &counters.ok };
        counter.increment(1);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let Some(number) = self.probe else { return };
        if let Some(entry) = self.breakers.entries().get_mut(&self.key) {
            // A probe without an outcome wakes the others too: one of them is the next.
            entry.probe.take_if(|probe| probe.number == number);
        }
    }
}

/// Keeps the number of circuits within its limit: closed ones go first, then those that opened longest ago.
fn make_room(entries: &mut HashMap<CircuitKey, Entry>, key: &CircuitKey) {
    if entries.len() < CIRCUIT_MAX_COUNT || entries.contains_key(key) {
        return;
    }
    entries.retain(|_, entry| entry.circuit.next_probe().is_some());
    while entries.len() >= CIRCUIT_MAX_COUNT {
        let oldest = entries.iter().min_by_key(|(_, entry)| entry.circuit.next_probe());
        let Some(oldest) = oldest.map(|(key, _)| key.clone()) else { return };
        entries.remove(&oldest);
    }
}

/// The error of a request that fails because two others have. The messages of their errors belong to other clients.
fn shared_failure(account: &str, model: &str, code: ErrorCode, retry_after: Duration) -> ApiError {
    let provider = provider_of(account);
    let message = format!(
        "{provider} fails with {model} at present ({}): two other requests have just failed",
        code.as_str()
    );
    ApiError::new(code, message).with("provider", provider).with_retry_after(Some(retry_after))
}

fn set_gauge(provider: &str, state: State) {
    metrics::gauge!("hearth_provider_state", "provider" => provider.to_owned()).set(f64::from(state as u8));
}

fn key(account: &str, model: &str) -> CircuitKey {
    (account.to_owned(), model.to_owned())
}

#[cfg(test)]
mod tests;
