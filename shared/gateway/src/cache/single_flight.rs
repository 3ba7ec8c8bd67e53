//! Of those who want the same at the same time one gets it, and the others wait for that one.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

/// What is being got at present.
#[derive(Debug)]
pub(crate) struct Flights<K, T>(Arc<Mutex<Landings<K, T>>>);

type Landings<K, T> = HashMap<K, watch::Receiver<Option<T>>>;

impl<K, T> Default for Flights<K, T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

/// Who comes first, and who after.
#[derive(Debug)]
pub(crate) enum Place<K: Eq + Hash, T> {
    /// Nobody is getting it: you do.
    First(Leader<K, T>),
    /// Somebody is.
    After(Follower<T>),
}

/// Whoever gets it for all. Dropped without it, one of those who wait may try.
#[derive(Debug)]
pub(crate) struct Leader<K: Eq + Hash, T> {
    flights: Arc<Mutex<Landings<K, T>>>,
    key: K,
    tell: watch::Sender<Option<T>>,
}

/// Whoever waits for it.
#[derive(Debug)]
pub(crate) struct Follower<T>(watch::Receiver<Option<T>>);

impl<K: Eq + Hash + Clone, T> Flights<K, T> {
    pub(crate) fn enter(&self, key: &K) -> Place<K, T> {
        let mut flights = lock(&self.0);
        if let Some(landing) = flights.get(key) {
            return Place::After(Follower(landing.clone()));
        }
        let (tell, landing) = watch::channel(None);
        flights.insert(key.clone(), landing);
        Place::First(Leader { flights: Arc::clone(&self.0), key: key.clone(), tell })
    }
}

impl<K: Eq + Hash, T> Leader<K, T> {
    /// Gives it to those who wait. Whoever comes later finds nobody getting it.
    pub(crate) fn land(self, what: T) {
        self.tell.send_replace(Some(what));
    }
}

impl<K: Eq + Hash, T> Drop for Leader<K, T> {
    fn drop(&mut self) {
        // Before those who wait are told that nobody gets it any more: the next is the first then.
        lock(&self.flights).remove(&self.key);
    }
}

impl<T: Clone> Follower<T> {
    /// Waits for it; none if it wasn't got.
    pub(crate) async fn landed(mut self) -> Option<T> {
        let landed = self.0.wait_for(Option::is_some).await.ok()?;
        landed.clone()
    }
}

fn lock<K, T>(flights: &Mutex<Landings<K, T>>) -> MutexGuard<'_, Landings<K, T>> {
    flights.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
