//! An event as a message to people: an email, a message in Slack, an incident of PagerDuty.

use hearth_domain::EventKind;
use hearth_store::webhooks::DeliveryRecord;
use serde_json::{Map, Value, json};

/// Characters of a value in a message.
const VALUE_MAX_CHARS: usize = 300;
/// Fields of the data in a message.
const FIELD_MAX_COUNT: usize = 20;
/// Characters of PagerDuty's summary: its limit is 1024.
const SUMMARY_MAX_CHARS: usize = 200;

/// An event in words.
#[derive(Debug)]
pub(super) struct Notice {
    kind: EventKind,
    subject: String,
    event: String,
    time: String,
    /// One line.
    pub(super) summary: String,
    /// The names and values of the data.
    fields: Vec<(String, String)>,
}

impl Notice {
    pub(super) fn of(delivery: &DeliveryRecord) -> Self {
        let payload: Value = serde_json::from_str(&delivery.payload).unwrap_or_default();
        let data = payload["data"].as_object().cloned().unwrap_or_default();
        let subject = one_line(&delivery.subject);
        let mut summary = format!("Hearth: {} {subject}", in_words(delivery.kind));
        let reason = |error: &Value| {
            let reason = error.get("message").or_else(|| error.get("code"))?;
            reason.as_str().map(str::to_owned)
        };
        if let Some(reason) = data.get("error").and_then(reason) {
            summary = format!("{summary}: {}", one_line(&reason));
        }
        Self {
            kind: delivery.kind,
            subject,
            event: delivery.event.to_string(),
            time: delivery.event.created_at().to_string(),
            summary: summary.chars().take(SUMMARY_MAX_CHARS).collect(),
            fields: fields(&data),
        }
    }

    /// The text of an email.
    pub(super) fn text(&self) -> String {
        let mut text = format!("{}\n\n", self.summary);
        for (name, value) in &self.fields {
            text.push_str(&format!("{name}: {value}\n"));
        }
        text.push_str(&format!("event: {} {}\ntime: {}\n", self.kind, self.event, self.time));
        text
    }

    /// The body for an incoming webhook of Slack (<https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>).
    pub(super) fn for_slack(&self) -> Value {
        let fields = self.fields.iter().map(|(name, value)| format!("• {name}: {value}"));
        let lines: Vec<String> = std::iter::once(self.summary.clone()).chain(fields).collect();
        // These three characters are Slack's own.
        let text = lines.join("\n").replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        json!({ "text": text })
    }

    /// The body for PagerDuty's Events API v2 (<https://developer.pagerduty.com/docs/send-alert-event>).
    pub(super) fn for_pagerduty(&self, key: &str) -> Value {
        let (group, action, severity) = match self.kind {
            EventKind::NodeOnline => ("node.offline", "resolve", "info"),
            EventKind::NodeOffline => ("node.offline", "trigger", "error"),
            EventKind::BudgetThreshold | EventKind::WebhookPaused => {
                (self.kind.as_str(), "trigger", "warning")
            }
            kind if kind.as_str().ends_with(".failed") => (kind.as_str(), "trigger", "error"),
            kind => (kind.as_str(), "trigger", "info"),
        };
        let details: Map<String, Value> =
            self.fields.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
        json!({
            "routing_key": key,
            "event_action": action,
            "dedup_key": format!("hearth:{group}:{}", self.subject),
            "client": "Hearth",
            "payload": {
                "summary": self.summary,
                "source": "hearth",
                "severity": severity,
                "timestamp": self.time,
                "class": self.kind.as_str(),
                "custom_details": details,
            },
        })
    }
}

fn in_words(kind: EventKind) -> &'static str {
    match kind {
        EventKind::RunCompleted => "a run has completed:",
        EventKind::RunFailed => "a run has failed:",
        EventKind::RunCancelled => "a run was cancelled:",
        EventKind::JobCompleted => "a job has completed:",
        EventKind::JobFailed => "a job has failed:",
        EventKind::JobCancelled => "a job was cancelled:",
        EventKind::JobExpired => "a job has expired:",
        EventKind::BatchCompleted => "a batch has completed:",
        EventKind::BatchFailed => "a batch has failed:",
        EventKind::BatchCancelled => "a batch was cancelled:",
        EventKind::BatchExpired => "a batch has expired:",
        EventKind::DownloadCompleted => "a model was downloaded:",
        EventKind::DownloadFailed => "the download of a model has failed:",
        EventKind::ModelRegistered => "a model was registered:",
        EventKind::ModelRemoved => "a model was removed:",
        EventKind::NodeOnline => "a node is online:",
        EventKind::NodeOffline => "a node is offline:",
        EventKind::BudgetThreshold => "a budget has reached a part of its limit:",
        EventKind::WebhookPaused => "a webhook was stopped:",
        EventKind::WebhookTest => "a test of the webhook",
    }
}

/// The fields of the data that are texts, numbers or truth values.
fn fields(data: &Map<String, Value>) -> Vec<(String, String)> {
    let simple = data.iter().filter_map(|(name, value)| {
        let value = match value {
            Value::String(text) => one_line(text),
            Value::Number(_) | Value::Bool(_) => value.to_string(),
            _ => return None,
        };
        Some((name.clone(), value))
    });
    simple.take(FIELD_MAX_COUNT).collect()
}

/// A text in one line, so that it forms no header of an email.
fn one_line(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ").chars().take(VALUE_MAX_CHARS).collect()
}
