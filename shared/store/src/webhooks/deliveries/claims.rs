//! Claims: of the workers that would send a delivery one does.

use std::{fmt, time::Duration};

use hearth_domain::{DeliveryState, EventId, JobId, Timestamp, WebhookId};

use super::{Condition, Deliveries, DeliveryRecord, StoreError, Update, Write, key};

/// Number of attempts at a claim whose delivery changes meanwhile.
const CLAIM_MAX_ATTEMPTS: u32 = 3;

/// A worker that sends deliveries: a process that carries out a job, under a lease. In a record it is `job_...#7`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliveryWorker {
    /// The job.
    pub job: JobId,
    /// The fencing token of the lease. A later lease of the job takes the claims of the earlier ones over.
    pub fence: u64,
}

/// The result of a claim.
#[derive(Debug, Clone, PartialEq)]
pub enum DeliveryClaim {
    /// The worker has the delivery.
    Claimed(Box<DeliveryRecord>),
    /// Another worker has it.
    Held {
        /// Its text in the record.
        claim: String,
        /// The time up to which it has the delivery, unless it extends that.
        until: Timestamp,
    },
    /// The delivery has ended, or is gone.
    Ended,
}

impl DeliveryWorker {
    /// The worker of a claim; none for a text of another form.
    #[must_use]
    pub fn of_claim(claim: &str) -> Option<Self> {
        let (job, fence) = claim.rsplit_once('#')?;
        Some(Self { job: job.parse().ok()?, fence: fence.parse().ok()? })
    }

    /// True if a claim is that of an earlier lease of the same job, or this worker's own.
    fn supersedes(self, claim: &str) -> bool {
        Self::of_claim(claim).is_some_and(|other| other.job == self.job && other.fence <= self.fence)
    }
}

impl fmt::Display for DeliveryWorker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.job, self.fence)
    }
}

impl Deliveries<'_> {
    /// Claims a delivery for a worker, which has it for `ttl`.
    ///
    /// # Errors
    /// `Conflict` if the delivery changes again and again meanwhile; else if the table can't be read or written.
    pub async fn claim(
        &self,
        webhook: WebhookId,
        event: EventId,
        worker: DeliveryWorker,
        ttl: Duration,
    ) -> Result<DeliveryClaim, StoreError> {
        for _ in 0..CLAIM_MAX_ATTEMPTS {
            let delivery = self.get(webhook, event).await?;
            let Some(mut delivery) = delivery.filter(|one| one.state == DeliveryState::Pending) else {
                return Ok(DeliveryClaim::Ended);
            };
            let now = Timestamp::now();
            let held_until = delivery.claim_until.filter(|until| *until > now && !delivery.claim.is_empty());
            if let Some(until) = held_until.filter(|_| !worker.supersedes(&delivery.claim)) {
                return Ok(DeliveryClaim::Held { claim: delivery.claim, until });
            }
            let (claim, until) = (worker.to_string(), now.plus(ttl));
            let set = vec![("claim", claim.clone().into()), ("claim_until", until.to_string().into())];
            let update = Update { set, ..Update::default() };
            match self.update_claim(webhook, event, update, &delivery.claim).await {
                Ok(()) => {
                    (delivery.claim, delivery.claim_until) = (claim, Some(until));
                    return Ok(DeliveryClaim::Claimed(Box::new(delivery)));
                }
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Conflict)
    }

    /// Ends a claim: its worker doesn't send the delivery. Returns false if the claim has changed, or the delivery has ended.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn release(&self, webhook: WebhookId, event: EventId, claim: &str) -> Result<bool, StoreError> {
        let update =
            Update { set: vec![("claim", "".into())], remove: vec!["claim_until"], ..Update::default() };
        match self.update_claim(webhook, event, update, claim).await {
            Ok(()) => Ok(true),
            Err(StoreError::Conflict) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Ends the claim of a job on a delivery, of any lease of the job. Returns false if it has none.
    ///
    /// # Errors
    /// If the table can't be read or written.
    pub async fn release_by(
        &self,
        webhook: WebhookId,
        event: EventId,
        job: JobId,
    ) -> Result<bool, StoreError> {
        let claim = self.get(webhook, event).await?.map(|delivery| delivery.claim);
        let own =
            claim.filter(|claim| DeliveryWorker::of_claim(claim).is_some_and(|worker| worker.job == job));
        match own {
            Some(claim) => self.release(webhook, event, &claim).await,
            None => Ok(false),
        }
    }

    /// Changes the claim of a pending delivery that has the claim `before`.
    async fn update_claim(
        &self,
        webhook: WebhookId,
        event: EventId,
        update: Update,
        before: &str,
    ) -> Result<(), StoreError> {
        self.0.write_in_order(vec![Write::Update(key(webhook, event), update, is_held_by(before))]).await
    }
}

/// The condition that a delivery is pending, and has this claim.
pub(super) fn is_held_by(claim: &str) -> Condition {
    Condition::All(vec![
        Condition::AttributeEquals("claim", claim.to_owned()),
        Condition::AttributeEquals("state", DeliveryState::Pending.as_str().to_owned()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_lease_of_a_job_supersedes_its_earlier_claims_alone() {
        let (job, other) = (JobId::new(), JobId::new());
        let worker = DeliveryWorker { job, fence: 10 };
        assert_eq!(DeliveryWorker::of_claim(&worker.to_string()), Some(worker));
        for (claim, expected) in [
            (format!("{job}#9"), true),
            (format!("{job}#10"), true),
            (format!("{job}#11"), false),
            (format!("{other}#1"), false),
            (job.to_string(), false),
            (String::new(), false),
        ] {
            assert_eq!(worker.supersedes(&claim), expected, "{claim}");
        }
    }
}
