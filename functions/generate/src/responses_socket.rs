//! OpenAI's Responses over a WebSocket (<https://developers.openai.com/api/docs/guides/websocket-mode>), at home.
//!
//! A client sends `response.create` messages, whose fields are those of `POST /v1/responses`. Each begins a run; its events are sent
//! as they are streamed over HTTP, without `data:`. One run is in progress at a time, and later messages wait for it. The latest response
//! is in memory, so that the next one continues it by `previous_response_id`, also if it isn't stored.

mod turn;
mod waiting;

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use hearth_domain::RunId;
use hearth_gateway::sockets::{HubSocket, SocketPeer};
use hearth_http::socket_violation::SocketViolation;
use hearth_wire::{ApiError, ErrorCode};
use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};

use crate::run_request::RunRequest;
use turn::{Latest, Turn};
use waiting::Waiting;

/// Limit of the bytes of a message.
pub(crate) const MESSAGE_MAX_BYTES: usize = 2 << 20;
/// Interval of pings, which keep proxies from cutting a silent connection. A connection that doesn't answer two is closed.
const PING_INTERVAL: Duration = Duration::from_secs(30);
/// Time for a message to be written: a client that reads nothing for as long is disconnected, and its run stopped.
const SEND_TIMEOUT: Duration = Duration::from_secs(60);
/// Time for the client to acknowledge that the socket is closed.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// An open socket.
pub(crate) struct Session {
    /// The request that has opened it.
    request: RunRequest,
    peer: SocketPeer,
    latest: Option<Latest>,
    waiting: Waiting,
}

/// Reason why a socket ends.
struct End {
    code: u16,
    reason: &'static str,
    /// The error that the client gets before.
    error: Option<ApiError>,
}

impl End {
    fn new(code: u16, reason: &'static str) -> Self {
        Self { code, reason, error: None }
    }

    fn of(violation: SocketViolation) -> Self {
        let reason = match violation {
            SocketViolation::MessageTooLarge => "a message has 2 MB at most",
            other => other.reason(),
        };
        Self::new(violation.close_code(), reason)
    }
}

impl Session {
    pub(crate) fn new(request: RunRequest, peer: SocketPeer) -> Self {
        Self { request, peer, latest: None, waiting: Waiting::default() }
    }

    /// Serves the client until it or the gateway closes the socket. A run in progress then is as one whose client has
    /// disconnected.
    pub(crate) async fn run(mut self, mut socket: WebSocket, mut place: HubSocket) {
        let (sockets, peer) = (self.request.gateway.sockets().clone(), self.peer.clone());
        // Also while a run begins, or a client doesn't read.
        let end = tokio::select! {
            end = self.serve(&mut socket) => end,
            () = closed(&mut place) => Some(End::new(close_code::AWAY, "the gateway closes the socket")),
            () = sockets.revoked(&peer) => Some(End::new(close_code::POLICY, "the credential is revoked")),
        };
        if let Some(end) = end {
            self.close(&mut socket, end).await;
        }
        sockets.disconnect(place.id()).await;
    }

    /// Tells the client the reason of the end.
    async fn close(&self, socket: &mut WebSocket, End { code, reason, error }: End) {
        tracing::debug!(reason, "a socket for responses is closed");
        let closed = async {
            if let Some(error) = error {
                let text = error_event(&error, self.request.id);
                let _ = socket.send(Message::Text(text.into())).await;
            }
            let close = Message::Close(Some(CloseFrame { code, reason: reason.into() }));
            if socket.send(close).await.is_ok() {
                // The client's answer: without reading it, the system could reset the connection before the client has read the
                // reason.
                while let Some(Ok(_)) = socket.recv().await {}
            }
        };
        let _ = timeout(CLOSE_TIMEOUT, closed).await;
    }

    /// Returns the reason to send to the client; none if the connection is gone.
    async fn serve(&mut self, socket: &mut WebSocket) -> Option<End> {
        let sockets = self.request.gateway.sockets().clone();
        // A run in progress goes on beyond it, as over HTTP; no other one begins.
        let end = Instant::now() + sockets.lifetime(&self.peer);
        let idle_timeout = sockets.idle_timeout();
        let mut pings = interval(PING_INTERVAL);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        pings.reset();
        let (mut silent_pings, mut last_message) = (0, Instant::now());
        let mut turn: Option<Turn> = None;
        loop {
            if turn.is_none()
                && Instant::now() < end
                && let Some(text) = self.waiting.pop()
            {
                match Turn::begin(self.request.next(), self.latest.as_ref(), &text).await {
                    Ok(begun) => turn = Some(begun),
                    Err((id, error)) => {
                        // As OpenAI: a failed turn can't be continued, nor the one before by memory.
                        self.latest = None;
                        send(socket, error_event(&error, id)).await?;
                    }
                }
                last_message = Instant::now();
                continue;
            }
            tokio::select! {
                message = socket.recv() => {
                    (silent_pings, last_message) = (0, Instant::now());
                    match message? {
                        Ok(Message::Text(text)) => if let Err(error) = self.waiting.push(&text) {
                            send(socket, error_event(&error, self.request.id)).await?;
                        },
                        Ok(Message::Ping(_) | Message::Pong(_)) => {}
                        Ok(Message::Close(_)) => {
                            // Sends the acknowledgement.
                            let _ = timeout(CLOSE_TIMEOUT, socket.recv()).await;
                            return None;
                        }
                        Ok(Message::Binary(_)) => return Some(End::new(close_code::UNSUPPORTED, "messages are text")),
                        Err(error) => return SocketViolation::of(&error).map(End::of),
                    }
                }
                frames = next_frames(&mut turn) => {
                    last_message = Instant::now();
                    if let Some(frames) = frames {
                        for frame in frames {
                            send(socket, frame.data).await?;
                        }
                    } else {
                        self.latest = turn.take().and_then(Turn::into_latest);
                    }
                }
                _ = pings.tick() => {
                    silent_pings += 1;
                    if silent_pings > 2 {
                        return None;
                    }
                    let ping = socket.send(Message::Ping(axum::body::Bytes::new()));
                    timeout(SEND_TIMEOUT, ping).await.ok()?.ok()?;
                }
                () = sleep_until(end), if turn.is_none() => {
                    let message = "the socket's time is over; open another one, and continue by previous_response_id";
                    let error = ApiError::new(ErrorCode::RequestTimeout, message);
                    return Some(End { error: Some(error), ..End::new(close_code::AWAY, "the socket's time is over") });
                }
                () = sleep_until(last_message + idle_timeout), if turn.is_none() => {
                    return Some(End::new(close_code::AWAY, "no message was sent for too long"));
                }
            }
        }
    }
}

/// Waits until the gateway closes the socket.
async fn closed(place: &mut HubSocket) {
    // It sends no messages to these clients.
    while place.next().await.is_some() {}
}

/// The frames of the next event of the run in progress; `None` after its last, and never without a run.
async fn next_frames(turn: &mut Option<Turn>) -> Option<Vec<hearth_wire::stream::Frame>> {
    match turn {
        Some(turn) => turn.next().await,
        None => std::future::pending().await,
    }
}

/// Sends a message; `None` if the connection is gone.
async fn send(socket: &mut WebSocket, text: String) -> Option<()> {
    timeout(SEND_TIMEOUT, socket.send(Message::Text(text.into()))).await.ok()?.ok()
}

/// The event of an error, in OpenAI's form. Its clients know the codes of two errors by OpenAI's names.
fn error_event(error: &ApiError, request: RunId) -> String {
    let mut body = json!(error.envelope(&request.to_string()).error);
    let code = match (error.code, error.param.as_deref()) {
        (ErrorCode::NotFound, Some("previous_response_id")) => Some("previous_response_not_found"),
        (ErrorCode::RequestTimeout, _) => Some("websocket_connection_limit_reached"),
        _ => None,
    };
    if let Some(code) = code {
        body["code"] = json!(code);
    }
    json!({"type": "error", "status": error.code.status(), "error": body}).to_string()
}
