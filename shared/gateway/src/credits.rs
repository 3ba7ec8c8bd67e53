//! What is left of the providers' credit, and whether their models can be had.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use hearth_domain::{CreditStatus, Credits, Facts, KeyOwner, Tier};
use hearth_providers::Provider;
use hearth_wire::native::models::Availability;

use crate::{Gateway, background, circuit_breaker::State, providers::Known};

/// A balance is asked for again after this; and sooner where there was none left.
const FRESH: Duration = Duration::from_secs(5 * 60);
const FRESH_IF_SPENT: Duration = Duration::from_secs(60);

/// When balances were asked for last.
#[derive(Debug, Default)]
pub(crate) struct Balances(Mutex<HashMap<(KeyOwner, String), Instant>>);

impl Balances {
    /// Whether it is time to ask again; if so, it counts as asked.
    fn is_due(&self, owner: KeyOwner, provider: &str, fresh: Duration) -> bool {
        let mut asked = self.asked();
        let last = asked.get(&(owner, provider.to_owned()));
        let due = last.is_none_or(|at| at.elapsed() >= fresh);
        if due {
            asked.insert((owner, provider.to_owned()), Instant::now());
        }
        due
    }

    /// Has the next look ask again: the key is another.
    pub(crate) fn forget(&self, owner: KeyOwner, provider: &str) {
        self.asked().remove(&(owner, provider.to_owned()));
    }

    fn asked(&self) -> MutexGuard<'_, HashMap<(KeyOwner, String), Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gateway {
    /// What is left of the credit of the provider of this name, for the key of `owner`'s; unknown of a provider
    /// that isn't set up.
    ///
    /// What this process has seen is told at once, without asking anybody.
    pub async fn credits(&self, _owner: KeyOwner, provider: &str) -> Credits {
        let known = self.providers().await;
        let found = known.iter().find(|known| known.name() == provider);
        found.and_then(|known| known.provider.credits()).unwrap_or_default()
    }

    /// Asks for the balance, where the vendor tells it and it is time to.
    pub(crate) async fn check_balance(&self, owner: KeyOwner, known: &Known) {
        let spent = known.provider.credits().is_some_and(|credits| credits.status == CreditStatus::Exhausted);
        let fresh = if spent { FRESH_IF_SPENT } else { FRESH };
        if !known.provider.tells_balance()
            || !known.is_usable()
            || !self.0.balances.is_due(owner, known.name(), fresh)
        {
            return;
        }
        if let Err(error) = known.provider.check_balance().await {
            // Not every key may see it.
            tracing::debug!(provider = known.name(), code = error.code.as_str(), "a balance can't be had");
        }
    }

    /// Whether a provider's credit is used up, so that a model of these facts isn't to be asked before it is known
    /// to be better. What costs nothing can be asked all the same. Where it is used up, the balance is asked for
    /// meanwhile, at most once a minute.
    pub(crate) fn is_out_of_credit(
        &self,
        owner: KeyOwner,
        provider: &dyn Provider,
        facts: Option<&Facts>,
    ) -> bool {
        let spent = provider.credits().is_some_and(|credits| credits.status == CreditStatus::Exhausted);
        if spent && self.outlives_answers() {
            let (gateway, name) = (self.clone(), provider.name().to_owned());
            background::spawn(async move {
                let known = gateway.providers().await;
                if let Some(known) = known.iter().find(|known| known.name() == name) {
                    gateway.check_balance(owner, known).await;
                }
            });
        }
        spent && facts.is_none_or(|facts| facts.tier != Tier::Free)
    }

    /// Whether a model of a provider can be had now. `listed`: the provider lists it for this key; nothing if it
    /// hasn't listed any.
    pub(crate) fn availability(
        &self,
        owner: KeyOwner,
        known: &Known,
        model: &str,
        facts: &Facts,
        listed: Option<bool>,
    ) -> Availability {
        if !known.is_usable() {
            return Availability::NoKey;
        }
        if self.is_out_of_credit(owner, &known.provider, Some(facts)) {
            return Availability::OutOfCredit;
        }
        if self.0.breakers.state(known.name(), model, Instant::now()) != State::Closed {
            return Availability::Unavailable;
        }
        if known.provider.credits().is_some_and(|credits| credits.status == CreditStatus::RateLimited) {
            return Availability::RateLimited;
        }
        if listed == Some(true) { Availability::Available } else { Availability::Unknown }
    }
}
