//! Durations of the phases of a run, in nanoseconds.

use std::time::Instant;

use crate::RunEventBody;

/// Records when the phases of a run began.
#[derive(Debug, Clone, Copy)]
pub(super) struct RunTimer {
    requested: Instant,
    /// The model began with the prompt.
    started: Option<Instant>,
    /// The first piece of the answer came.
    first_piece: Option<Instant>,
    ended: Option<Instant>,
}

/// Durations of the phases. None is 0, since clients divide by them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Durations {
    pub(super) total: u64,
    pub(super) load: u64,
    pub(super) prompt: u64,
    pub(super) answer: u64,
}

impl RunTimer {
    pub(super) fn start() -> Self {
        Self { requested: Instant::now(), started: None, first_piece: None, ended: None }
    }

    /// Records the time of an event that comes now.
    pub(super) fn record(&mut self, event: &RunEventBody) {
        let moment = match event {
            RunEventBody::Started { .. } => &mut self.started,
            RunEventBody::Delta { .. }
            | RunEventBody::Refusal { .. }
            | RunEventBody::Reasoning { .. }
            | RunEventBody::ToolCall { .. }
            | RunEventBody::Extension { .. }
            | RunEventBody::Embedding { .. } => &mut self.first_piece,
            event if event.is_terminal() => &mut self.ended,
            _ => return,
        };
        moment.get_or_insert_with(Instant::now);
    }

    /// Returns the durations up to the end, or up to now.
    pub(super) fn durations(&self) -> Durations {
        let ended = self.ended.unwrap_or_else(Instant::now);
        let first = self.first_piece.unwrap_or(ended);
        let started = self.started.unwrap_or(self.requested).min(first);
        Durations {
            total: nanoseconds(self.requested, ended),
            load: nanoseconds(self.requested, started),
            prompt: nanoseconds(started, first),
            answer: nanoseconds(first, ended),
        }
    }
}

fn nanoseconds(from: Instant, to: Instant) -> u64 {
    u64::try_from(to.saturating_duration_since(from).as_nanos()).unwrap_or(u64::MAX).max(1)
}
