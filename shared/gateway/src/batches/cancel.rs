//! Batches ended by their owners.

use hearth_domain::{BatchDialect, BatchId, BatchState, MessageBatchId, Timestamp};
use hearth_store::{
    batches::{BatchRecord, RevisedBatch},
    jobs::JobRecord,
};
use hearth_wire::{
    ApiError, ErrorCode,
    anthropic::{MessageBatch, MessageBatchDeleted},
    openai::batches::BatchBody,
};

use super::{body, no_such_batch, owned};
use crate::{Gateway, access::Caller, components::Components, error, files::StoredFile};

impl Gateway {
    /// Cancels the caller's batch: its requests in progress end, and their results are in its files.
    ///
    /// # Errors
    /// `not_found`; `conflict` if it has ended; `internal` if the store fails.
    #[crate::boxed_future]
    pub async fn cancel_batch(&self, caller: &Caller, id: BatchId) -> Result<BatchBody, ApiError> {
        let batch = owned(&self.0, caller, BatchDialect::OpenAi, id).await?;
        self.0.cancel(batch).await.map(body::of_openai)
    }

    /// Cancels the caller's batch of messages. `base`: the client's address of the gateway.
    ///
    /// # Errors
    /// As [`Gateway::cancel_batch`].
    #[crate::boxed_future]
    pub async fn cancel_message_batch(
        &self,
        caller: &Caller,
        id: MessageBatchId,
        base: &str,
    ) -> Result<MessageBatch, ApiError> {
        let batch = owned(&self.0, caller, BatchDialect::Anthropic, id.into()).await?;
        let record = self.0.cancel(batch).await?;
        Ok(body::of_anthropic(record, base))
    }

    /// Deletes the caller's batch of messages, which must have ended, with its results.
    ///
    /// # Errors
    /// `not_found`; `conflict` while it goes on; `internal` if the store fails: then it can be repeated.
    #[crate::boxed_future]
    pub async fn delete_message_batch(
        &self,
        caller: &Caller,
        id: MessageBatchId,
    ) -> Result<MessageBatchDeleted, ApiError> {
        let batch = owned(&self.0, caller, BatchDialect::Anthropic, id.into()).await?.record;
        if !batch.state.is_terminal() {
            let message = "the batch is in progress; cancel it first (POST /v1/messages/batches/{id}/cancel)";
            return Err(ApiError::new(ErrorCode::Conflict, message));
        }
        let store = &self.0.store;
        if let Some(results) = batch.output.file
            && let Some(file) = store.files().get(results).await.map_err(error::store)?
        {
            store.files().remove(&file).await.map_err(error::store)?;
        }
        store.batches().remove(&batch).await.map_err(error::store)?;
        Ok(MessageBatchDeleted { id, kind: "message_batch_deleted".to_owned() })
    }

    /// The results of the caller's batch of messages, which must have ended.
    ///
    /// # Errors
    /// `not_found` if there is no such batch, or its results were deleted; `conflict` while it goes on.
    #[crate::boxed_future]
    pub async fn message_batch_results(
        &self,
        caller: &Caller,
        id: MessageBatchId,
    ) -> Result<StoredFile, ApiError> {
        let batch = owned(&self.0, caller, BatchDialect::Anthropic, id.into()).await?.record;
        if !batch.state.is_terminal() {
            let message = "the batch is in progress; its results are there when processing_status is ended";
            return Err(ApiError::new(ErrorCode::Conflict, message));
        }
        let file = batch.output.file.ok_or_else(no_results)?;
        self.stored_file(caller, file).await.map_err(|error| match error.code {
            ErrorCode::NotFound => no_results(),
            _ => error,
        })
    }
}

/// Cancels the batch that a job carries out. The job ends when the batch has its results.
///
/// # Errors
/// `conflict` if the batch has ended; `internal` if the store fails.
pub(crate) async fn cancel_of_job(gateway: &Components, job: &JobRecord) -> Result<(), ApiError> {
    let input = gateway.store.jobs().input(job.id).await.map_err(error::store)?;
    let id = input["batch"].as_str().and_then(|id| id.parse::<BatchId>().ok()).ok_or_else(no_such_batch)?;
    let batch = gateway.store.batches().get(id).await.map_err(error::store)?.ok_or_else(no_such_batch)?;
    gateway.cancel(batch).await.map(drop)
}

impl Components {
    async fn cancel(&self, mut batch: RevisedBatch) -> Result<BatchRecord, ApiError> {
        loop {
            let record = &mut batch.record;
            if record.state.is_terminal() {
                let message = format!("the batch has ended: it is {}", record.state.as_str());
                return Err(ApiError::new(ErrorCode::Conflict, message));
            }
            // It ends by itself in a moment, unless its job is paused, or a process died before it could wake the job.
            let is_ending = record.cancelling_at.is_some() || record.finalizing_at.is_some();
            if !is_ending {
                (record.state, record.cancelling_at) = (BatchState::Cancelling, Some(Timestamp::now()));
            }
            if is_ending || self.store.batches().replace(&mut batch).await.map_err(error::store)? {
                if let Some(job) = batch.record.job {
                    self.job_engine.wake(job).await?;
                }
                return Ok(batch.record);
            }
            let stored = self.store.batches().get(batch.record.id).await.map_err(error::store)?;
            batch = stored.ok_or_else(no_such_batch)?;
        }
    }
}

fn no_results() -> ApiError {
    ApiError::new(ErrorCode::NotFound, "the batch has no results, or they were deleted")
}
