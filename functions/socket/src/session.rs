//! One open socket: its messages in both directions, and its end.

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use hearth_gateway::{
    Gateway,
    sockets::{HubSocket, SocketId, SocketPeer},
};
use hearth_http::socket_violation::SocketViolation;
use hearth_wire::{ErrorCode, relay::SOCKET_MESSAGE_MAX_BYTES};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};

use crate::{error_message::error_message, subscriptions::Subscriptions};

/// Interval of pings, which keep proxies from cutting a silent connection. A connection that doesn't answer two is closed.
const PING_INTERVAL: Duration = Duration::from_secs(30);
/// Time for a message to be written: a client that reads nothing for as long is disconnected.
const SEND_TIMEOUT: Duration = Duration::from_secs(20);
/// Time for the client to acknowledge that the socket is closed.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// An open socket.
pub(crate) struct Session {
    gateway: Gateway,
    id: SocketId,
    peer: SocketPeer,
    /// Messages that the gateway sends.
    place: HubSocket,
}

/// Reason why a socket ends.
struct End {
    code: u16,
    reason: &'static str,
}

impl End {
    fn of(violation: SocketViolation) -> Self {
        match violation {
            SocketViolation::MessageTooLarge => TOO_LARGE,
            other => Self { code: other.close_code(), reason: other.reason() },
        }
    }
}

const TOO_LARGE: End = End { code: close_code::SIZE, reason: "a message has 32 KB at most" };

impl Session {
    pub(crate) fn new(gateway: Gateway, peer: SocketPeer, place: HubSocket) -> Self {
        Self { gateway, id: place.id().clone(), peer, place }
    }

    /// Carries messages until the client or the gateway closes the socket.
    pub(crate) async fn run(self, mut socket: WebSocket) {
        let (gateway, id) = (self.gateway.clone(), self.id.clone());
        if let Some(End { code, reason }) = self.carry(&mut socket).await {
            tracing::debug!(socket = %id, reason, "a socket is closed");
            let close = Message::Close(Some(CloseFrame { code, reason: reason.into() }));
            let closed = async {
                if socket.send(close).await.is_ok() {
                    // The client's answer: without reading it, the system could reset the connection before the client has read
                    // the reason.
                    while let Some(Ok(_)) = socket.recv().await {}
                }
            };
            let _ = timeout(CLOSE_TIMEOUT, closed).await;
        }
        gateway.sockets().disconnect(&id).await;
    }

    /// Returns the reason to send to the client; none if the connection is gone.
    async fn carry(mut self, socket: &mut WebSocket) -> Option<End> {
        let sockets = self.gateway.sockets().clone();
        let (lifetime, idle_timeout) = (sockets.lifetime(&self.peer), sockets.idle_timeout());
        let began = Instant::now();
        let end = began + lifetime;
        let mut last_message = began;
        let mut pings = interval(PING_INTERVAL);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        pings.reset();
        let mut silent_pings = 0;
        let mut subscriptions = match &self.peer {
            SocketPeer::Client(caller) => {
                Some(Subscriptions::new(self.gateway.clone(), caller.as_ref().clone(), &self.id))
            }
            SocketPeer::Node(_) => None,
        };
        let revoked = sockets.revoked(&self.peer);
        tokio::pin!(revoked);
        loop {
            let outgoing = tokio::select! {
                message = socket.recv() => {
                    silent_pings = 0;
                    let text = match message? {
                        Ok(Message::Text(text)) if text.as_str().len() > SOCKET_MESSAGE_MAX_BYTES => {
                            return Some(TOO_LARGE);
                        }
                        Ok(Message::Text(text)) => text,
                        Ok(Message::Ping(_) | Message::Pong(_)) => continue,
                        Ok(Message::Close(_)) => {
                            // Sends the acknowledgement.
                            let _ = timeout(CLOSE_TIMEOUT, socket.recv()).await;
                            return None;
                        }
                        Ok(Message::Binary(_)) => {
                            return Some(End { code: close_code::UNSUPPORTED, reason: "messages are text" });
                        }
                        Err(error) => return SocketViolation::of(&error).map(End::of),
                    };
                    last_message = Instant::now();
                    match self.reply(subscriptions.as_mut(), &text).await {
                        Ok(reply) => reply,
                        Err(end) => return Some(end),
                    }
                }
                message = self.place.next() => match message {
                    Some(text) => Some(text),
                    None => {
                        return Some(End { code: close_code::AWAY, reason: "the gateway closes the socket" });
                    }
                },
                message = next_of(&mut subscriptions) => Some(message),
                _ = pings.tick() => {
                    silent_pings += 1;
                    if silent_pings > 2 {
                        return None;
                    }
                    timeout(SEND_TIMEOUT, socket.send(Message::Ping(axum::body::Bytes::new()))).await.ok()?.ok()?;
                    continue;
                }
                () = sleep_until(end) => {
                    return Some(End { code: close_code::AWAY, reason: "the socket's time is over" });
                }
                () = sleep_until(last_message + idle_timeout) => {
                    return Some(End { code: close_code::AWAY, reason: "no message was sent for too long" });
                }
                () = &mut revoked => {
                    return Some(End { code: close_code::POLICY, reason: "the credential is revoked" });
                }
            };
            if let Some(text) = outgoing {
                last_message = Instant::now();
                let sent = timeout(SEND_TIMEOUT, socket.send(Message::Text(text.into()))).await;
                sent.ok()?.ok()?;
            }
        }
    }

    /// Handles a message; returns the reply.
    async fn reply(
        &self,
        subscriptions: Option<&mut Subscriptions>,
        text: &str,
    ) -> Result<Option<String>, End> {
        let reply = match subscriptions {
            Some(subscriptions) => return Ok(subscriptions.handle(text)),
            None => self.gateway.sockets().message(&self.id, text).await,
        };
        match reply {
            Ok(reply) => Ok(reply),
            Err(error) if error.code == ErrorCode::Unauthorized => {
                Err(End { code: close_code::POLICY, reason: "the gateway no longer knows the socket" })
            }
            Err(error) => Ok(Some(error_message(&error, &self.id))),
        }
    }
}

/// The next message of a subscription; never one where there are none.
async fn next_of(subscriptions: &mut Option<Subscriptions>) -> String {
    match subscriptions {
        Some(subscriptions) => subscriptions.next().await,
        None => std::future::pending().await,
    }
}
