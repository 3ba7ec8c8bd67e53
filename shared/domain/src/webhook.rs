//! Webhooks: their targets, states and visibility.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Target of a webhook.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WebhookTarget {
    /// An HTTP endpoint, which receives signed events.
    #[default]
    Https,
    /// An address of email.
    Email,
    /// An incoming webhook of Slack.
    Slack,
    /// A service of PagerDuty, by Events API v2.
    Pagerduty,
}

impl WebhookTarget {
    /// Returns the name in JSON and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Email => "email",
            Self::Slack => "slack",
            Self::Pagerduty => "pagerduty",
        }
    }

    /// Returns whether people read it: repeated events are left out, and their number is limited.
    #[must_use]
    pub const fn is_notification(self) -> bool {
        !matches!(self, Self::Https)
    }
}

/// State of a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WebhookState {
    /// Events are delivered.
    Active,
    /// Events are stored, and delivered once it is resumed.
    Paused,
    /// The endpoint has answered 410 Gone: events are no longer stored, until it is resumed.
    Disabled,
}

impl WebhookState {
    /// Returns the name in JSON and conditions.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Disabled => "disabled",
        }
    }
}

/// Owners whose events a webhook gets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WebhookVisibility {
    /// The user who has created it.
    #[default]
    User,
    /// The organisation with all its members.
    Organisation,
}

/// State of an event's delivery to a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// Not delivered yet.
    Pending,
    /// The endpoint has accepted it.
    Delivered,
    /// All tries have failed, or the endpoint is gone.
    Failed,
    /// Not sent: it repeats an earlier one, or there were too many.
    Suppressed,
}

impl DeliveryState {
    /// Returns the name in JSON, queries and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Suppressed => "suppressed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_in_json() {
        for target in
            [WebhookTarget::Https, WebhookTarget::Email, WebhookTarget::Slack, WebhookTarget::Pagerduty]
        {
            assert_eq!(serde_json::to_value(target).unwrap(), target.as_str());
        }
        for state in [WebhookState::Active, WebhookState::Paused, WebhookState::Disabled] {
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
        for state in [
            DeliveryState::Pending,
            DeliveryState::Delivered,
            DeliveryState::Failed,
            DeliveryState::Suppressed,
        ] {
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
    }
}
