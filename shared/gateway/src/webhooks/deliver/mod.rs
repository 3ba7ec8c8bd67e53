//! Carries out the jobs of deliveries.
//!
//! A job sends the deliveries of a lane, one after the other, until the lane is empty. It claims each before it sends it, so that
//! of the jobs of a lane one sends: the others end at once, as that one goes on with theirs. A try that has failed is repeated
//! after a time, by the same job; after the last one the webhook is paused, and its owner notified. The jobs of a webhook that
//! isn't active end, and give their claims up. A failure of the store costs a job no attempt: it waits. A few jobs at a time send to
//! one endpoint, so that a slow one doesn't delay the others (`endpoint_place`, and the queue of one process).
//!
//! Jobs of two other tasks submit such jobs anew: when a webhook is resumed, and for a replay (`again`).

mod again;
mod attempt;
mod endpoint_place;
pub(super) mod mailer;
mod notice;
mod paused;
mod try_result;

use std::time::Duration;

use hearth_domain::{DeliveryState, EventId, JobId, OrganisationId, Timestamp, WebhookId, WebhookState};
use hearth_store::{
    StoreError,
    webhooks::{DeliveryClaim, DeliveryRecord, DeliveryTry, DeliveryWorker, TRIES_MAX_COUNT, WebhookRecord},
};
use serde_json::json;

use super::{
    Webhooks,
    queue::{DeliveryInput, DeliveryTask},
};
use crate::{
    components::Components,
    jobs::engine::{JobStep, LeasedJob},
};
use endpoint_place::{EndpointPlace, PLACE_WAIT_INTERVAL};
use try_result::TryResult;

/// Time for which a worker has a delivery: longer than a try may take.
const CLAIM_TTL: Duration = Duration::from_secs(180);
/// Longest time until the next try, whatever the endpoint asks for.
const RETRY_MAX_INTERVAL: Duration = Duration::from_secs(6 * 3600);
/// Factor between two times until the next try.
const RETRY_FACTOR: u32 = 4;
/// Shortest and longest time until the next slice after the store has failed.
const STORE_RETRY_INTERVALS: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(600));
/// Part of the time since the event that a job waits after the store has failed, so that it waits longer each time.
const STORE_RETRY_DIVISOR: u32 = 4;
/// Time until the next slice after another worker has written the same delivery.
const CONFLICT_RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Carries out a slice of a job of deliveries.
pub(crate) async fn deliver(components: &Components, job: &LeasedJob) -> JobStep {
    let DeliveryInput { organisation, webhook, task } = match job.input() {
        Ok(input) => input,
        Err(error) => return JobStep::Failed { error },
    };
    let (webhooks, place, began_at) = (&components.webhooks, (organisation, webhook), task.began_at());
    let step = match task {
        DeliveryTask::Send { event } => {
            let mut endpoint = EndpointPlace::new(components, organisation, job);
            let step = deliver_lane(components, job, place, event, &mut endpoint).await;
            endpoint.release().await;
            step
        }
        DeliveryTask::Replay { replayed_at, replayed } => {
            webhooks.replay_all(job, place, replayed_at, &replayed).await
        }
        DeliveryTask::Resume { resumed_at, after } => {
            webhooks.resume_lanes(job, place, resumed_at, after).await
        }
    };
    step.unwrap_or_else(|error| after_failure(webhook, &error, began_at))
}

/// The step after the store has failed, or has refused a write. Neither costs an attempt: no list has the job, so nobody would
/// submit it again.
fn after_failure(webhook: WebhookId, error: &StoreError, began_at: Timestamp) -> JobStep {
    if matches!(error, StoreError::Conflict) {
        // The next slice finds who has it.
        return JobStep::Continue { after: CONFLICT_RETRY_INTERVAL };
    }
    let after = store_wait(began_at.until(Timestamp::now()));
    tracing::warn!(%webhook, %error, "the store has failed; the deliveries of a webhook wait");
    JobStep::Continue { after: after.mul_f64(rand::random_range(0.8..1.2)) }
}

/// Time until the next slice of a job whose event is of this age, after the store has failed.
fn store_wait(age: Duration) -> Duration {
    let (shortest, longest) = STORE_RETRY_INTERVALS;
    (age / STORE_RETRY_DIVISOR).clamp(shortest, longest)
}

async fn deliver_lane(
    components: &Components,
    job: &LeasedJob,
    (organisation, webhook): (OrganisationId, WebhookId),
    event: EventId,
    endpoint: &mut EndpointPlace<'_>,
) -> Result<JobStep, StoreError> {
    let webhooks = &components.webhooks;
    let worker = DeliveryWorker { job: job.id(), fence: job.fence() };
    let deliveries = webhooks.store.deliveries();
    let Some(own) = deliveries.get(webhook, event).await? else { return Ok(completed()) };
    let mut ended = 0;
    loop {
        if job.should_stop() {
            return Ok(JobStep::Continue { after: Duration::ZERO });
        }
        // Read for each delivery: it may be paused or changed meanwhile.
        let Some(record) = webhooks.active(organisation, webhook).await? else {
            let head = deliveries.first_of_lane(webhook, &own.lane, 1).await?;
            // A job that was submitted when the webhook was resumed may have ended because of this claim: look again.
            match head.first() {
                Some(head) if deliveries.release_by(webhook, *head, worker.job).await? => continue,
                _ => return Ok(completed()),
            }
        };
        let most = record.batch.map_or(1, |batch| batch.max_events);
        let first = deliveries.first_of_lane(webhook, &own.lane, most).await?;
        let Some(head) = first.first() else { return Ok(completed()) };
        // Deaths of processes during earlier deliveries don't count against the job. A lost lease ends the slice.
        if ended > 0 && job.save(ended, 0).await.is_err() {
            return Ok(JobStep::Continue { after: Duration::ZERO });
        }
        let mut delivery = match deliveries.claim(webhook, *head, worker, CLAIM_TTL).await? {
            DeliveryClaim::Claimed(delivery) => *delivery,
            DeliveryClaim::Held { claim, until } => match webhooks.holder(worker.job, &claim).await? {
                // It goes on with the lane.
                Holder::OpenJob => return Ok(completed()),
                Holder::EndedJob => {
                    deliveries.release(webhook, *head, &claim).await?;
                    continue;
                }
                Holder::Unknown => {
                    return Ok(JobStep::Continue { after: Timestamp::now().until(until) });
                }
            },
            DeliveryClaim::Ended => {
                deliveries.drop_ended(webhook, &own.lane, *head).await?;
                continue;
            }
        };
        let wait = delivery.next_at.map_or(Duration::ZERO, |at| Timestamp::now().until(at));
        if wait > Duration::ZERO {
            return Ok(JobStep::Continue { after: wait });
        }
        if !endpoint.take().await? {
            return Ok(JobStep::RateLimited { after: PLACE_WAIT_INTERVAL });
        }
        if delivery.members.is_empty() {
            delivery.members = first;
            if record.batch.is_some() {
                // The same events come with the same id, whatever happens after this.
                deliveries.save(&delivery).await?;
            }
        }
        if let Some(wait) = webhooks.try_once(components, &record, delivery).await? {
            return Ok(JobStep::Continue { after: wait });
        }
        ended += 1;
    }
}

/// The holder of another worker's claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holder {
    /// A job that is carried out, now or later.
    OpenJob,
    /// A job that has ended, or is gone: it sends nothing any more.
    EndedJob,
    /// A later lease of the same job, or a claim in the form of another version.
    Unknown,
}

impl Webhooks {
    /// A webhook, if it is active.
    async fn active(
        &self,
        organisation: OrganisationId,
        webhook: WebhookId,
    ) -> Result<Option<WebhookRecord>, StoreError> {
        let record = self.store.webhooks().get(organisation, webhook).await?;
        Ok(record.filter(|record| record.state == WebhookState::Active))
    }

    /// The holder of a claim, which isn't this job's present lease.
    async fn holder(&self, own: JobId, claim: &str) -> Result<Holder, StoreError> {
        let holder = DeliveryWorker::of_claim(claim).map(|worker| worker.job).filter(|job| *job != own);
        let Some(holder) = holder else { return Ok(Holder::Unknown) };
        let job = self.store.jobs().get(holder).await?;
        let is_open = job.is_some_and(|job| !job.state.is_terminal());
        Ok(if is_open { Holder::OpenJob } else { Holder::EndedJob })
    }

    /// Tries to deliver, and stores the result. Returns the time until the next try if there is one.
    async fn try_once(
        &self,
        components: &Components,
        webhook: &WebhookRecord,
        mut delivery: DeliveryRecord,
    ) -> Result<Option<Duration>, StoreError> {
        let began = Timestamp::now();
        let result = self.send(webhook, &delivery).await?;
        let took = began.until(Timestamp::now());
        if let TryResult::Suppressed(reason) = result {
            end(&mut delivery, DeliveryState::Suppressed, Some(reason));
            self.store.deliveries().save(&delivery).await?;
            count(webhook, DeliveryState::Suppressed);
            return Ok(None);
        }
        metrics::histogram!("hearth_webhook_try_seconds", "target" => webhook.target.as_str()).record(took);
        delivery.attempts = delivery.attempts.saturating_add(1);
        delivery.tries.push(DeliveryTry {
            at: began,
            duration_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            status: result.status(),
            result: result.text(),
        });
        let surplus = delivery.tries.len().saturating_sub(TRIES_MAX_COUNT);
        delivery.tries.drain(..surplus);
        match result {
            TryResult::Delivered { .. } => {
                end(&mut delivery, DeliveryState::Delivered, None);
                self.store.deliveries().save(&delivery).await?;
                count(webhook, DeliveryState::Delivered);
                Ok(None)
            }
            TryResult::Gone { .. } => {
                let reason = "the endpoint has answered 410 Gone";
                end(&mut delivery, DeliveryState::Failed, Some(reason.to_owned()));
                self.stop(components, webhook, WebhookState::Disabled, reason, &delivery).await?;
                Ok(None)
            }
            TryResult::Failed { ref reason, retry_after, .. } => {
                if delivery.attempts < self.settings.attempts {
                    let wait = self.retry_wait(delivery.attempts, retry_after);
                    let next_at = Timestamp::now().plus(wait);
                    delivery.next_at = Some(next_at);
                    delivery.claim_until = Some(next_at.plus(CLAIM_TTL));
                    self.store.deliveries().save(&delivery).await?;
                    return Ok(Some(wait));
                }
                let reason = format!("{} tries have failed, the last one: {reason}", delivery.attempts);
                end(&mut delivery, DeliveryState::Failed, Some(reason.clone()));
                self.stop(components, webhook, WebhookState::Paused, &reason, &delivery).await?;
                Ok(None)
            }
            TryResult::Suppressed(_) => Ok(None),
        }
    }

    /// Time until the next try: exponential backoff with jitter, or what the endpoint asks for.
    fn retry_wait(&self, attempts: u32, retry_after: Option<Duration>) -> Duration {
        let factor = RETRY_FACTOR.saturating_pow(attempts.saturating_sub(1));
        let backoff = self.settings.retry_interval().saturating_mul(factor);
        let jitter = rand::random_range(0.8..1.2);
        let backoff = backoff.min(RETRY_MAX_INTERVAL).mul_f64(jitter);
        backoff.max(retry_after.unwrap_or_default()).min(RETRY_MAX_INTERVAL)
    }
}

fn end(delivery: &mut DeliveryRecord, state: DeliveryState, reason: Option<String>) {
    delivery.state = state;
    delivery.reason = reason;
    delivery.next_at = None;
    delivery.ended_at = Some(Timestamp::now());
}

fn count(webhook: &WebhookRecord, state: DeliveryState) {
    let (target, result) = (webhook.target.as_str(), state.as_str());
    metrics::counter!("hearth_webhook_deliveries_total", "target" => target, "result" => result).increment(1);
}

fn completed() -> JobStep {
    JobStep::Completed { result: json!({}) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_of_the_store_costs_no_attempt_and_each_wait_is_longer() {
        let failed = StoreError::Unavailable { operation: "get an item", reason: "no connection".to_owned() };
        let began_at = Timestamp::now();
        for error in [failed, StoreError::Conflict] {
            let step = after_failure(WebhookId::new(), &error, began_at);
            assert!(matches!(step, JobStep::Continue { .. }), "{step:?}");
        }
        let mut waits = Vec::new();
        let mut age = Duration::ZERO;
        // An outage of a quarter of an hour.
        while age < Duration::from_secs(900) {
            waits.push(store_wait(age));
            age += store_wait(age);
        }
        assert!(waits.is_sorted() && waits.len() < 30, "{waits:?}");
        assert_eq!(store_wait(Duration::from_secs(30 * 24 * 3600)), STORE_RETRY_INTERVALS.1);
    }
}
