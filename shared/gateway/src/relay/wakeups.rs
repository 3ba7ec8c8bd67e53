//! Wakes tasks of this process that wait for a change.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

type Senders<K> = Arc<Mutex<HashMap<K, watch::Sender<()>>>>;

/// The tasks that wait, by what they wait for.
#[derive(Debug)]
pub(super) struct Wakeups<K>(Senders<K>);

impl<K> Default for Wakeups<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

/// A task's place among those that wait. It is woken by each change since it has last waited, or was made.
#[derive(Debug)]
pub(super) struct Wakeup<K: Eq + Hash> {
    senders: Senders<K>,
    key: K,
    receiver: watch::Receiver<()>,
}

impl<K: Eq + Hash + Clone> Wakeups<K> {
    /// Begins to wait for changes of `key`.
    pub(super) fn subscribe(&self, key: K) -> Wakeup<K> {
        let receiver = locked(&self.0).entry(key.clone()).or_insert_with(|| watch::channel(()).0).subscribe();
        Wakeup { senders: Arc::clone(&self.0), key, receiver }
    }

    /// Wakes those who wait for `key`.
    pub(super) fn wake(&self, key: &K) {
        if let Some(sender) = locked(&self.0).get(key) {
            sender.send_replace(());
        }
    }
}

impl<K: Eq + Hash> Wakeup<K> {
    /// Waits for a change.
    pub(super) async fn changed(&mut self) {
        if self.receiver.changed().await.is_err() {
            std::future::pending().await
        }
    }
}

impl<K: Eq + Hash> Drop for Wakeup<K> {
    fn drop(&mut self) {
        let mut senders = locked(&self.senders);
        // This one is still counted.
        if senders.get(&self.key).is_some_and(|sender| sender.receiver_count() <= 1) {
            senders.remove(&self.key);
        }
    }
}

fn locked<K>(
    senders: &Mutex<HashMap<K, watch::Sender<()>>>,
) -> MutexGuard<'_, HashMap<K, watch::Sender<()>>> {
    senders.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn change_before_the_wait_wakes_and_the_last_drop_forgets_the_key() {
        let wakeups = Wakeups::default();
        let (mut first, second) = (wakeups.subscribe(1), wakeups.subscribe(1));
        wakeups.wake(&1);
        first.changed().await;
        drop(first);
        assert_eq!(locked(&wakeups.0).len(), 1);
        drop(second);
        assert!(locked(&wakeups.0).is_empty());
        wakeups.wake(&1);
    }
}
