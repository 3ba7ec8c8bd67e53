//! Webhooks and deliveries as text.

use hearth_wire::native::webhooks::{DeliveryBody, WebhookBody};

use crate::client::table::Table;

/// A line for each webhook.
pub(super) fn table(webhooks: &[WebhookBody]) -> Table<6> {
    let mut table = Table::new(["ID", "NAME", "TARGET", "STATE", "EVENTS", "URL"]);
    for webhook in webhooks {
        table.push([
            webhook.id.to_string(),
            webhook.name.clone(),
            webhook.target.as_str().to_owned(),
            webhook.state.as_str().to_owned(),
            webhook.events.join(","),
            webhook.url.clone(),
        ]);
    }
    table
}

/// All about a webhook.
pub(super) fn lines(webhook: &WebhookBody) -> String {
    let mut lines = vec![
        ("target", webhook.target.as_str().to_owned()),
        ("url", webhook.url.clone()),
        ("events", webhook.events.join(", ")),
        ("state", webhook.state.as_str().to_owned()),
    ];
    let filter = &webhook.filter;
    let attributes = filter.attributes.iter().map(|(name, pattern)| format!("{name}={pattern}"));
    let attributes = attributes.collect::<Vec<_>>().join(", ");
    let optional = [
        ("name", Some(webhook.name.clone()).filter(|name| !name.is_empty())),
        ("reason", webhook.state_reason.clone()),
        ("since", webhook.state_at.map(|at| at.to_string())),
        ("subject", filter.subject.clone()),
        ("where", Some(attributes).filter(|text| !text.is_empty())),
        ("headers", Some(webhook.headers.join(", ")).filter(|text| !text.is_empty())),
        (
            "batch",
            webhook.batch.map(|batch| format!("{} events in {} s", batch.max_events, batch.window_seconds)),
        ),
        (
            "rotated",
            webhook.previous_secret_until.map(|until| format!("the earlier secret signs until {until}")),
        ),
    ];
    lines.extend(optional.into_iter().filter_map(|(name, value)| Some((name, value?))));
    let text = lines.iter().map(|(name, value)| format!("  {name:8}  {value}\n"));
    format!("{}\n{}", webhook.id, text.collect::<String>())
}

/// A line for each delivery.
pub(super) fn deliveries(deliveries: &[DeliveryBody]) -> Table<6> {
    let mut table = Table::new(["EVENT", "KIND", "STATE", "TRIES", "TIME", "RESULT"]);
    for delivery in deliveries {
        let last = delivery.tries.last();
        let status = last.and_then(|one| one.status).map(|status| format!("{status} ")).unwrap_or_default();
        let result =
            last.map(|one| one.result.clone()).or_else(|| delivery.reason.clone()).unwrap_or_default();
        table.push([
            delivery.event.to_string(),
            delivery.kind.to_string(),
            delivery.state.as_str().to_owned(),
            delivery.attempts.to_string(),
            delivery.created_at.to_string(),
            format!("{status}{result}"),
        ]);
    }
    table
}
