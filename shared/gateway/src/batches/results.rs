//! Results of one kind, in parts: a full part is never changed, and the last one is replaced by a longer one while it grows.

use hearth_domain::{BatchId, hex};
use hearth_store::{Store, StoreError, batches::BatchOutput};

/// Bytes of a full part. In memory are one part of each kind, and the results that come in meanwhile.
const PART_BYTES: usize = 8 << 20;

/// Writes results of one kind.
#[derive(Debug)]
pub(super) struct ResultWriter {
    store: Store,
    batch: BatchId,
    /// `output` or `errors`, the beginning of the names of parts.
    kind: &'static str,
    output: BatchOutput,
    /// The results behind the full parts.
    tail: Vec<u8>,
    /// True if the tail has results that no part has.
    is_changed: bool,
    /// Parts that were replaced. They are deleted when the record no longer names them.
    replaced: Vec<String>,
}

impl ResultWriter {
    /// A writer that goes on behind the parts of `output`.
    ///
    /// # Errors
    /// `Gone` if its last part was deleted; if the bucket can't be read.
    pub(super) async fn open(
        store: &Store,
        batch: BatchId,
        kind: &'static str,
        output: &BatchOutput,
    ) -> Result<Self, StoreError> {
        let tail = match &output.tail {
            Some(part) => {
                let part = store.batches().part(batch, part).await?;
                part.collect().await.map_err(StoreError::unreadable)?
            }
            None => Vec::new(),
        };
        let (store, output) = (store.clone(), output.clone());
        Ok(Self { store, batch, kind, output, tail, is_changed: false, replaced: Vec::new() })
    }

    /// Adds a result.
    pub(super) fn append(&mut self, line: &[u8]) {
        self.tail.extend_from_slice(line);
        self.output.bytes += line.len() as u64;
        self.is_changed = true;
    }

    /// True if so much is in memory that it should be written.
    pub(super) fn is_full(&self) -> bool {
        self.tail.len() >= PART_BYTES
    }

    /// Writes the results that no part has. They count when the record names the part.
    ///
    /// # Errors
    /// If the bucket can't be written.
    pub(super) async fn write(&mut self) -> Result<&BatchOutput, StoreError> {
        if self.is_changed {
            let part = self.new_name();
            // A copy: if the write fails, or its record, the results are written again.
            self.store.batches().put_part(self.batch, &part, self.tail.clone()).await?;
            self.replaced.extend(self.output.tail.take());
            if self.is_full() {
                self.output.sealed.push(part);
                self.tail = Vec::new();
            } else {
                self.output.tail = Some(part);
            }
            self.is_changed = false;
        }
        Ok(&self.output)
    }

    /// Deletes the parts that were replaced, once the record doesn't name them.
    pub(super) async fn delete_replaced(&mut self) {
        for part in std::mem::take(&mut self.replaced) {
            if let Err(error) = self.store.batches().delete_part(self.batch, &part).await {
                tracing::warn!(batch = %self.batch, %error, "a part of a batch's results stays until it expires");
            }
        }
    }

    /// A name that no other process uses.
    fn new_name(&self) -> String {
        let nonce = hex(rand::random::<[u8; 8]>());
        format!("{}-{:05}-{nonce}", self.kind, self.output.sealed.len())
    }
}
