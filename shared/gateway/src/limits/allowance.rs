//! Budgets of a process that outlives its responses: one reservation for several runs.
//!
//! A transaction for each run, and another at its end, would cost more than the rest of a short request. So the process reserves
//! ahead: an [`Allowance`] is a reservation of one set of budgets, from which runs take their worst case in memory. What they have
//! used is written within [`WRITE_DELAY`], of all runs together, and with it the reservation is renewed. A request for which
//! an allowance has too little left enlarges it by a transaction, which fails if a budget has no room; before a refusal all that other
//! allowances have reserved ahead is given back. So exactly as many runs are served as with a reservation for each.
//!
//! The allowances of a process that dies end by themselves, and what its runs have used since the last write isn't counted: as for
//! their records, that is the use of the last [`WRITE_DELAY`].

mod state;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use hearth_domain::{Budget, OrganisationId, RunId, Spend, Timestamp};
use hearth_store::{
    Store, StoreError,
    budgets::{CounterId, Reservation},
    usage::UsageRow,
};
use tokio::time::sleep;

use super::{plan::PlannedBudget, thresholds::Thresholds};
use crate::background;
use state::{Allowance, State, Task, least, most};

/// Time after a run's end within which its use is written.
const WRITE_DELAY: Duration = Duration::from_millis(40);
/// Longest time until an allowance of a process that has died ends. A living one renews it after half of it.
const ALLOWANCE_TTL: Duration = Duration::from_secs(30);
/// Interval between a failed write and the next.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// Runs for which is reserved ahead, at most.
const AHEAD_MAX_RUNS: i64 = 64;
/// Part of what a budget has left that is reserved ahead, at most: one of so many.
const AHEAD_PARTS: i64 = 2;

/// A set of budgets.
pub(super) type Budgets = Vec<(CounterId, PlannedBudget)>;

/// The allowances of this process.
#[derive(Debug)]
pub(super) struct Allowances {
    store: Store,
    thresholds: Arc<Thresholds>,
    ttl: Duration,
    by_budgets: Mutex<HashMap<Budgets, Arc<Allowance>>>,
    /// Held while reservations are exchanged: by one request at a time, so that none is refused for what another gives back.
    exchanging: tokio::sync::Mutex<()>,
}

/// The part of an allowance that a run has taken. One that is dropped without being settled is given back.
#[derive(Debug)]
pub(super) struct Taken {
    allowances: Weak<Allowances>,
    allowance: Arc<Allowance>,
    amount: Spend,
}

impl Allowances {
    /// `reservation_ttl`: time after which the reservations of a process that has died end.
    pub(super) fn new(store: Store, thresholds: Arc<Thresholds>, reservation_ttl: Duration) -> Self {
        Self {
            store,
            thresholds,
            ttl: reservation_ttl.min(ALLOWANCE_TTL),
            by_budgets: Mutex::default(),
            exchanging: tokio::sync::Mutex::default(),
        }
    }

    /// Takes an amount of each budget; none if one hasn't so much left.
    ///
    /// # Errors
    /// If the store fails.
    pub(super) async fn take(
        self: &Arc<Self>,
        organisation: OrganisationId,
        budgets: &Budgets,
        amount: Spend,
    ) -> Result<Option<Taken>, StoreError> {
        if let Some(taken) = self.take_from(self.allowances().get(budgets), amount) {
            return Ok(Some(taken));
        }
        let (allowances, budgets) = (Arc::clone(self), budgets.clone());
        finish(async move { allowances.take_slowly(organisation, &budgets, amount).await }).await
    }

    /// [`Allowances::take`] where the allowance has too little left.
    async fn take_slowly(
        self: &Arc<Self>,
        organisation: OrganisationId,
        budgets: &Budgets,
        amount: Spend,
    ) -> Result<Option<Taken>, StoreError> {
        let _exchanging = self.exchanging.lock().await;
        let allowance = {
            let mut allowances = self.allowances();
            let new = || Arc::new(Allowance::new(organisation, budgets.clone()));
            Arc::clone(allowances.entry(budgets.clone()).or_insert_with(new))
        };
        self.keep(&allowance);
        let mut has_reclaimed = false;
        loop {
            // Another request may have enlarged it meanwhile.
            if let Some(taken) = self.take_from(Some(&allowance), amount) {
                return Ok(Some(taken));
            }
            if self.enlarge(&allowance, amount).await? {
                continue;
            }
            if std::mem::replace(&mut has_reclaimed, true) {
                return Ok(None);
            }
            self.reclaim(|other| other.shares_a_budget(&allowance)).await;
        }
    }

    /// Writes what the runs of an organisation have used, and gives back what is reserved ahead: after it the store has no more
    /// reserved than the runs in progress may use.
    ///
    /// # Errors
    /// If it can't be done to its end.
    pub(super) async fn settle_organisation(
        self: &Arc<Self>,
        organisation: OrganisationId,
    ) -> Result<(), StoreError> {
        let allowances = Arc::clone(self);
        finish(async move {
            let _exchanging = allowances.exchanging.lock().await;
            allowances.reclaim(|allowance| allowance.organisation == organisation).await;
            Ok(())
        })
        .await
    }

    /// [`Allowances::settle_organisation`] of all organisations.
    pub(super) async fn settle_all(&self) {
        let _exchanging = self.exchanging.lock().await;
        self.reclaim(|_| true).await;
    }

    fn take_from(self: &Arc<Self>, allowance: Option<&Arc<Allowance>>, amount: Spend) -> Option<Taken> {
        let allowance = allowance?;
        let mut state = allowance.state();
        let reservation = state.reservation.as_ref()?;
        let left = reservation.amount.minus(state.taken).minus(state.used);
        if left.tokens < amount.tokens || left.nanodollars < amount.nanodollars {
            return None;
        }
        state.taken = state.taken.plus(amount);
        state.last_used = Instant::now();
        Some(Taken { allowances: Arc::downgrade(self), allowance: Arc::clone(allowance), amount })
    }

    /// Reserves what is missing for an amount, and some more for the next runs; false if a budget hasn't so much left. With
    /// [`Allowances::exchanging`].
    async fn enlarge(&self, allowance: &Allowance, amount: Spend) -> Result<bool, StoreError> {
        let mut room: Option<Spend> = None;
        for (id, PlannedBudget { budget, .. }) in &allowance.budgets {
            let counter = self.store.budgets().counter(id).await?;
            let left = Spend {
                tokens: budget.tokens.map_or(i64::MAX, |limit| limit.saturating_sub(counter.held_tokens)),
                nanodollars: budget
                    .nanodollars
                    .map_or(i64::MAX, |limit| limit.saturating_sub(counter.held_nanodollars)),
            };
            room = Some(room.map_or(left, |room| least(room, left)));
        }
        let missing = {
            let state = allowance.state();
            let needed = state.taken.plus(state.used).plus(amount);
            most(needed.minus(state.reserved()), Spend::default())
        };
        let room = room.unwrap_or_default();
        if (missing.tokens > 0 && missing.tokens > room.tokens)
            || (missing.nanodollars > 0 && missing.nanodollars > room.nanodollars)
        {
            return Ok(false);
        }
        let spare = room.minus(missing);
        let ahead =
            |amount: i64, spare: i64| amount.saturating_mul(AHEAD_MAX_RUNS).min(spare / AHEAD_PARTS).max(0);
        let ahead = Spend {
            tokens: ahead(amount.tokens, spare.tokens),
            nanodollars: ahead(amount.nanodollars, spare.nanodollars),
        };
        self.exchange(allowance, |state| state.reserved().plus(missing).plus(ahead)).await
    }

    /// Writes what the runs of some allowances have used, and gives back what is reserved ahead. One that fails is tried again by
    /// its keeper. With [`Allowances::exchanging`].
    async fn reclaim(&self, is_concerned: impl Fn(&Allowance) -> bool) {
        let all: Vec<_> =
            self.allowances().values().filter(|allowance| is_concerned(allowance)).map(Arc::clone).collect();
        for allowance in all {
            if allowance.state().has_surplus()
                && let Err(error) = self.exchange(&allowance, State::needed).await
            {
                tracing::warn!(%error, "what is reserved ahead of a budget can't be given back yet");
            }
        }
    }

    /// Writes what the runs of an allowance have used, and replaces its reservation by what remains of `amount` then. Returns false
    /// if a budget has no room for it. With [`Allowances::exchanging`].
    async fn exchange(
        &self,
        allowance: &Allowance,
        amount: impl FnOnce(&State) -> Spend,
    ) -> Result<bool, StoreError> {
        let pending = allowance.begin_exchange(amount);
        let after = (pending.left.tokens > 0 || pending.left.nanodollars > 0).then(|| Reservation {
            run: RunId::new(),
            organisation: allowance.organisation,
            amount: most(pending.left, Spend::default()),
            counters: allowance.budgets.iter().map(|(counter, _)| counter.clone()).collect(),
            expires_at: Timestamp::now().plus(self.ttl),
        });
        let charged = allowance.budgets.iter().zip(&pending.charged);
        let charged: Vec<(_, Budget, _)> =
            charged.map(|((counter, budget), charged)| (counter, budget.budget, *charged)).collect();
        let store = self.store.budgets();
        match store.exchange(pending.before.as_ref(), &charged, &pending.usage, after.as_ref()).await {
            Ok(true) => {
                allowance.state().reservation = after;
                if pending.used != Spend::default() {
                    self.thresholds.check(allowance.organisation, &allowance.budgets, Timestamp::now()).await;
                }
                Ok(true)
            }
            other => {
                allowance.undo_exchange(pending);
                other
            }
        }
    }

    /// Starts the task that writes, renews and gives back, if there is none.
    fn keep(self: &Arc<Self>, allowance: &Arc<Allowance>) {
        if !std::mem::replace(&mut allowance.state().has_keeper, true) {
            let (allowances, allowance) = (Arc::clone(self), Arc::clone(allowance));
            drop(background::spawn(async move { allowances.write_and_renew(&allowance).await }));
        }
    }

    async fn write_and_renew(&self, allowance: &Arc<Allowance>) {
        let mut wait = WRITE_DELAY;
        loop {
            sleep(wait).await;
            let _exchanging = self.exchanging.lock().await;
            wait = match self.write(allowance).await {
                Ok(()) => WRITE_DELAY,
                Err(error) => {
                    tracing::warn!(%error, "the use of budgets can't be written yet");
                    RETRY_INTERVAL
                }
            };
            if self.remove_if_empty(allowance) {
                return;
            }
        }
    }

    /// Writes what the runs of an allowance have used, renews it, or gives it back, if it is time. With
    /// [`Allowances::exchanging`].
    async fn write(&self, allowance: &Allowance) -> Result<(), StoreError> {
        let task = allowance.state().due_task(self.ttl / 2);
        let is_done = match task {
            None => true,
            Some(Task::Renew) => self.exchange(allowance, State::reserved).await?,
            Some(Task::GiveBack) => self.exchange(allowance, State::needed).await?,
        };
        // It has expired, since the machine slept, and others have used up the budgets: what was used is counted all the same.
        if !is_done {
            self.exchange(allowance, |state| state.used).await?;
        }
        Ok(())
    }

    /// Removes an allowance without a reservation. With [`Allowances::exchanging`].
    fn remove_if_empty(&self, allowance: &Arc<Allowance>) -> bool {
        let mut allowances = self.allowances();
        let mut state = allowance.state();
        let is_empty =
            state.reservation.is_none() && state.taken == Spend::default() && state.used == Spend::default();
        if is_empty {
            state.has_keeper = false;
            allowances.retain(|_, one| !Arc::ptr_eq(one, allowance));
        }
        is_empty
    }

    fn allowances(&self) -> MutexGuard<'_, HashMap<Budgets, Arc<Allowance>>> {
        self.by_budgets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs a change of reservations to its end, even if the request that waits for it is dropped: the database may have changed already.
async fn finish<T: Send + 'static>(
    change: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Result<T, StoreError> {
    let ended = background::spawn(change).await;
    ended.unwrap_or_else(|error| {
        Err(StoreError::Unavailable { operation: "the reservation of a budget", reason: error.to_string() })
    })
}

impl Taken {
    /// The budgets that it is of.
    pub(super) fn budgets(&self) -> &Budgets {
        &self.allowance.budgets
    }

    /// Gives back what a run hasn't used. `used`: by the run; `charged`: to each of the budgets, in their order; `usage`: to add to
    /// the sums of usage.
    pub(super) fn settle(self, used: Spend, charged: &[Spend], usage: Option<UsageRow>) {
        {
            let mut state = self.allowance.state();
            state.used = state.used.plus(used);
            for (sum, charged) in state.charged.iter_mut().zip(charged) {
                *sum = sum.plus(*charged);
            }
            if let Some(UsageRow { key, counts }) = usage {
                state.usage.entry(key).or_default().add(&counts);
            }
        }
        if let Some(allowances) = self.allowances.upgrade() {
            allowances.keep(&self.allowance);
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut state = self.allowance.state();
        state.taken = state.taken.minus(self.amount);
        state.last_used = Instant::now();
    }
}
