//! How a provider's credit and limits stand, as its answers tell: their headers, and what it refuses.
//!
//! It is kept with the provider, and so for each key: with another key it is another one.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hearth_domain::{
    Timestamp,
    credits::{Balance, CreditStatus, Credits, Remaining},
};
use hearth_wire::{ApiError, ErrorCode};
use http::HeaderMap;
use serde_json::Value;

use crate::retry_after;

/// How long a provider is taken to be out of credit that doesn't say. Then nothing is known: it may have been paid.
const EXHAUSTED: Duration = Duration::from_secs(15 * 60);
/// How long a provider is taken to limit requests that doesn't say.
const LIMITED: Duration = Duration::from_secs(10);

/// What is known.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    exhausted_until: Option<Timestamp>,
    limited_until: Option<Timestamp>,
    /// Whether it answered since something was refused.
    answered: bool,
    requests: Option<u64>,
    tokens: Option<u64>,
    balance: Option<Balance>,
}

/// What an endpoint told of a balance.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) balance: Balance,
    /// Whether nothing can be asked for with it.
    pub(crate) spent: bool,
}

/// Where a vendor tells of the balance, below the base URL, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BalanceAt {
    pub(crate) path: &'static str,
    pub(crate) read: fn(&Value) -> Option<Found>,
}

impl Ledger {
    /// Notes an answer that began. `costs`: whether it is one that costs something, and so tells that there is
    /// credit.
    pub(crate) fn answered(&self, headers: &HeaderMap, costs: bool, now: Timestamp) {
        let mut state = self.state();
        state.answered |= costs;
        if costs {
            state.exhausted_until = None;
        }
        state.limited_until = None;
        state.note_limits(headers, now);
    }

    /// Notes what was refused. Of what says nothing of credit or limits, nothing is noted.
    pub(crate) fn refused(&self, error: &ApiError, headers: Option<&HeaderMap>, now: Timestamp) {
        let mut state = self.state();
        if let Some(headers) = headers {
            state.note_limits(headers, now);
        }
        match error.code {
            ErrorCode::QuotaExceeded => {
                state.exhausted_until = Some(now.plus(error.retry_after.unwrap_or(EXHAUSTED)));
                state.answered = false;
            }
            ErrorCode::ProviderRateLimited => {
                let later = now.plus(error.retry_after.unwrap_or(LIMITED));
                state.limited_until = state.limited_until.max(Some(later));
            }
            ErrorCode::ProviderAuth => state.answered = false,
            _ => {}
        }
    }

    /// Notes a balance.
    pub(crate) fn found(&self, found: Found, now: Timestamp) {
        let mut state = self.state();
        state.answered |= !found.spent;
        state.exhausted_until = found.spent.then(|| now.plus(EXHAUSTED));
        state.balance = Some(found.balance);
    }

    /// How it stands now.
    pub(crate) fn credits(&self, now: Timestamp) -> Credits {
        let state = self.state();
        let limited = state.limited_until.filter(|until| *until > now);
        let status = if state.exhausted_until.is_some_and(|until| until > now) {
            CreditStatus::Exhausted
        } else if limited.is_some() {
            CreditStatus::RateLimited
        } else if state.answered {
            CreditStatus::Available
        } else {
            CreditStatus::Unknown
        };
        let remaining =
            Remaining { balance: state.balance.clone(), requests: state.requests, tokens: state.tokens };
        Credits {
            status,
            remaining: (remaining != Remaining::default()).then_some(remaining),
            reset_at: limited.filter(|_| status == CreditStatus::RateLimited),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn note_limits(&mut self, headers: &HeaderMap, now: Timestamp) {
        // Most answers say nothing of limits, and there are many names to look for.
        if !headers.keys().any(|name| name.as_str().contains("ratelimit")) {
            return;
        }
        let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
        let number = |names: &[&str]| names.iter().find_map(|name| text(name)?.parse::<u64>().ok());
        self.requests = number(&[
            "x-ratelimit-remaining-requests",
            "anthropic-ratelimit-requests-remaining",
            "x-ratelimit-remaining",
        ])
        .or(self.requests);
        self.tokens =
            number(&["x-ratelimit-remaining-tokens", "anthropic-ratelimit-tokens-remaining"]).or(self.tokens);
        self.limited_until = self.limited_until.max(retry_after::limit_reset(headers, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix(1_000_000 + seconds)
    }

    #[test]
    fn credit_runs_out_and_comes_back() {
        let ledger = Ledger::default();
        let status = |second| ledger.credits(at(second)).status;
        assert_eq!(ledger.credits(at(0)), Credits::default());
        ledger.answered(&HeaderMap::new(), true, at(0));
        assert_eq!(status(0), CreditStatus::Available);
        let spent = ApiError::new(ErrorCode::QuotaExceeded, "no credit");
        ledger.refused(&spent, None, at(1));
        assert_eq!(status(1), CreditStatus::Exhausted);
        // What costs nothing says nothing of credit.
        ledger.answered(&HeaderMap::new(), false, at(2));
        assert_eq!(status(2), CreditStatus::Exhausted);
        // After a while nobody knows.
        assert_eq!(status(1 + 15 * 60), CreditStatus::Unknown);
        ledger.answered(&HeaderMap::new(), true, at(3));
        assert_eq!(status(3), CreditStatus::Available);
        // A bad request says nothing.
        ledger.refused(&ApiError::new(ErrorCode::InvalidRequest, "no"), None, at(4));
        assert_eq!(status(4), CreditStatus::Available);
    }

    #[test]
    fn limits_are_read_from_headers() {
        let ledger = Ledger::default();
        let openai = headers(&[
            ("x-ratelimit-remaining-requests", "0"),
            ("x-ratelimit-reset-requests", "1m30s"),
            ("x-ratelimit-remaining-tokens", "149984"),
        ]);
        ledger.answered(&openai, true, at(0));
        let credits = ledger.credits(at(1));
        assert_eq!((credits.status, credits.reset_at), (CreditStatus::RateLimited, Some(at(90))));
        let remaining = credits.remaining.unwrap();
        assert_eq!((remaining.requests, remaining.tokens), (Some(0), Some(149_984)));
        assert_eq!(ledger.credits(at(90)).status, CreditStatus::Available);

        let anthropic = headers(&[
            ("anthropic-ratelimit-requests-remaining", "49"),
            ("anthropic-ratelimit-tokens-remaining", "0"),
            ("anthropic-ratelimit-tokens-reset", "1970-01-12T13:50:00Z"),
        ]);
        ledger.answered(&anthropic, true, at(0));
        let credits = ledger.credits(at(1));
        assert_eq!((credits.status, credits.reset_at), (CreditStatus::RateLimited, Some(at(200))));

        let slow = ApiError::new(ErrorCode::ProviderRateLimited, "slow")
            .with_retry_after(Some(Duration::from_secs(7)));
        ledger.answered(&HeaderMap::new(), true, at(0));
        ledger.refused(&slow, None, at(0));
        assert_eq!(ledger.credits(at(6)).status, CreditStatus::RateLimited);
        assert_eq!(ledger.credits(at(7)).status, CreditStatus::Available);
    }

    #[test]
    fn a_balance_tells_too() {
        let ledger = Ledger::default();
        let found = |amount: &str, spent| Found {
            balance: Balance { amount: amount.to_owned(), currency: "USD".to_owned() },
            spent,
        };
        ledger.found(found("0", true), at(0));
        assert_eq!(ledger.credits(at(0)).status, CreditStatus::Exhausted);
        ledger.found(found("5", false), at(1));
        let credits = ledger.credits(at(1));
        assert_eq!(credits.status, CreditStatus::Available);
        assert_eq!(credits.remaining.unwrap().balance.unwrap().amount, "5");
    }
}
