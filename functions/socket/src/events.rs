//! Events of the WebSocket API in the cloud.

use hearth_gateway::{Gateway, sockets::SocketId};
use hearth_http::socket_credential::{selected_subprotocol, socket_credential};
use hearth_lambda::{SocketEvent, SocketEventKind};
use hearth_wire::{ApiError, ErrorCode};
use http::HeaderMap;
use serde_json::{Value, json};

use crate::error_message::error_message;

/// Handles an event; returns the response to API Gateway.
pub async fn answer(gateway: Gateway, event: SocketEvent) -> Value {
    let SocketEvent { id, kind } = event;
    match kind {
        SocketEventKind::Connect(headers) => match connect(&gateway, &id, &headers).await {
            Ok(response) => response,
            Err(error) => {
                tracing::info!(socket = %id, %error, "a socket was refused");
                json!({"statusCode": error.code.status(), "body": error_message(&error, &id)})
            }
        },
        SocketEventKind::Disconnect => {
            gateway.sockets().disconnect(&id).await;
            json!({"statusCode": 200})
        }
        SocketEventKind::Message(text) => message(&gateway, &id, &text).await,
    }
}

async fn connect(gateway: &Gateway, id: &SocketId, headers: &HeaderMap) -> Result<Value, ApiError> {
    gateway.sockets().connect(id, socket_credential(headers)?).await?;
    Ok(match selected_subprotocol(headers) {
        Some(protocol) => json!({"statusCode": 200, "headers": {"Sec-WebSocket-Protocol": protocol}}),
        None => json!({"statusCode": 200}),
    })
}

/// Handles a message. The response's body is sent over the socket.
async fn message(gateway: &Gateway, id: &SocketId, text: &str) -> Value {
    match gateway.sockets().message(id, text).await {
        Ok(Some(reply)) => json!({"statusCode": 200, "body": reply}),
        Ok(None) => json!({"statusCode": 200}),
        Err(error) => {
            if error.code == ErrorCode::Unauthorized {
                // The client opens another.
                gateway.sockets().hang_up(id).await;
            }
            json!({"statusCode": 200, "body": error_message(&error, id)})
        }
    }
}
