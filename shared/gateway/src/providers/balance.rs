//! Balances of the providers' credit, read in the background.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use hearth_domain::{CreditStatus, ModelInfo, Tier};
use hearth_providers::Provider;

use super::registry::{ConfiguredProvider, ProviderRegistry};
use crate::background::Background;

/// Interval between two reads of a balance.
const POLL_INTERVAL: Duration = Duration::from_secs(5 * 60);
/// The same while the credit is exhausted.
const EXHAUSTED_POLL_INTERVAL: Duration = Duration::from_secs(60);

/// Number of accounts above which the times of old reads are removed.
const ACCOUNT_MAX_COUNT: usize = 1000;

/// Reads balances, and decides whether a provider is out of credit. The balance itself is in the provider.
#[derive(Debug)]
pub(crate) struct Balances {
    registry: Arc<ProviderRegistry>,
    background: Background,
    /// The time of the latest read, by account.
    poll_times: Mutex<HashMap<String, Instant>>,
}

impl Balances {
    pub(crate) fn new(registry: Arc<ProviderRegistry>, background: Background) -> Self {
        Self { registry, background, poll_times: Mutex::default() }
    }

    /// Reads the provider's balance, if its vendor reports one and it is due.
    pub(crate) async fn poll(&self, provider: &ConfiguredProvider) {
        let interval = if is_exhausted(&provider.provider) { EXHAUSTED_POLL_INTERVAL } else { POLL_INTERVAL };
        if !provider.provider.reports_balance()
            || !provider.is_usable()
            || !self.begin_poll(provider.account(), interval)
        {
            return;
        }
        if let Err(error) = provider.provider.poll_balance().await {
            // Not every key may read it.
            tracing::debug!(
                provider = provider.name(),
                code = error.code.as_str(),
                "a balance can't be read"
            );
        }
    }

    /// True if the provider's credit is exhausted and the model isn't free: then other candidates come first. Reads an
    /// exhausted balance again in the background, at most once a minute.
    pub(crate) fn is_out_of_credit(
        self: &Arc<Self>,
        provider: &dyn Provider,
        account: &str,
        info: Option<&ModelInfo>,
    ) -> bool {
        let is_exhausted = is_exhausted(provider);
        if is_exhausted {
            let (balances, account) = (Arc::clone(self), account.to_owned());
            self.background.spawn_or_skip(async move {
                if let Some(provider) = balances.registry.account(&account).await {
                    balances.poll(&provider).await;
                }
            });
        }
        is_exhausted && info.is_none_or(|info| info.tier != Tier::Free)
    }

    /// Makes the next poll due: the key has changed.
    pub(crate) fn forget(&self, account: &str) {
        self.poll_times().remove(account);
    }

    /// Returns whether a poll is due; if so, it counts as made.
    fn begin_poll(&self, account: &str, interval: Duration) -> bool {
        let mut times = self.poll_times();
        if times.len() > ACCOUNT_MAX_COUNT {
            times.retain(|_, at| at.elapsed() < POLL_INTERVAL);
        }
        let is_due = times.get(account).is_none_or(|at| at.elapsed() >= interval);
        if is_due {
            times.insert(account.to_owned(), Instant::now());
        }
        is_due
    }

    fn poll_times(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.poll_times.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_exhausted(provider: &dyn Provider) -> bool {
    provider.credits().is_some_and(|credits| credits.status == CreditStatus::Exhausted)
}
