//! The envelope of CloudEvents 1.0 (<https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md>).

use hearth_store::event_outbox::OutboxEntry;
use serde_json::{Map, Value, json};

/// Bytes of an event's data: an item of the table has it.
const DATA_MAX_BYTES: usize = 128 << 10;

/// The event as JSON. Data that is too large is left out, and `dataomitted` says so: the subject has it.
pub(super) fn cloud_event(entry: &OutboxEntry) -> String {
    let mut event = Map::new();
    event.insert("specversion".to_owned(), "1.0".into());
    event.insert("id".to_owned(), entry.id.to_string().into());
    event.insert("source".to_owned(), format!("/organisations/{}", entry.organisation).into());
    event.insert("type".to_owned(), entry.kind.as_str().into());
    event.insert("subject".to_owned(), entry.subject.clone().into());
    event.insert("time".to_owned(), entry.id.created_at().to_string().into());
    event.insert("datacontenttype".to_owned(), "application/json".into());
    if let Some(user) = entry.user {
        event.insert("user".to_owned(), user.to_string().into());
    }
    if entry.data.to_string().len() > DATA_MAX_BYTES {
        event.insert("dataomitted".to_owned(), true.into());
        event.insert("data".to_owned(), json!({}));
    } else {
        event.insert("data".to_owned(), entry.data.clone());
    }
    Value::Object(event).to_string()
}

#[cfg(test)]
mod tests {
    use hearth_domain::{EventId, EventKind, OrganisationId, UserId};

    use super::*;

    fn entry(data: Value) -> OutboxEntry {
        let user = UserId::new();
        OutboxEntry {
            id: EventId::new(),
            kind: EventKind::RunFailed,
            subject: "req_1".to_owned(),
            organisation: OrganisationId::of_operator(user),
            user: Some(user),
            data,
            webhook: None,
            is_announced: true,
            changed_at: None,
        }
    }

    #[test]
    fn event_has_the_required_attributes_and_its_data() {
        let entry = entry(json!({"model": "tiny-chat"}));
        let event: Value = serde_json::from_str(&cloud_event(&entry)).unwrap();
        for attribute in ["specversion", "id", "source", "type", "subject", "time"] {
            assert!(event[attribute].as_str().is_some_and(|text| !text.is_empty()), "{attribute}: {event}");
        }
        assert_eq!((&event["specversion"], &event["type"]), (&json!("1.0"), &json!("run.failed")));
        assert_eq!(event["data"]["model"], "tiny-chat");
        // Names of attributes are lower-case letters and digits.
        let is_plain =
            |name: &String| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        assert!(event.as_object().unwrap().keys().all(is_plain), "{event}");
    }

    #[test]
    fn large_data_is_left_out() {
        let event = cloud_event(&entry(json!({"result": "x".repeat(DATA_MAX_BYTES)})));
        let event: Value = serde_json::from_str(&event).unwrap();
        assert_eq!((&event["dataomitted"], &event["data"]), (&json!(true), &json!({})));
    }
}
