//! Single flight: of concurrent identical requests one computes the result, and the others wait for it.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

/// The answers that are being computed.
#[derive(Debug)]
pub(crate) struct Flights<K, T>(Arc<Mutex<Receivers<K, T>>>);

type Receivers<K, T> = HashMap<K, watch::Receiver<Option<T>>>;

impl<K, T> Default for Flights<K, T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

/// The role of a request in a flight.
#[derive(Debug)]
pub(crate) enum Entrance<K: Eq + Hash, T> {
    /// The first request computes the answer.
    Lead(Leader<K, T>),
    /// The others wait for it.
    Follow(Follower<T>),
}

/// The leader of a flight. If it is dropped without an answer, one follower becomes the leader.
#[derive(Debug)]
pub(crate) struct Leader<K: Eq + Hash, T> {
    flights: Arc<Mutex<Receivers<K, T>>>,
    key: K,
    sender: watch::Sender<Option<T>>,
}

/// A request that waits for the leader's answer.
#[derive(Debug)]
pub(crate) struct Follower<T>(watch::Receiver<Option<T>>);

impl<K: Eq + Hash + Clone, T> Flights<K, T> {
    /// Joins the flight of `key`, or starts it.
    pub(crate) fn enter(&self, key: &K) -> Entrance<K, T> {
        let mut flights = lock(&self.0);
        if let Some(receiver) = flights.get(key) {
            return Entrance::Follow(Follower(receiver.clone()));
        }
        let (sender, receiver) = watch::channel(None);
        flights.insert(key.clone(), receiver);
        Entrance::Lead(Leader { flights: Arc::clone(&self.0), key: key.clone(), sender })
    }
}

impl<K: Eq + Hash, T> Leader<K, T> {
    /// Hands the answer to all followers and ends the flight.
    pub(crate) fn finish(self, answer: T) {
        self.sender.send_replace(Some(answer));
    }
}

impl<K: Eq + Hash, T> Drop for Leader<K, T> {
    fn drop(&mut self) {
        // Remove the flight before waking the followers, so that the first to wake starts a new one.
        lock(&self.flights).remove(&self.key);
    }
}

impl<T: Clone> Follower<T> {
    /// Waits for the answer; none if the leader has failed.
    pub(crate) async fn wait(mut self) -> Option<T> {
        let answer = self.0.wait_for(Option::is_some).await.ok()?;
        answer.clone()
    }
}

fn lock<K, T>(flights: &Mutex<Receivers<K, T>>) -> MutexGuard<'_, Receivers<K, T>> {
    flights.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
