//! The components and settings that all runs share.

use std::sync::{Arc, LazyLock};

use super::{active::ActiveRuns, summary::RunMetrics, waiting::WaitingRuns};
use crate::{
    access::Access, artifacts::Artifacts, limits::Limiter, providers::Providers, record::Records,
    routing::Router,
};

/// The components and settings that all runs share.
#[derive(Debug)]
pub(crate) struct RunContext {
    pub(super) router: Arc<Router>,
    pub(super) providers: Arc<Providers>,
    pub(super) artifacts: Arc<Artifacts>,
    pub(super) records: Arc<Records>,
    pub(super) access: Arc<Access>,
    pub(super) active: ActiveRuns,
    /// The runs that wait for a node.
    pub(super) waiting: Arc<WaitingRuns>,
    pub(super) limits: Arc<Limiter>,
    /// Limit of the bytes of one answer.
    pub(super) answer_max_bytes: u64,
    /// Made at the first run, when the recorder of metrics is installed.
    pub(super) metrics: LazyLock<RunMetrics>,
}

impl RunContext {
    pub(super) fn new(
        router: Arc<Router>,
        providers: Arc<Providers>,
        artifacts: Arc<Artifacts>,
        records: Arc<Records>,
        access: Arc<Access>,
        limits: Arc<Limiter>,
        answer_max_bytes: u64,
    ) -> Self {
        let (active, metrics) = (ActiveRuns::default(), LazyLock::new(RunMetrics::new as fn() -> RunMetrics));
        let waiting = Arc::default();
        Self {
            router,
            providers,
            artifacts,
            records,
            access,
            active,
            waiting,
            limits,
            answer_max_bytes,
            metrics,
        }
    }
}
