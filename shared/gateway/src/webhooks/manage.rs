//! Webhooks as their owners manage them.

use std::time::Duration;

use hearth_auth::webhook_signature::{check_secret, generate_secret};
use hearth_domain::{
    Action, EventId, EventKind, RevisionId, Secret, Timestamp, WebhookId, WebhookState, WebhookTarget,
    WebhookVisibility, normalized_email,
};
use hearth_store::{
    StoreError,
    event_outbox::OutboxEntry,
    webhooks::{WebhookRecord, context},
};
use hearth_wire::{
    ApiError, ErrorCode,
    native::webhooks::{
        CreateWebhook, DeliveryBody, RotateSecret, UpdateWebhook, WebhookBody, WebhookList, WebhookWithSecret,
    },
};
use serde_json::json;

use super::{
    WebhookAccess,
    body::{body, with_secret},
    checks::{check_address, check_batch, check_events, check_filter, check_headers, check_name},
    log::delivery_body,
    secrets::WebhookSecrets,
};
use crate::{access::Caller, error};

/// Time for which the earlier secret signs too, if none is named.
const DEFAULT_OVERLAP_SECONDS: u32 = 24 * 3600;
const OVERLAP_MAX_SECONDS: u32 = 7 * 24 * 3600;
const KEY_MAX_BYTES: usize = 200;

impl WebhookAccess<'_> {
    /// Creates a webhook. Returns its secret, this once.
    ///
    /// # Errors
    /// `invalid_request`, naming the field; `forbidden` for one of the organisation by another member than an owner or admin;
    /// `conflict` if there are too many.
    #[crate::boxed_future]
    pub async fn create(
        &self,
        caller: &Caller,
        request: CreateWebhook,
    ) -> Result<WebhookWithSecret, ApiError> {
        let webhooks = self.0;
        if request.visibility == WebhookVisibility::Organisation {
            caller.require(Action::ManageMembers)?;
        }
        let target = request.target;
        if target == WebhookTarget::Email && webhooks.mailer.is_none() {
            let message = "this gateway sends no emails; its operator can set notifications.smtp";
            return Err(ApiError::invalid("target", message));
        }
        let events = check_events(request.events)?;
        let name = check_name(request.name.as_deref().unwrap_or_default())?;
        let filter = check_filter(request.filter.unwrap_or_default())?;
        let batch = check_batch(request.batch)?;
        if batch.is_some() && target != WebhookTarget::Https {
            return Err(ApiError::invalid("batch", "only the target https takes several events at once"));
        }
        let headers = check_headers(request.headers)?;
        if !headers.is_empty() && target != WebhookTarget::Https {
            return Err(ApiError::invalid("headers", "only the target https takes headers"));
        }
        let allows_private = webhooks.settings.private_addresses;
        let (address, shown) = check_address(target, request.url.as_deref(), allows_private)?;
        if target == WebhookTarget::Email {
            self.check_recipient(caller, &shown).await?;
        }
        let secret = secret_of(target, request.secret)?;
        self.check_count(caller).await?;
        let (id, now) = (WebhookId::new(), Timestamp::now());
        let secrets = WebhookSecrets { address, headers, secret: secret.clone(), previous: None };
        let sealed = secrets.seal(&webhooks.store, &context(caller.organisation, id)).await;
        let record = WebhookRecord {
            id,
            organisation: caller.organisation,
            user: caller.user,
            name,
            events,
            filter,
            visibility: request.visibility,
            target,
            address: shown,
            header_names: secrets.headers.keys().cloned().collect(),
            sealed: sealed.map_err(error::store)?,
            previous_secret_until: None,
            batch,
            state: WebhookState::Active,
            state_reason: None,
            state_at: None,
            is_internal: false,
            expires_at: None,
            created_at: now,
            updated_at: now,
            revision: RevisionId::new(),
        };
        webhooks.store.webhooks().create(&record).await.map_err(error::store)?;
        webhooks.subscriptions.refresh(caller.organisation).await;
        Ok(with_secret(record, secret))
    }

    /// The caller's webhooks, and those of the organisation for its owners and admins, oldest first.
    ///
    /// # Errors
    /// `internal` if the store fails.
    #[crate::boxed_future]
    pub async fn list(&self, caller: &Caller) -> Result<WebhookList, ApiError> {
        let records = self.0.store.webhooks().of(caller.organisation).await.map_err(error::store)?;
        let records = records.into_iter().filter(|record| is_managed_by(record, caller));
        Ok(WebhookList { webhooks: records.map(body).collect() })
    }

    /// A webhook.
    ///
    /// # Errors
    /// `not_found`.
    #[crate::boxed_future]
    pub async fn get(&self, caller: &Caller, id: WebhookId) -> Result<WebhookBody, ApiError> {
        self.find(caller, id).await.map(body)
    }

    /// Changes a webhook.
    ///
    /// # Errors
    /// `not_found`; `invalid_request`, naming the field; `conflict` if it is changed at the same time.
    #[crate::boxed_future]
    pub async fn update(
        &self,
        caller: &Caller,
        id: WebhookId,
        request: UpdateWebhook,
    ) -> Result<WebhookBody, ApiError> {
        let mut record = self.find(caller, id).await?;
        if let Some(events) = request.events {
            record.events = check_events(events)?;
        }
        if let Some(name) = &request.name {
            record.name = check_name(name)?;
        }
        if let Some(filter) = request.filter {
            record.filter = check_filter(filter)?;
        }
        if request.batch.is_some() {
            record.batch = check_batch(request.batch)?;
            if record.batch.is_some() && record.target != WebhookTarget::Https {
                return Err(ApiError::invalid("batch", "only the target https takes several events at once"));
            }
        }
        if request.url.is_some() || request.headers.is_some() {
            self.change_sealed(caller, &mut record, request.url.as_deref(), request.headers).await?;
        }
        self.store(record).await.map(body)
    }

    /// Deletes a webhook. Deliveries that haven't ended are dropped.
    ///
    /// # Errors
    /// `not_found`.
    #[crate::boxed_future]
    pub async fn delete(&self, caller: &Caller, id: WebhookId) -> Result<(), ApiError> {
        let record = self.find(caller, id).await?;
        self.0.store.webhooks().delete(&record).await.map_err(error::store)?;
        self.0.subscriptions.refresh(record.organisation).await;
        Ok(())
    }

    /// Replaces the secret of a webhook. The earlier one signs too for a time.
    ///
    /// # Errors
    /// `not_found`; `invalid_request`; `conflict` if it is changed at the same time.
    #[crate::boxed_future]
    pub async fn rotate(
        &self,
        caller: &Caller,
        id: WebhookId,
        request: RotateSecret,
    ) -> Result<WebhookWithSecret, ApiError> {
        let mut record = self.find(caller, id).await?;
        let overlap = request.overlap_seconds.unwrap_or(DEFAULT_OVERLAP_SECONDS);
        if overlap > OVERLAP_MAX_SECONDS {
            let message = format!("overlap_seconds must be 0 to {OVERLAP_MAX_SECONDS}");
            return Err(ApiError::invalid("overlap_seconds", message));
        }
        let secret = secret_of(record.target, request.secret)?;
        let opened = WebhookSecrets::open(&self.0.store, &record).await.map_err(error::store)?;
        let secrets = WebhookSecrets { previous: opened.secret.clone(), secret: secret.clone(), ..opened };
        record.sealed = secrets.seal(&self.0.store, &record.context()).await.map_err(error::store)?;
        let until = Timestamp::now().plus(Duration::from_secs(overlap.into()));
        record.previous_secret_until =
            (overlap > 0 && record.target == WebhookTarget::Https).then_some(until);
        self.store(record).await.map(|record| with_secret(record, secret))
    }

    /// Pauses a webhook: events are stored, and delivered once it is resumed.
    ///
    /// # Errors
    /// `not_found`; `conflict` if it is changed at the same time.
    #[crate::boxed_future]
    pub async fn pause(&self, caller: &Caller, id: WebhookId) -> Result<WebhookBody, ApiError> {
        let mut record = self.find(caller, id).await?;
        if record.state == WebhookState::Active {
            record.state = WebhookState::Paused;
            record.state_reason = Some("it was paused by a member".to_owned());
            record.state_at = Some(Timestamp::now());
            record = self.store(record).await?;
        }
        Ok(body(record))
    }

    /// Resumes a webhook that was paused or disabled, and has the events that wait delivered.
    ///
    /// # Errors
    /// `not_found`; `conflict` if it is changed at the same time.
    #[crate::boxed_future]
    pub async fn resume(&self, caller: &Caller, id: WebhookId) -> Result<WebhookBody, ApiError> {
        let mut record = self.find(caller, id).await?;
        if record.state != WebhookState::Active {
            record.state = WebhookState::Active;
            record.state_reason = None;
            record.state_at = Some(Timestamp::now());
            record = self.store(record).await?;
        }
        // An active one too: an earlier call may have failed here.
        self.0.queue.resume(&record, Timestamp::now(), None).await.map_err(error::store)?;
        Ok(body(record))
    }

    /// Sends a test event to a webhook: returns its delivery, which is pending.
    ///
    /// # Errors
    /// `not_found`; `conflict` if the webhook isn't active.
    #[crate::boxed_future]
    pub async fn test(&self, caller: &Caller, id: WebhookId) -> Result<DeliveryBody, ApiError> {
        let record = self.find(caller, id).await?;
        if record.state != WebhookState::Active {
            let message = format!("the webhook is {}; resume it first", record.state.as_str());
            return Err(ApiError::new(ErrorCode::Conflict, message));
        }
        let entry = OutboxEntry {
            id: EventId::new(),
            kind: EventKind::WebhookTest,
            subject: record.id.to_string(),
            organisation: record.organisation,
            user: Some(caller.user),
            data: json!({ "message": "This is a test of a webhook of Hearth." }),
            webhook: None,
            is_announced: false,
            changed_at: None,
        };
        self.0.queue.add(&record, &entry).await.map_err(error::store)?;
        let delivery = self.0.store.deliveries().get(record.id, entry.id).await.map_err(error::store)?;
        delivery.map(delivery_body).ok_or_else(no_such_webhook)
    }

    /// The webhook, if the caller may manage it.
    pub(super) async fn find(&self, caller: &Caller, id: WebhookId) -> Result<WebhookRecord, ApiError> {
        let record = self.0.store.webhooks().get(caller.organisation, id).await.map_err(error::store)?;
        let record = record.filter(|record| !record.is_internal && is_managed_by(record, caller));
        record.ok_or_else(no_such_webhook)
    }

    /// Stores a changed webhook.
    async fn store(&self, mut record: WebhookRecord) -> Result<WebhookRecord, ApiError> {
        record.updated_at = Timestamp::now();
        match self.0.store.webhooks().change(&mut record).await {
            Err(StoreError::Conflict) => {
                let message =
                    "the webhook was changed or deleted at the same time; look at it, and try again";
                return Err(ApiError::new(ErrorCode::Conflict, message));
            }
            other => other.map_err(error::store)?,
        }
        self.0.subscriptions.refresh(record.organisation).await;
        Ok(record)
    }

    async fn change_sealed(
        &self,
        caller: &Caller,
        record: &mut WebhookRecord,
        url: Option<&str>,
        headers: Option<std::collections::BTreeMap<String, Secret>>,
    ) -> Result<(), ApiError> {
        let mut secrets = WebhookSecrets::open(&self.0.store, record).await.map_err(error::store)?;
        if let Some(url) = url {
            let allows_private = self.0.settings.private_addresses;
            let (address, shown) = check_address(record.target, Some(url), allows_private)?;
            if record.target == WebhookTarget::Email {
                self.check_recipient(caller, &shown).await?;
            }
            (secrets.address, record.address) = (address, shown);
        }
        if let Some(headers) = headers {
            if !headers.is_empty() && record.target != WebhookTarget::Https {
                return Err(ApiError::invalid("headers", "only the target https takes headers"));
            }
            secrets.headers = check_headers(headers)?;
            record.header_names = secrets.headers.keys().cloned().collect();
        }
        record.sealed = secrets.seal(&self.0.store, &record.context()).await.map_err(error::store)?;
        Ok(())
    }

    /// Owners and admins may name any address of email, others their own only: the gateway sends nobody else's messages.
    async fn check_recipient(&self, caller: &Caller, address: &str) -> Result<(), ApiError> {
        if caller.require(Action::ManageMembers).is_ok() {
            return Ok(());
        }
        let user = self.0.store.users().get(caller.user).await.map_err(error::store)?;
        let own = user.and_then(|user| user.email);
        if own.is_some_and(|own| normalized_email(&own) == normalized_email(address)) {
            return Ok(());
        }
        let message = "url must be the address of your profile; an owner or admin may name another one";
        Err(ApiError::invalid("url", message))
    }

    async fn check_count(&self, caller: &Caller) -> Result<(), ApiError> {
        let records = self.0.store.webhooks().of(caller.organisation).await.map_err(error::store)?;
        let own = records.iter().filter(|record| record.user == caller.user).count();
        let settings = &self.0.settings;
        let too_many = |max: u32, whose: &str| {
            let message = format!("{whose} has {max} webhooks already, as many as may be; delete one first");
            ApiError::new(ErrorCode::Conflict, message)
        };
        if own >= settings.user_max_count as usize {
            return Err(too_many(settings.user_max_count, "the user"));
        }
        if records.len() >= settings.organisation_max_count as usize {
            return Err(too_many(settings.organisation_max_count, "the organisation"));
        }
        Ok(())
    }
}

/// True if the caller may see and change a webhook: one's own, and for owners and admins those of the organisation.
fn is_managed_by(record: &WebhookRecord, caller: &Caller) -> bool {
    match record.visibility {
        WebhookVisibility::User => record.user == caller.user,
        WebhookVisibility::Organisation => caller.require(Action::ManageMembers).is_ok(),
    }
}

/// The secret of a new webhook, or of a rotation.
fn secret_of(target: WebhookTarget, secret: Option<Secret>) -> Result<Option<Secret>, ApiError> {
    match (target, secret) {
        (WebhookTarget::Https, None) => Ok(Some(generate_secret())),
        (WebhookTarget::Https, Some(secret)) => {
            check_secret(&secret).map_err(|error| ApiError::invalid("secret", error.to_string()))?;
            Ok(Some(secret))
        }
        (WebhookTarget::Pagerduty, Some(key))
            if (1..=KEY_MAX_BYTES).contains(&key.expose().len())
                && key.expose().bytes().all(|byte| byte.is_ascii_graphic()) =>
        {
            Ok(Some(key))
        }
        (WebhookTarget::Pagerduty, _) => {
            Err(ApiError::invalid("secret", "secret must be the integration key of the service"))
        }
        (WebhookTarget::Email | WebhookTarget::Slack, None) => Ok(None),
        (WebhookTarget::Email | WebhookTarget::Slack, Some(_)) => {
            Err(ApiError::invalid("secret", "this target has no secret; leave it out"))
        }
    }
}

fn no_such_webhook() -> ApiError {
    ApiError::new(ErrorCode::NotFound, "there is no webhook with this id")
}
