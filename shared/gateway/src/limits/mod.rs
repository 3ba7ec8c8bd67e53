//! Limits of requests, tokens and money, and the usage that they are compared with.
//!
//! A request passes three gates, of which those without a limit cost nothing:
//!
//! 1. [`Limiter::admit`], before the cache is looked up: rates, counted in memory ([`rate`]). Where processes share a store,
//!    each takes leases of them.
//! 2. [`Limiter::open`], when the candidates are known: every budget of the caller reserves the worst case
//!    ([`estimate`]), all of them or none: by a transaction, or in a part of a reservation for several runs ([`allowance`]).
//! 3. [`RunAccount::settle`], at the run's end: the reservation is replaced by what the run has used, with its sum of usage.
//!
//! A run that went on at its node while the gateway restarted is charged at its end, without a reservation ([`late`]).
//!
//! - [`plan`]: which limits hold for a caller, cached.
//! - [`usage`]: adds to the sums of usage; [`report`] reads them.
//! - [`thresholds`]: events of budgets that are used up by half, by 80 % and wholly.
//! - [`manage`]: sets and shows limits.

mod account;
mod allowance;
mod budget;
mod errors;
pub(crate) mod estimate;
mod late;
mod manage;
mod plan;
mod rate;
mod report;
mod status;
mod thresholds;
mod usage;

use std::{sync::Arc, time::Duration};

use hearth_domain::{Generation, OrganisationId, Payer, RunId, Timestamp};
use hearth_settings::LimitSettings;
use hearth_store::{Store, limits::LimitRecord};
use hearth_wire::ApiError;

use crate::{
    access::Caller,
    background::Background,
    error,
    events::Events,
    read_cache::{ReadCache, ReadCacheLimits},
    routing::Candidate,
    timed_cache::TimedCache,
};

use account::Doubt;
pub(crate) use account::RunAccount;
pub use manage::LimitAccess;
pub(crate) use rate::Admission;
pub use report::UsageAccess;
pub use status::{RateState, RateStatus};

use allowance::Allowances;
use plan::{OrganisationLimits, Plan};
use rate::Rates;
use thresholds::Thresholds;
use usage::UsageRecorder;

/// Time for the store to answer.
const LIMITS_READ_TIMEOUT: Duration = Duration::from_secs(1);
/// Limit of the number of organisations whose limits are cached.
const ORGANISATIONS_MAX_COUNT: usize = 10_000;
/// An organisation's limits are read again after ten seconds: where processes share the store, a change in another one has effect
/// then.
const ORGANISATION_LIMITS: ReadCacheLimits = ReadCacheLimits {
    ttl: Duration::from_secs(10),
    max_stale_age: Duration::from_secs(60),
    max_count: ORGANISATIONS_MAX_COUNT,
};

/// The limits and the usage of all callers.
#[derive(Debug)]
pub(crate) struct Limiter {
    store: Store,
    settings: LimitSettings,
    organisations: ReadCache<OrganisationId, Arc<OrganisationLimits>>,
    rates: Rates,
    usage: Arc<UsageRecorder>,
    thresholds: Arc<Thresholds>,
    /// Reservations for several runs; none in a process that is frozen after its response.
    allowances: Option<Arc<Allowances>>,
    /// Organisations whose reservations were expired lately.
    expired: TimedCache<OrganisationId, ()>,
}

impl Limiter {
    pub(crate) fn new(store: Store, settings: LimitSettings, events: Events, background: Background) -> Self {
        let thresholds = Arc::new(Thresholds::new(store.clone(), events));
        let allowances = background.outlives_response().then(|| {
            let thresholds = Arc::clone(&thresholds);
            Arc::new(Allowances::new(store.clone(), thresholds, settings.reservation_ttl()))
        });
        Self {
            organisations: ReadCache::new(ORGANISATION_LIMITS, background),
            rates: Rates::new(store.clone(), !background.outlives_response()),
            usage: Arc::new(UsageRecorder::new(store.clone(), background)),
            thresholds,
            allowances,
            expired: TimedCache::new(budget::EXPIRE_INTERVAL, ORGANISATIONS_MAX_COUNT),
            store,
            settings,
        }
    }

    /// Counts a request and its tokens, as far as its caller's are limited.
    ///
    /// # Errors
    /// `rate_limited`; `internal` if the store fails.
    pub(crate) async fn admit(
        self: &Arc<Self>,
        caller: &Caller,
        generation: &Generation,
    ) -> Result<Option<Box<Admission>>, ApiError> {
        let Some(plan) = self.plan(caller).await? else { return Ok(None) };
        let admission = self.rates.admit(plan, generation, Timestamp::now()).await?;
        Ok(Some(Box::new(admission)))
    }

    /// Opens the account of a run, and reserves its worst case in every budget of its caller.
    ///
    /// # Errors
    /// `quota_exceeded` if a budget hasn't so much left; `internal` if the store fails.
    pub(crate) async fn open(
        self: &Arc<Self>,
        caller: &Caller,
        id: RunId,
        generation: &Generation,
        candidates: &[Candidate],
        admission: Option<Box<Admission>>,
    ) -> Result<RunAccount, ApiError> {
        let now = Timestamp::now();
        let hold = match &admission {
            Some(admission) if admission.plan.has_budgets() => {
                let worst = estimate::worst_case(generation, candidates);
                let payers =
                    candidates.iter().map(|candidate| candidate.selected.payer.unwrap_or(Payer::Operator));
                // A run may wait for a node first.
                let wait_end = generation.route.home.and_then(|wait| wait.until);
                let after_wait = wait_end.map(|end| end.plus(self.settings.reservation_ttl()));
                let deadline = generation.deadline.or(after_wait);
                let most = (worst, payers.max().unwrap_or(Payer::Operator));
                self.reserve(caller, id, &admission.plan, most, deadline, now).await?
            }
            _ => None,
        };
        let doubt = Doubt::of(generation, candidates);
        Ok(RunAccount::new(Arc::clone(self), caller, id, now, (hold, admission), doubt))
    }

    /// Counts a request that a cached answer serves: it costs nothing.
    pub(crate) async fn count_hit(
        &self,
        caller: &Caller,
        selection: &hearth_domain::Selection,
        admission: Option<Box<Admission>>,
    ) {
        // What was taken of the tokens is given back.
        drop(admission);
        self.usage.add(usage::row_of_hit(caller, selection, Timestamp::now())).await;
    }

    /// The limits that hold for a caller; none if nothing is limited.
    async fn plan(self: &Arc<Self>, caller: &Caller) -> Result<Option<Arc<Plan>>, ApiError> {
        let limits = self.limits_of(caller).await?;
        Ok(limits.plan(caller, &self.settings, &self.rates))
    }

    /// The limits of a caller's organisation. If the store doesn't answer, those that were read last hold; without any, the
    /// operator's own organisation has none, and every other caller is refused: a request must not get around a budget.
    async fn limits_of(self: &Arc<Self>, caller: &Caller) -> Result<Arc<OrganisationLimits>, ApiError> {
        let organisation = caller.organisation;
        let read = || {
            let limiter = Arc::clone(self);
            async move { limiter.read_limits(organisation).await }
        };
        if let Some(limits) = self.organisations.cached(&organisation, read) {
            return Ok(limits);
        }
        let changes = self.organisations.changes();
        let error = match self.organisations.read(organisation, read).await {
            Ok(limits) => return Ok(limits),
            Err(error) => error,
        };
        let limits = match self.organisations.latest(&organisation) {
            Some(limits) => limits,
            None if caller.is_operator => Arc::new(OrganisationLimits::new(Vec::new())),
            None => return Err(error),
        };
        self.organisations.put_unless_changed(organisation, Arc::clone(&limits), changes);
        Ok(limits)
    }

    async fn read_limits(&self, organisation: OrganisationId) -> Result<Arc<OrganisationLimits>, ApiError> {
        let limits = self.store.limits();
        let read = tokio::time::timeout(LIMITS_READ_TIMEOUT, limits.of(organisation));
        let late = |_| error::internal(&"the store doesn't answer when it is asked for limits");
        let records: Vec<LimitRecord> = read.await.map_err(late)?.map_err(error::store)?;
        Ok(Arc::new(OrganisationLimits::new(records)))
    }

    /// Writes what runs of an organisation have used of budgets, so that the store has no more reserved than runs in progress may
    /// use.
    ///
    /// # Errors
    /// `internal` if the store fails.
    pub(crate) async fn settle_organisation(&self, organisation: OrganisationId) -> Result<(), ApiError> {
        match &self.allowances {
            Some(allowances) => allowances.settle_organisation(organisation).await.map_err(error::store),
            None => Ok(()),
        }
    }

    /// Writes the use of budgets and the sums of usage that are in memory, at an orderly stop.
    pub(crate) async fn flush(&self) {
        if let Some(allowances) = &self.allowances {
            allowances.settle_all().await;
        }
        self.usage.flush().await;
    }
}
