//! The node's socket: a WebSocket to the gateway, over which doorbells come.

use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use hearth_wire::{
    json_body::parse_message,
    relay::{Doorbell, NodeMessage, SOCKET_MESSAGE_MAX_BYTES},
};
use reqwest::{
    StatusCode, Upgraded, Url,
    header::{
        CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
    },
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error, Message, Utf8Bytes,
        error::ProtocolError,
        handshake::{client::generate_key, derive_accept_key},
        protocol::{CloseFrame, Role, WebSocketConfig, frame::coding::CloseCode},
    },
};

use super::{client::GatewayClient, error::LinkFailure};

/// The call that the credential of a socket's request is for, whatever address the socket has.
const SOCKET_CALL: &str = "GET /v1/socket";
/// Timeout for the connection of a socket, the handshakes included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// Time for a close frame to be written.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// A connected socket.
pub(super) struct Socket(WebSocketStream<Upgraded>);

impl Socket {
    /// Connects to a socket's address. The request is one of HTTP/1.1, so that the certificate authorities and the proxies are
    /// those of all other requests.
    pub(super) async fn connect(client: &GatewayClient, address: &str) -> Result<Self, LinkFailure> {
        let url = resolve(client.gateway(), address)?;
        match tokio::time::timeout(CONNECT_TIMEOUT, Self::open(client, &url)).await {
            Ok(socket) => socket,
            Err(_) => {
                let reason = "the socket wasn't answered in time".to_owned();
                Err(LinkFailure::Unreachable { address: url.to_string(), reason })
            }
        }
    }

    async fn open(client: &GatewayClient, url: &Url) -> Result<Self, LinkFailure> {
        let key = generate_key();
        let request = |http: &reqwest::Client| {
            let request = http.get(url.clone()).header(CONNECTION, "Upgrade").header(UPGRADE, "websocket");
            request.header(SEC_WEBSOCKET_VERSION, "13").header(SEC_WEBSOCKET_KEY, &key)
        };
        let answer = client.upgrade(SOCKET_CALL, request).await?;
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            let status = answer.status();
            let body = answer.bytes().await.unwrap_or_default();
            return Err(LinkFailure::of_answer(status, &body));
        }
        let accepted = answer.headers().get(SEC_WEBSOCKET_ACCEPT).map(HeaderValue::as_bytes);
        if accepted != Some(derive_accept_key(key.as_bytes()).as_bytes()) {
            let reason = "the answer to the socket's request is none of WebSocket".to_owned();
            return Err(LinkFailure::Unreadable { reason });
        }
        let connection = answer.upgrade().await.map_err(|error| client.unreachable(&error))?;
        let config = WebSocketConfig::default()
            .max_message_size(Some(SOCKET_MESSAGE_MAX_BYTES))
            .max_frame_size(Some(SOCKET_MESSAGE_MAX_BYTES));
        Ok(Self(WebSocketStream::from_raw_socket(connection, Role::Client, Some(config)).await))
    }

    /// Waits for the next doorbell. None when the socket is closed.
    pub(super) async fn next(&mut self) -> Option<Doorbell> {
        loop {
            match self.0.next().await? {
                Ok(Message::Text(text)) => match parse_message(&text) {
                    Ok(doorbell) => return Some(doorbell),
                    // A later gateway may have others: they are hints.
                    Err(error) => tracing::debug!(%error, "an unknown doorbell is ignored"),
                },
                Ok(Message::Close(_)) => {
                    // Sends the acknowledgement, which the library has queued.
                    let _ = tokio::time::timeout(CLOSE_TIMEOUT, self.0.flush()).await;
                    return None;
                }
                // The library answers pings.
                Ok(_) => {}
                Err(error) => {
                    tracing::debug!(%error, "the socket broke off");
                    if let Some(code) = close_code(&error) {
                        let frame = CloseFrame { code, reason: Utf8Bytes::default() };
                        let _ = tokio::time::timeout(CLOSE_TIMEOUT, self.0.close(Some(frame))).await;
                    }
                    return None;
                }
            }
        }
    }

    /// Sends a heartbeat. Returns false if the socket is closed.
    pub(super) async fn send_heartbeat(&mut self) -> bool {
        let message = serde_json::to_string(&NodeMessage::Heartbeat).unwrap_or_default();
        self.0.send(Message::text(message)).await.is_ok()
    }

    /// Closes the socket in order, without waiting for the gateway's answer.
    pub(super) async fn close(mut self) {
        // One that is broken needs no closing.
        let _ = self.0.close(None).await;
    }
}

/// The code with which a socket is closed whose gateway has violated the protocol (RFC 6455, section 7.4.1); none if the connection
/// is gone.
fn close_code(error: &Error) -> Option<CloseCode> {
    match error {
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => None,
        Error::Protocol(_) => Some(CloseCode::Protocol),
        Error::Utf8(_) => Some(CloseCode::Invalid),
        Error::Capacity(_) => Some(CloseCode::Size),
        _ => None,
    }
}

/// The URL of a socket's address, which is absolute or a path of the gateway. Credentials that go to the gateway over TLS go
/// nowhere without it.
fn resolve(gateway: &Url, address: &str) -> Result<Url, LinkFailure> {
    let invalid =
        || LinkFailure::Invalid(format!("the gateway's socket has an address that can't be used: {address}"));
    let absolute = match address.strip_prefix("ws") {
        Some(rest) => format!("http{rest}"),
        None if address.starts_with('/') => format!("{}{address}", gateway.as_str().trim_end_matches('/')),
        None => address.to_owned(),
    };
    let url: Url = absolute.parse().map_err(|_| invalid())?;
    let is_allowed = url.scheme() == "https" || (url.scheme() == "http" && gateway.scheme() == "http");
    if is_allowed { Ok(url) } else { Err(invalid()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(gateway: &str, address: &str) -> Option<String> {
        resolve(&gateway.parse().unwrap(), address).ok().map(String::from)
    }

    #[test]
    fn address_is_absolute_or_a_path_of_the_gateway() {
        let home = "http://127.0.0.1:8080";
        assert_eq!(resolved(home, "/v1/socket").unwrap(), "http://127.0.0.1:8080/v1/socket");
        assert_eq!(resolved(home, "ws://box:1/v1/socket").unwrap(), "http://box:1/v1/socket");
        let cloud = "https://example.com/hearth";
        assert_eq!(resolved(cloud, "/v1/socket").unwrap(), "https://example.com/hearth/v1/socket");
        assert_eq!(resolved(cloud, "wss://abc.example.com/prod").unwrap(), "https://abc.example.com/prod");
    }

    #[test]
    fn credential_of_a_gateway_with_tls_goes_nowhere_without_it() {
        for address in ["ws://abc.example.com/prod", "http://abc.example.com/prod", "ftp://abc", "abc"] {
            assert_eq!(resolved("https://example.com", address), None, "{address}");
        }
    }
}
