//! Webhooks of the gateway's own making: that of a job, and the message to the owner of a paused webhook.

use std::collections::BTreeMap;

use hearth_domain::{
    Owner, RevisionId, Secret, Timestamp, WebhookId, WebhookState, WebhookTarget, WebhookVisibility,
};
use hearth_store::{
    Store, StoreError,
    webhooks::{EventFilter, JOB_WEBHOOK_TTL, WebhookRecord, context},
};
use hearth_wire::{ApiError, native::webhooks::JobWebhook};

use super::{
    checks::{check_address, check_events, check_headers},
    secrets::WebhookSecrets,
};
use crate::{components::Components, error};

/// Checks and stores the webhook of a job; returns its id, which the job's record has. The events of the job name it.
/// `job_expires_at`: the time at which the job ends at the latest.
///
/// # Errors
/// `invalid_request`, naming the field below `webhook`; `internal` if the store fails.
pub(crate) async fn attach(
    components: &Components,
    owner: Owner,
    webhook: &JobWebhook,
    job_expires_at: Timestamp,
) -> Result<WebhookId, ApiError> {
    let webhooks = &components.webhooks;
    let at = |error: ApiError| {
        let field = format!("webhook.{}", error.param.as_deref().unwrap_or("url"));
        error.at(&field)
    };
    let (target, allows_private) = (WebhookTarget::Https, webhooks.settings.private_addresses);
    let (address, shown) = check_address(target, Some(&webhook.url), allows_private).map_err(at)?;
    let headers = check_headers(webhook.headers.clone()).map_err(at)?;
    let events = webhook.events.clone().unwrap_or_else(|| vec!["*".to_owned()]);
    let events = check_events(events).map_err(at)?;
    if let Some(secret) = &webhook.secret {
        hearth_auth::webhook_signature::check_secret(secret)
            .map_err(|error| ApiError::invalid("webhook.secret", error.to_string()))?;
    }
    let secrets = WebhookSecrets { address, headers, secret: webhook.secret.clone(), previous: None };
    let expires_at = expiry(job_expires_at);
    let record = internal(&webhooks.store, owner, (target, shown, events), &secrets, expires_at).await;
    record.map(|record| record.id).map_err(error::store)
}

/// Has the webhook of a job last for another job, which repeats the first one.
///
/// # Errors
/// `internal` if the store fails.
pub(crate) async fn attach_again(
    components: &Components,
    owner: Owner,
    webhook: WebhookId,
    job_expires_at: Timestamp,
) -> Result<(), ApiError> {
    let webhooks = components.store.webhooks();
    webhooks.extend(owner.organisation, webhook, expiry(job_expires_at)).await.map_err(error::store)
}

/// The time up to which the webhook of a job is valid: its end is delivered by then.
fn expiry(job_expires_at: Timestamp) -> Timestamp {
    job_expires_at.plus(JOB_WEBHOOK_TTL)
}

/// Stores a webhook that sends an email to the owner of a webhook.
pub(super) async fn attach_email(
    store: &Store,
    owner: Owner,
    address: &str,
) -> Result<WebhookRecord, StoreError> {
    let secrets = WebhookSecrets {
        address: Some(Secret::new(address)),
        headers: BTreeMap::new(),
        secret: None,
        previous: None,
    };
    let target = (WebhookTarget::Email, address.to_owned(), vec!["*".to_owned()]);
    internal(store, owner, target, &secrets, expiry(Timestamp::now())).await
}

async fn internal(
    store: &Store,
    owner: Owner,
    (target, address, events): (WebhookTarget, String, Vec<String>),
    secrets: &WebhookSecrets,
    expires_at: Timestamp,
) -> Result<WebhookRecord, StoreError> {
    let (id, now) = (WebhookId::new(), Timestamp::now());
    let record = WebhookRecord {
        id,
        organisation: owner.organisation,
        user: owner.user,
        name: String::new(),
        events,
        filter: EventFilter::default(),
        visibility: WebhookVisibility::User,
        target,
        address,
        header_names: secrets.headers.keys().cloned().collect(),
        sealed: secrets.seal(store, &context(owner.organisation, id)).await?,
        previous_secret_until: None,
        batch: None,
        state: WebhookState::Active,
        state_reason: None,
        state_at: None,
        is_internal: true,
        expires_at: Some(expires_at),
        created_at: now,
        updated_at: now,
        revision: RevisionId::new(),
    };
    store.webhooks().create(&record).await.map(|()| record)
}
