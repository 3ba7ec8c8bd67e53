//! Sizes of the measurements.

/// The sizes of a run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) rounds: usize,
    /// Streams at once, and the tokens of each. Of one and of eight, with eight slots.
    pub(super) few_streams: [(u32, u32); 2],
    /// The same of many, each with as many slots.
    pub(super) many_streams: [(u32, u32); 2],
    /// Tokens of the prefix that a conversation's turns share.
    pub(super) prefix_tokens: usize,
    /// Tokens of each request of the queue.
    pub(super) queued_tokens: u32,
    /// Requests whose first token is timed in each round.
    pub(super) first_tokens: usize,
    /// Runs that are cancelled.
    pub(super) cancels: usize,
}

impl Plan {
    pub(super) const FULL: Self = Self {
        rounds: 5,
        few_streams: [(1, 128), (8, 96)],
        many_streams: [(16, 64), (32, 48)],
        prefix_tokens: 1000,
        queued_tokens: 16,
        first_tokens: 100,
        cancels: 100,
    };

    pub(super) const QUICK: Self = Self {
        rounds: 2,
        few_streams: [(1, 48), (8, 32)],
        many_streams: [(16, 16), (32, 16)],
        prefix_tokens: 300,
        queued_tokens: 4,
        first_tokens: 10,
        cancels: 5,
    };
}

/// Slots of the servers that few streams, prefixes and queues are measured with.
pub(super) const SLOTS: u32 = 8;
/// Tokens of each of those slots: enough for two turns with the prefix.
pub(super) const CONTEXT: u32 = 2048;
/// Tokens of a slot where there are many.
pub(super) const SMALL_CONTEXT: u32 = 512;
/// Requests that come at once where queues are measured.
pub(super) const QUEUED: usize = 64;
/// Words of a short prompt.
pub(super) const SHORT: usize = 24;
