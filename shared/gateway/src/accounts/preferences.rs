//! Preferences of users, as requests follow them.

use std::{sync::Arc, time::Duration};

use hearth_domain::{Generation, ModelId, Preferences, UserId};
use hearth_store::Store;
use tokio::time::timeout;

use crate::{access::Caller, settings::AUTO, timed_cache::TimedCache};

/// Age at which preferences are read again: a change in another process has effect here after this time.
const PREFERENCES_TTL: Duration = Duration::from_secs(60);
/// Timeout of a read. A request is served without them, too.
const READ_TIMEOUT: Duration = Duration::from_millis(500);
/// Limit of the number of users whose preferences are cached.
const CACHE_MAX_COUNT: usize = 10_000;

/// Preferences of users, cached for a minute.
#[derive(Debug)]
pub(crate) struct UserPreferences {
    store: Store,
    cache: TimedCache<UserId, Arc<Preferences>>,
}

impl UserPreferences {
    pub(crate) fn new(store: Store) -> Self {
        Self { store, cache: TimedCache::new(PREFERENCES_TTL, CACHE_MAX_COUNT) }
    }

    /// Sets the model that the caller prefers, if the request leaves the choice to the gateway. A request's own choice of a
    /// model, a provider or a preferred model has precedence.
    pub(crate) async fn apply(&self, caller: &Caller, generation: &mut Generation) {
        let names_a_model = generation.model.as_ref().map(ModelId::as_str).is_some_and(|id| id != AUTO);
        let route = &generation.route;
        if names_a_model || route.provider.is_some() || route.preferred.is_some() {
            return;
        }
        let preferences = self.of(caller.user).await;
        let modality = generation.task.modality();
        generation.route.preferred = preferences.models.of(modality).map(ToOwned::to_owned);
    }

    /// Has the user's next request read the preferences again.
    pub(super) fn forget(&self, user: UserId) {
        self.cache.remove(&user);
    }

    /// The preferences of a user. A failure of the store isn't one of the request.
    async fn of(&self, user: UserId) -> Arc<Preferences> {
        if let Some(preferences) = self.cache.get(&user) {
            return preferences;
        }
        let preferences = match timeout(READ_TIMEOUT, self.store.users().get(user)).await {
            Ok(Ok(record)) => Arc::new(record.map(|record| record.preferences).unwrap_or_default()),
            Ok(Err(error)) => {
                tracing::warn!(%user, %error, "the preferences of a user can't be read");
                Arc::default()
            }
            Err(_) => {
                tracing::warn!(%user, "the table is too slow for the preferences of a user");
                Arc::default()
            }
        };
        // After a failure the user has none for a minute, so that one request waits and not each.
        self.cache.put(user, Arc::clone(&preferences));
        preferences
    }
}
