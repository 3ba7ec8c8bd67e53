//! Sizes of the measurements.

use std::{fmt, time::Duration};

use super::client::{Earlier, Wanted};

/// The sizes of a run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) rounds: usize,
    /// Requests whose cached answers are timed in each round.
    pub(super) requests: usize,
    /// Duration of each load.
    pub(super) counted: Duration,
    /// Streams as fast as they can be, and streams at a model's pace.
    pub(super) streams: [usize; 2],
    /// Number of starts of Hearth that are timed.
    pub(super) starts: usize,
    /// Duration of the lock on the store.
    pub(super) stall: Duration,
    /// Requests under callgrind: of the shorter run, and of the longer one.
    pub(super) counted_requests: [usize; 2],
}

impl Plan {
    pub(super) const FULL: Self = Self {
        rounds: 5,
        requests: 400,
        counted: Duration::from_millis(600),
        streams: [20, 3],
        starts: 5,
        stall: Duration::from_secs(2),
        counted_requests: [256, 1280],
    };

    pub(super) const QUICK: Self = Self {
        rounds: 2,
        requests: 50,
        counted: Duration::from_millis(150),
        streams: [5, 1],
        starts: 2,
        stall: Duration::from_millis(500),
        counted_requests: [64, 192],
    };
}

/// A short answer in one piece.
pub(super) const WHOLE: Wanted = Wanted::whole(16);
/// The longest of what is measured.
pub(super) const STREAM: Wanted = Wanted::stream(200);
/// The same at the pace of a fast model.
pub(super) const PACED: Wanted = Wanted { pause: Duration::from_millis(2), ..STREAM };
/// A request whose answer may come from a cache.
pub(super) const REPEATED: Wanted = Wanted { repeatable: true, ..WHOLE };

/// Connections of a load for which there are goals: one, and many.
pub(super) const ONE: usize = 1;
pub(super) const MANY: usize = 32;
const CONNECTIONS: [usize; 3] = [ONE, MANY, 256];
/// The conversation before a request's question, and the body's name.
const BODIES: [(Earlier, &str); 4] = [
    (Earlier::Nothing, "0.3 KB"),
    (Earlier::Turns(16 << 10), "16 KB"),
    (Earlier::Turns(128 << 10), "128 KB"),
    (Earlier::OneText(128 << 10), "128 KB in one text"),
];

/// Requests of one kind over some connections at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    pub(super) wanted: Wanted,
    pub(super) connections: usize,
    body: &'static str,
}

impl Load {
    /// Every kind of answer, with every body, over every number of connections. For answers in one piece alone: one long text.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        [WHOLE, STREAM].into_iter().flat_map(|answer| {
            let is_asked = move |earlier| !answer.streams || !matches!(earlier, Earlier::OneText(_));
            BODIES.into_iter().filter(move |(earlier, _)| is_asked(*earlier)).flat_map(
                move |(earlier, body)| {
                    let wanted = Wanted { earlier, ..answer };
                    CONNECTIONS.map(|connections| Self { wanted, connections, body })
                },
            )
        })
    }

    /// Answers in one piece over one connection or many: there are goals for these.
    pub(super) fn has_goals(&self) -> bool {
        !self.wanted.streams && self.connections <= MANY
    }

    pub(super) fn is_small(&self) -> bool {
        self.wanted.earlier == Earlier::Nothing
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let answer = if self.wanted.streams { "200 chunks" } else { "whole" };
        let connections = if self.connections == ONE { "connection" } else { "connections" };
        write!(f, "{answer}, {}, {} {connections}", self.body, self.connections)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loads_cover_answers_bodies_and_connections() {
        let names: Vec<String> = Load::all().map(|load| load.to_string()).collect();
        assert_eq!(names.len(), 21);
        assert_eq!(names[0], "whole, 0.3 KB, 1 connection");
        assert_eq!(names[9], "whole, 128 KB in one text, 1 connection");
        assert_eq!(names[20], "200 chunks, 128 KB, 256 connections");
        assert_eq!(Load::all().filter(Load::has_goals).count(), 8);
    }
}
