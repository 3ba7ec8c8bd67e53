//! The jobs under leases of this process.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hearth_domain::JobId;

use super::lease::{Lease, StopSlice};
use crate::activity;

/// The leases of this process, by their jobs.
#[derive(Default)]
pub(super) struct ActiveJobs(Mutex<HashMap<JobId, Option<Arc<Lease>>>>);

impl std::fmt::Debug for ActiveJobs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ActiveJobs")
    }
}

/// A job's place among the active ones, until it is dropped.
pub(super) struct ActiveJob<'a> {
    jobs: &'a ActiveJobs,
    id: JobId,
}

impl ActiveJobs {
    /// Takes a job's place; none if this process carries it out already.
    pub(super) fn begin(&self, id: JobId) -> Option<ActiveJob<'_>> {
        activity::of_process().note();
        let mut jobs = self.lock();
        if jobs.contains_key(&id) {
            return None;
        }
        jobs.insert(id, None);
        Some(ActiveJob { jobs: self, id })
    }

    /// Has the slice of a job stop, if this process carries it out.
    pub(super) fn stop(&self, id: JobId, reason: StopSlice) {
        if let Some(Some(lease)) = self.lock().get(&id) {
            lease.stop(reason);
        }
    }

    /// Has every slice stop.
    pub(super) fn stop_all(&self) {
        for lease in self.lock().values().flatten() {
            lease.stop(StopSlice::ProcessStops);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<JobId, Option<Arc<Lease>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ActiveJob<'_> {
    /// Sets the lease by which the job can be stopped.
    pub(super) fn set(&self, lease: Arc<Lease>) {
        self.jobs.lock().insert(self.id, Some(lease));
    }
}

impl Drop for ActiveJob<'_> {
    fn drop(&mut self) {
        activity::of_process().note();
        self.jobs.lock().remove(&self.id);
    }
}
