//! Events of jobs, for others than the job's own webhook.

use hearth_domain::EventKind;
use hearth_store::event_outbox::OutboxEntry;
use serde_json::Value;

/// The event as subscriptions get it. That of a job has neither its result nor the messages of its errors, which may quote the
/// prompt: `GET /v1/jobs/{id}` has them for the job's owner, and the job's own webhook gets them.
pub(super) fn for_subscriptions(entry: &OutboxEntry) -> OutboxEntry {
    let mut entry = entry.clone();
    let is_end = matches!(
        entry.kind,
        EventKind::JobCompleted | EventKind::JobFailed | EventKind::JobCancelled | EventKind::JobExpired
    );
    let Some(job) = entry.data.as_object_mut().filter(|_| is_end) else { return entry };
    job.get_mut("error").into_iter().for_each(remove_message);
    let Some(work) = job.get_mut("work").and_then(Value::as_object_mut) else { return entry };
    work.insert("result".to_owned(), Value::Null);
    let attempts = work.get_mut("attempts").and_then(Value::as_array_mut);
    let errors = attempts.into_iter().flatten().filter_map(|attempt| attempt.get_mut("error"));
    errors.for_each(remove_message);
    entry
}

fn remove_message(error: &mut Value) {
    if let Some(error) = error.as_object_mut() {
        error.remove("message");
    }
}

#[cfg(test)]
mod tests {
    use hearth_domain::{EventId, OrganisationId, UserId};
    use serde_json::json;

    use super::*;

    #[test]
    fn subscriptions_get_neither_the_result_nor_messages_of_a_job() {
        let user = UserId::new();
        let error = json!({"code": "request_failed", "message": "SECRET", "cause": "provider_error"});
        let work = json!({"attempts": [{"number": 1, "error": error}, {"number": 2, "error": null}],
            "result": {"text": "SECRET"}, "result_bytes": 17});
        let mut entry = OutboxEntry {
            id: EventId::new(),
            kind: EventKind::JobFailed,
            subject: "job_1".to_owned(),
            organisation: OrganisationId::of_operator(user),
            user: Some(user),
            data: json!({"id": "job_1", "error": error, "work": work}),
            webhook: None,
            is_announced: true,
            changed_at: None,
        };
        let data = for_subscriptions(&entry).data;
        assert!(!data.to_string().contains("SECRET"), "{data}");
        assert_eq!(data["error"], json!({"code": "request_failed", "cause": "provider_error"}));
        assert_eq!((&data["work"]["result"], &data["work"]["result_bytes"]), (&Value::Null, &json!(17)));
        // Other events stay as they are, and so does a job without work.
        entry.kind = EventKind::DownloadFailed;
        assert_eq!(for_subscriptions(&entry), entry);
        (entry.kind, entry.data) = (EventKind::JobCancelled, json!({"error": null}));
        assert_eq!(for_subscriptions(&entry), entry);
    }
}
