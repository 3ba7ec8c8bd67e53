//! Sends a run's events to its client and to its record, and counts what the run takes.

use std::time::Duration;

use hearth_domain::Usage;
use hearth_wire::{ApiError, ErrorCode, RunEvent, RunEventBody};
use tokio::sync::mpsc::error::TrySendError;

use super::Driver;
use crate::resume::{PartialAnswer, UsageAndCost};

/// How long a client may read nothing of an answer that waits for it.
const CLIENT_STALL_TIMEOUT: Duration = Duration::from_secs(60);

impl Driver {
    /// Sends an event, and what comes before it: the usage and the cost before a run's end.
    pub(super) async fn emit(&mut self, body: RunEventBody) {
        // If another provider may resume the answer, report the summed usage once, at the end.
        match &body {
            RunEventBody::Usage { .. } if self.partial.is_some() => return,
            RunEventBody::Usage { usage } => {
                let spent = self.charged(*usage);
                return self.send_usage(spent).await;
            }
            end if end.is_terminal() => {
                if self.partial.as_ref().is_some_and(PartialAnswer::is_to_be_told) {
                    self.count_taken();
                }
                if let Some(spent) = self.partial.take().and_then(|partial| partial.spent()) {
                    self.send_usage(spent).await;
                }
            }
            _ => {}
        }
        if let RunEventBody::Done { .. } = &body
            && let Some(cost) = self.tariff.charge_files()
        {
            self.send(RunEventBody::Cost { cost }).await;
        }
        self.tariff.note(&body);
        self.send(body).await;
    }

    /// Counts what a model took, and what that costs.
    fn charged(&self, usage: Usage) -> UsageAndCost {
        metrics::counter!("hearth_prompt_tokens_total").increment(u64::from(usage.prompt_tokens));
        metrics::counter!("hearth_completion_tokens_total").increment(u64::from(usage.completion_tokens));
        UsageAndCost { usage, cost: self.tariff.charge(&usage) }
    }

    async fn send_usage(&mut self, UsageAndCost { usage, cost }: UsageAndCost) {
        self.send(RunEventBody::Usage { usage }).await;
        if let Some(cost) = cost {
            self.send(RunEventBody::Cost { cost }).await;
        }
    }

    /// Sends an event to the cache, the record and the client. The run's last event waits for its record, where that is
    /// late or the process may be frozen when the client has the event.
    async fn send(&mut self, body: RunEventBody) {
        self.seq += 1;
        if let Some(capture) = &mut self.capture {
            capture.take(&body);
        }
        let event = RunEvent { seq: self.seq, body };
        if event.body.is_terminal() {
            self.record_end(event.clone()).await;
        } else if !matches!(event.body, RunEventBody::Embedding { .. }) {
            // Vectors aren't recorded: those of one request fill hundreds of items.
            self.recording.note(event.clone());
            self.recording.wait_for_room().await;
        }
        self.send_to_client(event).await;
    }

    async fn record_end(&self, event: RunEvent) {
        let is_late = self.gateway.records_are_late();
        let Some(receipt) = self.recording.end(event) else { return };
        if (is_late || !self.gateway.outlives_answers()) && !receipt.wait().await {
            tracing::error!(run = %self.id, "the run's record is late; its client gets the answer before");
        }
    }

    /// A client that reads slowly slows the run; one that reads nothing for too long is taken for gone.
    async fn send_to_client(&mut self, event: RunEvent) {
        let Some(client) = &self.client else { return };
        let event = match client.events.try_send(event) {
            Ok(()) | Err(TrySendError::Closed(_)) => return,
            Err(TrySendError::Full(event)) => event,
        };
        let is_ending = event.body.is_terminal();
        tokio::select! {
            _ = client.events.send(event) => return,
            () = tokio::time::sleep(CLIENT_STALL_TIMEOUT) => {}
            () = self.stop.notified(), if !is_ending => self.stop.notify_one(),
        }
        tracing::info!(run = %self.id, "the client doesn't read the answer");
        let message = "the answer was read too slowly; GET /v1/requests/{id} has what was recorded of it";
        let _ = client.broken_off.set(ApiError::new(ErrorCode::Cancelled, message));
        self.client = None;
    }

    /// Counts what the present model took, where another may go on.
    pub(super) fn count_taken(&mut self) {
        let taken = self.partial.as_ref().and_then(|partial| partial.taken(&self.generation));
        let spent = taken.map(|usage| self.charged(usage));
        if let (Some(partial), Some(spent)) = (&mut self.partial, spent) {
            partial.took(spent);
        }
    }
}
