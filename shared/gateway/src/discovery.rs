//! Which models the providers' keys can reach.
//!
//! Each provider is asked for its list at the start, when its key changes, and when the list is an hour old and
//! somebody looks. What it said is kept in the process and in the table, so that the next process need not ask.
//! It is asked by one at a time, and at most once a minute, whether it answers or not. Nobody waits for it but
//! who asks for the list itself, and not for long.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hearth_domain::{KeyOwner, Secret, Timestamp};
use hearth_providers::{Endpoint, HttpProvider, discovery::Listed};
use hearth_store::discoveries::Discovery;
use hearth_wire::ErrorCode;

use crate::{Gateway, background, providers::Known};

/// A list is asked for again after this.
const FRESH: Duration = Duration::from_secs(3600);
/// And not before this, whatever came of it.
const AGAIN: Duration = Duration::from_secs(60);
/// How long who wants the lists of all providers waits for them.
const PATIENCE: Duration = Duration::from_secs(3);

/// What was found, for each owner of keys and each provider.
#[derive(Debug, Default)]
pub(crate) struct Finds(Mutex<HashMap<(KeyOwner, String), Arc<Slot>>>);

/// What was found with one key of one provider.
#[derive(Debug)]
struct Slot {
    /// What it was found at, and with.
    endpoint: Endpoint,
    /// Held while the provider is asked.
    asking: tokio::sync::Mutex<()>,
    found: Mutex<Found>,
}

/// What is known of a provider's models.
#[derive(Debug, Clone, Default)]
pub(crate) struct Found {
    /// Those that it lists, by their names; none if it never answered.
    pub(crate) models: Option<Arc<[Listed]>>,
    /// Why it didn't answer last time.
    pub(crate) problem: Option<ErrorCode>,
    found_at: Option<Timestamp>,
    tried_at: Option<Timestamp>,
    /// Whether the table was looked into.
    recalled: bool,
}

impl Finds {
    /// The slot of a provider; a new one if its address or its key is another than before.
    fn slot(&self, owner: KeyOwner, provider: &HttpProvider) -> Arc<Slot> {
        let endpoint = provider.endpoint();
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || {
            let (asking, found) = (tokio::sync::Mutex::default(), Mutex::default());
            Arc::new(Slot { endpoint: endpoint.clone(), asking, found })
        };
        let slot = slots.entry((owner, endpoint.name.clone())).or_insert_with(new);
        if slot.endpoint != *endpoint {
            *slot = new();
        }
        Arc::clone(slot)
    }
}

impl Slot {
    fn found(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Found {
    /// What the provider lists of this name.
    pub(crate) fn listed(&self, model: &str) -> Option<&Listed> {
        let models = self.models.as_ref()?;
        models.binary_search_by(|listed| listed.id.as_str().cmp(model)).ok().and_then(|at| models.get(at))
    }

    /// Whether it is time to ask.
    fn is_due(&self, now: Timestamp) -> bool {
        let since = |at: Option<Timestamp>| at.map(|at| at.until(now));
        since(self.tried_at).is_none_or(|passed| passed >= AGAIN)
            && since(self.found_at).is_none_or(|passed| passed >= FRESH)
    }
}

impl Gateway {
    /// Has every provider asked for its models in the background, if it is time to.
    pub async fn begin_discovery(&self) {
        for known in self.providers().await.iter() {
            self.discover_later(KeyOwner::Operator, known);
        }
    }

    /// Has a provider asked again whose key is another.
    pub(crate) async fn key_changed(&self, owner: KeyOwner, provider: &str) {
        self.0.balances.forget(owner, provider);
        if let Some(known) = self.providers().await.iter().find(|known| known.name() == provider) {
            self.discover_later(owner, known);
        }
    }

    /// What is known of a provider's models, without waiting for anybody. Where it is time to, the provider is
    /// asked meanwhile.
    pub(crate) fn found(&self, owner: KeyOwner, known: &Known) -> Found {
        let found = self.0.finds.slot(owner, &known.provider).found().clone();
        let lists = known.is_usable() && known.provider.lists_models();
        if lists && (!found.recalled || found.is_due(Timestamp::now())) {
            self.discover_later(owner, known);
        }
        found
    }

    /// What is known of all providers' models, once they were asked, or after a while.
    pub(crate) async fn discover_all(&self, owner: KeyOwner, all: &[Known]) -> Vec<Found> {
        let asked = all.iter().map(|known| {
            let (gateway, asked) = (self.clone(), known.clone());
            // A task of its own: who doesn't wait any longer doesn't end it.
            background::spawn(async move { gateway.discover(owner, &asked).await })
        });
        let _ = tokio::time::timeout(PATIENCE, futures::future::join_all(asked)).await;
        all.iter().map(|known| self.0.finds.slot(owner, &known.provider).found().clone()).collect()
    }

    /// Asks for a provider's models in the background. Where a process is frozen after its answer, it only looks
    /// at what the table knows.
    pub(crate) fn discover_later(&self, owner: KeyOwner, known: &Known) {
        let slot = self.0.finds.slot(owner, &known.provider);
        if slot.asking.try_lock().is_err() {
            return;
        }
        let (gateway, known) = (self.clone(), known.clone());
        background::spawn(async move {
            if gateway.outlives_answers() {
                gateway.discover(owner, &known).await;
            } else {
                let _asking = slot.asking.lock().await;
                gateway.recall(owner, &slot).await;
            }
        });
    }

    /// Asks a provider for its models and its balance, if it is time to.
    async fn discover(&self, owner: KeyOwner, known: &Known) {
        let slot = self.0.finds.slot(owner, &known.provider);
        // Who comes meanwhile waits, and finds that it isn't time to any more.
        let _asking = slot.asking.lock().await;
        self.recall(owner, &slot).await;
        self.check_balance(owner, known).await;
        let now = Timestamp::now();
        if !known.is_usable() || !known.provider.lists_models() || !slot.found().is_due(now) {
            return;
        }
        slot.found().tried_at = Some(now);
        let answer = known.provider.models().await;
        {
            let mut found = slot.found();
            match answer {
                Ok(models) => {
                    tracing::info!(
                        provider = known.name(),
                        models = models.len(),
                        "a provider listed its models"
                    );
                    found.models = Some(models.into());
                    (found.found_at, found.problem) = (Some(now), None);
                }
                Err(error) => {
                    let (provider, code) = (known.name(), error.code.as_str());
                    // Some servers have no list: it is said once.
                    if found.problem != Some(error.code) {
                        tracing::warn!(provider, code, "a provider's models can't be listed");
                    }
                    found.problem = Some(error.code);
                }
            }
        }
        self.note(owner, &slot).await;
    }

    /// Takes what the table knows, once, if it is of the same address and key.
    async fn recall(&self, owner: KeyOwner, slot: &Slot) {
        if slot.found().recalled {
            return;
        }
        let kept = self.store().discoveries().get(owner, &slot.endpoint.name).await;
        let kept = match kept {
            Ok(kept) => kept,
            Err(error) => {
                tracing::warn!(%error, "what a provider had can't be read");
                return;
            }
        };
        let same = self.fingerprint(&slot.endpoint).await;
        let mut found = slot.found();
        found.recalled = true;
        let Some(kept) = kept.filter(|kept| Some(&kept.fingerprint) == same.as_ref()) else { return };
        if found.tried_at.is_some_and(|at| at >= kept.tried_at) {
            return;
        }
        let models = kept.models.and_then(|json| serde_json::from_str::<Vec<Listed>>(&json).ok());
        found.found_at = kept.found_at.filter(|_| models.is_some());
        found.models = models.map(Into::into);
        found.tried_at = Some(kept.tried_at);
        let code = |name: String| ErrorCode::ALL.iter().find(|code| code.as_str() == name).copied();
        found.problem = kept.problem.and_then(code);
    }

    /// Writes what was found into the table.
    async fn note(&self, owner: KeyOwner, slot: &Slot) {
        let Some(fingerprint) = self.fingerprint(&slot.endpoint).await else { return };
        let Found { models, problem, found_at, tried_at, .. } = slot.found().clone();
        let discovery = Discovery {
            fingerprint,
            tried_at: tried_at.unwrap_or_else(Timestamp::now),
            found_at,
            models: models.and_then(|models| serde_json::to_string(&*models).ok()),
            problem: problem.map(|code| code.as_str().to_owned()),
        };
        if let Err(error) = self.store().discoveries().put(owner, &slot.endpoint.name, discovery).await {
            tracing::warn!(%error, "what a provider has can't be kept");
        }
    }

    async fn fingerprint(&self, endpoint: &Endpoint) -> Option<String> {
        let key = endpoint.key.as_ref().map(Secret::expose).unwrap_or_default();
        let text = format!("{}|{}|{key}", endpoint.vendor.kind, endpoint.base_url);
        self.keys().await.ok().map(|keys| keys.fingerprint(&text))
    }
}

#[cfg(test)]
mod tests {
    use hearth_domain::{Secret, UserId};
    use hearth_providers::ProviderConfig;

    use super::*;

    fn provider(key: &str) -> HttpProvider {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let endpoint = ProviderConfig::default().endpoint("openai", Some(Secret::new(key))).unwrap();
        HttpProvider::new(endpoint, reqwest::Client::new())
    }

    fn found(found: Option<i64>, tried: Option<i64>) -> Found {
        let at = |second: i64| Timestamp::from_unix(second);
        Found { found_at: found.map(at), tried_at: tried.map(at), ..Found::default() }
    }

    #[test]
    fn a_provider_is_asked_hourly_and_after_a_failure_once_a_minute() {
        let due = |state: &Found, second| state.is_due(Timestamp::from_unix(second));
        assert!(due(&Found::default(), 0));
        let answered = found(Some(0), Some(0));
        assert!(!due(&answered, 3599) && due(&answered, 3600));
        let failed = found(None, Some(0));
        assert!(!due(&failed, 59) && due(&failed, 60));
        // It answered long ago, and failed just now.
        let stale = found(Some(0), Some(4000));
        assert!(!due(&stale, 4059) && due(&stale, 4060));
    }

    #[test]
    fn each_key_and_each_owner_has_finds_of_its_own() {
        let finds = Finds::default();
        let (operator, user) = (KeyOwner::Operator, KeyOwner::User(UserId::new()));
        let slot = finds.slot(operator, &provider("a"));
        assert!(Arc::ptr_eq(&slot, &finds.slot(operator, &provider("a"))));
        assert!(!Arc::ptr_eq(&slot, &finds.slot(user, &provider("a"))));
        assert!(!Arc::ptr_eq(&slot, &finds.slot(operator, &provider("b"))));
        assert!(!format!("{slot:?}").contains("Secret(\"a"));
    }

    #[test]
    fn a_model_is_found_by_its_name() {
        let listed = |id: &str| Listed { id: id.to_owned(), created: None, told: Default::default() };
        let found = Found { models: Some(["a", "c"].map(listed).into()), ..Found::default() };
        assert_eq!(found.listed("c").map(|listed| listed.id.as_str()), Some("c"));
        assert_eq!(found.listed("b"), None);
        assert_eq!(Found::default().listed("a"), None);
    }
}
