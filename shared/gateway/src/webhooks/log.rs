//! The log of deliveries, and replays from it.

use std::time::Duration;

use hearth_domain::{DeliveryState, EventId, Timestamp, WebhookId};
use hearth_store::webhooks::DeliveryRecord;
use hearth_wire::{
    ApiError, ErrorCode,
    native::webhooks::{
        DeliveryBody, DeliveryList, DeliveryQuery, DeliveryTryBody, ReplayDeliveries, ReplayResult,
    },
};

use super::WebhookAccess;
use crate::{
    access::Caller,
    error,
    pager::{PAGE_MAX_COUNT, Pager},
};

/// Deliveries that are read for one page of those in a state, or for one replay.
const READ_MAX_COUNT: u32 = 2_000;
/// Deliveries that one replay sends again.
const REPLAY_MAX_COUNT: u32 = 500;
/// Time before now at which the range of a replay begins, if none is named.
const REPLAY_INTERVAL: Duration = Duration::from_secs(24 * 3600);
/// Time for which deliveries are stored.
const LOG_TTL: Duration = Duration::from_secs(30 * 24 * 3600);

impl WebhookAccess<'_> {
    /// A page of a webhook's deliveries, the newest event first.
    ///
    /// # Errors
    /// `not_found`; `invalid_request` for a bad limit or cursor.
    #[crate::boxed_future]
    pub async fn deliveries(
        &self,
        caller: &Caller,
        id: WebhookId,
        query: DeliveryQuery,
    ) -> Result<DeliveryList, ApiError> {
        let webhook = self.find(caller, id).await?;
        let range = range(query.since, query.until)?;
        let (since, until) = (query.since, query.until);
        let list = format!("deliveries|{}|{:?}|{since:?}|{until:?}", webhook.id, query.state);
        let pager = Pager::new(&self.0.keys, caller.owner(), &list, query.limit)?;
        let limit = pager.limit;
        let mut before: Option<EventId> = pager.open(query.cursor.as_deref()).await?;
        // Few of many may be in a state. Without one, one more than the limit shows whether there is another page.
        let read_count = if query.state.is_some() { PAGE_MAX_COUNT } else { limit + 1 };
        let (mut deliveries, mut read) = (Vec::new(), 0);
        let next = loop {
            let page = self.0.store.deliveries().page(webhook.id, range, before, read_count).await;
            let (records, next) = page.map_err(error::store)?;
            read += read_count;
            let room = limit as usize - deliveries.len();
            let is_wanted = |record: &DeliveryRecord| query.state.is_none_or(|state| state == record.state);
            let wanted: Vec<DeliveryRecord> = records.into_iter().filter(is_wanted).collect();
            let has_more_here = wanted.len() > room;
            deliveries.extend(wanted.into_iter().take(room));
            if has_more_here {
                break deliveries.last().map(|record| record.event);
            }
            before = next;
            if next.is_none() || deliveries.len() == limit as usize || read >= READ_MAX_COUNT {
                break next;
            }
        };
        let next_cursor = pager.seal(next).await?;
        Ok(DeliveryList { deliveries: deliveries.into_iter().map(delivery_body).collect(), next_cursor })
    }

    /// Sends the event of a delivery again that has ended.
    ///
    /// # Errors
    /// `not_found`; `conflict` if it hasn't ended.
    #[crate::boxed_future]
    pub async fn replay(
        &self,
        caller: &Caller,
        id: WebhookId,
        event: EventId,
    ) -> Result<DeliveryBody, ApiError> {
        let webhook = self.find(caller, id).await?;
        let delivery = self.delivery(id, event).await?;
        if delivery.state == DeliveryState::Pending {
            let message =
                "the delivery hasn't ended yet; GET /v1/webhooks/{id}/deliveries shows its next try";
            return Err(ApiError::new(ErrorCode::Conflict, message));
        }
        self.0.queue.replay(&webhook, vec![event]).await.map_err(error::store)?;
        // Here already, so that the caller sees it pending.
        self.0.queue.requeue(&webhook, &delivery).await.map_err(error::store)?;
        self.delivery(id, event).await.map(delivery_body)
    }

    /// Sends the events of a time again whose deliveries are in a state, the oldest first of those that are read. A job queues them
    /// in a moment.
    ///
    /// # Errors
    /// `not_found`; `invalid_request` for a bad range or a state that isn't an end.
    #[crate::boxed_future]
    pub async fn replay_range(
        &self,
        caller: &Caller,
        id: WebhookId,
        request: ReplayDeliveries,
    ) -> Result<ReplayResult, ApiError> {
        let webhook = self.find(caller, id).await?;
        let state = request.state.unwrap_or(DeliveryState::Failed);
        if state == DeliveryState::Pending {
            return Err(ApiError::invalid("state", "a pending delivery is sent anyway; name another state"));
        }
        let day_ago = Timestamp::from_unix_millis(
            Timestamp::now().unix_millis().saturating_sub(millis(REPLAY_INTERVAL)),
        );
        let range = range(Some(request.since.unwrap_or(day_ago)), request.until)?;
        let (mut matching, mut before, mut read) = (Vec::new(), None, 0);
        let has_more = loop {
            let page = self.0.store.deliveries().page(webhook.id, range, before, PAGE_MAX_COUNT).await;
            let (records, next) = page.map_err(error::store)?;
            read += PAGE_MAX_COUNT;
            matching.extend(records.into_iter().filter(|record| record.state == state));
            before = next;
            if next.is_none() || read >= READ_MAX_COUNT || matching.len() > REPLAY_MAX_COUNT as usize {
                break next.is_some() || matching.len() > REPLAY_MAX_COUNT as usize;
            }
        };
        // Those that were read first are the newest.
        matching.truncate(REPLAY_MAX_COUNT as usize);
        let events: Vec<EventId> = matching.iter().rev().map(|delivery| delivery.event).collect();
        let replayed = u32::try_from(events.len()).unwrap_or(u32::MAX);
        if replayed > 0 {
            self.0.queue.replay(&webhook, events).await.map_err(error::store)?;
        }
        Ok(ReplayResult { replayed, has_more })
    }

    async fn delivery(&self, id: WebhookId, event: EventId) -> Result<DeliveryRecord, ApiError> {
        let delivery = self.0.store.deliveries().get(id, event).await.map_err(error::store)?;
        delivery.ok_or_else(|| ApiError::new(ErrorCode::NotFound, "there is no delivery of this event"))
    }
}

/// The first and the last event of a time.
fn range(since: Option<Timestamp>, until: Option<Timestamp>) -> Result<(EventId, EventId), ApiError> {
    let (oldest, latest) = stored_times();
    let (since, until) = (since.unwrap_or(oldest), until.unwrap_or(latest));
    if since > until {
        return Err(ApiError::invalid("since", "since must be before until"));
    }
    Ok((EventId::first_of(since), EventId::last_of(until)))
}

/// The first and the last event that a log may have.
pub(super) fn stored_range() -> (EventId, EventId) {
    let (oldest, latest) = stored_times();
    (EventId::first_of(oldest), EventId::last_of(latest))
}

fn stored_times() -> (Timestamp, Timestamp) {
    let now = Timestamp::now();
    let oldest = Timestamp::from_unix_millis(now.unix_millis().saturating_sub(millis(LOG_TTL)));
    // An event of this moment may have a clock that is ahead.
    (oldest, now.plus(Duration::from_secs(60)))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A delivery as its owner sees it.
pub(super) fn delivery_body(record: DeliveryRecord) -> DeliveryBody {
    let tries = record.tries.into_iter().map(|one| DeliveryTryBody {
        at: one.at,
        duration_ms: one.duration_ms,
        status: one.status,
        result: one.result,
    });
    DeliveryBody {
        event: record.event,
        kind: record.kind,
        subject: record.subject,
        state: record.state,
        attempts: record.attempts,
        tries: tries.collect(),
        next_at: record.next_at,
        sent_with: record.sent_with.or((record.members.len() > 1).then_some(record.event)),
        reason: record.reason,
        created_at: record.event.created_at(),
        ended_at: record.ended_at,
    }
}
