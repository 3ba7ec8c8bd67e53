//! An event of the WebSocket API.
//!
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-mapping-template-reference.html>

use hearth_gateway::sockets::SocketId;
use http::HeaderMap;
use lambda_http::aws_lambda_events::apigw::ApiGatewayWebsocketProxyRequest;

/// An event of a socket.
#[derive(Debug)]
pub struct SocketEvent {
    /// The socket.
    pub id: SocketId,
    /// Kind of the event.
    pub kind: SocketEventKind,
}

/// Kind of an event of a socket.
#[derive(Debug)]
pub enum SocketEventKind {
    /// A client wants to open the socket, by a request with these headers.
    Connect(HeaderMap),
    /// It is closed.
    Disconnect,
    /// A message.
    Message(String),
}

impl From<ApiGatewayWebsocketProxyRequest> for SocketEvent {
    fn from(request: ApiGatewayWebsocketProxyRequest) -> Self {
        let context = request.request_context;
        let kind = match context.event_type.as_deref() {
            Some("CONNECT") => SocketEventKind::Connect(request.headers),
            Some("DISCONNECT") => SocketEventKind::Disconnect,
            _ => SocketEventKind::Message(request.body.unwrap_or_default()),
        };
        Self { id: SocketId::new(context.connection_id.unwrap_or_default()), kind }
    }
}
