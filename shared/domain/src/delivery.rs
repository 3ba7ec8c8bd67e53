//! The way a client receives an answer.

/// The way a client receives an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// In one piece, when it is complete. The client never sees the events' numbers.
    Whole,
    /// As events, while they come.
    Stream,
}

impl Delivery {
    /// The delivery for a request's `stream`.
    #[must_use]
    pub fn of(streams: bool) -> Self {
        if streams { Self::Stream } else { Self::Whole }
    }
}
