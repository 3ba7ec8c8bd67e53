//! Batches, read and listed by their owners.

use hearth_domain::{BatchDialect, BatchId, BatchState, MessageBatchId, Owner, Timestamp};
use hearth_store::{
    StoreError,
    batches::{BatchRecord, RevisedBatch},
};
use hearth_wire::{
    ApiError,
    anthropic::{MessageBatch, MessageBatchList, MessageBatchQuery},
    openai::batches::{BatchBody, BatchList, BatchQuery},
};

use super::{body, end, lease::BatchError, no_such_batch, owned, validation::fault};
use crate::{Gateway, access::Caller, components::Components, error, pager::check_limit};

const DEFAULT_PAGE_COUNT: u32 = 20;
/// Largest limit of each dialect. A page has no more than OpenAI's.
const OPENAI_PAGE_MAX_COUNT: u32 = 100;
const ANTHROPIC_PAGE_MAX_COUNT: u32 = 1000;

impl Gateway {
    /// The caller's batch.
    ///
    /// # Errors
    /// `not_found`; `internal` if the store fails.
    #[crate::boxed_future]
    pub async fn batch(&self, caller: &Caller, id: BatchId) -> Result<BatchBody, ApiError> {
        let batch = owned(&self.0, caller, BatchDialect::OpenAi, id).await?;
        self.with_job(caller, batch).await.map(body::of_openai)
    }

    /// The caller's batch of messages. `base`: the client's address of the gateway.
    ///
    /// # Errors
    /// As [`Gateway::batch`].
    #[crate::boxed_future]
    pub async fn message_batch(
        &self,
        caller: &Caller,
        id: MessageBatchId,
        base: &str,
    ) -> Result<MessageBatch, ApiError> {
        let batch = owned(&self.0, caller, BatchDialect::Anthropic, id.into()).await?;
        let record = self.with_job(caller, batch).await?;
        Ok(body::of_anthropic(record, base))
    }

    /// A page of the caller's batches, the newest first.
    ///
    /// # Errors
    /// `invalid_request` for a bad limit or id.
    #[crate::boxed_future]
    pub async fn list_batches(&self, caller: &Caller, query: &BatchQuery) -> Result<BatchList, ApiError> {
        let limit = check_limit(query.limit, DEFAULT_PAGE_COUNT, OPENAI_PAGE_MAX_COUNT)?;
        let after = query.after.as_deref().map(|id| parse_id(id, "after")).transpose()?;
        let (records, has_more) =
            self.0.batch_page(caller.owner(), BatchDialect::OpenAi, true, after, limit).await?;
        let data: Vec<BatchBody> = records.into_iter().map(body::of_openai).collect();
        let id = |batch: Option<&BatchBody>| batch.map(|batch| batch.id.clone());
        let (first_id, last_id) = (id(data.first()), id(data.last()));
        Ok(BatchList { object: "list".to_owned(), data, first_id, last_id, has_more })
    }

    /// A page of the caller's batches of messages, the newest first. `base`: the client's address of the gateway.
    ///
    /// # Errors
    /// `invalid_request` for a bad limit or id.
    #[crate::boxed_future]
    pub async fn list_message_batches(
        &self,
        caller: &Caller,
        query: &MessageBatchQuery,
        base: &str,
    ) -> Result<MessageBatchList, ApiError> {
        let limit = check_limit(query.limit, DEFAULT_PAGE_COUNT, ANTHROPIC_PAGE_MAX_COUNT)?
            .min(OPENAI_PAGE_MAX_COUNT);
        let id = |id: &str, param| parse_id::<MessageBatchId>(id, param).map(BatchId::from);
        let after = query.after_id.as_deref().map(|text| id(text, "after_id")).transpose()?;
        let before = query.before_id.as_deref().map(|text| id(text, "before_id")).transpose()?;
        if after.is_some() && before.is_some() {
            return Err(ApiError::invalid("before_id", "send after_id or before_id, not both"));
        }
        let newest_first = before.is_none();
        let page =
            self.0.batch_page(caller.owner(), BatchDialect::Anthropic, newest_first, after.or(before), limit);
        let (mut records, has_more) = page.await?;
        if !newest_first {
            records.reverse();
        }
        let data: Vec<_> = records.into_iter().map(|record| body::of_anthropic(record, base)).collect();
        let id = |batch: Option<&MessageBatch>| batch.map(|batch| batch.id.to_string());
        let (first_id, last_id) = (id(data.first()), id(data.last()));
        Ok(MessageBatchList { data, has_more, first_id, last_id })
    }
}

impl Components {
    async fn batch_page(
        &self,
        owner: Owner,
        dialect: BatchDialect,
        newest_first: bool,
        after: Option<BatchId>,
        limit: u32,
    ) -> Result<(Vec<BatchRecord>, bool), ApiError> {
        let page = self.store.batches().page(owner, dialect, newest_first, after, limit).await;
        page.map_err(error::store)
    }
}

impl Gateway {
    /// The batch. One whose job has ended without it is ended with the results so far. A batch whose process died before it had a
    /// job gets one.
    async fn with_job(&self, caller: &Caller, batch: RevisedBatch) -> Result<BatchRecord, ApiError> {
        if batch.record.state.is_terminal() {
            return Ok(batch.record);
        }
        let store = &self.0.store;
        let Some(job) = batch.record.job else {
            let submitted = self.0.submit_batch(caller, batch.record.id).await?;
            return Ok(submitted.unwrap_or(batch).record);
        };
        let job = store.jobs().get(job).await.map_err(error::store)?;
        if job.as_ref().is_some_and(|job| !job.state.is_terminal()) {
            return Ok(batch.record);
        }
        // It may have ended between the two reads.
        let id = batch.record.id;
        let batch = store.batches().get(id).await.map_err(error::store)?.unwrap_or(batch);
        if batch.record.state.is_terminal() {
            return Ok(batch.record);
        }
        // Above that of every process that may still have it.
        let fence = job.as_ref().and_then(|job| job.work.as_ref()).map_or(0, |work| work.fence);
        let token = batch.record.fencing_token.max(fence) + 1;
        match end::end_without_job(self, batch, job.as_ref(), token).await {
            Ok(record) => Ok(record),
            Err(BatchError::Lost) => {
                let stored = store.batches().get(id).await.map_err(error::store)?;
                stored.map(|batch| batch.record).ok_or_else(no_such_batch)
            }
            // A function may not read the parts of results: only `worker` may, which ends a batch before its job.
            Err(BatchError::Store(failure))
                if self.outlives_response() && !matches!(failure, StoreError::Gone(_)) =>
            {
                Err(error::store(failure))
            }
            Err(failure) => {
                tracing::warn!(batch = %id, error = %failure, "a batch whose job has ended has no results");
                self.end_without_results(id).await
            }
        }
    }

    /// Ends a batch whose job has ended and whose results can't be read.
    async fn end_without_results(&self, id: BatchId) -> Result<BatchRecord, ApiError> {
        let store = &self.0.store;
        let mut batch = store.batches().get(id).await.map_err(error::store)?.ok_or_else(no_such_batch)?;
        let record = &mut batch.record;
        if !record.state.is_terminal() {
            let message = "its job has ended before it; create the batch again".to_owned();
            record.faults = vec![fault("job_ended", message)];
            (record.state, record.ended_at, record.waits_for) =
                (BatchState::Failed, Some(Timestamp::now()), None);
            // If another process has changed it, the next reader ends it.
            store.batches().replace(&mut batch).await.map_err(error::store)?;
        }
        Ok(batch.record)
    }
}

fn parse_id<T: std::str::FromStr>(id: &str, param: &str) -> Result<T, ApiError> {
    id.parse().map_err(|_| ApiError::invalid(param, format!("{param} must be the id of a batch")))
}
