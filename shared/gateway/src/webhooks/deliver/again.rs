//! Deliveries that are sent again: those that waited for a resumed webhook, and those of a replay.
//!
//! Both are jobs, as one request can't submit the jobs of thousands of deliveries. What a job has done before its process died is
//! done once: the jobs that it submits have names.

use std::time::Duration;

use futures::{TryStreamExt as _, stream};
use hearth_domain::{EventId, OrganisationId, Timestamp, WebhookId};
use hearth_store::StoreError;

use super::completed;
use crate::{
    jobs::engine::{JobStep, LeasedJob},
    webhooks::Webhooks,
};

/// Lanes whose first events are read at a time.
const LANE_PAGE_COUNT: u32 = 100;
/// Jobs that are submitted at the same time.
const SUBMISSION_MAX_COUNT: usize = 8;

impl Webhooks {
    /// Submits a job for each lane behind `after`. At the end of the slice another job goes on with the rest.
    pub(super) async fn resume_lanes(
        &self,
        job: &LeasedJob,
        (organisation, webhook): (OrganisationId, WebhookId),
        resumed_at: Timestamp,
        after: Option<String>,
    ) -> Result<JobStep, StoreError> {
        let mut last = after.clone();
        loop {
            // Once it is paused again, its next resumption has a job of its own.
            let Some(record) = self.active(organisation, webhook).await? else { return Ok(completed()) };
            if job.should_stop() {
                if last == after {
                    return Ok(JobStep::Continue { after: Duration::ZERO });
                }
                self.queue.resume(&record, resumed_at, last).await?;
                return Ok(completed());
            }
            let (heads, next) =
                self.store.deliveries().heads(webhook, last.as_deref(), LANE_PAGE_COUNT).await?;
            let submissions = stream::iter(heads.into_iter().map(Ok::<_, StoreError>));
            let submit = async |event| self.queue.send_again(&record, event, resumed_at).await;
            submissions.try_for_each_concurrent(SUBMISSION_MAX_COUNT, submit).await?;
            if next.is_none() {
                return Ok(completed());
            }
            last = next;
        }
    }

    /// Queues the deliveries of these events again, in their order. A webhook that isn't active has them sent when it is resumed.
    pub(super) async fn replay_all(
        &self,
        job: &LeasedJob,
        (organisation, webhook): (OrganisationId, WebhookId),
        replayed_at: Timestamp,
        replayed: &[EventId],
    ) -> Result<JobStep, StoreError> {
        let Some(record) = self.store.webhooks().get(organisation, webhook).await? else {
            return Ok(completed());
        };
        for event in replayed {
            if job.should_stop() {
                return Ok(JobStep::Continue { after: Duration::ZERO });
            }
            self.queue.replay_one(&record, *event, replayed_at).await?;
        }
        Ok(completed())
    }
}
