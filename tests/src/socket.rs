//! A WebSocket of a client or a node.

use std::net::SocketAddr;

use futures::{SinkExt as _, StreamExt as _};
use reqwest::StatusCode;
use serde_json::Value;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{
        Error, Message,
        client::IntoClientRequest as _,
        http::{HeaderName, HeaderValue},
    },
};

use crate::within;

/// An open WebSocket over plain HTTP.
#[derive(Debug)]
pub struct Socket {
    stream: WebSocketStream<TcpStream>,
    /// The subprotocol that the server has selected.
    pub protocol: Option<String>,
}

impl Socket {
    /// Opens `url` (`ws://...` or `http://...`) with these headers; the status, if the server refuses.
    ///
    /// # Errors
    /// The status of the server's refusal.
    ///
    /// # Panics
    /// If the server can't be reached.
    pub async fn open(url: &str, headers: &[(&str, &str)]) -> Result<Self, StatusCode> {
        let url = url.replacen("http", "ws", 1);
        let mut request = url.as_str().into_client_request().unwrap_or_else(|error| panic!("{url}: {error}"));
        for (name, value) in headers {
            let name: HeaderName = name.parse().unwrap_or_else(|error| panic!("{name}: {error}"));
            let value: HeaderValue = value.parse().unwrap_or_else(|error| panic!("{value}: {error}"));
            request.headers_mut().insert(name, value);
        }
        let address = request.uri().authority().map(ToString::to_string).unwrap_or_default();
        let address: SocketAddr = address.parse().unwrap_or_else(|error| panic!("{address}: {error}"));
        let stream = TcpStream::connect(address).await.unwrap_or_else(|error| panic!("{url}: {error}"));
        match within("the upgrade", Box::pin(client_async(request, stream))).await {
            Ok((stream, response)) => {
                let protocol = response.headers().get("sec-websocket-protocol");
                let protocol = protocol.and_then(|value| value.to_str().ok()).map(str::to_owned);
                Ok(Self { stream, protocol })
            }
            Err(Error::Http(response)) => Err(StatusCode::from_u16(response.status().as_u16())
                .unwrap_or_else(|error| panic!("a status: {error}"))),
            Err(error) => panic!("{url}: {error}"),
        }
    }

    /// Opens `url` with a credential in the header `Authorization`.
    ///
    /// # Panics
    /// If the server refuses.
    pub async fn open_as(url: &str, credential: &str) -> Self {
        let opened = Self::open(url, &[("authorization", &format!("Bearer {credential}"))]).await;
        opened.unwrap_or_else(|status| panic!("{url} was refused: {status}"))
    }

    /// Sends a message of JSON.
    ///
    /// # Panics
    /// If the socket is closed.
    pub async fn send(&mut self, message: &Value) {
        self.send_message(Message::text(message.to_string())).await;
    }

    /// Sends a message.
    ///
    /// # Panics
    /// If the socket is closed.
    pub async fn send_message(&mut self, message: Message) {
        within("a message to be sent", self.stream.send(message))
            .await
            .unwrap_or_else(|error| panic!("{error}"));
    }

    /// Sends bytes that are no frame of a client's, or one that a client may not send.
    ///
    /// # Panics
    /// If the connection is closed.
    pub async fn send_bytes(&mut self, bytes: &[u8]) {
        within("bytes to be sent", self.stream.get_mut().write_all(bytes))
            .await
            .unwrap_or_else(|error| panic!("{error}"));
    }

    /// The next message, which is JSON.
    ///
    /// # Panics
    /// If there is none.
    pub async fn next(&mut self) -> Value {
        loop {
            match within("a message", self.stream.next()).await {
                Some(Ok(Message::Text(text))) => {
                    return serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => panic!("no message came: {other:?}"),
            }
        }
    }

    /// Messages up to the one with this type.
    ///
    /// # Panics
    /// If it doesn't come.
    pub async fn until(&mut self, kind: &str) -> Vec<Value> {
        let mut messages = Vec::new();
        loop {
            let message = self.next().await;
            let is_last = message["type"] == kind;
            messages.push(message);
            if is_last {
                return messages;
            }
        }
    }

    /// The code with which the server closes the socket. Messages before that are skipped.
    ///
    /// # Panics
    /// If the server closes it without a code.
    pub async fn close_code(&mut self) -> u16 {
        loop {
            match within("the close", self.stream.next()).await {
                Some(Ok(Message::Close(Some(frame)))) => return frame.code.into(),
                Some(Ok(Message::Text(_) | Message::Ping(_) | Message::Pong(_))) => {}
                other => panic!("the socket ended without a code: {other:?}"),
            }
        }
    }

    /// The payload of the next pong.
    ///
    /// # Panics
    /// If another message comes.
    pub async fn pong(&mut self) -> Vec<u8> {
        match within("a pong", self.stream.next()).await {
            Some(Ok(Message::Pong(payload))) => payload.to_vec(),
            other => panic!("no pong came: {other:?}"),
        }
    }

    /// Closes the socket, and waits for the server to do so too.
    pub async fn close(mut self) {
        let _ = self.stream.close(None).await;
        while let Some(Ok(_)) = self.stream.next().await {}
    }
}
