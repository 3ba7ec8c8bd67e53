//! Webhooks as their owners see them.

use hearth_domain::{Secret, Timestamp, WebhookTarget};
use hearth_store::webhooks::WebhookRecord;
use hearth_wire::native::webhooks::{EventBatchBody, EventFilterBody, WebhookBody, WebhookWithSecret};

use super::checks::without_path;

/// A webhook with its new secret.
pub(super) fn with_secret(record: WebhookRecord, secret: Option<Secret>) -> WebhookWithSecret {
    let secret = secret.filter(|_| record.target == WebhookTarget::Https);
    WebhookWithSecret { webhook: body(record), secret: secret.map(|secret| secret.expose().to_owned()) }
}

/// A webhook without its secrets.
pub(super) fn body(record: WebhookRecord) -> WebhookBody {
    let overlaps = |until: &Timestamp| Timestamp::now() < *until;
    WebhookBody {
        id: record.id,
        name: record.name,
        events: record.events,
        target: record.target,
        // Those of earlier versions have their paths.
        url: without_path(&record.address),
        headers: record.header_names,
        filter: EventFilterBody { subject: record.filter.subject, attributes: record.filter.attributes },
        batch: record.batch.map(|batch| EventBatchBody {
            max_events: batch.max_events,
            window_seconds: batch.window_seconds,
        }),
        visibility: record.visibility,
        user: record.user.to_string(),
        state: record.state,
        state_reason: record.state_reason,
        state_at: record.state_at,
        previous_secret_until: record.previous_secret_until.filter(overlaps),
        created_at: record.created_at,
        updated_at: record.updated_at,
    }
}
