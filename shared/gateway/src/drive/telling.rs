//! Tells a run's events to its client and to its record, and what the run takes.

use hearth_domain::Usage;
use hearth_wire::{RunEvent, RunEventBody};

use super::Driver;
use crate::resume::{Said, Spent};

impl Driver {
    /// Tells an event.
    pub(super) fn emit(&mut self, body: RunEventBody) {
        // Where another may go on, what all took is told at the end.
        match &body {
            RunEventBody::Usage { .. } if self.said.is_some() => return,
            RunEventBody::Usage { usage } => {
                let spent = self.charged(*usage);
                return self.tell_spent(spent);
            }
            end if end.is_terminal() => {
                if self.said.as_ref().is_some_and(Said::is_to_be_told) {
                    self.count_taken();
                }
                if let Some(spent) = self.said.take().and_then(|said| said.spent()) {
                    self.tell_spent(spent);
                }
            }
            _ => {}
        }
        if let RunEventBody::Done { .. } = &body
            && let Some(cost) = self.tariff.charge_files()
        {
            self.tell(RunEventBody::Cost { cost });
        }
        self.tariff.note(&body);
        self.tell(body);
    }

    /// Counts what a model took, and what that costs.
    fn charged(&self, usage: Usage) -> Spent {
        metrics::counter!("hearth_prompt_tokens_total").increment(u64::from(usage.prompt_tokens));
        metrics::counter!("hearth_completion_tokens_total").increment(u64::from(usage.completion_tokens));
        Spent { usage, cost: self.tariff.charge(&usage) }
    }

    fn tell_spent(&mut self, Spent { usage, cost }: Spent) {
        self.tell(RunEventBody::Usage { usage });
        if let Some(cost) = cost {
            self.tell(RunEventBody::Cost { cost });
        }
    }

    /// Gives an event to everybody who listens.
    fn tell(&mut self, body: RunEventBody) {
        self.seq += 1;
        if let Some(capture) = &mut self.capture {
            capture.take(&body);
        }
        let event = RunEvent { seq: self.seq, body };
        // Either may be gone: the client by its own will, the recorder after a terminal event.
        // Vectors aren't recorded: those of one request fill hundreds of items.
        if !matches!(event.body, RunEventBody::Embedding { .. }) {
            self.recording.note(event.clone());
        }
        let _ = self.client.send(event);
    }

    /// Counts what the present model took, where another may go on.
    pub(super) fn count_taken(&mut self) {
        let taken = self.said.as_ref().and_then(|said| said.taken(&self.generation));
        let spent = taken.map(|usage| self.charged(usage));
        if let (Some(said), Some(spent)) = (&mut self.said, spent) {
            said.took(spent);
        }
    }
}
