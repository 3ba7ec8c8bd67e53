//! A provider's credit and rate limits, read from its responses: from headers, errors and reported balances.
//!
//! There is one ledger for each provider and key.

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

/// Time for which a provider counts as out of credit if it doesn't name one. After that its status is unknown: somebody
/// may have paid.
const EXHAUSTED_TTL: Duration = Duration::from_secs(15 * 60);
/// Time for which a provider counts as rate limited if it doesn't name one.
const RATE_LIMITED_TTL: Duration = Duration::from_secs(10);

/// The credit and limits of one provider with one key.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    exhausted_until: Option<Timestamp>,
    limited_until: Option<Timestamp>,
    /// True if a paid request has succeeded since the last refusal.
    has_succeeded: bool,
    requests: Option<u64>,
    tokens: Option<u64>,
    balance: Option<Balance>,
}

/// Cost of a request: only the success of a paid one shows that there is credit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Billing {
    Free,
    Paid,
}

/// A balance that a vendor has reported.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BalanceReading {
    pub(crate) balance: Balance,
    /// True if the vendor refuses requests with this balance.
    pub(crate) is_exhausted: bool,
}

/// An API that reports the balance: its path below the base URL, and the reader of its response.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BalanceApi {
    pub(crate) path: &'static str,
    pub(crate) read: fn(&Value) -> Option<BalanceReading>,
}

impl Ledger {
    /// Records a response with a status of success.
    pub(crate) fn record_success(&self, headers: &HeaderMap, billing: Billing, now: Timestamp) {
        let mut state = self.state();
        if billing == Billing::Paid {
            state.has_succeeded = true;
            state.exhausted_until = None;
        }
        state.limited_until = None;
        state.record_limits(headers, now);
    }

    /// Records an error, if it is about credit, limits or the key.
    pub(crate) fn record_error(&self, error: &ApiError, headers: Option<&HeaderMap>, now: Timestamp) {
        let mut state = self.state();
        if let Some(headers) = headers {
            state.record_limits(headers, now);
        }
        match error.code {
            ErrorCode::QuotaExceeded => {
                state.exhausted_until = Some(now.plus(error.retry_after.unwrap_or(EXHAUSTED_TTL)));
                state.has_succeeded = false;
            }
            ErrorCode::ProviderRateLimited => {
                let later = now.plus(error.retry_after.unwrap_or(RATE_LIMITED_TTL));
                state.limited_until = state.limited_until.max(Some(later));
            }
            ErrorCode::ProviderAuth => state.has_succeeded = false,
            _ => {}
        }
    }

    /// Records a reported balance.
    pub(crate) fn record_balance(&self, reading: BalanceReading, now: Timestamp) {
        let mut state = self.state();
        state.has_succeeded |= !reading.is_exhausted;
        state.exhausted_until = reading.is_exhausted.then(|| now.plus(EXHAUSTED_TTL));
        state.balance = Some(reading.balance);
    }

    /// Returns the credit and limits at the time `now`.
    pub(crate) fn credits(&self, now: Timestamp) -> Credits {
        let state = self.state();
        let limited = state.limited_until.filter(|until| *until > now);
        let status = if state.exhausted_until.is_some_and(|until| until > now) {
            CreditStatus::Exhausted
        } else if limited.is_some() {
            CreditStatus::RateLimited
        } else if state.has_succeeded {
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
    fn record_limits(&mut self, headers: &HeaderMap, now: Timestamp) {
        // Most responses have no such header: skip the lookups of all the names.
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
    fn exhausted_credit_recovers_after_a_paid_success() {
        let ledger = Ledger::default();
        let status = |second| ledger.credits(at(second)).status;
        assert_eq!(ledger.credits(at(0)), Credits::default());
        ledger.record_success(&HeaderMap::new(), Billing::Paid, at(0));
        assert_eq!(status(0), CreditStatus::Available);
        let exhausted = ApiError::new(ErrorCode::QuotaExceeded, "no credit");
        ledger.record_error(&exhausted, None, at(1));
        assert_eq!(status(1), CreditStatus::Exhausted);
        // A free request shows nothing about credit.
        ledger.record_success(&HeaderMap::new(), Billing::Free, at(2));
        assert_eq!(status(2), CreditStatus::Exhausted);
        // After a while the status is unknown.
        assert_eq!(status(1 + 15 * 60), CreditStatus::Unknown);
        ledger.record_success(&HeaderMap::new(), Billing::Paid, at(3));
        assert_eq!(status(3), CreditStatus::Available);
        // An invalid request shows nothing about credit.
        ledger.record_error(&ApiError::new(ErrorCode::InvalidRequest, "no"), None, at(4));
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
        ledger.record_success(&openai, Billing::Paid, at(0));
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
        ledger.record_success(&anthropic, Billing::Paid, at(0));
        let credits = ledger.credits(at(1));
        assert_eq!((credits.status, credits.reset_at), (CreditStatus::RateLimited, Some(at(200))));

        let slow = ApiError::new(ErrorCode::ProviderRateLimited, "slow")
            .with_retry_after(Some(Duration::from_secs(7)));
        ledger.record_success(&HeaderMap::new(), Billing::Paid, at(0));
        ledger.record_error(&slow, None, at(0));
        assert_eq!(ledger.credits(at(6)).status, CreditStatus::RateLimited);
        assert_eq!(ledger.credits(at(7)).status, CreditStatus::Available);
    }

    #[test]
    fn balance_sets_the_credit_status() {
        let ledger = Ledger::default();
        let reading = |amount: &str, is_exhausted| BalanceReading {
            balance: Balance { amount: amount.to_owned(), currency: "USD".to_owned() },
            is_exhausted,
        };
        ledger.record_balance(reading("0", true), at(0));
        assert_eq!(ledger.credits(at(0)).status, CreditStatus::Exhausted);
        ledger.record_balance(reading("5", false), at(1));
        let credits = ledger.credits(at(1));
        assert_eq!(credits.status, CreditStatus::Available);
        assert_eq!(credits.remaining.unwrap().balance.unwrap().amount, "5");
    }
}
