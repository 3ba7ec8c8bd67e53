//! Routing as it is in force at one moment.

use std::ops::Deref;

use hearth_domain::{Timestamp, hex};
use sha2::{Digest as _, Sha256};

use crate::settings::Routing;

/// Routing as it is in force at one moment. A request keeps its snapshot when another one takes its place.
#[derive(Debug)]
pub(crate) struct RoutingSnapshot {
    routing: Routing,
    /// Digest of the routing, for cache keys.
    pub(crate) digest: String,
    /// The stored version that it follows; none if it follows the settings of this process alone.
    pub(super) stored: Option<StoredVersion>,
    /// Number of the snapshots before it in this process.
    pub(crate) sequence: u64,
}

/// A stored version, as far as it identifies one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StoredVersion {
    pub(super) number: u64,
    /// Differs if a table with another version of the same number was restored.
    pub(super) created_at: Timestamp,
}

impl RoutingSnapshot {
    pub(crate) fn new(routing: Routing, stored: Option<StoredVersion>, sequence: u64) -> Self {
        Self { digest: digest_of(&routing), routing, stored, sequence }
    }

    /// The number of the stored version that it follows; 0 for none.
    pub(super) fn version(&self) -> u64 {
        self.stored.map_or(0, |stored| stored.number)
    }
}

impl Deref for RoutingSnapshot {
    type Target = Routing;

    fn deref(&self) -> &Routing {
        &self.routing
    }
}

/// Digest of the routing: with another one a model may answer differently.
fn digest_of(routing: &Routing) -> String {
    let Routing { providers, aliases, fallbacks, selection, models: _, model_info } = routing;
    // Metadata of models doesn't change their answers; the default parameters of requests do.
    let parts = (providers, aliases, fallbacks, selection, model_info.all_defaults());
    hex(Sha256::digest(format!("{parts:?}")))
}
