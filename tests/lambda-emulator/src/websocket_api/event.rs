//! The events of a connection.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime},
};

use axum::http::HeaderMap;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Map, Value, json};

static COUNT: AtomicU64 = AtomicU64::new(1);

/// Kind of an event, with its content.
#[derive(Debug, Clone, Copy)]
pub(super) enum EventKind<'a> {
    Connect(&'a HeaderMap),
    Message(&'a str),
    /// With the status of the close frame.
    Disconnect(u16),
}

/// An id of a new connection, in the service's form: bytes in base64.
pub(super) fn connection_id() -> String {
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let mut bytes = number.to_be_bytes().to_vec();
    bytes.extend(&since.subsec_nanos().to_be_bytes()[..3]);
    // The real ones are passed in paths, and have no slash either.
    BASE64_STANDARD.encode(bytes).replace(['/', '+'], "-")
}

/// The event, in the format of the proxy integration.
pub(super) fn to_json(
    id: &str,
    connected_at: u64,
    stage: &str,
    address: SocketAddr,
    kind: EventKind<'_>,
) -> Value {
    let (event_type, route) = match kind {
        EventKind::Connect(_) => ("CONNECT", "$connect"),
        EventKind::Message(_) => ("MESSAGE", "$default"),
        EventKind::Disconnect(_) => ("DISCONNECT", "$disconnect"),
    };
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let mut event = json!({
        "requestContext": {
            "routeKey": route, "eventType": event_type, "extendedRequestId": "AbCdEfGhoAMF000=",
            "requestTime": "23/Oct/2024:13:01:20 +0000", "messageDirection": "IN", "stage": stage,
            "connectedAt": connected_at, "requestTimeEpoch": connected_at, "identity": {"sourceIp": "203.0.113.7"},
            "requestId": format!("socket-{number}="), "domainName": address.to_string(),
            "connectionId": id, "apiId": "sockets",
        },
        "isBase64Encoded": false,
    });
    match kind {
        EventKind::Connect(headers) => {
            let (mut single, mut multi) = (Map::new(), Map::new());
            for name in headers.keys() {
                let values: Vec<String> = headers
                    .get_all(name)
                    .iter()
                    .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
                    .collect();
                single.insert(name.to_string(), json!(values.last()));
                multi.insert(name.to_string(), json!(values));
            }
            event["headers"] = Value::Object(single);
            event["multiValueHeaders"] = Value::Object(multi);
        }
        EventKind::Message(text) => {
            event["body"] = text.into();
            event["requestContext"]["messageId"] = format!("message-{number}=").into();
        }
        EventKind::Disconnect(status) => {
            event["requestContext"]["disconnectStatusCode"] = status.into();
            event["requestContext"]["disconnectReason"] = "".into();
        }
    }
    event
}
