//! The requests of a batch that aren't carried out any more.

use hearth_wire::openai::batches::BatchLine;

use super::{
    super::{input::InputError, lease::BatchError, result_line::NotCarriedOut, validation},
    Slice,
};

/// Results that are saved at a time.
const SAVE_COUNT: u64 = 1_000;

impl Slice<'_> {
    /// Gives the requests that weren't carried out their results. Returns false if the slice ends before all have one.
    pub(super) async fn end_rest(&mut self, reason: NotCarriedOut) -> Result<bool, BatchError> {
        self.places.clear();
        let mut count = 0;
        loop {
            let line = match self.read().await {
                Ok(Some(line)) => line,
                Ok(None) => break,
                Err(InputError::Store(error)) => return Err(error.into()),
                Err(error) => {
                    // The ids of the rest can't be read.
                    self.lease.record_mut().faults = vec![validation::fault_of_input(&error)];
                    break;
                }
            };
            let custom_id = BatchLine::read(&line.bytes).map(|line| line.custom_id).unwrap_or_default();
            let run = self.context.run_id(line.place.line, 0, 0);
            let result = self.lines.not_carried_out(&custom_id, run, reason);
            self.lease.append(false, &result);
            let counts = &mut self.lease.record_mut().counts;
            match reason {
                NotCarriedOut::Cancelled => counts.cancelled += 1,
                NotCarriedOut::Expired => counts.expired += 1,
            }
            count += 1;
            if count % SAVE_COUNT == 0 || self.lease.is_full() {
                self.save().await?;
                if self.job.should_stop() {
                    return Ok(false);
                }
            }
        }
        self.save().await?;
        Ok(true)
    }
}
