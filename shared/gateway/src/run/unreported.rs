//! The usage of a run whose provider doesn't report it: the answer was cut off before the report, or the server sends none.

use hearth_domain::{Generation, Usage};
use hearth_wire::RunEventBody;

use crate::limits::estimate;

/// The part of a run's usage that is known without its provider's report.
#[derive(Debug, Default)]
pub(super) struct UnreportedUsage {
    /// Bytes of text, reasoning and tool calls.
    bytes: usize,
    /// Tokens of the prompt, as a node counts them before it begins.
    prompt_tokens: u32,
    is_reported: bool,
}

impl UnreportedUsage {
    /// Observes an event of the run.
    pub(super) fn observe(&mut self, event: &RunEventBody) {
        match event {
            RunEventBody::Usage { .. } => self.is_reported = true,
            RunEventBody::Started { prompt_tokens } => self.prompt_tokens = *prompt_tokens,
            output => self.bytes += estimate::output_bytes(output),
        }
    }

    /// True if there is output.
    pub(super) fn has_output(&self) -> bool {
        self.bytes > 0
    }

    /// The estimated usage; none if the provider has reported it, or has made nothing.
    pub(super) fn estimate(&self, generation: &Generation) -> Option<Usage> {
        if self.is_reported || !self.has_output() {
            return None;
        }
        let prompt_tokens = match self.prompt_tokens {
            0 => estimate::prompt_tokens(&generation.task),
            counted => counted,
        };
        let completion_tokens = estimate::tokens(self.bytes);
        Some(Usage { prompt_tokens, completion_tokens, ..Usage::default() })
    }
}

#[cfg(test)]
mod tests {
    use hearth_domain::{Message, Role, Sampling, TextTask};

    use super::*;

    #[test]
    fn output_without_a_report_is_estimated() {
        let task = TextTask::new(vec![Message::new(Role::User, "Count")], Sampling::default());
        let request = Generation::new(None, task);
        let mut unreported = UnreportedUsage::default();
        assert_eq!(unreported.estimate(&request), None);
        unreported.observe(&RunEventBody::text("one, two, "));
        // "Count" with its message is six tokens, ten bytes are three.
        let usage = unreported.estimate(&request).unwrap();
        assert_eq!((usage.prompt_tokens, usage.completion_tokens), (6, 3));
        unreported.observe(&RunEventBody::Started { prompt_tokens: 9 });
        assert_eq!(unreported.estimate(&request).unwrap().prompt_tokens, 9);
        unreported.observe(&RunEventBody::Usage { usage });
        assert_eq!(unreported.estimate(&request), None);
    }
}
