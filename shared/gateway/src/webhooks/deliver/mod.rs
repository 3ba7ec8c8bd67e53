//! Carries out the jobs of deliveries.
//!
//! A job sends the deliveries of a lane, one after the other, until the lane is empty. It claims each before it sends it, so that
//! of the jobs of a lane one sends: the others end at once, as that one goes on with theirs. A try that has failed is repeated
//! after a time, by the same job; after the last one the webhook is paused, and its owner notified.

mod attempt;
pub(super) mod mailer;
mod notice;
mod paused;
mod try_result;

use std::time::Duration;

use hearth_domain::{DeliveryState, Timestamp, WebhookState};
use hearth_store::{
    StoreError,
    webhooks::{DeliveryRecord, DeliveryTry, TRIES_MAX_COUNT, WebhookRecord},
};
use serde_json::json;

use super::{Webhooks, queue::DeliveryInput};
use crate::{
    components::Components,
    error,
    jobs::engine::{JobStep, LeasedJob, job_error},
};
use try_result::TryResult;

/// Time for which a worker has a delivery: longer than a try may take.
const CLAIM_TTL: Duration = Duration::from_secs(180);
/// Longest time until the next try, whatever the endpoint asks for.
const RETRY_MAX_INTERVAL: Duration = Duration::from_secs(6 * 3600);
/// Factor between two times until the next try.
const RETRY_FACTOR: u32 = 4;

/// Carries out a slice of the job of a delivery.
pub(crate) async fn deliver(components: &Components, job: &LeasedJob) -> JobStep {
    let input: DeliveryInput = match job.input() {
        Ok(input) => input,
        Err(error) => return JobStep::Failed { error },
    };
    match deliver_lane(components, job, input).await {
        Ok(step) => step,
        // Another worker has it.
        Err(StoreError::Conflict) => completed(),
        Err(failure) => JobStep::Retry { error: job_error(error::store(failure)), after: None },
    }
}

async fn deliver_lane(
    components: &Components,
    job: &LeasedJob,
    input: DeliveryInput,
) -> Result<JobStep, StoreError> {
    let (webhooks, worker) = (&components.webhooks, job.id().to_string());
    let deliveries = webhooks.store.deliveries();
    let DeliveryInput { organisation, webhook, event } = input;
    let Some(own) = deliveries.get(webhook, event).await? else { return Ok(completed()) };
    loop {
        if job.should_stop() {
            return Ok(JobStep::Continue { after: Duration::ZERO });
        }
        // Read for each delivery: it may be paused or changed meanwhile.
        let record = webhooks.store.webhooks().get(organisation, webhook).await?;
        let Some(record) = record.filter(|record| record.state == WebhookState::Active) else {
            return Ok(completed());
        };
        let most = record.batch.map_or(1, |batch| batch.max_events);
        let first = deliveries.first_of_lane(webhook, &own.lane, most).await?;
        let Some(head) = first.first() else { return Ok(completed()) };
        let Some(mut delivery) = deliveries.claim(webhook, *head, &worker, CLAIM_TTL).await? else {
            if deliveries.drop_ended(webhook, &own.lane, *head).await? {
                continue;
            }
            return Ok(completed());
        };
        let wait = delivery.next_at.map_or(Duration::ZERO, |at| Timestamp::now().until(at));
        if wait > Duration::ZERO {
            return Ok(JobStep::Continue { after: wait });
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
    }
}

impl Webhooks {
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
