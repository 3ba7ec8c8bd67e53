//! One open connection.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use serde_json::Value;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};

use super::{
    Api, FRAME_MAX_BYTES,
    event::{self, EventKind},
};

/// Time for a client to acknowledge that its connection is closed.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// The end of a connection whose client has sent a large message.
const TOO_LARGE: (u16, &str) = (close_code::SIZE, "Message too long");

/// A connection, open or about to be.
#[derive(Debug)]
pub(super) struct Connection {
    id: String,
    /// Milliseconds since 1970.
    connected_at: u64,
}

/// An open connection, for the management API.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) connected_at: u64,
    /// Messages to send. Dropped to close the connection.
    pub(super) sender: mpsc::UnboundedSender<String>,
}

impl Connection {
    pub(super) fn new(id: String) -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Self { id, connected_at: u64::try_from(since.as_millis()).unwrap_or(u64::MAX) }
    }

    pub(super) fn event(&self, stage: &str, address: SocketAddr, kind: EventKind<'_>) -> Value {
        event::to_json(&self.id, self.connected_at, stage, address, kind)
    }

    /// Carries messages until either side closes the connection.
    pub(super) async fn run(self, api: Arc<Api>, mut socket: WebSocket) {
        let (sender, mut outgoing) = mpsc::unbounded_channel();
        api.open().insert(self.id.clone(), Open { connected_at: self.connected_at, sender });
        let close = self.carry(&api, &mut socket, &mut outgoing).await;
        api.open().remove(&self.id);
        let status = match close {
            Some((code, reason)) => {
                let close = async {
                    let frame = CloseFrame { code, reason: reason.into() };
                    if socket.send(Message::Close(Some(frame))).await.is_ok() {
                        while let Some(Ok(_)) = socket.recv().await {}
                    }
                };
                let _ = timeout(CLOSE_TIMEOUT, close).await;
                code
            }
            None => close_code::NORMAL,
        };
        drop(socket);
        let _ = api.invoke(&self, EventKind::Disconnect(status)).await;
    }

    /// Returns the status and the reason that the client gets; none if it has closed the connection.
    async fn carry(
        &self,
        api: &Api,
        socket: &mut WebSocket,
        outgoing: &mut mpsc::UnboundedReceiver<String>,
    ) -> Option<(u16, &'static str)> {
        let limits = api.limits();
        let end = Instant::now() + limits.lifetime;
        let mut last_message = Instant::now();
        loop {
            let text = tokio::select! {
                message = socket.recv() => match message? {
                    Ok(Message::Text(text)) if text.as_str().len() > FRAME_MAX_BYTES => return Some(TOO_LARGE),
                    Ok(Message::Text(text)) => {
                        last_message = Instant::now();
                        let response = api.invoke(self, EventKind::Message(text.as_str())).await;
                        match response {
                            Ok(response) if response.body.is_empty() => continue,
                            Ok(response) => response.body,
                            Err(()) => super::message("Internal server error"),
                        }
                    }
                    Ok(Message::Ping(_) | Message::Pong(_)) => continue,
                    Ok(Message::Close(_)) => {
                        // Sends the acknowledgement.
                        let _ = timeout(CLOSE_TIMEOUT, socket.recv()).await;
                        return None;
                    }
                    Ok(Message::Binary(_)) => return Some((close_code::UNSUPPORTED, "")),
                    Err(error) if error.to_string().contains("too long") => return Some(TOO_LARGE),
                    Err(_) => return None,
                },
                text = outgoing.recv() => match text {
                    Some(text) => text,
                    None => return Some((close_code::NORMAL, "Connection Closed Normally")),
                },
                () = sleep_until(end) => return Some((close_code::AWAY, "Going away")),
                () = sleep_until(last_message + limits.idle) => return Some((close_code::AWAY, "Going away")),
            };
            last_message = Instant::now();
            socket.send(Message::Text(text.into())).await.ok()?;
        }
    }
}
