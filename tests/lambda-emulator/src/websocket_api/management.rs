//! The management API: `POST`, `GET` and `DELETE /@connections/{id}`.

use axum::{
    extract::Request,
    http::{HeaderMap, Method, StatusCode, header::AUTHORIZATION},
    response::{IntoResponse as _, Response},
};
use serde_json::json;

use super::{Api, MESSAGE_MAX_BYTES, message};

impl Api {
    pub(super) async fn manage(&self, id: &str, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        if !(self.authorise)(access_key(&parts.headers), parts.method.as_str(), id) {
            let text =
                format!("not authorized to perform: execute-api:ManageConnections on {} {id}", parts.method);
            return refuse(StatusCode::FORBIDDEN, "ForbiddenException", &text);
        }
        let Ok(body) = axum::body::to_bytes(body, MESSAGE_MAX_BYTES).await else {
            return refuse(StatusCode::PAYLOAD_TOO_LARGE, "PayloadTooLargeException", "message too long");
        };
        let mut open = self.open();
        let Some(connection) = open.get(id) else {
            return refuse(StatusCode::GONE, "GoneException", "Gone");
        };
        match parts.method {
            Method::POST => match connection.sender.send(String::from_utf8_lossy(&body).into_owned()) {
                Ok(()) => StatusCode::OK.into_response(),
                Err(_) => refuse(StatusCode::GONE, "GoneException", "Gone"),
            },
            Method::GET => {
                json!({"connectedAt": connection.connected_at, "identity": {"sourceIp": "203.0.113.7"}})
                    .to_string()
                    .into_response()
            }
            Method::DELETE => {
                open.remove(id);
                StatusCode::NO_CONTENT.into_response()
            }
            _ => refuse(StatusCode::FORBIDDEN, "ForbiddenException", "Forbidden"),
        }
    }
}

fn refuse(status: StatusCode, kind: &'static str, text: &str) -> Response {
    (status, [("x-amzn-errortype", kind), ("content-type", "application/json")], message(text))
        .into_response()
}

/// The access key that has signed a request.
fn access_key(headers: &HeaderMap) -> &str {
    let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    header.split_once("Credential=").and_then(|(_, rest)| rest.split('/').next()).unwrap_or_default()
}
