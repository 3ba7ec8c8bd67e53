//! `/v1/webhooks`: subscriptions to events, and the log of their deliveries.

use std::collections::BTreeMap;

use hearth_domain::{
    DeliveryState, EventId, EventKind, Secret, Timestamp, WebhookId, WebhookState, WebhookTarget,
    WebhookVisibility,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Webhook to create.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateWebhook {
    /// Kinds of events, with `*` for any text: `run.failed`, `job.*`, `*`.
    #[schema(example = json!(["run.failed", "job.*"]))]
    pub events: Vec<String>,
    /// Address: of an endpoint, which receives signed events, or of an incoming webhook of Slack. For the target `email` the
    /// address of email, for `pagerduty` none.
    #[serde(default)]
    #[schema(example = "https://receiver.example/hearth")]
    pub url: Option<String>,
    /// Target; absent: `https`.
    #[serde(default)]
    pub target: WebhookTarget,
    /// Name for it in lists.
    #[serde(default)]
    pub name: Option<String>,
    /// Further headers of each request, at most 20. They are stored encrypted, and never returned.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, String>)]
    pub headers: BTreeMap<String, Secret>,
    /// Secret that signs the events, `whsec_` and 24 to 64 bytes in base64; absent: it is generated. For `pagerduty` the
    /// integration key.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub secret: Option<Secret>,
    /// Further conditions.
    #[serde(default)]
    pub filter: Option<EventFilterBody>,
    /// Several events in one request; absent: one.
    #[serde(default)]
    pub batch: Option<EventBatchBody>,
    /// `organisation` for the events of all members, which only owners and admins may have; absent: `user`, the caller's own.
    #[serde(default)]
    pub visibility: WebhookVisibility,
}

/// Change of a webhook. Fields that are absent stay.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateWebhook {
    /// Kinds of events.
    #[serde(default)]
    pub events: Option<Vec<String>>,
    /// Address.
    #[serde(default)]
    pub url: Option<String>,
    /// Name for it in lists.
    #[serde(default)]
    pub name: Option<String>,
    /// Further headers, which replace the stored ones as a whole.
    #[serde(default)]
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    pub headers: Option<BTreeMap<String, Secret>>,
    /// Further conditions, which replace the stored ones as a whole.
    #[serde(default)]
    pub filter: Option<EventFilterBody>,
    /// Several events in one request; `max_events: 1` for none.
    #[serde(default)]
    pub batch: Option<EventBatchBody>,
}

/// Conditions on events beside their kinds; all must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EventFilterBody {
    /// Subject: an id or a model's name, with `*` for any text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Values of fields of the event's `data`, with `*` for any text: `{"model": "gpt-*"}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
}

/// Several events in one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EventBatchBody {
    /// Most events of a request, 1 to 25.
    #[schema(minimum = 1, maximum = 25)]
    pub max_events: u32,
    /// Seconds for which the first event waits for others, 0 to 300.
    #[serde(default)]
    #[schema(maximum = 300)]
    pub window_seconds: u32,
}

/// Webhook of one job: it gets the job's end.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JobWebhook {
    /// Address of the endpoint.
    #[schema(example = "https://receiver.example/hearth")]
    pub url: String,
    /// Secret that signs the event, `whsec_` and 24 to 64 bytes in base64; absent: it isn't signed.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub secret: Option<Secret>,
    /// Further headers of the request.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, String>)]
    pub headers: BTreeMap<String, Secret>,
    /// Kinds of events, with `*` for any text; absent: each end.
    #[serde(default)]
    pub events: Option<Vec<String>>,
}

/// Webhook, without its secrets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WebhookBody {
    /// Id.
    #[schema(value_type = String, example = "wh_01J9ZX5V2QH8N4T6W0C3M7K1RB")]
    pub id: WebhookId,
    /// Name in lists.
    pub name: String,
    /// Kinds of events.
    pub events: Vec<String>,
    /// Target.
    pub target: WebhookTarget,
    /// Address without its secret parts: scheme and host of a URL, an address of email whole.
    #[schema(example = "https://receiver.example/...")]
    pub url: String,
    /// Names of the further headers.
    pub headers: Vec<String>,
    /// Further conditions.
    pub filter: EventFilterBody,
    /// Several events in one request; null: one.
    pub batch: Option<EventBatchBody>,
    /// Owners whose events it gets.
    pub visibility: WebhookVisibility,
    /// Id of the user who has created it.
    pub user: String,
    /// State.
    pub state: WebhookState,
    /// Reason of the state, where it isn't active.
    pub state_reason: Option<String>,
    /// Time of the latest change of the state, ISO 8601.
    #[schema(value_type = Option<String>)]
    pub state_at: Option<Timestamp>,
    /// Time up to which the secret of before a rotation signs too, ISO 8601.
    #[schema(value_type = Option<String>)]
    pub previous_secret_until: Option<Timestamp>,
    /// Time at which it was created, ISO 8601.
    #[schema(value_type = String)]
    pub created_at: Timestamp,
    /// Time of the latest change, ISO 8601.
    #[schema(value_type = String)]
    pub updated_at: Timestamp,
}

/// Webhook with its secret, which is returned this once.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct WebhookWithSecret {
    /// Webhook.
    #[serde(flatten)]
    pub webhook: WebhookBody,
    /// Secret that verifies the events; null for other targets than `https`.
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    pub secret: Option<String>,
}

/// Webhooks.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct WebhookList {
    /// Webhooks, oldest first: one's own, and for owners and admins those of the organisation.
    pub webhooks: Vec<WebhookBody>,
}

/// New secret of a webhook.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateSecret {
    /// New secret; absent: it is generated.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub secret: Option<Secret>,
    /// Seconds for which the earlier secret signs too, 0 to 604800; absent: 86400, a day.
    #[serde(default)]
    #[schema(maximum = 604_800)]
    pub overlap_seconds: Option<u32>,
}

/// Delivery of an event to a webhook.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DeliveryBody {
    /// Id of the event; it is also the request's `webhook-id`, unless it was sent with others.
    #[schema(value_type = String, example = "evt_01J9ZX5V2QH8N4T6W0C3M7K1RB")]
    pub event: EventId,
    /// Kind of the event.
    #[schema(value_type = String, example = "run.failed")]
    pub kind: EventKind,
    /// Subject of the event.
    pub subject: String,
    /// State.
    pub state: DeliveryState,
    /// Number of tries.
    pub attempts: u32,
    /// Latest tries, oldest first.
    pub tries: Vec<DeliveryTryBody>,
    /// Time of the next try, ISO 8601.
    #[schema(value_type = Option<String>)]
    pub next_at: Option<Timestamp>,
    /// Id of the first event of the request, where several are sent in one.
    #[schema(value_type = Option<String>)]
    pub sent_with: Option<EventId>,
    /// Reason of a failed or suppressed delivery.
    pub reason: Option<String>,
    /// Time of the event, ISO 8601.
    #[schema(value_type = String)]
    pub created_at: Timestamp,
    /// Time of the end, ISO 8601.
    #[schema(value_type = Option<String>)]
    pub ended_at: Option<Timestamp>,
}

/// Try of a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeliveryTryBody {
    /// Time, ISO 8601.
    #[schema(value_type = String)]
    pub at: Timestamp,
    /// Duration in milliseconds.
    pub duration_ms: u64,
    /// Status of the answer; null without one.
    pub status: Option<u16>,
    /// Reason of a failure, or the first characters of the answer.
    pub result: String,
}

/// Page of deliveries.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DeliveryList {
    /// Deliveries, the newest event first.
    pub deliveries: Vec<DeliveryBody>,
    /// `cursor` of the next page; null on the last page.
    pub next_cursor: Option<String>,
}

/// Filter and page of deliveries.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct DeliveryQuery {
    /// State: `pending`, `delivered`, `failed` or `suppressed`.
    #[param(inline)]
    pub state: Option<DeliveryState>,
    /// Time of the first event, ISO 8601.
    #[param(value_type = Option<String>)]
    pub since: Option<Timestamp>,
    /// Time of the last event, ISO 8601.
    #[param(value_type = Option<String>)]
    pub until: Option<Timestamp>,
    /// Maximum number of deliveries, 1 to 200; absent: 50.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// Deliveries to send again.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplayDeliveries {
    /// Time of the first event, ISO 8601; absent: 24 hours ago.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "2026-11-29T00:00:00Z")]
    pub since: Option<Timestamp>,
    /// Time of the last event, ISO 8601; absent: now.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub until: Option<Timestamp>,
    /// State; absent: `failed`.
    #[serde(default)]
    pub state: Option<DeliveryState>,
}

/// Result of a replay.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ReplayResult {
    /// Number of deliveries that are sent again.
    pub replayed: u32,
    /// True if there are more, which a further replay sends.
    pub has_more: bool,
}
