//! The messages that wait for the run in progress.

use std::collections::VecDeque;

use hearth_wire::{ApiError, ErrorCode};

use super::MESSAGE_MAX_BYTES;

/// Limit of their number.
const WAITING_MAX_COUNT: usize = 16;
/// Limit of the bytes of all of them.
const WAITING_MAX_BYTES: usize = MESSAGE_MAX_BYTES;

/// The messages that wait, in order.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    messages: VecDeque<String>,
    bytes: usize,
}

impl Waiting {
    /// Adds a message.
    ///
    /// # Errors
    /// `rate_limited` if there is no room for it.
    pub(super) fn push(&mut self, message: &str) -> Result<(), ApiError> {
        if self.messages.len() >= WAITING_MAX_COUNT || self.bytes + message.len() > WAITING_MAX_BYTES {
            let message = "up to 16 messages, of 2 MB together, wait for the response in progress; this one wasn't read: \
                           send it again after the response";
            return Err(ApiError::new(ErrorCode::RateLimited, message));
        }
        self.bytes += message.len();
        self.messages.push_back(message.to_owned());
        Ok(())
    }

    /// Takes the next message.
    pub(super) fn pop(&mut self) -> Option<String> {
        let message = self.messages.pop_front()?;
        self.bytes -= message.len();
        Some(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_without_room_is_refused_until_another_is_taken() {
        let mut waiting = Waiting::default();
        let half = "x".repeat(WAITING_MAX_BYTES / 2);
        waiting.push(&half).unwrap();
        waiting.push(&half).unwrap();
        assert_eq!(waiting.push("x").unwrap_err().code, ErrorCode::RateLimited);
        assert_eq!(waiting.pop().unwrap().len(), half.len());
        for _ in 0..15 {
            waiting.push("x").unwrap();
        }
        assert_eq!(waiting.push("x").unwrap_err().code, ErrorCode::RateLimited);
        while waiting.pop().is_some() {}
        waiting.push(&"x".repeat(WAITING_MAX_BYTES)).unwrap();
    }
}
