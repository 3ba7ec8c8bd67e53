//! The place of a job among those that send to its endpoint, where processes share the store. The queue of one process bounds them
//! itself.

use std::time::Duration;

use hearth_domain::{JobId, OrganisationId};
use hearth_store::{Store, StoreError};

use super::CLAIM_TTL;
use crate::{components::Components, jobs::engine::LeasedJob};

/// Deliveries to one endpoint at a time.
const PLACES_COUNT: u32 = 8;
/// Time after which a job without a place asks again, at the earliest.
pub(super) const PLACE_WAIT_INTERVAL: Duration = Duration::from_secs(1);

/// The place of a job, which has to be released.
pub(super) struct EndpointPlace<'a> {
    store: &'a Store,
    endpoint: Option<(OrganisationId, u32)>,
    job: JobId,
    is_taken: bool,
}

impl<'a> EndpointPlace<'a> {
    pub(super) fn new(components: &'a Components, organisation: OrganisationId, job: &LeasedJob) -> Self {
        let group = job.group().filter(|_| !components.background.outlives_response());
        let endpoint = group.map(|group| (organisation, group));
        Self { store: &components.store, endpoint, job: job.id(), is_taken: false }
    }

    /// Takes a place for one try, or takes it again. Returns false if others have all places.
    ///
    /// # Errors
    /// If the store fails.
    pub(super) async fn take(&mut self) -> Result<bool, StoreError> {
        let Some(endpoint) = self.endpoint else { return Ok(true) };
        self.is_taken =
            self.store.deliveries().take_place(endpoint, self.job, PLACES_COUNT, CLAIM_TTL).await?;
        Ok(self.is_taken)
    }

    /// Gives the place up. If the store fails, it is free after the time of a claim.
    pub(super) async fn release(self) {
        let Some(endpoint) = self.endpoint.filter(|_| self.is_taken) else { return };
        if let Err(error) = self.store.deliveries().release_place(endpoint, self.job).await {
            tracing::warn!(job = %self.job, %error, "the place of a delivery is free later");
        }
    }
}
