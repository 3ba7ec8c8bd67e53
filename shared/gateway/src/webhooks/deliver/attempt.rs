//! One try: the request to an endpoint, to Slack or to PagerDuty, or the email.

use bytes::Bytes;
use hearth_auth::webhook_signature;
use hearth_domain::{Secret, Timestamp, WebhookTarget};
use hearth_providers::VendorClient;
use hearth_store::{
    StoreError,
    webhooks::{DeliveryRecord, WebhookRecord},
};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use super::{TryResult, notice::Notice};
use crate::webhooks::{Webhooks, secrets::WebhookSecrets};

const EVENT_TYPE: &str = "application/cloudevents+json";
const BATCH_TYPE: &str = "application/cloudevents-batch+json";
const JSON_TYPE: &str = "application/json";

impl Webhooks {
    /// Sends a delivery.
    ///
    /// # Errors
    /// If the store fails.
    pub(super) async fn send(
        &self,
        webhook: &WebhookRecord,
        delivery: &DeliveryRecord,
    ) -> Result<TryResult, StoreError> {
        if !self.notifications.enabled {
            return Ok(TryResult::Suppressed("notifications are switched off by the operator".to_owned()));
        }
        let secrets = match WebhookSecrets::open(&self.store, webhook).await {
            Ok(secrets) => secrets,
            Err(StoreError::Unsealable(_)) => {
                tracing::error!(webhook = %webhook.id, "a webhook's secrets can't be decrypted");
                return Ok(TryResult::failed("its secrets can't be decrypted; create the webhook again"));
            }
            Err(error) => return Err(error),
        };
        if webhook.target == WebhookTarget::Https {
            return self.post_events(webhook, delivery, &secrets).await;
        }
        // An earlier try of this delivery was counted.
        if delivery.attempts == 0
            && let Some(reason) = self.suppression(webhook, delivery).await?
        {
            return Ok(TryResult::Suppressed(reason));
        }
        let notice = Notice::of(delivery);
        Ok(match webhook.target {
            WebhookTarget::Https => TryResult::failed("unreachable"),
            WebhookTarget::Email => self.send_email(&notice, delivery, &secrets).await,
            WebhookTarget::Slack => {
                let address = secrets.address.as_ref();
                post(self, &self.client, address, json_headers(), notice.for_slack().to_string()).await
            }
            WebhookTarget::Pagerduty => {
                let key = secrets.secret.as_ref().map(Secret::expose).unwrap_or_default();
                let body = notice.for_pagerduty(key).to_string();
                let address = Secret::new(self.notifications.pagerduty_url.clone());
                post(self, &self.operator_client, Some(&address), json_headers(), body).await
            }
        })
    }

    /// Posts the signed event, or the events that are sent together.
    async fn post_events(
        &self,
        webhook: &WebhookRecord,
        delivery: &DeliveryRecord,
        secrets: &WebhookSecrets,
    ) -> Result<TryResult, StoreError> {
        let (id, body, content_type) = if webhook.batch.is_some() || delivery.members.len() > 1 {
            let mut events = Vec::with_capacity(delivery.members.len());
            for member in &delivery.members {
                if *member == delivery.event {
                    events.push(delivery.payload.clone());
                } else if let Some(other) = self.store.deliveries().get(webhook.id, *member).await? {
                    events.push(other.payload);
                }
            }
            (format!("batch_{}", delivery.event), format!("[{}]", events.join(",")), BATCH_TYPE)
        } else {
            (delivery.event.to_string(), delivery.payload.clone(), EVENT_TYPE)
        };
        let now = Timestamp::now();
        let signature = webhook_signature::sign(&secrets.signing(webhook), &id, now, body.as_bytes());
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        let own = secrets.headers.iter().map(|(name, value)| (name.as_str(), value.expose().to_owned()));
        let signed = [
            ("webhook-id", id),
            ("webhook-timestamp", now.unix().to_string()),
            ("webhook-signature", signature),
        ];
        for (name, value) in own.chain(signed).filter(|(_, value)| !value.is_empty()) {
            let (name, value) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(&value));
            if let (Ok(name), Ok(mut value)) = (name, value) {
                value.set_sensitive(true);
                headers.insert(name, value);
            }
        }
        Ok(post(self, &self.client, secrets.address.as_ref(), headers, body).await)
    }

    /// The reason for which a message to people isn't sent: it repeats one, or there were too many.
    async fn suppression(
        &self,
        webhook: &WebhookRecord,
        delivery: &DeliveryRecord,
    ) -> Result<Option<String>, StoreError> {
        let (deliveries, event) = (self.store.deliveries(), delivery.event.to_string());
        let key = dedupe_key(delivery);
        let window = self.notifications.dedupe_interval();
        if !window.is_zero() && !deliveries.mark_notice(webhook.id, &key, &event, window).await? {
            return Ok(Some("it repeats a message of the last minutes".to_owned()));
        }
        let per_hour = self.notifications.per_hour;
        if !deliveries.count_notice(webhook.id, per_hour).await? {
            return Ok(Some(format!("there were {per_hour} messages in this hour, as many as may be")));
        }
        Ok(None)
    }

    async fn send_email(
        &self,
        notice: &Notice,
        delivery: &DeliveryRecord,
        secrets: &WebhookSecrets,
    ) -> TryResult {
        let (Some(mailer), Some(address)) = (&self.mailer, &secrets.address) else {
            return TryResult::failed(
                "this gateway sends no emails; its operator can set notifications.smtp",
            );
        };
        let id = delivery.event.to_string();
        match mailer
            .send(address.expose(), &id, &notice.summary, &notice.text(), self.settings.answer_timeout())
            .await
        {
            Ok(answer) => TryResult::Delivered { status: None, excerpt: answer },
            Err(reason) => TryResult::failed(reason),
        }
    }
}

async fn post(
    webhooks: &Webhooks,
    client: &VendorClient,
    address: Option<&Secret>,
    headers: HeaderMap,
    body: String,
) -> TryResult {
    let Some(Ok(address)) = address.map(|address| address.expose().parse()) else {
        return TryResult::failed("its address can't be used");
    };
    let timeout = webhooks.settings.answer_timeout();
    TryResult::of_answer(client.post(&address, headers, Bytes::from(body), timeout).await)
}

fn json_headers() -> HeaderMap {
    HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(JSON_TYPE))])
}

/// The key by which a message repeats an earlier one: kind, subject, and the part of a budget.
fn dedupe_key(delivery: &DeliveryRecord) -> String {
    let event: Value = serde_json::from_str(&delivery.payload).unwrap_or_default();
    let percent = event["data"]["percent"].as_u64().unwrap_or_default();
    let text = format!("{}|{}|{percent}", delivery.kind, delivery.subject);
    hearth_domain::hex(&hearth_auth::sha256(text.as_bytes())[..16])
}
