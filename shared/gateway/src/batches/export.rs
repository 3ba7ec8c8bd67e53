//! A batch in the export of its user.

use hearth_domain::{BatchDialect, BatchId, OrganisationId, UserId};
use hearth_store::{StoreError, batches::RevisedBatch};
use serde_json::{Value, json};

use super::body;
use crate::Gateway;

impl Gateway {
    /// The batch in its dialect, with the ids of the files that have its results; none if it has expired, or isn't the user's or of
    /// the organisation `only`.
    ///
    /// # Errors
    /// If its record can't be read.
    pub(crate) async fn export_batch(
        &self,
        id: BatchId,
        user: UserId,
        only: Option<OrganisationId>,
    ) -> Result<Option<Value>, StoreError> {
        let batch = self.0.store.batches().get(id).await?;
        let is_included = |batch: &RevisedBatch| {
            batch.record.user == user && only.is_none_or(|only| batch.record.organisation == only)
        };
        let Some(RevisedBatch { record, .. }) = batch.filter(is_included) else { return Ok(None) };
        Ok(Some(match record.dialect {
            BatchDialect::OpenAi => json!(body::of_openai(record)),
            BatchDialect::Anthropic => {
                let results = record.output.file;
                let mut line = json!(body::of_anthropic(record, ""));
                line["output_file_id"] = json!(results);
                line
            }
        }))
    }
}
