//! API Gateway's WebSocket API in front of a function, with its management API, and the limits of the service.
//!
//! - `connection`: one open socket.
//! - `event`: the events that the function gets.
//! - `management`: `/@connections/{id}`.
//!
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-execution-service-websocket-limits-table.html>

mod connection;
mod event;
mod management;

use std::{
    collections::{BTreeMap, HashMap},
    fmt, io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::extract::FromRequestParts as _;
use axum::{
    Router,
    extract::{Request, WebSocketUpgrade},
    http::{HeaderMap, Method, StatusCode, header::SEC_WEBSOCKET_PROTOCOL},
    response::{IntoResponse as _, Response},
    serve::ListenerExt as _,
};
use serde_json::Value;
use tokio::{net::TcpListener, task::JoinHandle};

use crate::api_gateway::{FunctionProgram, Functions, MediaTypes};
use connection::{Connection, Open};
use event::EventKind;

/// Largest frame of a client. Here a message has one frame: the real service also takes one of 128 KB in four frames.
const FRAME_MAX_BYTES: usize = 32 << 10;
/// Largest message, of a client or of the management API.
const MESSAGE_MAX_BYTES: usize = 128 << 10;
/// Timeout of an integration, in milliseconds.
const INTEGRATION_TIMEOUT_MS: u64 = 29_000;
/// Name of the only function.
const FUNCTION: &str = "socket";

/// Decides whether an access key may send a request to the management API: its method, and the connection's id.
pub type Authorise = Arc<dyn Fn(&str, &str, &str) -> bool + Send + Sync>;

/// Limits of a connection, which the real service doesn't let anybody change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SocketLimits {
    /// Time after which it is closed.
    pub lifetime: Duration,
    /// Time without a message after which it is closed.
    pub idle: Duration,
}

impl Default for SocketLimits {
    fn default() -> Self {
        Self { lifetime: Duration::from_secs(2 * 3600), idle: Duration::from_secs(600) }
    }
}

/// WebSocket API that is served on this machine. It stops when it is dropped.
#[derive(Debug)]
pub struct WebSocketApi {
    address: SocketAddr,
    api: Arc<Api>,
    server: JoinHandle<()>,
}

/// Parts of a served API.
struct Api {
    address: SocketAddr,
    stage: String,
    functions: Functions,
    authorise: Authorise,
    limits: Mutex<SocketLimits>,
    open: Mutex<HashMap<String, Open>>,
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Port of an API whose functions aren't known yet: their variables have its address.
#[derive(Debug)]
pub struct WebSocketPort {
    listener: TcpListener,
    address: SocketAddr,
    stage: String,
}

impl WebSocketPort {
    /// Takes a free port for an API with this stage.
    ///
    /// # Errors
    /// If there is no port.
    pub async fn bind(stage: &str) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address, stage: stage.to_owned() })
    }

    /// Returns the address of the management API, with the stage.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}/{}", self.address, self.stage)
    }

    /// Serves the API. `program` is the function of all its routes.
    #[must_use]
    pub fn serve(self, program: FunctionProgram, authorise: Authorise) -> WebSocketApi {
        let Self { listener, address, stage } = self;
        let programs = BTreeMap::from([(FUNCTION.to_owned(), program)]);
        let api = Arc::new(Api {
            address,
            stage,
            functions: Functions::new(programs, MediaTypes::default()),
            authorise,
            limits: Mutex::default(),
            open: Mutex::default(),
        });
        let listener = listener.tap_io(|stream| {
            let _ = stream.set_nodelay(true);
        });
        let served = Arc::clone(&api);
        let router =
            Router::new().fallback(move |request: Request| async move { served.respond(request).await });
        let server = tokio::spawn(async move {
            // It runs until it is aborted.
            let _ = axum::serve(listener, router).await;
        });
        WebSocketApi { address, api, server }
    }
}

impl WebSocketApi {
    /// Returns the address to which clients connect.
    #[must_use]
    pub fn url(&self) -> String {
        format!("ws://{}/{}", self.address, self.api.stage)
    }

    /// Returns the address of the management API, with the stage.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}/{}", self.address, self.api.stage)
    }

    /// Changes the limits of connections that are opened from now on.
    pub fn set_limits(&self, limits: SocketLimits) {
        *self.api.limits.lock().unwrap_or_else(PoisonError::into_inner) = limits;
    }

    /// Returns the ids of the open connections.
    #[must_use]
    pub fn connections(&self) -> Vec<String> {
        self.api.open().keys().cloned().collect()
    }
}

impl Drop for WebSocketApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Api {
    fn open(&self) -> MutexGuard<'_, HashMap<String, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn limits(&self) -> SocketLimits {
        *self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn respond(self: Arc<Self>, request: Request) -> Response {
        let path = request.uri().path().to_owned();
        let Some(rest) = path.strip_prefix(&format!("/{}", self.stage)) else {
            return (StatusCode::FORBIDDEN, r#"{"message": "Forbidden"}"#).into_response();
        };
        match rest.strip_prefix("/@connections/").or_else(|| rest.strip_prefix("/%40connections/")) {
            Some(id) => self.manage(&id.replace("%3D", "=").replace("%3d", "="), request).await,
            None if rest.is_empty() || rest == "/" => self.connect(request).await,
            None => (StatusCode::FORBIDDEN, r#"{"message": "Forbidden"}"#).into_response(),
        }
    }

    /// Asks the function whether a connection may be opened.
    async fn connect(self: Arc<Self>, request: Request) -> Response {
        let (mut parts, _) = request.into_parts();
        let headers = parts.headers.clone();
        let upgrade = match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
            Ok(upgrade) => upgrade,
            // The real one answers so to every request that is no upgrade.
            Err(_) => return StatusCode::FORBIDDEN.into_response(),
        };
        if parts.method != Method::GET {
            return StatusCode::FORBIDDEN.into_response();
        }
        let connection = Connection::new(event::connection_id());
        let response = match self.invoke(&connection, EventKind::Connect(&headers)).await {
            Ok(response) => response,
            // The real one answers 502 to a function that fails.
            Err(()) => return StatusCode::BAD_GATEWAY.into_response(),
        };
        if !response.status.is_success() {
            return response.status.into_response();
        }
        let mut upgrade = upgrade.max_frame_size(MESSAGE_MAX_BYTES).max_message_size(MESSAGE_MAX_BYTES);
        if let Some(protocol) = response.headers.get(SEC_WEBSOCKET_PROTOCOL) {
            upgrade.set_selected_protocol(protocol.clone());
        }
        upgrade.on_upgrade(async move |socket| connection.run(self, socket).await)
    }

    /// Sends the function an event; returns its response.
    async fn invoke(&self, connection: &Connection, kind: EventKind<'_>) -> Result<FunctionResponse, ()> {
        let event = connection.event(&self.stage, self.address, kind);
        let response =
            self.functions.invoke(FUNCTION, event, INTEGRATION_TIMEOUT_MS, false).await.map_err(drop)?;
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, MESSAGE_MAX_BYTES).await.map_err(drop)?;
        let body = String::from_utf8_lossy(&body).into_owned();
        Ok(FunctionResponse { status: parts.status, headers: parts.headers, body })
    }
}

/// Response of the function to an event.
struct FunctionResponse {
    status: StatusCode,
    headers: HeaderMap,
    /// Sent over the socket, if it isn't empty.
    body: String,
}

/// Body of an error of the service.
fn message(text: &str) -> String {
    Value::from_iter([("message", text)]).to_string()
}
