//! A job in the export of its user.

use hearth_domain::{JobId, OrganisationId, UserId};
use hearth_store::StoreError;
use serde_json::{Value, json};

use super::body;
use crate::Gateway;

impl Gateway {
    /// The job, as the API returns it, with its input and its whole result; and what of these can't be read. None if it has expired,
    /// is the gateway's own work, or isn't the user's or of the organisation `only`.
    ///
    /// # Errors
    /// If its record can't be read.
    pub(crate) async fn export_job(
        &self,
        id: JobId,
        user: UserId,
        only: Option<OrganisationId>,
    ) -> Result<Option<(Value, Vec<String>)>, StoreError> {
        let jobs = self.0.store.jobs();
        let Some(record) = jobs.get(id).await? else { return Ok(None) };
        let is_hidden = record.work.as_ref().is_some_and(|work| work.is_hidden);
        if is_hidden || record.user != user || only.is_some_and(|only| record.organisation != only) {
            return Ok(None);
        }
        let (has_input, has_result) = match &record.work {
            Some(work) => (true, work.result.is_some()),
            None => (false, false),
        };
        let mut line = json!(body::of(record, None));
        let mut problems = Vec::new();
        if has_input {
            match jobs.input(id).await {
                Ok(input) => line["input"] = input,
                Err(error) => problems.push(format!("the input of the job {id}: {error}")),
            }
        }
        if has_result {
            match jobs.result(id).await {
                Ok(result) => line["result"] = result,
                Err(error) => problems.push(format!("the result of the job {id}: {error}")),
            }
        }
        Ok(Some((line, problems)))
    }
}
