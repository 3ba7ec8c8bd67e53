//! Reserves the worst case of a run in every budget of its caller.

use std::time::Duration;

use hearth_domain::{Budget, OrganisationId, Payer, RunId, Spend, Timestamp};
use hearth_store::{
    StoreError,
    budgets::{Counter, CounterId, Reservation},
};
use hearth_wire::ApiError;

use super::{
    Limiter,
    allowance::{Budgets, Taken},
    errors,
    plan::{Plan, PlannedBudget, charges},
};
use crate::{access::Caller, error};

/// Interval in which a process looks for expired reservations of an organisation.
pub(super) const EXPIRE_INTERVAL: Duration = Duration::from_secs(1);
/// Time after the end of a run's process until its reservation expires.
const DEADLINE_GRACE: Duration = Duration::from_secs(30);

/// Part of its caller's budgets that a run has reserved.
#[derive(Debug)]
pub(crate) enum Hold {
    /// A reservation of its own, in a process that is frozen after its response.
    Reservation(Reservation, Budgets),
    /// A part of an allowance.
    Allowance(Taken),
}

impl Hold {
    /// The budgets.
    pub(super) fn budgets(&self) -> &Budgets {
        match self {
            Self::Reservation(_, budgets) => budgets,
            Self::Allowance(taken) => taken.budgets(),
        }
    }
}

/// An amount to reserve for a run.
struct Request {
    organisation: OrganisationId,
    run: RunId,
    budgets: Budgets,
    amount: Spend,
    expires_at: Timestamp,
}

impl Limiter {
    /// Reserves an amount in every budget of a plan that a run of `payer` may be charged to, in one transaction; none if there
    /// is no such budget.
    ///
    /// # Errors
    /// `quota_exceeded` if one hasn't so much left; `internal` if the store fails.
    pub(super) async fn reserve(
        &self,
        caller: &Caller,
        run: RunId,
        plan: &Plan,
        (amount, payer): (Spend, Payer),
        deadline: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Option<Hold>, ApiError> {
        let charged = plan.budgets.iter().filter(|budget| charges(payer, budget.subject));
        let organisation = caller.organisation;
        let budgets: Vec<_> =
            charged.map(|budget| (counter_of(organisation, budget, now), *budget)).collect();
        if budgets.is_empty() {
            return Ok(None);
        }
        let expires_at = match deadline {
            Some(deadline) => deadline.plus(DEADLINE_GRACE),
            None => now.plus(self.settings.reservation_ttl()),
        };
        let request = Request { organisation, run, budgets, amount, expires_at };
        let mut hold = self.try_reserve(&request).await.map_err(error::store)?;
        // Processes that have died may have left reservations.
        if hold.is_none() && self.expire(organisation, now).await? {
            hold = self.try_reserve(&request).await.map_err(error::store)?;
        }
        match hold {
            Some(hold) => Ok(Some(hold)),
            None => Err(self.refusal(&request, now).await?),
        }
    }

    /// Reserves an amount in every budget: for the run alone, or as a part of an allowance. None if one hasn't so much left.
    async fn try_reserve(&self, request: &Request) -> Result<Option<Hold>, StoreError> {
        let Request { organisation, run, ref budgets, amount, expires_at } = *request;
        if let Some(allowances) = &self.allowances {
            let taken = allowances.take(organisation, budgets, amount).await?;
            return Ok(taken.map(Hold::Allowance));
        }
        let counters = budgets.iter().map(|(counter, _)| counter.clone()).collect();
        let reservation = Reservation { run, organisation, amount, counters, expires_at };
        let limits: Vec<Budget> = budgets.iter().map(|(_, budget)| budget.budget).collect();
        let is_reserved = self.store.budgets().reserve(&reservation, &limits).await?;
        Ok(is_reserved.then(|| Hold::Reservation(reservation, budgets.clone())))
    }

    /// Ends the reservations of an organisation that have expired; returns whether there were any.
    async fn expire(&self, organisation: OrganisationId, now: Timestamp) -> Result<bool, ApiError> {
        if self.expired.get(&organisation).is_some() {
            return Ok(false);
        }
        self.expired.put(organisation, ());
        let count = self.store.budgets().expire(organisation, now).await.map_err(error::store)?;
        if count > 0 {
            tracing::info!(%organisation, count, "reservations of runs whose processes have died are ended");
        }
        Ok(count > 0)
    }

    /// The error of a run that a budget has no room for.
    async fn refusal(&self, request: &Request, now: Timestamp) -> Result<ApiError, ApiError> {
        let Request { organisation, budgets, amount: needed, .. } = request;
        let (needed, mut first) = (*needed, None);
        for (id, budget) in budgets {
            let counter = self.store.budgets().counter(id).await.map_err(error::store)?;
            let Some((resource, left)) = shortage(budget.budget, &counter, needed) else { continue };
            self.thresholds.raise_used_up(*organisation, id, budget, resource, now).await;
            first.get_or_insert_with(|| errors::quota_exceeded(budget, resource, needed, left, now));
        }
        metrics::counter!("hearth_limited_requests_total", "reason" => "budget").increment(1);
        // A run that ended meanwhile may have made room: then any of the budgets is named.
        let any = || {
            budgets.first().map(|(_, budget)| errors::quota_exceeded(budget, "tokens", needed, needed, now))
        };
        Ok(first.or_else(any).unwrap_or_else(|| error::internal(&"a plan has no budget")))
    }
}

/// The resource that a budget hasn't enough of, and what is left; none if it has enough.
fn shortage(budget: Budget, counter: &Counter, needed: Spend) -> Option<(&'static str, Spend)> {
    let left = Spend {
        tokens: budget.tokens.map_or(i64::MAX, |tokens| tokens.saturating_sub(counter.held_tokens)),
        nanodollars: budget
            .nanodollars
            .map_or(i64::MAX, |money| money.saturating_sub(counter.held_nanodollars)),
    };
    let shown = Spend { tokens: left.tokens.max(0), nanodollars: left.nanodollars.max(0) };
    if left.tokens < needed.tokens {
        return Some(("tokens", shown));
    }
    (left.nanodollars < needed.nanodollars).then_some(("dollars", shown))
}

/// The counter of an organisation's budget in the period that `now` is in.
pub(super) fn counter_of(organisation: OrganisationId, budget: &PlannedBudget, now: Timestamp) -> CounterId {
    CounterId::new(organisation, budget.subject, budget.period.name_at(now), budget.period.end_at(now))
}
