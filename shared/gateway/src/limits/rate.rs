//! Rates: requests and tokens in a minute or an hour, counted in fixed windows of the clock.
//!
//! A process whose store is its own counts in memory alone. Where processes share a store, each takes a lease of a part of
//! the window's limit, by one conditional write, and counts what it serves from it. All leases of a window together are never
//! more than its limit, so neither is what is served; a lease that its process doesn't use up is lost for that window.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hearth_domain::{Generation, LimitSubject, OrganisationId, Payer, Timestamp};
use hearth_store::{Store, StoreError, rate_buckets::RateWindow};
use hearth_wire::ApiError;

use super::{
    errors,
    estimate::rate_tokens,
    plan::{Plan, charges},
    status::{RateState, RateStatus},
};
use crate::error;

/// The part of a limit that a lease is, where a request doesn't need more.
const LEASE_PARTS: u64 = 50;
/// Limit of the number of counts in memory, above which those of ended windows are dropped.
const BUCKETS_MAX_COUNT: usize = 20_000;

/// The kind of a rate: requests or tokens, and the length of its window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum RateKind {
    RequestsPerMinute,
    RequestsPerHour,
    TokensPerMinute,
}

impl RateKind {
    fn seconds(self) -> i64 {
        match self {
            Self::RequestsPerMinute | Self::TokensPerMinute => 60,
            Self::RequestsPerHour => 3600,
        }
    }

    /// The name in keys.
    fn name(self) -> &'static str {
        match self {
            Self::RequestsPerMinute => "requests-minute",
            Self::RequestsPerHour => "requests-hour",
            Self::TokensPerMinute => "tokens-minute",
        }
    }

    pub(super) fn is_of_tokens(self) -> bool {
        self == Self::TokensPerMinute
    }

    /// The limit's name in errors.
    pub(super) fn limit_name(self) -> &'static str {
        match self {
            Self::RequestsPerMinute => "requests_per_minute",
            Self::RequestsPerHour => "requests_per_hour",
            Self::TokensPerMinute => "tokens_per_minute",
        }
    }

    /// The beginning of the window that a moment is in, in seconds since 1970.
    fn begins(self, now: Timestamp) -> i64 {
        now.unix().div_euclid(self.seconds()) * self.seconds()
    }
}

/// The limit of one rate of a subject.
#[derive(Debug, Clone)]
pub(super) struct Rate {
    organisation: OrganisationId,
    pub(super) subject: LimitSubject,
    pub(super) kind: RateKind,
    pub(super) limit: u64,
    bucket: Arc<Bucket>,
}

/// The count of one rate of a subject in this process.
#[derive(Debug, Default)]
struct Bucket(Mutex<Count>);

#[derive(Debug, Clone, Copy, Default)]
struct Count {
    /// The beginning of its window.
    begins_at: i64,
    /// The amount that was served. More than the leases if answers were longer than expected.
    used: u64,
    /// The amount that this process may serve in the window: its leases, where the store is shared.
    leased: u64,
    /// Nothing is left to lease in this window.
    is_exhausted: bool,
}

impl Bucket {
    /// The count of the window that begins at this time.
    fn count(&self, begins_at: i64, kind: RateKind) -> MutexGuard<'_, Count> {
        let mut count = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that is set back by a little doesn't begin a window again.
        let is_earlier = begins_at < count.begins_at && count.begins_at - begins_at <= 2 * kind.seconds();
        if begins_at != count.begins_at && !is_earlier {
            *count = Count { begins_at, ..Count::default() };
        }
        count
    }
}

/// The rates of all subjects in this process.
#[derive(Debug)]
pub(super) struct Rates {
    store: Store,
    /// Other processes count for the same subjects.
    is_shared: bool,
    buckets: Mutex<HashMap<(OrganisationId, LimitSubject, RateKind), Arc<Bucket>>>,
}

/// A request that its rates allow. When this is dropped, the tokens that it hasn't used are given back.
#[derive(Debug)]
pub(crate) struct Admission {
    pub(super) plan: Arc<Plan>,
    pub(super) status: RateStatus,
    /// The rates of tokens, each with the beginning of its window and the tokens taken.
    tokens: Vec<(Rate, i64, u64)>,
    /// The tokens that the request has used, and whose key paid for them.
    used_tokens: u64,
    payer: Payer,
}

impl Admission {
    /// The state of the caller's rates, if any is limited.
    pub(crate) fn status(&self) -> Option<RateStatus> {
        (self.status.requests.is_some() || self.status.tokens.is_some()).then_some(self.status)
    }

    /// Sets the tokens that the request has used, and whose key paid for them.
    pub(super) fn set_used_tokens(&mut self, tokens: u64, payer: Payer) {
        (self.used_tokens, self.payer) = (tokens, payer);
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        for (rate, begins_at, taken) in &self.tokens {
            let mut count = rate.bucket.count(*begins_at, rate.kind);
            if count.begins_at == *begins_at {
                let used = if charges(self.payer, rate.subject) { self.used_tokens } else { 0 };
                count.used = count.used.saturating_sub(*taken).saturating_add(used);
            }
        }
    }
}

impl Rates {
    pub(super) fn new(store: Store, is_shared: bool) -> Self {
        Self { store, is_shared, buckets: Mutex::default() }
    }

    /// The rate of an organisation's subject. All rates of the same subject and kind have one count.
    pub(super) fn rate(
        &self,
        organisation: OrganisationId,
        subject: LimitSubject,
        kind: RateKind,
        limit: u32,
    ) -> Rate {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= BUCKETS_MAX_COUNT {
            let now = Timestamp::now();
            buckets.retain(|(_, _, kind), bucket| {
                let count = bucket.0.lock().unwrap_or_else(PoisonError::into_inner);
                Arc::strong_count(bucket) > 1 || count.begins_at == kind.begins(now)
            });
        }
        let bucket = Arc::clone(buckets.entry((organisation, subject, kind)).or_default());
        Rate { organisation, subject, kind, limit: limit.into(), bucket }
    }

    /// Counts a request and its expected tokens.
    ///
    /// # Errors
    /// `rate_limited`; `internal` if the store fails.
    pub(super) async fn admit(
        &self,
        plan: Arc<Plan>,
        generation: &Generation,
        now: Timestamp,
    ) -> Result<Admission, ApiError> {
        let dialect = generation.extra.dialect;
        let status = RateStatus { requests: None, tokens: None, dialect };
        let (mut tokens, mut requests) = (None, Vec::new());
        let mut admission = Admission {
            plan: Arc::clone(&plan),
            status,
            tokens: Vec::new(),
            used_tokens: 0,
            payer: Payer::Operator,
        };
        for rate in &plan.rates {
            let amount = match rate.kind.is_of_tokens() {
                // A request that alone exceeds the limit may use a whole window.
                true => (*tokens.get_or_insert_with(|| rate_tokens(generation))).min(rate.limit),
                false => 1,
            };
            let begins_at = rate.kind.begins(now);
            let left = self.take(rate, begins_at, amount).await.map_err(error::store)?;
            let resets_at = Timestamp::from_unix(begins_at + rate.kind.seconds());
            let Some(remaining) = left else {
                // Dropping the admission gives the tokens back.
                for (rate, begins_at) in requests {
                    give_back(rate, begins_at);
                }
                metrics::counter!("hearth_limited_requests_total", "reason" => "rate").increment(1);
                return Err(errors::rate_limited(rate, resets_at, now));
            };
            let state = RateState { limit: rate.limit, remaining, resets_at };
            let nearest = if rate.kind.is_of_tokens() {
                admission.tokens.push((rate.clone(), begins_at, amount));
                &mut admission.status.tokens
            } else {
                requests.push((rate, begins_at));
                &mut admission.status.requests
            };
            if nearest.is_none_or(|nearest| remaining < nearest.remaining) {
                *nearest = Some(state);
            }
        }
        Ok(admission)
    }

    /// Takes an amount of a window's limit; returns what is left then, or none if that isn't enough.
    async fn take(&self, rate: &Rate, begins_at: i64, amount: u64) -> Result<Option<u64>, StoreError> {
        loop {
            let missing = {
                let mut count = rate.bucket.count(begins_at, rate.kind);
                let after = count.used.saturating_add(amount);
                let allowed = if self.is_shared { count.leased } else { rate.limit };
                if after <= allowed {
                    count.used = after;
                    return Ok(Some(rate.limit.saturating_sub(after)));
                }
                if !self.is_shared || count.is_exhausted {
                    return Ok(None);
                }
                after - allowed
            };
            // Two requests may take a lease at once: then the process has both.
            let usual = missing.max(rate.limit / LEASE_PARTS);
            let leased = match self.lease(rate, begins_at, usual).await? {
                true => usual,
                false if usual > missing && self.lease(rate, begins_at, missing).await? => missing,
                false => {
                    let mut count = rate.bucket.count(begins_at, rate.kind);
                    // A larger request may find less than it needs while smaller ones still fit.
                    count.is_exhausted |= missing == 1;
                    return Ok(None);
                }
            };
            let mut count = rate.bucket.count(begins_at, rate.kind);
            count.leased = count.leased.saturating_add(leased);
        }
    }

    async fn lease(&self, rate: &Rate, begins_at: i64, amount: u64) -> Result<bool, StoreError> {
        let window = RateWindow {
            organisation: rate.organisation,
            subject: rate.subject,
            resource: rate.kind.name(),
            begins_at: Timestamp::from_unix(begins_at),
            ends_at: Timestamp::from_unix(begins_at + rate.kind.seconds()),
        };
        let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        self.store.rate_buckets().lease(&window, signed(amount), signed(rate.limit)).await
    }
}

/// Gives a request back that another rate doesn't allow.
fn give_back(rate: &Rate, begins_at: i64) {
    let mut count = rate.bucket.count(begins_at, rate.kind);
    if count.begins_at == begins_at {
        count.used = count.used.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests;
