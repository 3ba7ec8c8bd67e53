//! HTTP clients for vendors.
//!
//! Text generations use hyper's client: reqwest parses the URL again for each request, and wraps it in layers for
//! redirects and retries that the gateway doesn't use. reqwest is used where that cost doesn't matter or its features
//! are needed: model lists, balances, images and meshes, and everything that goes through a proxy.

mod address_guard;
mod connector;
mod pinned_key;
mod roots;

use std::{
    cell::RefCell,
    error::Error,
    fmt, io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use aws_credential_types::provider::SharedCredentialsProvider;
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream::BoxStream};
use http::{HeaderMap, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::{legacy, proxy::matcher::Matcher},
    rt::{TokioExecutor, TokioTimer},
};

use crate::identity::ProcessIdentity;
pub(crate) use address_guard::AddressGuard;
pub use address_guard::AllowedAddresses;
use connector::Connector;
pub(crate) use connector::{CONNECT_TIMEOUT, SendError};
pub use pinned_key::PinnedKey;
pub(crate) use pinned_key::pinned_tls_config;
pub(crate) use roots::tls_config;

/// The `user-agent` of all requests to nodes and vendors.
pub(crate) const USER_AGENT: &str = concat!("hearth/", env!("CARGO_PKG_VERSION"));

/// Time after which a connection without a request is closed. The pool looks at such intervals, so that it may take twice as long.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// The pieces of a response's body.
pub(crate) type BodyStream = BoxStream<'static, io::Result<Bytes>>;

type HyperClient = legacy::Client<Connector, Full<Bytes>>;

/// The id of the next [`Direct`].
static NEXT_ID: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// This thread's hyper clients, by the id of their [`Direct`]. A connection is driven by a task of the runtime that
    /// opened it, and a runtime may have one thread: with a client per thread the answer is read on the thread where
    /// it arrives, and no other thread is woken.
    static CLIENTS: RefCell<Vec<(u64, HyperClient)>> = const { RefCell::new(Vec::new()) };
}

/// The head of a response, and its body, which may still be arriving.
pub(crate) struct HttpResponse {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: BodyStream,
}

impl From<reqwest::Response> for HttpResponse {
    fn from(response: reqwest::Response) -> Self {
        let (head, body) = Response::<reqwest::Body>::from(response).into_parts();
        let body = body.into_data_stream().map_err(io::Error::other).boxed();
        Self { status: head.status, headers: head.headers, body }
    }
}

impl From<Response<hyper::body::Incoming>> for HttpResponse {
    fn from(response: Response<hyper::body::Incoming>) -> Self {
        let (head, body) = response.into_parts();
        let body = body.into_data_stream().map_err(io::Error::other).boxed();
        Self { status: head.status, headers: head.headers, body }
    }
}

/// HTTP clients for vendors. Clones share their connections.
#[derive(Debug, Clone)]
pub struct VendorClient {
    http: reqwest::Client,
    direct: Option<Arc<Direct>>,
    guard: AddressGuard,
    identity: Option<ProcessIdentity>,
}

/// Factory of hyper's clients.
struct Direct {
    id: u64,
    connector: Connector,
    proxies: Matcher,
}

impl VendorClient {
    /// Creates the clients. Timeouts of answers are in the providers' settings.
    ///
    /// # Errors
    /// If reqwest's client can't be built.
    pub fn new() -> Result<Self, reqwest::Error> {
        Self::for_addresses(AllowedAddresses::All)
    }

    /// Creates the clients, which connect to these addresses only, whatever the names in URLs resolve to.
    ///
    /// # Errors
    /// If reqwest's client can't be built.
    pub fn for_addresses(allowed: AllowedAddresses) -> Result<Self, reqwest::Error> {
        let guard = AddressGuard::new(allowed);
        let http = builder().dns_resolver(guard.clone()).build()?;
        let direct = Direct {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            connector: Connector::new(tls_config(), guard.clone()),
            // `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, as in reqwest.
            proxies: Matcher::from_env(),
        };
        Ok(Self { http, direct: Some(Arc::new(direct)), guard, identity: None })
    }

    /// Creates the clients for addresses that users have set: public ones only.
    ///
    /// # Errors
    /// If reqwest's client can't be built.
    pub fn public_only() -> Result<Self, reqwest::Error> {
        Self::for_addresses(AllowedAddresses::Public)
    }

    /// The client with the names of a test, which reqwest alone uses.
    ///
    /// # Panics
    /// If reqwest's client can't be built.
    #[cfg(test)]
    pub(crate) fn with_names(self, names: fn(&str) -> Vec<std::net::IpAddr>) -> Self {
        let guard = self.guard.clone().with_names(names);
        let http = builder().dns_resolver(guard.clone()).build().expect("a client");
        Self { http, direct: None, guard, ..self }
    }

    /// Gives the client the AWS credentials of the process, for providers that are signed with them.
    #[must_use]
    pub fn with_process_credentials(self, provider: Option<SharedCredentialsProvider>) -> Self {
        Self { identity: provider.map(ProcessIdentity::new), ..self }
    }

    pub(crate) fn identity(&self) -> Option<&ProcessIdentity> {
        self.identity.as_ref()
    }

    /// Returns whether requests to `uri` can use hyper's client, since no proxy is set for them.
    pub(crate) fn is_direct(&self, uri: &Uri) -> bool {
        self.direct.as_ref().is_some_and(|direct| direct.proxies.intercept(uri).is_none())
    }

    /// Sends a request through hyper, and waits for the response's head. A request that certainly wasn't processed is
    /// sent again: its connection was closed before it was sent, or the server refused its stream.
    ///
    /// # Errors
    /// If there is no response.
    pub(crate) async fn send_direct(&self, request: Request<Bytes>) -> Result<HttpResponse, SendError> {
        let Some(direct) = &self.direct else { return self.send(request).await };
        let client = direct.client();
        // Only HTTP/2, which needs TLS here, reports that a request wasn't processed.
        let retry = (request.uri().scheme() == Some(&http::uri::Scheme::HTTPS)).then(|| request.clone());
        match (client.request(request.map(Full::new)).await, retry) {
            (Ok(response), _) => Ok(response.into()),
            (Err(error), Some(retry)) if was_not_processed(&error) => {
                Ok(client.request(retry.map(Full::new)).await?.into())
            }
            (Err(error), _) => Err(error.into()),
        }
    }

    /// Sends a request through reqwest, and waits for the response's head.
    ///
    /// # Errors
    /// If there is no response.
    pub(crate) async fn send(&self, request: Request<Bytes>) -> Result<HttpResponse, SendError> {
        self.guard.check_host(request.uri().host().unwrap_or_default())?;
        Ok(self.http.execute(request.try_into()?).await?.into())
    }
}

fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls_config())
        .tcp_nodelay(true)
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(POOL_IDLE_TIMEOUT)
        // A redirect would send the key to another host.
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(USER_AGENT)
}

/// Uses reqwest for everything.
impl From<reqwest::Client> for VendorClient {
    fn from(http: reqwest::Client) -> Self {
        Self { http, direct: None, guard: AddressGuard::new(AllowedAddresses::All), identity: None }
    }
}

impl Direct {
    /// Returns this thread's client.
    fn client(&self) -> HyperClient {
        CLIENTS.with_borrow_mut(|clients| {
            if let Some((_, client)) = clients.iter().find(|(id, _)| *id == self.id) {
                return client.clone();
            }
            let client = legacy::Client::builder(TokioExecutor::new())
                .timer(TokioTimer::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(POOL_IDLE_TIMEOUT)
                .build(self.connector.clone());
            clients.push((self.id, client.clone()));
            client
        })
    }
}

impl fmt::Debug for Direct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Direct({})", self.id)
    }
}

/// Returns whether the server states that it hasn't processed a request: it shuts down gracefully, or refused the
/// stream (RFC 9113, section 8.7).
fn was_not_processed(error: &legacy::Error) -> bool {
    let mut causes = std::iter::successors(error.source(), |error| (*error).source());
    let Some(error) = causes.find_map(|cause| cause.downcast_ref::<h2::Error>()) else { return false };
    let refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
    let shuts_down = error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR);
    error.is_remote() && (refused || shuts_down)
}

#[cfg(test)]
mod tests;
