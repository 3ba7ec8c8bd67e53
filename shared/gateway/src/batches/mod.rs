//! Batches: files of requests, which a job carries out when there is time, with the results in other files.
//!
//! OpenAI's and Anthropic's batches are the same thing with other shapes of their results. A batch is validated, carried out in
//! slices under the lease of its job, and completed:
//!
//! - `create`, `listing`, `body`: batches for their owners, in both dialects; `cancel`: ended by them; `export`: in the export of
//!   their user.
//! - `driver`: the steps of a batch; `slice`: its requests, for as long as a slice lasts; `lease`: its record, written under the job's fencing token.
//! - `input`: lines of the input, read by ranges; `validation`: checks all of them before the first request.
//! - `gate`: the time at which requests may be started; `slots`: requests of a user in progress.
//! - `request`: one request, with waits and retries; `endpoint`: its body and its answer, as its route has them; `recovery`: the
//!   answer that a process which has died had received.
//! - `result_line`: the result of a request, in the batch's dialect; `results`: parts of the results; `finish`: the files that they
//!   become.
//!
//! Each result is in the parts and counted by one write of the record, with the position in the input. The id of a request's run
//! follows from its line, so a process that goes on after a kill finds the answers that were complete: it sends again only those
//! requests that were in progress.

mod body;
mod cancel;
mod create;
mod driver;
mod end;
mod endpoint;
mod export;
mod finish;
mod gate;
mod input;
mod lease;
mod listing;
mod recovery;
mod request;
mod result_line;
mod results;
mod slice;
mod slots;
mod validation;

use std::sync::Arc;

use hearth_domain::{BatchDialect, BatchId};
use hearth_settings::BatchSettings;
use hearth_store::batches::RevisedBatch;
use hearth_wire::{ApiError, ErrorCode};

use crate::{access::Caller, components::Components, error};

pub(crate) use cancel::cancel_of_job;
pub(crate) use driver::carry_out;
pub(crate) use end::end_of_job;

use slots::RequestSlots;

/// The batches.
#[derive(Debug)]
pub(crate) struct Batches {
    settings: BatchSettings,
    slots: Arc<RequestSlots>,
}

impl Batches {
    pub(crate) fn new(settings: BatchSettings) -> Self {
        Self { settings, slots: Arc::new(RequestSlots::new(settings.user_concurrency)) }
    }
}

/// The caller's batch of a dialect.
async fn owned(
    gateway: &Components,
    caller: &Caller,
    dialect: BatchDialect,
    id: BatchId,
) -> Result<RevisedBatch, ApiError> {
    let batch = gateway.store.batches().get(id).await.map_err(error::store)?;
    let is_own =
        |batch: &RevisedBatch| batch.record.owner() == caller.owner() && batch.record.dialect == dialect;
    batch.filter(is_own).ok_or_else(no_such_batch)
}

fn no_such_batch() -> ApiError {
    ApiError::new(ErrorCode::NotFound, "you have no such batch")
}
