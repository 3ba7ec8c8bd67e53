//! API Gateway's REST API in front of functions, over HTTP: the routes, the binary media types and the error responses of a
//! SAM template, and the limits of the service.
//!
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html>

mod event;
mod functions;
mod media_type;
mod refusal;
mod resources;
mod response;

use std::{collections::BTreeMap, io, net::SocketAddr, path::PathBuf, sync::Arc};

use axum::{Router, extract::Request, response::Response, serve::ListenerExt as _};
use sam_template::{Route, Template};
use serde_json::Value;
use tokio::{net::TcpListener, task::JoinHandle};

use event::ProxyEvent;
pub(crate) use functions::Functions;
pub use media_type::MediaTypes;
use refusal::{Refusal, Refusals};
use resources::Resources;

/// Largest body of a request.
const REQUEST_MAX_BYTES: usize = 10 << 20;
/// Largest event, and largest buffered response, of an invocation.
pub(crate) const INVOCATION_MAX_BYTES: usize = (6 << 20) + 100;
/// Timeout of a buffered route, in milliseconds, unless the route has a shorter one.
const BUFFERED_TIMEOUT_MS: u64 = 29_000;

/// Address of an API: the part of the path before its routes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placement {
    /// The API's own host name, with the stage in the path.
    Stage(String),
    /// A custom domain with this base path, such as `/hearth`; empty for none.
    Domain(String),
}

/// Program of a function, and its variables.
#[derive(Debug, Clone)]
pub struct FunctionProgram {
    /// Binary.
    pub binary: PathBuf,
    /// Variables beside Lambda's.
    pub env: Vec<(String, String)>,
}

/// API that is served on this machine. It stops when it is dropped.
#[derive(Debug)]
pub struct ApiGateway {
    address: SocketAddr,
    placement: Placement,
    server: JoinHandle<()>,
}

/// Parts of a served API.
#[derive(Debug)]
struct Api {
    address: SocketAddr,
    placement: Placement,
    resources: Resources,
    binary: MediaTypes,
    refusals: Refusals,
    functions: Functions,
}

impl ApiGateway {
    /// Serves the API of `template` on a free port. `programs` has the functions by their logical ids, such as
    /// `ModelsFunction`; each is started at its first request, and again whenever all its processes are busy.
    ///
    /// # Errors
    /// If there is no port.
    pub async fn serve(
        template: &Template,
        placement: Placement,
        programs: BTreeMap<String, FunctionProgram>,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let listener = listener.tap_io(|stream| {
            // Nagle's algorithm would delay a stream's chunks by 40 ms.
            let _ = stream.set_nodelay(true);
        });
        let properties = template.properties("Api").unwrap_or(&Value::Null);
        let binary = MediaTypes::of_template(&properties["BinaryMediaTypes"]);
        let api = Arc::new(Api {
            address,
            placement: placement.clone(),
            resources: Resources::new(template.routes()),
            refusals: Refusals::of_template(&properties["GatewayResponses"]),
            functions: Functions::new(programs, binary.clone()),
            binary,
        });
        let router =
            Router::new().fallback(move |request: Request| async move { api.respond(request).await });
        let server = tokio::spawn(async move {
            // It runs until it is aborted.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, placement, server })
    }

    /// Returns the URL before the routes, without a slash at its end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}{}", self.address, self.placement.prefix())
    }
}

impl Drop for ApiGateway {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Placement {
    /// Path before the routes.
    fn prefix(&self) -> String {
        match self {
            Self::Stage(stage) => format!("/{stage}"),
            Self::Domain(base_path) => base_path.clone(),
        }
    }
}

impl Api {
    async fn respond(&self, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        let is_head = parts.method == axum::http::Method::HEAD;
        let event = ProxyEvent::new(parts, self.address);
        let request_id = event.request_id.clone();
        let answer = match axum::body::to_bytes(body, REQUEST_MAX_BYTES).await {
            Ok(body) => self.invoke(event, &body).await,
            Err(_) => Err(Refusal::RequestTooLarge),
        };
        match answer {
            Ok(response) => response::without_body_of_head(response, is_head),
            Err(refusal) => self.refusals.response(&refusal, &request_id),
        }
    }

    async fn invoke(&self, event: ProxyEvent, body: &[u8]) -> Result<Response, Refusal> {
        let path = event.path.strip_prefix(&self.placement.prefix()).ok_or(Refusal::NoRoute)?;
        let path = if path.is_empty() { "/".to_owned() } else { path.to_owned() };
        let resource = self.resources.find(&path, event.method.as_str());
        let (route, parameters) = resource.ok_or(Refusal::NoRoute)?;
        let event = event.to_json(&self.placement, &path, route, &parameters, body, &self.binary);
        if event.to_string().len() > INVOCATION_MAX_BYTES {
            return Err(Refusal::RequestTooLarge);
        }
        self.functions.invoke(&route.function, event, timeout_ms(route), is_streamed(route)).await
    }
}

fn is_streamed(route: &Route) -> bool {
    route.transfer_mode.as_deref() == Some("RESPONSE_STREAM")
}

fn timeout_ms(route: &Route) -> u64 {
    match route.timeout_ms {
        Some(timeout) if is_streamed(route) => timeout,
        Some(timeout) => timeout.min(BUFFERED_TIMEOUT_MS),
        None => BUFFERED_TIMEOUT_MS,
    }
}
