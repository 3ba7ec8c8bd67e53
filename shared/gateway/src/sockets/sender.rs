//! The seam of sockets: who sends over them, where they are.

use std::fmt;

use async_trait::async_trait;

/// Id of an open socket: of API Gateway, or of this process.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SocketId(String);

impl SocketId {
    /// The id of a socket that was opened elsewhere.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// An id for a new socket of this process.
    #[must_use]
    pub fn generate() -> Self {
        Self(format!("sock_{:032x}", rand::random::<u128>()))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SocketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reason why a message wasn't sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SocketError {
    /// The socket is closed.
    #[error("the socket is closed")]
    Gone,
    /// The service in front of the gateway failed.
    #[error("a message can't be sent over the socket: {0}")]
    Failed(String),
}

/// Sends over sockets. Home: [`super::hub::SocketHub`]; cloud: API Gateway's management API.
#[async_trait]
pub trait SocketSender: fmt::Debug + Send + Sync {
    /// Sends a text.
    ///
    /// # Errors
    /// `Gone` if the socket is closed, or its client reads too slowly and it is closed therefore.
    async fn send(&self, socket: &SocketId, text: String) -> Result<(), SocketError>;

    /// Closes a socket.
    ///
    /// # Errors
    /// `Gone` if it is closed already.
    async fn close(&self, socket: &SocketId) -> Result<(), SocketError>;
}

/// The service that has the gateway's sockets, in front of its processes.
#[derive(Debug, Clone)]
pub struct SocketService {
    /// The address to which nodes and clients connect, `wss://...`.
    pub url: String,
    /// Sends over its sockets.
    pub sender: std::sync::Arc<dyn SocketSender>,
}
