//! A batch under the lease of its job: the record, and the writers of its results, which are saved together.

use hearth_domain::BatchDialect;
use hearth_store::{
    Store, StoreError,
    batches::{BatchOutput, BatchRecord, RevisedBatch},
};
use hearth_wire::ApiError;

use super::results::ResultWriter;
use crate::jobs::engine::{LeaseLost, LeasedJob};

/// Reason why a batch can't be carried on.
#[derive(Debug, thiserror::Error)]
pub(super) enum BatchError {
    /// Another process has it, or it was deleted.
    #[error("the batch was taken over, or was deleted")]
    Lost,
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The files of its results can't be written.
    #[error(transparent)]
    Refused(#[from] ApiError),
}

impl From<LeaseLost> for BatchError {
    fn from(_: LeaseLost) -> Self {
        Self::Lost
    }
}

/// A batch that this process carries out.
#[derive(Debug)]
pub(super) struct BatchLease {
    store: Store,
    batch: RevisedBatch,
    output: ResultWriter,
    errors: ResultWriter,
}

impl BatchLease {
    /// Takes the batch under the fencing token of its job.
    ///
    /// # Errors
    /// [`BatchError::Lost`] if a later process has it.
    pub(super) async fn take(
        store: &Store,
        mut batch: RevisedBatch,
        fencing_token: u64,
    ) -> Result<Self, BatchError> {
        loop {
            if batch.record.fencing_token > fencing_token {
                return Err(BatchError::Lost);
            }
            batch.record.fencing_token = fencing_token;
            if store.batches().replace(&mut batch).await? {
                break;
            }
            batch = store.batches().get(batch.record.id).await?.ok_or(BatchError::Lost)?;
        }
        let record = &batch.record;
        let output = ResultWriter::open(store, record.id, "output", &record.output).await?;
        let errors = ResultWriter::open(store, record.id, "errors", &record.errors).await?;
        Ok(Self { store: store.clone(), batch, output, errors })
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    pub(super) fn record(&self) -> &BatchRecord {
        &self.batch.record
    }

    /// The record, to be changed. [`BatchLease::save`] or [`BatchLease::replace`] stores it.
    pub(super) fn record_mut(&mut self) -> &mut BatchRecord {
        &mut self.batch.record
    }

    /// Adds the result of a request. `is_answer`: it was answered.
    pub(super) fn append(&mut self, is_answer: bool, line: &[u8]) {
        // Anthropic's results are all in one file.
        match is_answer || self.batch.record.dialect == BatchDialect::Anthropic {
            true => self.output.append(line),
            false => self.errors.append(line),
        }
    }

    /// True if so many results are in memory that they should be saved.
    pub(super) fn is_full(&self) -> bool {
        self.output.is_full() || self.errors.is_full()
    }

    /// Saves the results, and the record that counts them.
    ///
    /// # Errors
    /// [`BatchError::Lost`] if the lease has ended.
    pub(super) async fn save(&mut self, job: &mut LeasedJob) -> Result<(), BatchError> {
        let output = self.output.write().await?.clone();
        let errors = self.errors.write().await?.clone();
        let record = &mut self.batch.record;
        record.output = BatchOutput { file: record.output.file, ..output };
        record.errors = BatchOutput { file: record.errors.file, ..errors };
        let (done, total) = (record.counts.done(), record.counts.total);
        job.save(done, total).await?;
        self.replace().await?;
        self.output.delete_replaced().await;
        self.errors.delete_replaced().await;
        Ok(())
    }

    /// Deletes the parts of a batch that was deleted while this process carried it out, such as by the erasure of its owner. If
    /// there is a record, a later process goes on with these parts.
    pub(super) async fn delete_parts_without_record(&mut self) {
        let id = self.batch.record.id;
        if !matches!(self.store.batches().get(id).await, Ok(None)) {
            return;
        }
        for part in self.batch.record.parts() {
            if let Err(error) = self.store.batches().delete_part(id, part).await {
                tracing::warn!(batch = %id, %error, "a part of a deleted batch stays until it expires");
            }
        }
        self.output.delete_replaced().await;
        self.errors.delete_replaced().await;
    }

    /// Stores the record. What its owner has changed meanwhile stays.
    ///
    /// # Errors
    /// [`BatchError::Lost`] if another process has the batch.
    pub(super) async fn replace(&mut self) -> Result<(), BatchError> {
        while !self.store.batches().replace(&mut self.batch).await? {
            self.refresh().await?;
        }
        Ok(())
    }

    /// Reads what the owner has changed.
    ///
    /// # Errors
    /// [`BatchError::Lost`] if another process has the batch.
    pub(super) async fn refresh(&mut self) -> Result<(), BatchError> {
        let own = &mut self.batch;
        let stored = self.store.batches().get(own.record.id).await?.ok_or(BatchError::Lost)?;
        if stored.record.fencing_token != own.record.fencing_token || stored.record.state.is_terminal() {
            return Err(BatchError::Lost);
        }
        own.revision = stored.revision;
        own.record.job = own.record.job.or(stored.record.job);
        if own.record.cancelling_at.is_none() && stored.record.cancelling_at.is_some() {
            own.record.cancelling_at = stored.record.cancelling_at;
            own.record.state = stored.record.state;
        }
        Ok(())
    }
}
