//! How much of everything is measured.

use std::time::Duration;

use super::client::Wanted;

/// The sizes of a run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) rounds: usize,
    /// Requests whose latency is taken, of each server in each round.
    pub(super) requests: usize,
    /// How long requests are counted.
    pub(super) counted: Duration,
    /// Streams as fast as they can be, and streams at a model's pace.
    pub(super) streams: [usize; 2],
    /// How often Hearth is started.
    pub(super) starts: usize,
    /// How long the store is held up.
    pub(super) stall: Duration,
}

impl Plan {
    pub(super) const FULL: Self = Self {
        rounds: 5,
        requests: 400,
        counted: Duration::from_millis(1500),
        streams: [20, 3],
        starts: 5,
        stall: Duration::from_secs(2),
    };

    pub(super) const QUICK: Self = Self {
        rounds: 2,
        requests: 50,
        counted: Duration::from_millis(300),
        streams: [5, 1],
        starts: 2,
        stall: Duration::from_millis(500),
    };
}

/// A short answer in one piece.
pub(super) const WHOLE: Wanted = Wanted::whole(16);
/// The longest of what is measured.
pub(super) const STREAM: Wanted = Wanted::stream(200);
/// The same at the pace of a fast model.
pub(super) const PACED: Wanted = Wanted { pause: Duration::from_millis(2), ..STREAM };
/// What may be answered from a cache.
pub(super) const REPEATED: Wanted = Wanted { repeatable: true, ..WHOLE };
/// Connections of the measurement with many of them.
pub(super) const MANY: usize = 32;
