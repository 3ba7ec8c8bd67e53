//! The HTTP clients that vendors are called through.
//!
//! Generations of text go through hyper's client: reqwest parses the URL anew for each request, and wraps it in layers
//! for redirects and retries that the gateway has no use for. reqwest serves where such a request is a small part of
//! the work, or where it does more: lists, balances, images and meshes, and everything that goes through a proxy.

mod connector;
mod roots;

use std::{
    cell::RefCell,
    error::Error,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use http::{HeaderMap, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::{legacy, proxy::matcher::Matcher},
    rt::{TokioExecutor, TokioTimer},
};

use crate::{CONNECT_TIMEOUT, USER_AGENT, decompress::BodyStream};
use connector::Connector;
pub(crate) use roots::tls_config;

/// Why a request got no answer. [`crate::transport_error`] says it in words.
pub(crate) type SendError = Box<dyn Error + Send + Sync>;

type HyperClient = legacy::Client<Connector, Full<Bytes>>;

/// The number of the next client.
static NEXT_ID: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// This thread's hyper clients, by the number of the [`Direct`] that each belongs to. A connection is worked by a
    /// task of the runtime that opened it, and a runtime may have one thread: so the answer is read where it arrives,
    /// and no other thread is woken for it.
    static CLIENTS: RefCell<Vec<(u64, HyperClient)>> = const { RefCell::new(Vec::new()) };
}

/// An answer's head, and its body as it comes.
pub(crate) struct HttpAnswer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: BodyStream,
}

impl From<reqwest::Response> for HttpAnswer {
    fn from(response: reqwest::Response) -> Self {
        let (head, body) = Response::<reqwest::Body>::from(response).into_parts();
        let body = body.into_data_stream().map_err(std::io::Error::other).boxed();
        Self { status: head.status, headers: head.headers, body }
    }
}

impl From<Response<hyper::body::Incoming>> for HttpAnswer {
    fn from(response: Response<hyper::body::Incoming>) -> Self {
        let (head, body) = response.into_parts();
        let body = body.into_data_stream().map_err(std::io::Error::other).boxed();
        Self { status: head.status, headers: head.headers, body }
    }
}

/// The HTTP clients for vendors. Clones share their connections.
#[derive(Debug, Clone)]
pub struct VendorClient {
    http: reqwest::Client,
    direct: Option<Arc<Direct>>,
}

/// Makes hyper's clients.
struct Direct {
    id: u64,
    connector: Connector,
    proxies: Matcher,
}

impl VendorClient {
    /// Clients for vendors: how long one may be silent is for the provider's settings to say.
    ///
    /// # Errors
    /// If reqwest's client can't be made.
    pub fn new() -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls_config())
            .tcp_nodelay(true)
            .connect_timeout(CONNECT_TIMEOUT)
            // A key isn't carried elsewhere.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(USER_AGENT)
            .build()?;
        let direct = Direct {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            connector: Connector::new(tls_config()),
            // As reqwest reads them: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`.
            proxies: Matcher::from_env(),
        };
        Ok(Self { http, direct: Some(Arc::new(direct)) })
    }

    /// Whether requests to `uri` may go through hyper: no proxy stands before it.
    pub(crate) fn is_direct(&self, uri: &Uri) -> bool {
        self.direct.as_ref().is_some_and(|direct| direct.proxies.intercept(uri).is_none())
    }

    /// Sends a request through hyper, and waits for the answer's head. What surely wasn't processed, since its
    /// connection was closed before it was sent or the server refused to begin with it, is sent again.
    ///
    /// # Errors
    /// If there is no answer.
    pub(crate) async fn send_direct(&self, request: Request<Bytes>) -> Result<HttpAnswer, SendError> {
        let Some(direct) = &self.direct else { return self.send(request).await };
        let client = direct.client();
        // Only HTTP/2, which needs TLS here, tells that a request wasn't processed.
        let again = (request.uri().scheme() == Some(&http::uri::Scheme::HTTPS)).then(|| request.clone());
        match (client.request(request.map(Full::new)).await, again) {
            (Ok(response), _) => Ok(response.into()),
            (Err(error), Some(again)) if was_not_processed(&error) => {
                Ok(client.request(again.map(Full::new)).await?.into())
            }
            (Err(error), _) => Err(error.into()),
        }
    }

    /// Sends a request through reqwest, and waits for the answer's head.
    ///
    /// # Errors
    /// If there is no answer.
    pub(crate) async fn send(&self, request: Request<Bytes>) -> Result<HttpAnswer, SendError> {
        Ok(self.http.execute(request.try_into()?).await?.into())
    }
}

/// Clients that use reqwest for everything.
impl From<reqwest::Client> for VendorClient {
    fn from(http: reqwest::Client) -> Self {
        Self { http, direct: None }
    }
}

impl Direct {
    /// This thread's client.
    fn client(&self) -> HyperClient {
        CLIENTS.with_borrow_mut(|clients| {
            if let Some((_, client)) = clients.iter().find(|(id, _)| *id == self.id) {
                return client.clone();
            }
            let client = legacy::Client::builder(TokioExecutor::new())
                .timer(TokioTimer::new())
                .pool_timer(TokioTimer::new())
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

/// Whether a server says that it hasn't begun with a request: it shuts down in good order, or refused the stream
/// (RFC 9113, section 8.7).
fn was_not_processed(error: &legacy::Error) -> bool {
    let mut causes = std::iter::successors(error.source(), |error| (*error).source());
    let Some(error) = causes.find_map(|cause| cause.downcast_ref::<h2::Error>()) else { return false };
    let refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
    let shuts_down = error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR);
    error.is_remote() && (refused || shuts_down)
}

#[cfg(test)]
mod tests;
