//! Errors as messages of a socket.

use hearth_gateway::sockets::SocketId;
use hearth_wire::{ApiError, native::sockets::SocketMessage};

/// The message of an error.
pub(crate) fn error_message(error: &ApiError, socket: &SocketId) -> String {
    let error = error.envelope(socket.as_str()).error;
    serde_json::to_string(&SocketMessage::Error { error }).unwrap_or_default()
}
