//! New batches.

use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use hearth_domain::{
    BatchCounts, BatchDialect, BatchEndpoint, BatchId, BatchState, FileId, FilePurpose, JobKind,
    MessageBatchId, Priority, Timestamp,
};
use hearth_store::batches::{BatchRecord, RevisedBatch};
use hearth_wire::{
    ApiError, ErrorCode,
    anthropic::{MessageBatch, MessageBatchRequest},
    openai::{
        batches::{BatchBody, BatchRequest},
        files::ExpiresAfter,
    },
};
use serde_json::{Value, json};

use super::body;
use crate::{Gateway, access::Caller, components::Components, error, files::OwnFile, jobs::engine::NewJob};

/// Time up to which requests are carried out.
const WINDOW_TTL: Duration = Duration::from_secs(24 * 3600);
/// Time of the job: beyond the window it puts the results together.
const JOB_TTL: Duration = Duration::from_secs(72 * 3600);
/// Attempts of the job, of which each may fail by the store alone.
const JOB_MAX_ATTEMPTS: u32 = 20;
/// Batches that are read at a time to count those that haven't ended.
const COUNT_PAGE_COUNT: u32 = 200;
/// Seconds after which the requests of Anthropic's API are deleted, if nothing else has: 30 days.
const INPUT_EXPIRY_SECONDS: u64 = 30 * 24 * 3600;

impl Gateway {
    /// Creates a batch over an uploaded file.
    ///
    /// # Errors
    /// `invalid_request`, naming the field; `not_found` for the file; `payload_too_large`; `quota_exceeded` if the caller has too many
    /// batches; `internal` if the store fails.
    #[crate::boxed_future]
    pub async fn create_batch(&self, caller: &Caller, request: BatchRequest) -> Result<BatchBody, ApiError> {
        let gateway = &self.0;
        let settings = &gateway.batches.settings;
        let endpoint = request.check()?;
        let expires_after =
            request.output_expires_after.as_ref().map(ExpiresAfter::checked_seconds).transpose();
        let expires_after = expires_after.map_err(|error| error.at("output_expires_after"))?;
        let no_file =
            || ApiError::new(ErrorCode::NotFound, "there is no file with this id").at("input_file_id");
        let input = request.input_file_id.parse::<FileId>().map_err(|_| no_file())?;
        let file =
            gateway.files.stored_record(caller, input).await.map_err(|error| error.at("input_file_id"))?;
        if file.purpose != FilePurpose::Batch {
            let message =
                format!("the file has the purpose {}; upload it with the purpose batch", file.purpose);
            return Err(ApiError::invalid("input_file_id", message));
        }
        let max_bytes = settings.max_bytes.as_u64();
        if file.size_bytes > max_bytes {
            let message =
                format!("the file is over the limit of {max_bytes} bytes for a batch; send several batches");
            let error = ApiError::new(ErrorCode::PayloadTooLarge, message).at("input_file_id");
            return Err(error.with("limit_bytes", max_bytes));
        }
        gateway.refuse_too_many_batches(caller).await?;
        let record = BatchRecord {
            metadata: request.metadata.unwrap_or_default(),
            when: request.when.unwrap_or_default(),
            max_price: request.max_price,
            output_expires_after: expires_after,
            ..BatchRecord::new(
                caller.owner(),
                BatchDialect::OpenAi,
                endpoint,
                (file.id, file.size_bytes),
                WINDOW_TTL,
            )
        };
        gateway.begin_batch(caller, record).await.map(body::of_openai)
    }

    /// Creates a batch of messages. `base`: the client's address of the gateway.
    ///
    /// # Errors
    /// `invalid_request`, naming the field; `quota_exceeded` if the caller has too many batches or files; `internal` if the store
    /// fails.
    #[crate::boxed_future]
    pub async fn create_message_batch(
        &self,
        caller: &Caller,
        request: MessageBatchRequest,
        betas: Vec<String>,
        base: &str,
    ) -> Result<MessageBatch, ApiError> {
        let gateway = &self.0;
        request.check(gateway.batches.settings.max_requests)?;
        gateway.refuse_too_many_batches(caller).await?;
        let (count, when, max_price) = (request.requests.len() as u64, request.when, request.max_price);
        let bytes = input_of(request);
        let input = (FileId::new(), bytes.len() as u64);
        let (dialect, endpoint) = (BatchDialect::Anthropic, BatchEndpoint::Messages);
        let record = BatchRecord::new(caller.owner(), dialect, endpoint, input, WINDOW_TTL);
        let file = OwnFile {
            id: input.0,
            owner: caller.owner(),
            name: format!("{}_requests.jsonl", MessageBatchId::from(record.id)),
            purpose: FilePurpose::Batch,
            media_type: "application/jsonl",
            size_bytes: input.1,
            expires_after: Some(INPUT_EXPIRY_SECONDS),
            has_quota: true,
        };
        gateway.files.put(file, stream::iter([Ok(Bytes::from(bytes))]).boxed()).await?;
        let record = BatchRecord {
            when: when.unwrap_or_default(),
            max_price,
            betas,
            // Its input was checked with the body.
            state: BatchState::InProgress,
            in_progress_at: Some(record.created_at),
            counts: BatchCounts { total: count, ..BatchCounts::default() },
            ..record
        };
        match gateway.begin_batch(caller, record).await {
            Ok(record) => Ok(body::of_anthropic(record, base)),
            Err(error) => {
                gateway.remove_input(input.0).await;
                Err(error)
            }
        }
    }
}

impl Components {
    /// Stores a batch, and submits its job.
    async fn begin_batch(&self, caller: &Caller, record: BatchRecord) -> Result<BatchRecord, ApiError> {
        self.store.batches().create(&record).await.map_err(error::store)?;
        match self.submit_batch(caller, record.id).await {
            Ok(Some(batch)) => Ok(batch.record),
            Ok(None) => Ok(record),
            Err(error) => {
                if let Err(error) = self.store.batches().remove(&record).await {
                    tracing::warn!(batch = %record.id, %error, "a batch without a job can't be deleted");
                }
                Err(error)
            }
        }
    }

    /// Deletes the requests of a batch that wasn't begun.
    async fn remove_input(&self, id: FileId) {
        let files = self.store.files();
        let removed = async {
            match files.get(id).await? {
                Some(file) => files.remove(&file).await,
                None => Ok(()),
            }
        };
        if let Err(error) = removed.await {
            tracing::warn!(file = %id, %error, "the requests of a batch that wasn't begun are deleted when they expire");
        }
    }

    /// Submits the job of a batch, if it has none; returns the batch then.
    pub(super) async fn submit_batch(
        &self,
        caller: &Caller,
        id: BatchId,
    ) -> Result<Option<RevisedBatch>, ApiError> {
        let job = NewJob {
            caller: Some(caller.clone()),
            priority: Priority::Low,
            expires_after: Some(JOB_TTL),
            max_attempts: Some(JOB_MAX_ATTEMPTS),
            dedupe: Some(id.to_string()),
            ..NewJob::new(JobKind::Batch, json!({"batch": id}))
        };
        let job = self.job_engine.submit(caller.owner(), job).await?;
        loop {
            let stored = self.store.batches().get(id).await.map_err(error::store)?;
            let Some(mut batch) = stored.filter(|batch| batch.record.job.is_none()) else { return Ok(None) };
            batch.record.job = Some(job.id);
            // The job may have changed it meanwhile.
            if self.store.batches().replace(&mut batch).await.map_err(error::store)? {
                return Ok(Some(batch));
            }
        }
    }

    /// Refuses a further batch of a user with too many that haven't ended.
    async fn refuse_too_many_batches(&self, caller: &Caller) -> Result<(), ApiError> {
        let max_count = self.batches.settings.user_max_count;
        // Older ones have ended, or only put their results together.
        let since = Timestamp::now();
        let mut open = 0;
        for dialect in [BatchDialect::OpenAi, BatchDialect::Anthropic] {
            let mut after = None;
            'pages: loop {
                let store = self.store.batches();
                let page = store.page(caller.owner(), dialect, true, after, COUNT_PAGE_COUNT);
                let (batches, has_more) = page.await.map_err(error::store)?;
                for batch in &batches {
                    if batch.expires_at <= since {
                        break 'pages;
                    }
                    open += u32::from(!batch.state.is_terminal());
                }
                after = batches.last().map(|batch| batch.id);
                if !has_more || after.is_none() || open >= max_count {
                    break;
                }
            }
        }
        if open < max_count {
            return Ok(());
        }
        let message = format!(
            "{open} of your batches haven't ended, as many as may (batches.user_max_count); wait, or cancel some"
        );
        Err(ApiError::new(ErrorCode::QuotaExceeded, message)
            .with("subject", "batches")
            .with("used_count", open)
            .with("max_count", max_count))
    }
}

/// The requests of a body as lines of an input.
fn input_of(request: MessageBatchRequest) -> Vec<u8> {
    let mut input = Vec::new();
    for item in request.requests {
        let line = json!({
            "custom_id": item.custom_id, "method": "POST", "url": BatchEndpoint::Messages,
            "body": Value::Object(item.params),
        });
        // A value has no failing serializer.
        input.extend(serde_json::to_vec(&line).unwrap_or_default());
        input.push(b'\n');
    }
    input
}
