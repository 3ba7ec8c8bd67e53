//! How providers have done lately: whom to leave alone for a while.
//!
//! Kept for each provider and model, in this process. Two rules: after three failures in a row it is left
//! alone for half a minute, and then one request is let through to see (a circuit breaker); and where more
//! than a tenth of the requests of five minutes failed it is left alone for a quarter of an hour.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// This many failures in a row open the circuit.
const FAILURES: u32 = 3;
/// For so long.
pub(crate) const OPEN: Duration = Duration::from_secs(30);
/// The span of time that the share of failures is taken of.
const WINDOW: Duration = Duration::from_secs(5 * 60);
/// It is counted in parts, however many requests there are.
const PART: Duration = Duration::from_secs(10);
/// Fewer requests than this within it say nothing.
const ENOUGH: u32 = 20;
/// One failure in so many is too many.
const ONE_IN: u32 = 10;
/// How long who failed so often is left alone.
const DISABLED: Duration = Duration::from_secs(15 * 60);

/// Beyond this many models what is well is forgotten.
const MANY: usize = 1000;

/// A provider's model.
type Key = (String, String);

/// Everybody's health.
#[derive(Debug, Default)]
pub(crate) struct Health(Mutex<HashMap<Key, Record>>);

/// Whether a request may be sent. The worse comes later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    /// It may.
    Closed,
    /// It has failed three times in a row, a while ago: one request may see how it is.
    HalfOpen,
    /// It has, lately.
    Open,
    /// It fails too often.
    Disabled,
}

impl State {
    /// What clients are told; nothing if all is well.
    pub(crate) fn name(self) -> Option<&'static str> {
        match self {
            Self::Closed => None,
            Self::Open => Some("open"),
            Self::HalfOpen => Some("half_open"),
            Self::Disabled => Some("disabled"),
        }
    }
}

#[derive(Debug, Default)]
struct Record {
    in_a_row: u32,
    open_until: Option<Instant>,
    /// A request is on its way to see.
    probed: Option<Instant>,
    disabled_until: Option<Instant>,
    /// The requests of the last minutes, the latest last.
    lately: VecDeque<Part>,
}

/// The requests that ended within [`PART`].
#[derive(Debug)]
struct Part {
    since: Instant,
    requests: u32,
    failures: u32,
}

impl Health {
    /// How it stands.
    #[cfg(test)]
    fn state(&self, provider: &str, model: &str, now: Instant) -> State {
        self.records().get(&key(provider, model)).map_or(State::Closed, |record| record.state(now))
    }

    /// Whether all is well with it.
    pub(crate) fn is_well(&self, provider: &str, model: &str, now: Instant) -> bool {
        let record = |record: &Record| record.state(now) == State::Closed;
        self.records().get(&key(provider, model)).is_none_or(record)
    }

    /// Whether a request may be sent now. One that sees how it is must end in [`Health::note`].
    pub(crate) fn admits(&self, provider: &str, model: &str, now: Instant) -> bool {
        let mut records = self.records();
        let Some(record) = records.get_mut(&key(provider, model)) else { return true };
        match record.state(now) {
            State::Closed => true,
            State::Open | State::Disabled => false,
            State::HalfOpen => {
                let free = record.probed.is_none_or(|since| now.duration_since(since) > OPEN);
                record.probed = if free { Some(now) } else { record.probed };
                free
            }
        }
    }

    /// Notes how a request ended.
    pub(crate) fn note(&self, provider: &str, model: &str, failed: bool, now: Instant) {
        let mut records = self.records();
        if records.len() > MANY {
            // Clients choose the names: what is long over is forgotten.
            records.retain(|_, record| record.state(now) != State::Closed);
        }
        let record = records.entry(key(provider, model)).or_default();
        record.note(failed, now);
        let of_provider = records.iter().filter(|((name, _), _)| name == provider);
        let worst = of_provider.map(|(_, record)| record.state(now)).max().unwrap_or(State::Closed);
        metrics::gauge!("hearth_provider_state", "provider" => provider.to_owned())
            .set(f64::from(worst as u8));
        let result = if failed { "failed" } else { "ok" };
        metrics::counter!("hearth_provider_requests_total", "provider" => provider.to_owned(), "result" => result)
            .increment(1);
    }

    /// Forgets a provider's models: it is another one now, or has another key.
    pub(crate) fn forget(&self, provider: &str) {
        self.records().retain(|(name, _), _| name != provider);
    }

    /// Everybody of whom something is known.
    pub(crate) fn all(&self, now: Instant) -> Vec<(Key, State)> {
        self.records().iter().map(|(key, record)| (key.clone(), record.state(now))).collect()
    }

    fn records(&self) -> MutexGuard<'_, HashMap<Key, Record>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Record {
    fn state(&self, now: Instant) -> State {
        if self.disabled_until.is_some_and(|until| now < until) {
            return State::Disabled;
        }
        match self.open_until {
            Some(until) if now < until => State::Open,
            Some(_) => State::HalfOpen,
            None => State::Closed,
        }
    }

    fn note(&mut self, failed: bool, now: Instant) {
        self.probed = None;
        self.count(failed, now);
        if !failed {
            self.in_a_row = 0;
            self.open_until = None;
            return;
        }
        self.in_a_row += 1;
        if self.in_a_row >= FAILURES {
            self.open_until = Some(now + OPEN);
        }
        let [requests, failures] = self
            .lately
            .iter()
            .fold([0, 0], |[requests, failures], part| [requests + part.requests, failures + part.failures]);
        if requests >= ENOUGH && failures * ONE_IN > requests {
            self.disabled_until = Some(now + DISABLED);
            // It begins anew then.
            self.lately.clear();
        }
    }

    fn count(&mut self, failed: bool, now: Instant) {
        while self.lately.front().is_some_and(|part| now.duration_since(part.since) > WINDOW) {
            self.lately.pop_front();
        }
        if self.lately.back().is_none_or(|part| now.duration_since(part.since) >= PART) {
            self.lately.push_back(Part { since: now, requests: 0, failures: 0 });
        }
        if let Some(part) = self.lately.back_mut() {
            part.requests += 1;
            part.failures += u32::from(failed);
        }
    }
}

fn key(provider: &str, model: &str) -> Key {
    (provider.to_owned(), model.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Clock(Instant);

    impl Clock {
        fn after(&self, seconds: u64) -> Instant {
            self.0 + Duration::from_secs(seconds)
        }
    }

    fn outcomes(health: &Health, clock: &Clock, outcomes: &[bool]) {
        for (second, failed) in (0..).zip(outcomes) {
            health.note("p", "m", *failed, clock.after(second));
        }
    }

    #[test]
    fn three_failures_in_a_row_open_it_and_one_request_sees_how_it_is() {
        let (health, clock) = (Health::default(), Clock(Instant::now()));
        outcomes(&health, &clock, &[true, true, false, true, true]);
        assert_eq!(health.state("p", "m", clock.after(5)), State::Closed);
        health.note("p", "m", true, clock.after(5));
        assert_eq!(health.state("p", "m", clock.after(34)), State::Open);
        assert!(!health.admits("p", "m", clock.after(34)) && health.admits("p", "other", clock.after(34)));
        assert_eq!(health.state("p", "m", clock.after(36)), State::HalfOpen);
        assert!(health.admits("p", "m", clock.after(36)) && !health.admits("p", "m", clock.after(36)));
        // It has failed again, and is left alone again.
        health.note("p", "m", true, clock.after(37));
        assert!(!health.admits("p", "m", clock.after(60)) && health.admits("p", "m", clock.after(68)));
        health.note("p", "m", false, clock.after(69));
        assert!(health.admits("p", "m", clock.after(69)) && health.admits("p", "m", clock.after(69)));
    }

    #[test]
    fn with_another_key_it_begins_anew() {
        let (health, clock) = (Health::default(), Clock(Instant::now()));
        outcomes(&health, &clock, &[true, true, true]);
        health.forget("other");
        assert!(!health.is_well("p", "m", clock.after(4)));
        health.forget("p");
        assert!(health.is_well("p", "m", clock.after(4)));
    }

    #[test]
    fn a_probe_that_never_ends_is_not_waited_for() {
        let (health, clock) = (Health::default(), Clock(Instant::now()));
        outcomes(&health, &clock, &[true, true, true]);
        assert!(health.admits("p", "m", clock.after(40)));
        assert!(!health.admits("p", "m", clock.after(60)) && health.admits("p", "m", clock.after(71)));
    }

    #[test]
    fn who_fails_too_often_is_left_alone_for_long() {
        let (health, clock) = (Health::default(), Clock(Instant::now()));
        let mut one_in_six = [false; 30];
        one_in_six.iter_mut().step_by(6).for_each(|failed| *failed = true);
        outcomes(&health, &clock, &one_in_six);
        assert_eq!(health.state("p", "m", clock.after(30)), State::Disabled);
        assert_eq!(health.state("p", "m", clock.after(1000)), State::Closed);
        let (health, mut one_in_fifteen) = (Health::default(), [false; 60]);
        one_in_fifteen.iter_mut().skip(14).step_by(15).for_each(|failed| *failed = true);
        outcomes(&health, &clock, &one_in_fifteen);
        assert_eq!(health.state("p", "m", clock.after(60)), State::Closed);
    }

    #[test]
    fn however_many_requests_there_are_little_is_kept_of_them() {
        let (health, clock) = (Health::default(), Clock(Instant::now()));
        for second in 0..1200 {
            (0..50).for_each(|_| health.note("p", "m", false, clock.after(second)));
        }
        assert!(health.records()[&key("p", "m")].lately.len() <= 32);
    }
}
