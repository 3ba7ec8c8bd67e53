//! The configuration of routing: the settings of this process, with the stored configuration over them.
//!
//! Processes that share a store, as on Lambda, read the stored configuration again after the refresh interval, before the
//! request that finds that due: a process that is frozen after its response couldn't complete a read later. A process that
//! owns its store reads it once; each change is its own. A new version replaces the latest snapshot as a whole. A version that this process can't read, or whose settings are invalid, replaces
//! nothing: it is a problem that `GET /ready` and the log show.
//!
//! - `snapshot`: routing at one moment; `versions`: reads, stores and restores versions.

mod snapshot;
mod versions;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hearth_settings::RoutingDocument;
use hearth_store::{Store, StoreError, configuration::ConfigurationVersion};
use serde_json::Value;
use tokio::time::timeout;

pub(crate) use snapshot::RoutingSnapshot;

use crate::{
    background::{self, Background},
    moment::Moment,
    public_address::is_public,
    settings::Routing,
};
use snapshot::StoredVersion;

/// Timeout of a read of the stored configuration, with the wait for another read or a change. A request may wait for it.
const READ_TIMEOUT: Duration = Duration::from_secs(3);
/// Interval until the next read after one that failed.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);

/// The configuration of routing.
#[derive(Debug)]
pub struct Configuration {
    store: Store,
    /// The settings of this process.
    own: Routing,
    /// Interval until the next read after a complete one.
    refresh_interval: Duration,
    background: Background,
    /// Allows providers with private addresses in the stored configuration.
    allows_private: bool,
    in_force: Mutex<InForce>,
    /// Held while the stored configuration is read or changed.
    storing: tokio::sync::Mutex<()>,
}

/// The snapshot in force, and the time of the latest read.
#[derive(Debug)]
struct InForce {
    snapshot: Arc<RoutingSnapshot>,
    /// The reason why the stored version isn't in force.
    problem: Option<String>,
    /// The latest read; none before the first.
    latest_read: Option<Read>,
}

/// A read of the stored configuration.
#[derive(Debug, Clone, Copy)]
struct Read {
    at: Moment,
    /// Interval until the next read.
    interval: Duration,
    /// The time at which the next read began in the background.
    next_began: Option<Moment>,
}

/// Age of the snapshot in force.
enum Age {
    Fresh,
    /// The caller starts the next read; until it is complete, other callers get the snapshot as fresh.
    Stale,
    /// Nothing was read yet.
    Unread,
}

/// The state of the configuration in this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigurationState {
    /// The stored version in force; 0 if none is, so that the settings of this process apply alone.
    pub version_in_force: u64,
    /// The reason why the latest stored version isn't in force, if it isn't.
    pub problem: Option<String>,
}

impl Configuration {
    /// `allows_private`: a stored provider may have an address in the gateway's own network. A process that runs on after a
    /// response is the only one with its store.
    pub(crate) fn new(
        store: Store,
        own: Routing,
        refresh_interval: Duration,
        allows_private: bool,
        background: Background,
    ) -> Self {
        let snapshot = Arc::new(RoutingSnapshot::new(own.clone(), None, 0));
        let in_force = Mutex::new(InForce { snapshot, problem: None, latest_read: None });
        let storing = tokio::sync::Mutex::default();
        let refresh_interval = if background.outlives_response() { Duration::MAX } else { refresh_interval };
        Self { store, own, refresh_interval, background, allows_private, in_force, storing }
    }

    /// The settings of this process, without the stored configuration.
    pub(crate) fn own(&self) -> &Routing {
        &self.own
    }

    /// Routing as it is in force. The first caller waits until the stored configuration is read.
    pub(crate) async fn current(self: &Arc<Self>) -> Arc<RoutingSnapshot> {
        match self.in_force() {
            (snapshot, Age::Fresh) => return snapshot,
            (snapshot, Age::Stale) if self.background.outlives_response() => {
                let configuration = Arc::clone(self);
                drop(background::spawn(async move { configuration.refresh().await }));
                return snapshot;
            }
            // Boxed: the future is large, and few requests wait.
            (_, Age::Stale | Age::Unread) => Box::pin(self.refresh()).await,
        }
        Arc::clone(&self.locked().snapshot)
    }

    /// Routing by the stored configuration as it is now, for a change that depends on it.
    pub(crate) async fn latest(&self) -> Arc<RoutingSnapshot> {
        if let Some(latest) = &mut self.locked().latest_read {
            latest.interval = Duration::ZERO;
        }
        self.refresh().await;
        Arc::clone(&self.locked().snapshot)
    }

    /// The state of the configuration, read again if that is due.
    pub async fn state(self: &Arc<Self>) -> ConfigurationState {
        let version_in_force = self.current().await.version();
        ConfigurationState { version_in_force, problem: self.locked().problem.clone() }
    }

    /// Reads the stored configuration, unless another task has read it meanwhile. In spite of a slow store, or of a change
    /// that waits for one, it ends within the timeout; the snapshot of before stays then.
    async fn refresh(&self) {
        let read = async {
            let _storing = self.storing.lock().await;
            if self.locked().latest_read.is_none_or(|latest| latest.is_due()) {
                self.read().await;
            }
        };
        if timeout(READ_TIMEOUT, read).await.is_err() {
            let reason = format!("no answer within {} s", READ_TIMEOUT.as_secs());
            let error = StoreError::Unavailable { operation: "the read of the configuration", reason };
            self.set_problem(format!("the stored configuration can't be read: {error}"), RETRY_INTERVAL);
        }
    }

    /// Reads the stored configuration, and puts it in force. The caller holds the lock.
    async fn read(&self) {
        let before = self.locked().snapshot.stored;
        let result = self.store.configurations().current().await;
        let current = match result {
            Ok(Some(current)) => current,
            Ok(None) => {
                self.put_in_force(self.own.clone(), None);
                return;
            }
            Err(error @ StoreError::Unreadable(_)) => {
                self.keep(format!("the stored configuration can't be read: {error}"), before).await;
                return;
            }
            Err(error) => {
                self.set_problem(format!("the stored configuration can't be read: {error}"), RETRY_INTERVAL);
                return;
            }
        };
        let number = current.number;
        match current.version.map_err(|error| error.to_string()) {
            Ok(version) if before.is_some() && before == Some(identify(&version)) => self.keep_in_force(),
            Ok(version) => match self.routing_of(&version) {
                Ok(routing) => self.put_in_force(routing, Some(identify(&version))),
                Err(problem) => self.keep(not_in_force(number, &problem), before).await,
            },
            Err(problem) => self.keep(not_in_force(number, &problem), before).await,
        }
    }

    /// Keeps the routing in force in spite of a stored version that can't be followed. A process that follows no stored
    /// version, such as a new one, follows the latest that it can.
    async fn keep(&self, problem: String, before: Option<StoredVersion>) {
        if before.is_none() {
            let versions = self.store.configurations().versions().await.unwrap_or_default();
            let valid = versions.iter().find_map(|version| Some((version, self.routing_of(version).ok()?)));
            if let Some((version, routing)) = valid {
                self.put_in_force(routing, Some(identify(version)));
            }
        }
        self.set_problem(problem, self.refresh_interval);
    }

    /// Routing as a stored version has it.
    fn routing_of(&self, version: &ConfigurationVersion) -> Result<Routing, String> {
        self.check(&serde_json::from_str(&version.settings).map_err(|error| error.to_string())?)
    }

    /// Checks settings as a process checks its settings file; returns the routing that they make with those of this
    /// process. The error begins with the setting's name.
    fn check(&self, settings: &Value) -> Result<Routing, String> {
        let document = RoutingDocument::parse(settings).map_err(|error| error.to_string())?;
        let routing = self.own.with_document(&document).map_err(|error| error.to_string())?;
        for (name, provider) in document.providers.iter().filter(|_| !self.allows_private) {
            if provider.base_url.as_deref().is_some_and(|url| !is_public(url)) {
                return Err(format!(
                    "providers.{name}.base_url: this gateway calls public addresses that begin with https:// only; \
                     AllowPrivateNodes of its stack allows others"
                ));
            }
        }
        Ok(routing)
    }

    /// Replaces the snapshot.
    fn put_in_force(&self, routing: Routing, stored: Option<StoredVersion>) {
        let mut in_force = self.locked();
        let before = &in_force.snapshot;
        // Without a change the snapshot stays, and with it what was built for it.
        if before.stored != stored {
            let version = stored.map(|stored| stored.number);
            tracing::info!(version, "a stored configuration is in force");
            in_force.snapshot = Arc::new(RoutingSnapshot::new(routing, stored, before.sequence + 1));
        }
        in_force.problem = None;
        in_force.latest_read = Some(Read::now(self.refresh_interval));
    }

    fn keep_in_force(&self) {
        let mut in_force = self.locked();
        in_force.problem = None;
        in_force.latest_read = Some(Read::now(self.refresh_interval));
    }

    fn set_problem(&self, problem: String, retry_after: Duration) {
        let mut in_force = self.locked();
        if in_force.problem.as_ref() != Some(&problem) {
            let version = in_force.snapshot.version();
            tracing::warn!(problem, version, "the routing of before stays in force");
        }
        in_force.problem = Some(problem);
        in_force.latest_read = Some(Read::now(retry_after));
    }

    fn in_force(&self) -> (Arc<RoutingSnapshot>, Age) {
        let mut in_force = self.locked();
        let snapshot = Arc::clone(&in_force.snapshot);
        (snapshot, in_force.latest_read.as_mut().map_or(Age::Unread, Read::age))
    }

    fn locked(&self) -> MutexGuard<'_, InForce> {
        self.in_force.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Read {
    fn now(interval: Duration) -> Self {
        Self { at: Moment::now(), interval, next_began: None }
    }

    /// True if it is time for the next read.
    fn is_due(&self) -> bool {
        self.at.age() >= self.interval
    }

    /// The age of the snapshot. The first caller to see it stale begins the next read.
    fn age(&mut self) -> Age {
        if !self.is_due() {
            return Age::Fresh;
        }
        // A request that is cancelled may never complete a read.
        if self.next_began.is_some_and(|began| began.age() < RETRY_INTERVAL) {
            return Age::Fresh;
        }
        self.next_began = Some(Moment::now());
        Age::Stale
    }
}

fn identify(version: &ConfigurationVersion) -> StoredVersion {
    StoredVersion { number: version.number, created_at: version.created_at }
}

fn not_in_force(number: u64, problem: &str) -> String {
    format!("version {number} of the configuration can't be followed: {problem}")
}

#[cfg(test)]
mod tests;
