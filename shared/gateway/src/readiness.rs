//! The state of all that the gateway depends on: its stores, its configuration, its providers and its nodes.
//!
//! A gateway whose stores can't be used is not ready. One with a broken provider or node is degraded: it serves other requests.
//! The checks run at the same time, for a limited time, and their results serve for two seconds: probes are frequent, and some
//! checks cost money. A check that takes longer goes on in the background, so that its result is known to a later one.

mod store_checks;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use hearth_store::StoreCheck;
use tokio::{sync::Mutex, time::timeout};

use crate::{
    background::{self, Background},
    components::Components,
    moment::Moment,
    nodes::{NodeProbe, NodeState},
    providers::breaker::State,
};
use store_checks::{StoreChecks, StoresState};

/// Age at which the dependencies are checked again.
const REPORT_TTL: Duration = Duration::from_secs(2);
/// Timeout of the checks: a probe's answer takes 100 ms at most.
const CHECK_TIMEOUT: Duration = Duration::from_millis(80);
/// The same in the cloud, where the first check of a process opens its connections.
const CLOUD_CHECK_TIMEOUT: Duration = Duration::from_secs(3);

/// The state of a node whose owner has it drained, which is no problem.
const DRAINING: &str = "draining";

/// Readiness of the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Readiness {
    /// Everything works.
    Ready,
    /// It serves requests, and something that it depends on doesn't work.
    Degraded,
    /// It can't serve requests.
    NotReady,
}

impl Readiness {
    /// The name in answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Degraded => "degraded",
            Self::NotReady => "not ready",
        }
    }
}

/// The state of one dependency.
#[derive(Debug, Clone)]
pub struct DependencyState {
    /// The kind.
    pub kind: DependencyKind,
    /// The name.
    pub name: String,
    /// `ok`, or the problem.
    pub state: &'static str,
    /// Time that the check took, if it was made.
    pub took: Option<Duration>,
}

/// The kind of a dependency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DependencyKind {
    /// A store, or the configuration.
    Own,
    /// A provider.
    Provider,
    /// A node.
    Node,
}

/// The state of all dependencies.
#[derive(Debug, Clone)]
pub struct ReadinessReport {
    /// The sum of them.
    pub readiness: Readiness,
    /// Each of them.
    pub dependencies: Vec<DependencyState>,
}

/// The latest report.
#[derive(Debug)]
pub(crate) struct ReadinessCache {
    started: Moment,
    latest: Mutex<Latest>,
}

#[derive(Debug, Default)]
struct Latest {
    report: Option<(Moment, Arc<ReadinessReport>)>,
    stores: StoreChecks,
}

impl Default for ReadinessCache {
    fn default() -> Self {
        Self { started: Moment::now(), latest: Mutex::default() }
    }
}

impl ReadinessCache {
    /// Time since the start of the process.
    pub(crate) fn uptime(&self) -> Duration {
        self.started.age()
    }
}

/// The state of the dependencies, two seconds old at most.
pub(crate) async fn report(components: &Components) -> Arc<ReadinessReport> {
    // Probes that come meanwhile wait for the same checks.
    let mut latest = components.readiness.latest.lock().await;
    if let Some((at, report)) = &latest.report
        && at.age() < REPORT_TTL
    {
        return Arc::clone(report);
    }
    let report = Arc::new(check(components, &mut latest.stores).await);
    latest.report = Some((Moment::now(), Arc::clone(&report)));
    report
}

async fn check(components: &Components, stores: &mut StoreChecks) -> ReadinessReport {
    let outlives_response = components.background.outlives_response();
    let limit = if outlives_response { CHECK_TIMEOUT } else { CLOUD_CHECK_TIMEOUT };
    let began = Instant::now();
    let stores = {
        let store = components.store.clone();
        stores.run(components.background, limit, async move { store.check(outlives_response).await })
    };
    let configuration = {
        let configuration = Arc::clone(&components.configuration);
        check_in_time(components.background, limit, async move { configuration.state().await })
    };
    // A function may read no keys of nodes and providers only to report their state.
    let nodes =
        async { if outlives_response { components.nodes.probe(limit).await } else { Some(Vec::new()) } };
    let providers = async {
        if !outlives_response {
            return Some(Arc::default());
        }
        let providers = Arc::clone(&components.providers);
        check_in_time(components.background, limit, async move { providers.configured().await }).await
    };
    let (stores, configuration, nodes, providers) = tokio::join!(stores, configuration, nodes, providers);
    let took = began.elapsed();
    let mut dependencies = Vec::new();
    let mut readiness = add_stores(&mut dependencies, &stores, took);
    let configuration = match configuration {
        None => "slow",
        Some(configuration) if configuration.problem.is_some() => "not in force",
        Some(_) => "ok",
    };
    dependencies.push(own("configuration", configuration, None));
    if providers.is_none() {
        dependencies.push(own("providers", "slow", None));
    }
    for provider in providers.iter().flat_map(|providers| providers.iter()) {
        let state = match components.providers.breakers.worst(provider.name(), Instant::now()) {
            State::Closed => "ok",
            open => open.as_str(),
        };
        let (kind, name) = (DependencyKind::Provider, provider.name().to_owned());
        dependencies.push(DependencyState { kind, name, state, took: None });
    }
    add_nodes(&mut dependencies, nodes);
    if dependencies.iter().any(|dependency| !matches!(dependency.state, "ok" | DRAINING)) {
        readiness = readiness.max(Readiness::Degraded);
    }
    ReadinessReport { readiness, dependencies }
}

/// The result of a check, if it is complete within `limit`. Where the process runs on, a check that takes longer goes on.
async fn check_in_time<T: Send + 'static>(
    background: Background,
    limit: Duration,
    check: impl Future<Output = T> + Send + 'static,
) -> Option<T> {
    if background.outlives_response() {
        return timeout(limit, background::spawn(check)).await.ok()?.ok();
    }
    timeout(limit, check).await.ok()
}

/// Adds the stores. `took`: time that the probe has waited for them.
fn add_stores(
    dependencies: &mut Vec<DependencyState>,
    stores: &StoresState<'_>,
    took: Duration,
) -> Readiness {
    let stores = match stores {
        StoresState::Checked(stores) => *stores,
        StoresState::Slow => {
            dependencies.push(own("stores", "slow", Some(took)));
            return Readiness::Degraded;
        }
        StoresState::Unavailable => {
            dependencies.push(own("stores", "unavailable", Some(took)));
            return Readiness::NotReady;
        }
    };
    let mut readiness = Readiness::Ready;
    for StoreCheck { name, problem, took } in stores {
        let state = match problem {
            None => "ok",
            Some(error) => {
                readiness = Readiness::NotReady;
                error.disk_problem().map_or("unavailable", |problem| problem.as_str())
            }
        };
        dependencies.push(own(name, state, Some(*took)));
    }
    readiness
}

/// Adds the nodes; `nodes` is none if the list of them can't be read.
fn add_nodes(dependencies: &mut Vec<DependencyState>, nodes: Option<Vec<NodeProbe>>) {
    if nodes.is_none() {
        dependencies.push(own("nodes", "unknown", None));
    }
    for NodeProbe { name, state, is_draining, took, .. } in nodes.into_iter().flatten() {
        let is_drained = is_draining && state == NodeState::Answers;
        let (kind, state) = (DependencyKind::Node, if is_drained { DRAINING } else { state.as_str() });
        dependencies.push(DependencyState { kind, name, state, took: Some(took) });
    }
}

fn own(name: &str, state: &'static str, took: Option<Duration>) -> DependencyState {
    DependencyState { kind: DependencyKind::Own, name: name.to_owned(), state, took }
}

#[cfg(test)]
mod tests {
    use hearth_store::Store;

    use super::*;
    use crate::{Gateway, HttpClients, Options, Routing};

    fn gateway(long_lived: bool) -> Gateway {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let options = Options { long_lived, ..Options::default() };
        Gateway::new(Store::unconnected(), HttpClients::new().unwrap(), options, Routing::default())
    }

    #[tokio::test]
    async fn gateway_whose_stores_fail_is_not_ready() {
        for long_lived in [true, false] {
            let gateway = gateway(long_lived);
            let report = gateway.readiness().await;
            assert_eq!(report.readiness, Readiness::NotReady);
            for name in ["table", "bucket", "secret"] {
                let check = report.dependencies.iter().find(|dependency| dependency.name == name);
                assert_eq!(check.map(|check| check.state), Some("unavailable"), "{name}");
            }
            // The same report serves the next probes.
            assert!(Arc::ptr_eq(&report, &gateway.readiness().await));
        }
    }
}
