//! The state of one allowance.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use hearth_domain::{OrganisationId, Spend, Timestamp};
use hearth_store::{
    budgets::Reservation,
    usage::{UsageCounts, UsageKey, UsageRow},
};

use super::Budgets;

/// Time without a run after which an allowance is given back.
const IDLE_TIMEOUT: Duration = Duration::from_secs(2);

/// The reservation of one set of budgets, and the runs that take from it.
#[derive(Debug)]
pub(super) struct Allowance {
    pub(super) organisation: OrganisationId,
    pub(super) budgets: Budgets,
    state: Mutex<State>,
}

#[derive(Debug)]
pub(super) struct State {
    /// The reservation in the store.
    pub(super) reservation: Option<Reservation>,
    /// The sum of what runs in progress have taken.
    pub(super) taken: Spend,
    /// The sum of what ended runs have used and isn't written yet, whoever is charged.
    pub(super) used: Spend,
    /// The same, as far as each budget is charged.
    pub(super) charged: Vec<Spend>,
    /// The sums of usage that aren't written yet.
    pub(super) usage: HashMap<UsageKey, UsageCounts>,
    pub(super) last_used: Instant,
    /// A task writes, renews and gives back.
    pub(super) has_keeper: bool,
}

/// Task that is due for an allowance.
pub(super) enum Task {
    /// To write what was used, or to renew the reservation.
    Renew,
    /// To reserve no more than runs in progress have taken.
    GiveBack,
}

/// Part of the state that an exchange writes.
pub(super) struct Pending {
    pub(super) before: Option<Reservation>,
    pub(super) used: Spend,
    /// Amount that is reserved after it.
    pub(super) left: Spend,
    pub(super) charged: Vec<Spend>,
    pub(super) usage: Vec<UsageRow>,
}

impl State {
    /// Amount that is reserved, or used and not written yet.
    pub(super) fn reserved(&self) -> Spend {
        self.reservation.as_ref().map_or_else(Spend::default, |reservation| reservation.amount)
    }

    /// Amount that runs in progress may use, and that ended ones have used.
    pub(super) fn needed(&self) -> Spend {
        self.taken.plus(self.used)
    }

    pub(super) fn is_reserved_or_used(&self) -> bool {
        self.reservation.is_some() || self.used != Spend::default() || !self.usage.is_empty()
    }

    /// True if an exchange for no more than is needed would change something.
    pub(super) fn has_surplus(&self) -> bool {
        self.is_reserved_or_used() && (self.reserved() != self.needed() || self.used != Spend::default())
    }

    pub(super) fn due_task(&self, renew_after: Duration) -> Option<Task> {
        if !self.is_reserved_or_used() {
            return None;
        }
        if self.taken == Spend::default() && self.last_used.elapsed() >= IDLE_TIMEOUT {
            return Some(Task::GiveBack);
        }
        let ends_soon = |one: &Reservation| Timestamp::now().plus(renew_after) >= one.expires_at;
        let has_used = self.used != Spend::default() || !self.usage.is_empty();
        (has_used || self.reservation.as_ref().is_some_and(ends_soon)).then_some(Task::Renew)
    }
}

impl Allowance {
    pub(super) fn new(organisation: OrganisationId, budgets: Budgets) -> Self {
        let charged = vec![Spend::default(); budgets.len()];
        let state = State {
            reservation: None,
            taken: Spend::default(),
            used: Spend::default(),
            charged,
            usage: HashMap::new(),
            last_used: Instant::now(),
            has_keeper: false,
        };
        Self { organisation, budgets, state: Mutex::new(state) }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True if the allowances have a budget in common.
    pub(super) fn shares_a_budget(&self, other: &Self) -> bool {
        self.budgets.iter().any(|(counter, _)| other.budgets.iter().any(|(one, _)| one == counter))
    }

    /// Takes what is to be written out of the state. `amount`: what is to be reserved then, with what was used.
    pub(super) fn begin_exchange(&self, amount: impl FnOnce(&State) -> Spend) -> Pending {
        let mut state = self.state();
        let amount = amount(&state);
        let before = state.reservation.clone();
        let used = std::mem::take(&mut state.used);
        let left = amount.minus(used);
        // Until the exchange has taken place runs may take what is reserved before and after it.
        if let Some(reservation) = &mut state.reservation {
            reservation.amount = least(reservation.amount.minus(used), left);
        }
        let charged = std::mem::replace(&mut state.charged, vec![Spend::default(); self.budgets.len()]);
        let usage = std::mem::take(&mut state.usage);
        let usage = usage.into_iter().map(|(key, counts)| UsageRow { key, counts }).collect();
        Pending { before, used, left, charged, usage }
    }

    pub(super) fn undo_exchange(&self, pending: Pending) {
        let mut state = self.state();
        state.reservation = pending.before;
        state.used = state.used.plus(pending.used);
        for (sum, charged) in state.charged.iter_mut().zip(pending.charged) {
            *sum = sum.plus(charged);
        }
        for UsageRow { key, counts } in pending.usage {
            state.usage.entry(key).or_default().add(&counts);
        }
    }
}

pub(super) fn least(one: Spend, other: Spend) -> Spend {
    Spend { tokens: one.tokens.min(other.tokens), nanodollars: one.nanodollars.min(other.nanodollars) }
}

pub(super) fn most(one: Spend, other: Spend) -> Spend {
    Spend { tokens: one.tokens.max(other.tokens), nanodollars: one.nanodollars.max(other.nanodollars) }
}
