//! Violations of WebSocket's protocol by a client, and the codes with which its socket is closed (RFC 6455, section 7.4.1).

use std::error::Error as _;

use axum::extract::ws::{CloseCode, close_code};
use tungstenite::error::{Error, ProtocolError};

/// Violation after which nothing more is read of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SocketViolation {
    /// A frame that RFC 6455 doesn't allow, such as an unmasked one.
    Protocol,
    /// A text that isn't UTF-8.
    InvalidText,
    /// A message over the socket's limit.
    MessageTooLarge,
}

impl SocketViolation {
    /// Returns the violation that a failed read reports; none if the connection is gone.
    #[must_use]
    pub fn of(error: &axum::Error) -> Option<Self> {
        match error.source()?.downcast_ref()? {
            // The connection ended without a close frame, or the socket is closed.
            Error::Protocol(
                ProtocolError::ResetWithoutClosingHandshake
                | ProtocolError::SendAfterClosing
                | ProtocolError::ReceivedAfterClosing,
            ) => None,
            Error::Protocol(_) => Some(Self::Protocol),
            Error::Utf8(_) => Some(Self::InvalidText),
            Error::Capacity(_) => Some(Self::MessageTooLarge),
            _ => None,
        }
    }

    /// The code of the close frame.
    #[must_use]
    pub fn close_code(self) -> CloseCode {
        match self {
            Self::Protocol => close_code::PROTOCOL,
            Self::InvalidText => close_code::INVALID,
            Self::MessageTooLarge => close_code::SIZE,
        }
    }

    /// The reason in the close frame.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Protocol => "a frame isn't allowed by RFC 6455",
            Self::InvalidText => "a text isn't UTF-8",
            Self::MessageTooLarge => "a message is too large",
        }
    }
}

#[cfg(test)]
mod tests {
    use tungstenite::error::CapacityError;

    use super::*;

    #[test]
    fn violations_have_their_codes_and_a_lost_connection_has_none() {
        let size = CapacityError::MessageTooLong { size: 2, max_size: 1 };
        for (error, code) in [
            (Error::Protocol(ProtocolError::UnmaskedFrameFromClient), Some(1002)),
            (Error::Protocol(ProtocolError::InvalidCloseSequence), Some(1002)),
            (Error::Utf8(String::new()), Some(1007)),
            (Error::Capacity(size), Some(1009)),
            (Error::Protocol(ProtocolError::ResetWithoutClosingHandshake), None),
            (Error::ConnectionClosed, None),
            (Error::Io(std::io::ErrorKind::ConnectionReset.into()), None),
        ] {
            let shown = error.to_string();
            let violation = SocketViolation::of(&axum::Error::new(error));
            assert_eq!(violation.map(SocketViolation::close_code), code, "{shown}");
        }
        assert_eq!(SocketViolation::of(&axum::Error::new(std::io::Error::other("no socket's error"))), None);
    }
}
