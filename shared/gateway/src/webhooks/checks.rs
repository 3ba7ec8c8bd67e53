//! Checks of the parts of a webhook.

use std::collections::BTreeMap;

use hearth_domain::{EventKind, Secret, WebhookTarget, check_email};
use hearth_store::webhooks::{EventBatch, EventFilter};
use hearth_wire::{
    ApiError,
    native::webhooks::{EventBatchBody, EventFilterBody},
};
use reqwest::header::{HeaderName, HeaderValue};
use url::Url;

use crate::public_address;

const PATTERN_MAX_COUNT: usize = 50;
const PATTERN_MAX_CHARS: usize = 200;
const NAME_MAX_CHARS: usize = 100;
const ADDRESS_MAX_BYTES: usize = 2_000;
const HEADER_MAX_COUNT: usize = 20;
const HEADER_MAX_BYTES: usize = 4 << 10;
const BATCH_MAX_COUNT: u32 = 25;
const BATCH_WINDOW_MAX_SECONDS: u32 = 300;
const ATTRIBUTE_MAX_COUNT: usize = 10;
/// Headers that the gateway or the connection sets.
const RESERVED_HEADERS: [&str; 11] = [
    "connection",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

/// Checks patterns of events: each must match a kind.
pub(super) fn check_events(events: Vec<String>) -> Result<Vec<String>, ApiError> {
    if events.is_empty() || events.len() > PATTERN_MAX_COUNT {
        let message = format!("events must have 1 to {PATTERN_MAX_COUNT} kinds of events, such as \"run.*\"");
        return Err(ApiError::invalid("events", message));
    }
    let is_known = |pattern: &String| {
        pattern.len() <= PATTERN_MAX_CHARS && EventKind::ALL.iter().any(|kind| kind.matches(pattern))
    };
    if let Some(unknown) = events.iter().find(|pattern| !is_known(pattern)) {
        let shown: String = unknown.chars().take(50).collect();
        let subscribable = EventKind::ALL.into_iter().filter(|kind| kind.is_subscribable());
        let names: Vec<&str> = subscribable.map(EventKind::as_str).collect();
        let message = format!("{shown:?} matches no event; there are: {}", names.join(", "));
        return Err(ApiError::invalid("events", message));
    }
    Ok(events)
}

/// Checks a name, which is one line.
pub(super) fn check_name(name: &str) -> Result<String, ApiError> {
    if name.chars().count() > NAME_MAX_CHARS || name.chars().any(char::is_control) {
        let message = format!("name must have at most {NAME_MAX_CHARS} characters, and no line breaks");
        return Err(ApiError::invalid("name", message));
    }
    Ok(name.to_owned())
}

/// Checks conditions on events.
pub(super) fn check_filter(filter: EventFilterBody) -> Result<EventFilter, ApiError> {
    let EventFilterBody { subject, attributes } = filter;
    let texts = subject.iter().chain(attributes.keys()).chain(attributes.values());
    if attributes.len() > ATTRIBUTE_MAX_COUNT || texts.into_iter().any(|text| text.len() > PATTERN_MAX_CHARS)
    {
        let message = format!(
            "filter must have at most {ATTRIBUTE_MAX_COUNT} attributes, and texts of {PATTERN_MAX_CHARS} characters"
        );
        return Err(ApiError::invalid("filter", message));
    }
    Ok(EventFilter { subject, attributes })
}

/// Checks the number of events in a request; none for one.
pub(super) fn check_batch(batch: Option<EventBatchBody>) -> Result<Option<EventBatch>, ApiError> {
    let Some(EventBatchBody { max_events, window_seconds }) = batch else { return Ok(None) };
    if !(1..=BATCH_MAX_COUNT).contains(&max_events) {
        let message = format!("max_events must be 1 to {BATCH_MAX_COUNT}");
        return Err(ApiError::invalid("batch.max_events", message));
    }
    if window_seconds > BATCH_WINDOW_MAX_SECONDS {
        let message = format!("window_seconds must be 0 to {BATCH_WINDOW_MAX_SECONDS}");
        return Err(ApiError::invalid("batch.window_seconds", message));
    }
    Ok((max_events > 1).then_some(EventBatch { max_events, window_seconds }))
}

/// Checks headers of the owner. Their names are returned in lower case.
pub(super) fn check_headers(headers: BTreeMap<String, Secret>) -> Result<BTreeMap<String, Secret>, ApiError> {
    if headers.len() > HEADER_MAX_COUNT {
        return Err(ApiError::invalid("headers", format!("there may be {HEADER_MAX_COUNT} headers at most")));
    }
    let mut checked = BTreeMap::new();
    for (name, value) in headers {
        let shown: String = name.chars().take(50).collect();
        let invalid = |problem: &str| ApiError::invalid("headers", format!("the header {shown:?} {problem}"));
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid("has no valid name"))?;
        if RESERVED_HEADERS.contains(&name.as_str()) || name.as_str().starts_with("webhook-") {
            return Err(invalid("is set by the gateway; leave it out"));
        }
        if value.expose().len() > HEADER_MAX_BYTES || HeaderValue::from_str(value.expose()).is_err() {
            return Err(invalid("has a value that is too long, or has characters that a header can't have"));
        }
        checked.insert(name.as_str().to_owned(), value);
    }
    Ok(checked)
}

/// Checks the address of a target. Returns it, and the form in which it may be shown.
pub(super) fn check_address(
    target: WebhookTarget,
    url: Option<&str>,
    allows_private: bool,
) -> Result<(Option<Secret>, String), ApiError> {
    let required = |what: &str| {
        url.filter(|url| !url.is_empty() && url.len() <= ADDRESS_MAX_BYTES)
            .ok_or_else(|| ApiError::invalid("url", format!("url must be {what}")))
    };
    match target {
        WebhookTarget::Pagerduty => match url {
            Some(_) => Err(ApiError::invalid("url", "a service of pagerduty has no url; leave it out")),
            None => Ok((None, "pagerduty".to_owned())),
        },
        WebhookTarget::Email => {
            let address = required("an address of email")?;
            let address =
                check_email(address).map_err(|error| ApiError::invalid("url", error.to_string()))?;
            Ok((Some(Secret::new(address.clone())), address))
        }
        WebhookTarget::Https | WebhookTarget::Slack => {
            let address = required("the address of the endpoint, at most 2000 bytes")?;
            let url = Url::parse(address).map_err(|_| ApiError::invalid("url", "url is no address"))?;
            if !url.username().is_empty() || url.password().is_some() {
                return Err(ApiError::invalid("url", "url may have no user; send a header `authorization`"));
            }
            if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
                let message =
                    format!("url must begin with https://; the scheme {} is not supported", url.scheme());
                return Err(ApiError::invalid("url", message));
            }
            if !allows_private && !public_address::is_public(address) {
                let message = "url must be an https:// address of the public internet; the operator can allow others \
                               with webhooks.private_addresses";
                return Err(ApiError::invalid("url", message));
            }
            Ok((Some(Secret::new(url.as_str())), without_path(url.as_str())))
        }
    }
}

/// The address of a target without its secret parts: path and query of a URL, which often are a secret. An address of email is
/// whole, and a URL without its path stays as it is.
pub(super) fn without_path(address: &str) -> String {
    match Url::parse(address) {
        Ok(url) if url.has_host() => format!("{}://{}/...", url.scheme(), url.authority()),
        _ => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_is_public_unless_the_operator_allows_others() {
        let https = |url: &str, allows| check_address(WebhookTarget::Https, Some(url), allows);
        for bad in [
            "http://example.org/",
            "https://127.0.0.1/",
            "https://169.254.169.254/latest",
            "https://[::1]/",
            "https://box.local/",
            "https://user:secret@example.org/",
            "ftp://example.org/",
            "x",
            "",
        ] {
            assert!(https(bad, false).is_err(), "{bad}");
        }
        assert!(https("http://127.0.0.1:9/", true).is_ok());
        for allows in [false, true] {
            let error = https("ftp://example.org/", allows).unwrap_err();
            assert!(error.message.contains("https://") && !error.message.contains("operator"), "{error}");
        }
        assert!(https("https://example.org/hook", false).is_ok());
    }

    #[test]
    fn shown_address_has_no_secret() {
        let shown = |target, url: &str| check_address(target, Some(url), false).unwrap().1;
        let slack = shown(WebhookTarget::Slack, "https://hooks.slack.com/services/T0/B0/abc");
        assert_eq!(slack, "https://hooks.slack.com/...");
        for target in
            ["https://example.org:8443/api/webhooks/1/abc", "https://example.org:8443/?token=abc#abc"]
        {
            let https = shown(WebhookTarget::Https, target);
            assert_eq!(https, "https://example.org:8443/...");
            assert_eq!(without_path(&https), https);
        }
        let email = shown(WebhookTarget::Email, "ops@example.org");
        assert_eq!(email, "ops@example.org");
    }

    #[test]
    fn each_pattern_matches_an_event() {
        let check = |pattern: &str| check_events(vec![pattern.to_owned()]);
        for good in ["*", "run.*", "*.failed", "node.online"] {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in ["", "runs.*", "webhook.test", "run"] {
            assert!(check(bad).is_err(), "{bad}");
        }
        assert!(check_events(Vec::new()).is_err());
    }

    #[test]
    fn headers_of_the_gateway_are_refused() {
        let check =
            |name: &str, value: &str| check_headers(BTreeMap::from([(name.to_owned(), Secret::new(value))]));
        for (name, value) in
            [("webhook-id", "x"), ("Host", "x"), ("content-type", "x"), ("a b", "x"), ("x-a", "a\r\nb: c")]
        {
            assert!(check(name, value).is_err(), "{name}");
        }
        assert!(check("Authorization", "Bearer x").unwrap().contains_key("authorization"));
    }
}
