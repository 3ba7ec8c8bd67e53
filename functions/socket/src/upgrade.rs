//! `GET /v1/socket`: opens a socket.

use axum::{
    extract::{State, WebSocketUpgrade, ws::rejection::WebSocketUpgradeRejection},
    response::Response,
};
use hearth_http::{AppState, HttpError, socket_credential::socket_credential};
use hearth_wire::{
    ApiError, ErrorCode, error::ErrorEnvelope, native::sockets::SUBPROTOCOL, relay::SOCKET_MESSAGE_MAX_BYTES,
};
use http::HeaderMap;

use crate::session::Session;

/// Largest message that is read whole before it is refused, so that its client gets the reason: a connection that is closed with
/// unread bytes is reset.
const READ_MAX_BYTES: usize = 4 * SOCKET_MESSAGE_MAX_BYTES;
/// Bytes of the buffers of a socket: most carry a few short messages.
const BUFFER_BYTES: usize = 2 << 10;
/// Bytes that wait to be written to a socket.
const WRITE_BUFFER_MAX_BYTES: usize = 1 << 20;

/// Open a WebSocket, for a node or a client.
///
/// A client subscribes to the events of runs and the states of models ([docs/sockets.md](https://github.com/hearth-ai/hearth/blob/main/docs/sockets.md)).
/// A browser, which can't set headers, sends its token as the subprotocol `hearth.token.<token>` beside `hearth.v1`. A stack in the
/// cloud has another address for sockets.
#[utoipa::path(
    get, path = "/v1/socket", operation_id = "open_socket", tag = "requests", security(("token" = []), ("token_of_node" = [])),
    params(
        ("upgrade" = String, Header, description = "`websocket`. A page can't set it: its browser does, for a `WebSocket`", example = "websocket"),
        ("sec-websocket-protocol" = Option<String>, Header, description = "`hearth.v1, hearth.token.<token>` of a client without an `authorization` header"),
    ),
    responses(
        (status = 101, description = "The socket is open"),
        (status = 400, description = "The request is no upgrade to a WebSocket", body = ErrorEnvelope),
        (status = 401, description = "No credential, or an invalid one", body = ErrorEnvelope),
        (status = 503, description = "The gateway has reached its limit of sockets", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn open(
    State(state): State<AppState>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, HttpError> {
    let sockets = state.gateway.sockets();
    // Before the upgrade is looked at: a request without a valid credential learns nothing else.
    let peer = sockets.authenticate(socket_credential(&headers)?).await?;
    let upgrade = upgrade.map_err(|rejection| {
        let message = format!("this address opens WebSockets: {rejection}");
        ApiError::new(ErrorCode::InvalidRequest, message)
    })?;
    let hub = sockets.hub().ok_or_else(|| {
        ApiError::new(
            ErrorCode::NotFound,
            "this gateway's sockets have another address, which is in its stack's outputs",
        )
    })?;
    let place = sockets.open(hub, &peer).await?;
    let id = place.id().clone();
    let session = Session::new(state.gateway.clone(), peer, place);
    let gateway = state.gateway.clone();
    let failed = move |error: axum::Error| {
        tracing::debug!(%error, "a socket wasn't opened");
        drop(tokio::spawn(async move { gateway.sockets().disconnect(&id).await }));
    };
    let upgrade = upgrade
        .protocols([SUBPROTOCOL])
        .max_message_size(READ_MAX_BYTES)
        .max_frame_size(READ_MAX_BYTES)
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(BUFFER_BYTES)
        .max_write_buffer_size(WRITE_BUFFER_MAX_BYTES);
    Ok(upgrade.on_failed_upgrade(failed).on_upgrade(|socket| session.run(socket)))
}
