//! How long the parts of a run took, in nanoseconds.

use std::time::Instant;

use crate::RunEventBody;

/// The moments of a run that Ollama's durations lie between.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    asked: Instant,
    /// When the model began with the prompt.
    started: Option<Instant>,
    /// When the first piece of the answer came.
    first: Option<Instant>,
    ended: Option<Instant>,
}

/// The durations. None is 0: clients divide by them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Durations {
    pub(super) total: u64,
    pub(super) load: u64,
    pub(super) prompt: u64,
    pub(super) answer: u64,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self { asked: Instant::now(), started: None, first: None, ended: None }
    }

    /// Notes the moment of an event that comes now.
    pub(super) fn note(&mut self, event: &RunEventBody) {
        let moment = match event {
            RunEventBody::Started { .. } => &mut self.started,
            RunEventBody::Delta { .. }
            | RunEventBody::Refusal { .. }
            | RunEventBody::Reasoning { .. }
            | RunEventBody::ToolCall { .. }
            | RunEventBody::Embedding { .. } => &mut self.first,
            event if event.is_terminal() => &mut self.ended,
            _ => return,
        };
        moment.get_or_insert_with(Instant::now);
    }

    /// The durations up to the end, or to now.
    pub(super) fn durations(&self) -> Durations {
        let ended = self.ended.unwrap_or_else(Instant::now);
        let first = self.first.unwrap_or(ended);
        let started = self.started.unwrap_or(self.asked).min(first);
        Durations {
            total: nanoseconds(self.asked, ended),
            load: nanoseconds(self.asked, started),
            prompt: nanoseconds(started, first),
            answer: nanoseconds(first, ended),
        }
    }
}

fn nanoseconds(from: Instant, to: Instant) -> u64 {
    u64::try_from(to.saturating_duration_since(from).as_nanos()).unwrap_or(u64::MAX).max(1)
}
