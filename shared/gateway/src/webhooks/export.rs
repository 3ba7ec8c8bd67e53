//! Webhooks and deliveries in the export of their user.

use async_stream::try_stream;
use futures::stream::BoxStream;
use hearth_domain::{OrganisationId, UserId, WebhookId, WebhookVisibility};
use hearth_store::StoreError;
use hearth_wire::{ApiError, native::webhooks::WebhookBody};
use serde_json::{Value, json};

use super::{
    Webhooks,
    body::body,
    log::{delivery_body, stored_range},
};
use crate::error;

/// Deliveries that are read at a time.
const PAGE_MAX_COUNT: u32 = 100;

impl Webhooks {
    /// A user's webhooks in an organisation, without their secrets.
    ///
    /// # Errors
    /// `internal` if the store fails.
    pub(crate) async fn of_user(
        &self,
        user: UserId,
        organisation: OrganisationId,
    ) -> Result<Vec<WebhookBody>, ApiError> {
        let records = self.store.webhooks().of(organisation).await.map_err(error::store)?;
        Ok(records.into_iter().filter(|record| record.user == user).map(body).collect())
    }

    /// The webhooks of an organisation that get the user's own events alone, with those of their jobs. The log of one for all
    /// events of the organisation has those of other members.
    ///
    /// # Errors
    /// If the store fails.
    pub(crate) async fn with_own_events(
        &self,
        user: UserId,
        organisation: OrganisationId,
    ) -> Result<Vec<WebhookId>, StoreError> {
        let mut records = self.store.webhooks().of(organisation).await?;
        records.extend(self.store.webhooks().of_jobs(user, organisation).await?);
        let own = records
            .into_iter()
            .filter(|record| record.user == user && record.visibility == WebhookVisibility::User);
        Ok(own.map(|record| record.id).collect())
    }

    /// A line for each delivery in the log of a webhook, the newest event first: as the API returns it, with the event.
    pub(crate) fn delivery_lines(&self, webhook: WebhookId) -> BoxStream<'static, Result<Value, StoreError>> {
        let store = self.store.clone();
        Box::pin(try_stream! {
            let (range, mut before) = (stored_range(), None);
            loop {
                let (records, next) =
                    store.deliveries().page(webhook, range, before, PAGE_MAX_COUNT).await?;
                for record in records {
                    let payload = serde_json::from_str(&record.payload).unwrap_or(Value::Null);
                    let mut line = json!(delivery_body(record));
                    line["webhook"] = json!(webhook);
                    line["payload"] = payload;
                    yield line;
                }
                before = next;
                if before.is_none() {
                    return;
                }
            }
        })
    }
}
