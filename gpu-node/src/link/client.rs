//! Signed requests to the gateway.

use std::time::Duration;

use hearth_domain::NodeId;
use hearth_wire::json_body::parse_bytes;
use reqwest::{
    Client, ClientBuilder, Method, RequestBuilder, Response, StatusCode, Url, header::CONTENT_TYPE,
    redirect::Policy,
};
use rustls::crypto::ring;
use serde::{Serialize, de::DeserializeOwned};

use super::{
    clock::GatewayClock,
    error::{LinkFailure, reason},
    identity::NodeIdentity,
};

/// Timeout for a connection, the TLS handshake included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Interval of TCP keepalive probes on a silent connection, which detect a dead one.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_MAX_COUNT: u32 = 3;
/// Bytes of a body that a slow line transfers in a second, at least: 32 kbit/s.
const UPLOAD_BYTES_PER_SECOND: f64 = 4096.0;
/// The `user-agent` of all requests.
const USER_AGENT: &str = concat!("hearth-node/", env!("CARGO_PKG_VERSION"));

/// A client of the gateway, which signs each request as this node.
#[derive(Debug)]
pub(super) struct GatewayClient {
    http: Client,
    /// Requests for a socket: an upgrade takes HTTP/1.1.
    upgrades: Client,
    identity: NodeIdentity,
    clock: GatewayClock,
}

impl GatewayClient {
    /// # Errors
    /// If the HTTP client can't be built.
    pub(super) fn new(identity: NodeIdentity) -> Result<Self, LinkFailure> {
        // Ring is the provider of the whole program; the first one that is installed stays.
        let _ = ring::default_provider().install_default();
        let invalid =
            |error: reqwest::Error| LinkFailure::Invalid(format!("no HTTP client: {}", reason(&error)));
        let http = builder(&identity.gateway).build().map_err(invalid)?;
        let upgrades = builder(&identity.gateway).http1_only().build().map_err(invalid)?;
        Ok(Self { http, upgrades, identity, clock: GatewayClock::default() })
    }

    /// The node's id.
    pub(super) fn node(&self) -> NodeId {
        self.identity.node
    }

    /// The gateway's address.
    pub(super) fn gateway(&self) -> &Url {
        &self.identity.gateway
    }

    /// Sends `GET`.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        timeout: Duration,
    ) -> Result<T, LinkFailure> {
        read(&self.send(&Method::GET, path, Vec::new(), timeout).await?)
    }

    /// Sends `POST` with a JSON body.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        timeout: Duration,
    ) -> Result<T, LinkFailure> {
        let body = serde_json::to_vec(body).map_err(|error| LinkFailure::Invalid(error.to_string()))?;
        self.post_json(path, body, timeout).await
    }

    /// Sends `POST` with a body that is JSON already.
    pub(super) async fn post_json<T: DeserializeOwned>(
        &self,
        path: &str,
        body: Vec<u8>,
        timeout: Duration,
    ) -> Result<T, LinkFailure> {
        read(&self.send(&Method::POST, path, body, timeout).await?)
    }

    /// Sends a request. The timeout grows with the body, by the time that it takes over a slow line.
    async fn send(
        &self,
        method: &Method,
        path: &str,
        body: Vec<u8>,
        timeout: Duration,
    ) -> Result<Vec<u8>, LinkFailure> {
        let call = format!("{method} {path}");
        let timeout = timeout + Duration::from_secs_f64(body.len() as f64 / UPLOAD_BYTES_PER_SECOND);
        let url = self.url(path)?;
        let build = || {
            let request = self.http.request(method.clone(), url.clone()).timeout(timeout);
            request.header(CONTENT_TYPE, "application/json").body(body.clone())
        };
        let answer = self.send_signed(&call, &body, build).await?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(|error| self.unreachable(&error))?;
        if status.is_success() { Ok(body.into()) } else { Err(LinkFailure::of_answer(status, &body)) }
    }

    /// Sends the request of a socket, whose call is `call`, and returns the answer of whatever status.
    pub(super) async fn upgrade(
        &self,
        call: &str,
        build: impl Fn(&Client) -> RequestBuilder,
    ) -> Result<Response, LinkFailure> {
        self.send_signed(call, &[], || build(&self.upgrades)).await
    }

    /// Sends a request with a credential for `call`. If the gateway refuses the credential and its clock differs from the one
    /// that signed, the request is sent once more.
    async fn send_signed(
        &self,
        call: &str,
        body: &[u8],
        build: impl Fn() -> RequestBuilder,
    ) -> Result<Response, LinkFailure> {
        let mut repeated = false;
        loop {
            let node = self.identity.node.to_string();
            let now = self.clock.now();
            let credential = self.identity.key.sign(&node, call, body, now);
            let credential = credential.map_err(|error| LinkFailure::Invalid(error.to_string()))?;
            let answer = build().bearer_auth(credential).send().await;
            let answer = answer.map_err(|error| self.unreachable(&error))?;
            self.clock.read(answer.headers());
            if answer.status() != StatusCode::UNAUTHORIZED || !self.clock.is_wrong(now) || repeated {
                return Ok(answer);
            }
            repeated = true;
        }
    }

    /// The address of a route of the gateway.
    fn url(&self, path: &str) -> Result<Url, LinkFailure> {
        let base = self.identity.gateway.as_str().trim_end_matches('/');
        let url = format!("{base}{path}").parse();
        url.map_err(|_| {
            LinkFailure::Invalid(format!("{base} isn't the address of a gateway: enrol the node again"))
        })
    }

    pub(super) fn unreachable(&self, error: &reqwest::Error) -> LinkFailure {
        LinkFailure::Unreachable { address: self.identity.gateway.to_string(), reason: reason(error) }
    }
}

/// Parses an answer. One without a body parses as null.
fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, LinkFailure> {
    let body = if body.is_empty() { b"null" } else { body };
    parse_bytes(body).map_err(|error| LinkFailure::Unreadable { reason: error.to_string() })
}

/// A builder of clients for the gateway. It follows no redirects, which would send credentials elsewhere, and uses the proxies of
/// `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, and the certificate authorities of the system.
fn builder(gateway: &Url) -> ClientBuilder {
    let mut http = Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(Policy::none())
        .user_agent(USER_AGENT)
        // A token is small: don't delay packets to fill them.
        .tcp_nodelay(true)
        .tcp_keepalive(KEEPALIVE_INTERVAL)
        .tcp_keepalive_interval(KEEPALIVE_INTERVAL)
        .tcp_keepalive_retries(KEEPALIVE_MAX_COUNT);
    if gateway.scheme() == "http" {
        // Without TLS no roots are needed; a slim container may have none, and that's an error.
        http = http.tls_certs_only([]);
    }
    let host = gateway.host_str().unwrap_or_default();
    if host == "localhost" || host.starts_with("127.") || host == "[::1]" {
        http = http.no_proxy();
    }
    http
}
