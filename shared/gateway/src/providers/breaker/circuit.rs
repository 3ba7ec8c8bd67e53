//! One circuit: the rules by which it opens and closes. Pure; the time is an argument.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Number of failures in a row that opens the circuit.
const FAILURE_THRESHOLD: u32 = 3;
/// Time for which the circuit stays open after failures in a row, and after a failed probe.
const OPEN_PERIOD: Duration = Duration::from_secs(30);
/// Span of time over which the failure rate is measured.
const RATE_WINDOW: Duration = Duration::from_secs(5 * 60);
/// The window is counted in slices of this length, so that its size doesn't grow with the requests.
const RATE_SLICE: Duration = Duration::from_secs(10);
/// Fewer requests in the window have no rate.
const RATE_MIN_COUNT: u32 = 20;
/// More than one failure in so many opens the circuit.
const RATE_MAX_ONE_IN: u32 = 10;
/// Time for which the circuit stays open after too high a failure rate.
const RATE_OPEN_PERIOD: Duration = Duration::from_secs(15 * 60);
/// The time between a failure and the next probe where no other candidate can serve.
pub(super) const PROBE_INTERVAL: Duration = Duration::from_secs(2);

/// The state of a circuit. The worse comes later; the numbers are those of the metric `hearth_provider_state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    /// The model gets requests.
    Closed = 0,
    /// The model has failed, a while ago: one request may see whether it still does.
    HalfOpen = 1,
    /// The model has failed lately: other candidates get its requests.
    Open = 2,
}

impl State {
    /// The name that clients see.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half_open",
            Self::Open => "open",
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Circuit {
    failures_in_a_row: u32,
    opening: Option<Opening>,
    /// The requests of the last minutes, the latest last.
    window: VecDeque<Slice>,
    /// The number of probes so far.
    probes: u64,
}

/// The time in which a circuit isn't closed.
#[derive(Debug)]
struct Opening {
    since: Instant,
    /// The circuit is half-open from then on.
    until: Instant,
    next_probe: Instant,
}

/// The requests that ended within [`RATE_SLICE`].
#[derive(Debug)]
struct Slice {
    since: Instant,
    requests: u32,
    failures: u32,
}

impl Circuit {
    pub(super) fn state(&self, now: Instant) -> State {
        match &self.opening {
            None => State::Closed,
            Some(opening) if now < opening.until => State::Open,
            Some(_) => State::HalfOpen,
        }
    }

    /// The time until the circuit is half-open.
    pub(super) fn half_open_in(&self, now: Instant) -> Duration {
        self.opening.as_ref().map_or(Duration::ZERO, |opening| opening.until.saturating_duration_since(now))
    }

    /// The time from which a request without another candidate may be a probe; none while the circuit is closed.
    pub(super) fn next_probe(&self) -> Option<Instant> {
        self.opening.as_ref().map(|opening| opening.next_probe)
    }

    /// Lets the next probe begin at `at`.
    #[cfg(test)]
    pub(super) fn probe_at(&mut self, at: Instant) {
        self.opening.iter_mut().for_each(|opening| opening.next_probe = at);
    }

    /// A number for a probe, from 1.
    pub(super) fn next_number(&mut self) -> u64 {
        self.probes += 1;
        self.probes
    }

    /// Closes the circuit after a success, unless that request began before the circuit opened; returns whether it did.
    pub(super) fn close(&mut self, began: Instant) -> bool {
        let closed = self.opening.take_if(|opening| began >= opening.since).is_some();
        if closed {
            // The failures before are over: they would open it again at the next one.
            self.failures_in_a_row = 0;
            self.window.clear();
        }
        closed
    }

    /// Counts a success, after a call of [`Circuit::close`].
    pub(super) fn record_success(&mut self, now: Instant) {
        self.failures_in_a_row = 0;
        self.count(false, now);
    }

    /// Counts a failure. `retry_after`: the time after which the provider accepts the next request, by its own report.
    pub(super) fn record_failure(&mut self, retry_after: Option<Duration>, now: Instant) {
        self.count(true, now);
        self.failures_in_a_row += 1;
        let (requests, failures) = self.window.iter().fold((0, 0), |(requests, failures), slice| {
            (requests + slice.requests, failures + slice.failures)
        });
        let open_for = if requests >= RATE_MIN_COUNT && failures * RATE_MAX_ONE_IN > requests {
            RATE_OPEN_PERIOD
        } else if self.failures_in_a_row >= FAILURE_THRESHOLD || self.opening.is_some() {
            OPEN_PERIOD.max(retry_after.unwrap_or_default().min(RATE_OPEN_PERIOD))
        } else {
            return;
        };
        let before = self.opening.take();
        let until = now + open_for;
        self.opening = Some(Opening {
            since: before.as_ref().map_or(now, |opening| opening.since),
            until: before.as_ref().map_or(until, |opening| opening.until.max(until)),
            next_probe: now + PROBE_INTERVAL,
        });
    }

    fn count(&mut self, failed: bool, now: Instant) {
        while self.window.front().is_some_and(|slice| now.duration_since(slice.since) > RATE_WINDOW) {
            self.window.pop_front();
        }
        if self.window.back().is_none_or(|slice| now.duration_since(slice.since) >= RATE_SLICE) {
            self.window.push_back(Slice { since: now, requests: 0, failures: 0 });
        }
        if let Some(slice) = self.window.back_mut() {
            slice.requests += 1;
            slice.failures += u32::from(failed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A circuit after a request in each second, and the time of the first.
    fn after(outcomes: &[bool]) -> (Circuit, impl Fn(u64) -> Instant + use<>) {
        let start = Instant::now();
        let at = move |second| start + Duration::from_secs(second);
        let mut circuit = Circuit::default();
        for (second, failed) in (0..).zip(outcomes) {
            record(&mut circuit, *failed, at(second));
        }
        (circuit, at)
    }

    fn record(circuit: &mut Circuit, failed: bool, now: Instant) {
        if failed {
            circuit.record_failure(None, now);
        } else {
            circuit.close(now);
            circuit.record_success(now);
        }
    }

    #[test]
    fn three_failures_in_a_row_open_the_circuit_for_half_a_minute() {
        let (mut circuit, at) = after(&[true, true, false, true, true]);
        assert_eq!(circuit.state(at(5)), State::Closed);
        circuit.record_failure(None, at(5));
        assert_eq!(
            (circuit.state(at(34)), circuit.half_open_in(at(34))),
            (State::Open, Duration::from_secs(1))
        );
        assert_eq!(circuit.state(at(35)), State::HalfOpen);
        // A failed probe opens it again, one success closes it.
        circuit.record_failure(None, at(37));
        assert_eq!((circuit.state(at(66)), circuit.state(at(67))), (State::Open, State::HalfOpen));
        record(&mut circuit, false, at(68));
        assert_eq!((circuit.state(at(68)), circuit.next_probe()), (State::Closed, None));
        record(&mut circuit, true, at(69));
        assert_eq!(circuit.state(at(69)), State::Closed, "the failures before are forgotten");
    }

    #[test]
    fn high_failure_rate_opens_the_circuit_for_a_quarter_of_an_hour() {
        let mut one_in_six = [false; 25];
        one_in_six.iter_mut().step_by(6).for_each(|failed| *failed = true);
        let (mut circuit, at) = after(&one_in_six);
        assert_eq!(circuit.state(at(30)), State::Open);
        // Where no other candidate can serve, a probe comes sooner.
        assert_eq!(circuit.next_probe(), Some(at(26)));
        circuit.record_failure(None, at(31));
        assert_eq!((circuit.state(at(900)), circuit.state(at(1000))), (State::Open, State::HalfOpen));
        record(&mut circuit, false, at(1001));
        assert_eq!(circuit.state(at(1001)), State::Closed);
        let mut one_in_fifteen = [false; 60];
        one_in_fifteen.iter_mut().skip(14).step_by(15).for_each(|failed| *failed = true);
        let (circuit, at) = after(&one_in_fifteen);
        assert_eq!(circuit.state(at(60)), State::Closed);
    }

    #[test]
    fn success_of_a_request_from_before_the_failures_closes_nothing() {
        let (mut circuit, at) = after(&[true, true, true]);
        assert!(!circuit.close(at(1)));
        circuit.record_success(at(4));
        assert_eq!(circuit.state(at(5)), State::Open);
        assert!(circuit.close(at(2)));
    }

    #[test]
    fn circuit_stays_open_as_long_as_the_provider_says() {
        let (mut circuit, at) = after(&[true, true]);
        circuit.record_failure(Some(Duration::from_secs(60)), at(2));
        assert_eq!(circuit.half_open_in(at(2)), Duration::from_secs(60));
        circuit.record_failure(Some(Duration::from_secs(86_400)), at(3));
        assert_eq!(circuit.half_open_in(at(3)), RATE_OPEN_PERIOD);
    }

    #[test]
    fn window_is_bounded_however_many_requests_there_are() {
        let (mut circuit, at) = after(&[]);
        for second in 0..1200 {
            (0..50).for_each(|_| record(&mut circuit, false, at(second)));
        }
        assert!(circuit.window.len() <= 32);
    }
}
