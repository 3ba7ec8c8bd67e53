//! The sockets of this process.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use hearth_store::sockets::SocketOwner;
use tokio::sync::mpsc::{self, error::TrySendError};

use super::sender::{SocketError, SocketId, SocketSender};

/// Limit of the number of sockets of a process.
const SOCKET_MAX_COUNT: usize = 10_000;
/// Messages that wait for one socket. A client that reads more slowly is disconnected.
pub const SOCKET_QUEUE_MAX_COUNT: usize = 64;

/// Sends over the sockets of this process.
#[derive(Debug, Clone, Default)]
pub struct SocketHub(Arc<Mutex<Places>>);

#[derive(Debug, Default)]
struct Places {
    /// Number of the latest socket.
    latest: u64,
    open: HashMap<SocketId, Place>,
}

#[derive(Debug)]
struct Place {
    owner: SocketOwner,
    /// Its position in the order of opening.
    number: u64,
    sender: mpsc::Sender<String>,
}

/// An open socket's place in the hub, which ends when it is dropped, and the messages to send over it.
#[derive(Debug)]
pub struct HubSocket {
    hub: SocketHub,
    id: SocketId,
    messages: mpsc::Receiver<String>,
}

impl SocketHub {
    /// Adds an open socket. Closes the oldest of its owner if they have `owner_max_count`. None if all owners together have too
    /// many.
    pub(super) fn open(
        &self,
        id: &SocketId,
        owner: SocketOwner,
        owner_max_count: usize,
    ) -> Option<HubSocket> {
        let (sender, messages) = mpsc::channel(SOCKET_QUEUE_MAX_COUNT);
        let mut places = self.places();
        // Counted under the lock: many that are opened at once are within the limit too.
        let own = places.open.iter().filter(|(_, place)| place.owner == owner);
        let mut own: Vec<_> = own.map(|(id, place)| (place.number, id.clone())).collect();
        if own.len() >= owner_max_count {
            own.sort_unstable_by_key(|(number, _)| *number);
            for (_, oldest) in own.iter().take(own.len() + 1 - owner_max_count) {
                places.open.remove(oldest);
            }
        }
        if places.open.len() >= SOCKET_MAX_COUNT {
            return None;
        }
        places.latest += 1;
        let place = Place { owner, number: places.latest, sender };
        places.open.insert(id.clone(), place);
        Some(HubSocket { hub: self.clone(), id: id.clone(), messages })
    }

    /// Closes every socket, when the process stops.
    pub fn close_all(&self) {
        self.places().open.clear();
    }

    /// The number of open sockets.
    #[must_use]
    pub fn count(&self) -> usize {
        self.places().open.len()
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl SocketSender for SocketHub {
    async fn send(&self, socket: &SocketId, text: String) -> Result<(), SocketError> {
        let mut places = self.places();
        let place = places.open.get(socket).ok_or(SocketError::Gone)?;
        match place.sender.try_send(text) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(_) | TrySendError::Closed(_)) => {
                places.open.remove(socket);
                Err(SocketError::Gone)
            }
        }
    }

    async fn close(&self, socket: &SocketId) -> Result<(), SocketError> {
        self.places().open.remove(socket).map(drop).ok_or(SocketError::Gone)
    }
}

impl HubSocket {
    /// The socket's id.
    #[must_use]
    pub fn id(&self) -> &SocketId {
        &self.id
    }

    /// The next message to send; none when the socket is to be closed.
    #[crate::boxed_future]
    pub async fn next(&mut self) -> Option<String> {
        self.messages.recv().await
    }
}

impl Drop for HubSocket {
    fn drop(&mut self) {
        self.hub.places().open.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use hearth_domain::{NodeId, UserId};

    use super::*;

    fn owner() -> SocketOwner {
        SocketOwner::User(UserId::new())
    }

    #[tokio::test]
    async fn owners_next_socket_at_the_limit_closes_the_oldest_and_none_of_others() {
        let (hub, owner) = (SocketHub::default(), owner());
        let mut other = hub.open(&SocketId::generate(), SocketOwner::Node(NodeId::new()), 2).unwrap();
        let mut sockets: Vec<_> =
            (0..5).map(|_| hub.open(&SocketId::generate(), owner, 2).unwrap()).collect();
        assert_eq!(hub.count(), 3);
        for closed in &mut sockets[..3] {
            assert_eq!(closed.next().await, None);
        }
        for open in sockets[3..].iter_mut().chain([&mut other]) {
            hub.send(open.id(), "a".to_owned()).await.unwrap();
            assert_eq!(open.next().await.as_deref(), Some("a"));
        }
    }

    #[tokio::test]
    async fn message_reaches_an_open_socket_and_a_closed_one_is_gone() {
        let (hub, id) = (SocketHub::default(), SocketId::generate());
        assert_eq!(hub.send(&id, "a".to_owned()).await, Err(SocketError::Gone));
        let mut socket = hub.open(&id, owner(), 1).unwrap();
        hub.send(&id, "a".to_owned()).await.unwrap();
        assert_eq!(socket.next().await.as_deref(), Some("a"));
        hub.close(&id).await.unwrap();
        assert_eq!(socket.next().await, None);
        assert_eq!(hub.close(&id).await, Err(SocketError::Gone));
    }

    #[tokio::test]
    async fn slow_reader_is_disconnected() {
        let (hub, id) = (SocketHub::default(), SocketId::generate());
        let mut socket = hub.open(&id, owner(), 1).unwrap();
        for _ in 0..SOCKET_QUEUE_MAX_COUNT {
            hub.send(&id, "a".to_owned()).await.unwrap();
        }
        assert_eq!(hub.send(&id, "a".to_owned()).await, Err(SocketError::Gone));
        assert_eq!(hub.count(), 0);
        let mut received = 0;
        while socket.next().await.is_some() {
            received += 1;
        }
        assert_eq!(received, SOCKET_QUEUE_MAX_COUNT);
    }
}
