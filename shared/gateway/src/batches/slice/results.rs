//! The results of the requests of a slice, and their saving with the position behind them.

use std::time::Instant;

use hearth_store::batches::{BatchPosition, PendingRequest};
use hearth_wire::ErrorCode;
use tokio::task::JoinError;

use super::{
    super::{
        input::InputError,
        lease::BatchError,
        request::{self, EndedRequest, RequestEnd},
    },
    Halt, Slice, WAIT_INTERVAL,
};

/// Number of times that a request is begun which panics.
const REQUEST_DEATHS_MAX_COUNT: u32 = 2;

impl Slice<'_> {
    /// Ends a request whose task has panicked: the next slice sends it once more, and a second death is its result.
    pub(super) async fn end_dead(&mut self, error: &JoinError) -> Result<(), InputError> {
        tracing::error!(batch = %self.lease.record().id, %error, "a request of a batch has died");
        let Some(mut place) = self.places.remove(&error.id()) else { return Ok(()) };
        place.deaths += 1;
        let dead = if place.deaths < REQUEST_DEATHS_MAX_COUNT {
            EndedRequest { place, custom_id: String::new(), end: RequestEnd::Deferred, was_begun: None }
        } else {
            let line = self.input.line_at(place).await?;
            request::dead(&self.context, &line)
        };
        self.add(dead);
        Ok(())
    }

    /// Adds the result of a request.
    pub(super) fn add(&mut self, ended: EndedRequest) {
        let EndedRequest { place, custom_id, end, was_begun } = ended;
        match (was_begun, &end) {
            (Some(true), _) => self.not_begun_count = 0,
            (Some(false), RequestEnd::Answered { .. }) => self.not_begun_count += 1,
            // A request that is refused before its run begins has no record, even if the earlier process came to it.
            (Some(false), RequestEnd::Failed { .. } | RequestEnd::Deferred) | (None, _) => {}
        }
        // Requests are begun in the order of their lines, but for those that overlap.
        if self.not_begun_count > 2 * self.gateway.0.batches.settings.concurrency as usize {
            self.recovers = false;
        }
        let record = self.lease.record_mut();
        match end {
            RequestEnd::Answered { run, answer, usage } => {
                record.counts.succeeded += 1;
                record.usage = record.usage.and(&usage);
                let line = self.lines.answered(&custom_id, run, &answer);
                self.lease.append(true, &line);
            }
            RequestEnd::Failed { run, error } => {
                record.counts.errored += 1;
                let line = self.lines.failed(&custom_id, run, &error);
                self.lease.append(false, &line);
            }
            RequestEnd::Deferred => {
                self.deferred(place);
                return;
            }
        }
        self.is_changed = true;
    }

    /// Puts a request back, behind which the slice ends: the next one waits first.
    fn deferred(&mut self, place: PendingRequest) {
        self.pending.push_back(place);
        if self.halt.is_none() {
            self.halt = Some(Halt::Slice(WAIT_INTERVAL));
            self.stop.send_replace(true);
        }
    }

    /// The reason for which the batch waits, or the latest of its requests.
    pub(super) fn waits_for(&self) -> Option<String> {
        let of_request = || self.context.waits_for().map(ErrorCode::as_str);
        self.gate_waits_for.or_else(of_request).map(str::to_owned)
    }

    /// Saves the results, with the position behind them.
    pub(super) async fn save(&mut self) -> Result<(), BatchError> {
        let (offset, line) = self.reader.position();
        let next = self.next.as_ref().map(|line| line.place);
        let mut pending: Vec<_> =
            self.places.values().copied().chain(next).chain(self.pending.iter().copied()).collect();
        pending.sort_by_key(|place| place.line);
        let waits_for = self.waits_for();
        let record = self.lease.record_mut();
        (record.position, record.waits_for) = (BatchPosition { offset, line, pending }, waits_for);
        self.lease.save(self.job).await?;
        (self.saved_at, self.is_changed) = (Instant::now(), false);
        Ok(())
    }
}
