//! Slots for the requests of batches: a number for each user in this process.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use hearth_domain::Owner;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Owners whose slots are looked through for unused ones.
const SWEEP_MIN_COUNT: usize = 256;

/// The slots of all users.
#[derive(Debug)]
pub(super) struct RequestSlots {
    user_count: usize,
    users: Mutex<HashMap<Owner, Weak<Semaphore>>>,
    taken: AtomicU64,
}

/// A slot that is in use until this is dropped.
#[derive(Debug)]
pub(super) struct RequestSlot {
    slots: Arc<RequestSlots>,
    _permit: OwnedSemaphorePermit,
}

impl RequestSlots {
    pub(super) fn new(user_count: u32) -> Self {
        Self { user_count: user_count as usize, users: Mutex::default(), taken: AtomicU64::new(0) }
    }

    /// Waits for a slot of `owner`, behind the requests that wait already.
    pub(super) async fn take(self: &Arc<Self>, owner: Owner) -> RequestSlot {
        loop {
            // A semaphore of this module is never closed.
            if let Ok(permit) = self.of(owner).acquire_owned().await {
                self.taken.fetch_add(1, Ordering::Relaxed);
                return RequestSlot { slots: Arc::clone(self), _permit: permit };
            }
        }
    }

    /// The number of slots in use, of all users.
    pub(super) fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    fn of(&self, owner: Owner) -> Arc<Semaphore> {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slots) = users.get(&owner).and_then(Weak::upgrade) {
            return slots;
        }
        if users.len() >= SWEEP_MIN_COUNT {
            users.retain(|_, slots| slots.strong_count() > 0);
        }
        let slots = Arc::new(Semaphore::new(self.user_count));
        users.insert(owner, Arc::downgrade(&slots));
        slots
    }
}

impl Drop for RequestSlot {
    fn drop(&mut self) {
        self.slots.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use hearth_domain::{OrganisationId, UserId};

    use super::*;

    #[tokio::test]
    async fn user_has_a_number_of_slots_and_no_other_user_waits_for_them() {
        let owner = || {
            let user = UserId::new();
            Owner { user, organisation: OrganisationId::of_operator(user) }
        };
        let (slots, first, second) = (Arc::new(RequestSlots::new(2)), owner(), owner());
        let taken = [slots.take(first).await, slots.take(first).await];
        assert!(slots.take(first).now_or_never().is_none());
        let other = slots.take(second).now_or_never().unwrap();
        assert_eq!(slots.taken(), 3);
        drop(taken);
        assert!(slots.take(first).now_or_never().is_some());
        drop(other);
        assert_eq!(slots.taken(), 0);
    }
}
