//! The HTTP client for the gateway.

use std::time::Duration;

use anyhow::Context;
use hearth_domain::Secret;
use reqwest::{RequestBuilder, Response, redirect::Policy};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use url::{Host, Url};

use super::{
    connection::Connection,
    error::{GatewayError, certificate_hint, no_client, root_cause},
    stream::{Events, request_id},
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Timeout for cancelling a run. After Ctrl-C, users expect the command to end.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(3);

/// A client for the gateway at an address, with the caller's token.
#[derive(Debug)]
pub(crate) struct GatewayClient {
    http: reqwest::Client,
    base: Url,
    token: Option<Secret>,
}

impl GatewayClient {
    pub(crate) fn new(connection: &Connection) -> anyhow::Result<Self> {
        let base = parse_base(connection.url())?;
        let mut http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            // A redirected POST would arrive as a GET; an error with the right address is better.
            .redirect(Policy::none())
            .user_agent(concat!("hearth-cli/", env!("CARGO_PKG_VERSION")));
        if base.scheme() == "http" {
            // Without TLS no roots are needed; a slim container may have none, and that's an error.
            http = http.tls_certs_only([]);
        }
        if is_loopback(&base) {
            http = http.no_proxy();
        }
        let http = http.build().map_err(|error| no_client(&error))?;
        let token = connection.token.clone().filter(|token| !token.expose().is_empty());
        Ok(Self { http, base, token })
    }

    /// Sends `GET` to the route whose path is `segments`, each of which may contain slashes.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        segments: &[&str],
        query: &[(&str, &str)],
    ) -> anyhow::Result<T> {
        let mut url = self.route(segments)?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.json(self.http.get(url)).await
    }

    /// Sends `POST` with a JSON body.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        segments: &[&str],
        body: &impl Serialize,
    ) -> anyhow::Result<T> {
        self.json(self.http.post(self.route(segments)?).json(body)).await
    }

    /// Sends `PUT` with a JSON body, and ignores the response's body.
    pub(crate) async fn put(&self, segments: &[&str], body: &impl Serialize) -> anyhow::Result<()> {
        self.send(self.http.put(self.route(segments)?).json(body)).await.map(drop)
    }

    /// Sends `PUT` with a JSON body, and parses the response.
    pub(crate) async fn put_json<T: DeserializeOwned>(
        &self,
        segments: &[&str],
        body: &impl Serialize,
    ) -> anyhow::Result<T> {
        self.json(self.http.put(self.route(segments)?).json(body)).await
    }

    /// Sends `DELETE`, and parses the response.
    pub(crate) async fn delete_json<T: DeserializeOwned>(&self, segments: &[&str]) -> anyhow::Result<T> {
        self.json(self.http.delete(self.route(segments)?)).await
    }

    /// The gateway's address, without a slash at its end.
    pub(crate) fn address(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// Returns whether the gateway is on this machine.
    pub(crate) fn is_local(&self) -> bool {
        is_loopback(&self.base)
    }

    /// Sends `DELETE`, and ignores the response's body.
    pub(crate) async fn delete(&self, segments: &[&str]) -> anyhow::Result<()> {
        self.send(self.http.delete(self.route(segments)?)).await.map(drop)
    }

    /// Sends `POST` with a JSON body that requests a stream of events.
    pub(crate) async fn stream(&self, segments: &[&str], body: &impl Serialize) -> anyhow::Result<Events> {
        Ok(Events::new(self.open(segments, body).await?))
    }

    /// Returns a client for the same gateway that sends another token, or none.
    pub(crate) fn with_token(&self, token: Option<Secret>) -> Self {
        Self { http: self.http.clone(), base: self.base.clone(), token }
    }

    /// Sends `GET`, and returns the response with any status.
    pub(crate) async fn response_of(
        &self,
        segments: &[&str],
        query: &[(&str, &str)],
    ) -> anyhow::Result<Response> {
        let mut url = self.route(segments)?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.send_any(self.http.get(url)).await
    }

    /// Sends `POST` with a JSON body, and returns the response before its body.
    pub(crate) async fn open(&self, segments: &[&str], body: &impl Serialize) -> anyhow::Result<Response> {
        self.send(self.http.post(self.route(segments)?).json(body)).await
    }

    /// Cancels a run. A failure is only logged: the user has left already.
    pub(crate) async fn cancel(&self, request_id: &str) {
        let segments = ["v1", "requests", request_id, "cancel"];
        let body = serde_json::json!({});
        let cancelled = self.post::<Value>(&segments, &body);
        match tokio::time::timeout(CANCEL_TIMEOUT, cancelled).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::debug!(request_id, %error, "the run couldn't be cancelled"),
            Err(_) => tracing::debug!(request_id, "the run wasn't cancelled in time"),
        }
    }

    async fn json<T: DeserializeOwned>(&self, request: RequestBuilder) -> anyhow::Result<T> {
        let body = self.send(request).await?.bytes().await.context("the gateway's answer broke off")?;
        // A response without a body parses as null.
        let body: &[u8] = if body.is_empty() { b"null" } else { &body };
        serde_json::from_slice(body).context("the gateway's answer can't be read; is it of another version?")
    }

    async fn send(&self, request: RequestBuilder) -> anyhow::Result<Response> {
        let response = self.send_any(request).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let request_id = request_id(&response);
        let body = response.bytes().await.unwrap_or_default();
        Err(GatewayError::from_response(status, request_id.as_deref(), &body).into())
    }

    async fn send_any(&self, request: RequestBuilder) -> anyhow::Result<Response> {
        let request = match &self.token {
            Some(token) => request.bearer_auth(token.expose()),
            None => request,
        };
        request.send().await.map_err(|error| self.unreachable(&error))
    }

    fn unreachable(&self, error: &reqwest::Error) -> anyhow::Error {
        let (url, cause) = (self.address(), root_cause(error));
        if error.is_connect() || error.is_timeout() {
            let hint = certificate_hint(&cause);
            if !hint.is_empty() {
                return anyhow::anyhow!("{url} can't be trusted: {cause}{hint}");
            }
            let advice = match self.is_local() {
                true => "start one with `hearth up`",
                false => "check the address and the network",
            };
            return anyhow::anyhow!(
                "no gateway answers at {url} ({cause}); {advice}, or name another with --url or HEARTH_URL"
            );
        }
        anyhow::anyhow!("the request to {url} failed: {cause}{}", certificate_hint(&cause))
    }

    /// The URL of a route, below the base's own path: an API behind a stage or a proxy has one.
    fn route(&self, segments: &[&str]) -> anyhow::Result<Url> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| anyhow::anyhow!("{} can't have a path", self.base))?
            .pop_if_empty()
            .extend(segments.iter().flat_map(|segment| segment.split('/')));
        Ok(url)
    }
}

fn parse_base(text: &str) -> anyhow::Result<Url> {
    let invalid = || format!("{text:?} is no address; write one such as http://127.0.0.1:8080");
    let trimmed = text.trim();
    anyhow::ensure!(!trimmed.is_empty(), invalid());
    let mut url = if trimmed.contains("://") {
        Url::parse(trimmed).with_context(invalid)?
    } else {
        // Without TLS on this machine alone, since the token is sent along.
        let url = Url::parse(&format!("http://{trimmed}")).with_context(invalid)?;
        if is_loopback(&url) {
            url
        } else {
            Url::parse(&format!("https://{trimmed}")).with_context(invalid)?
        }
    };
    anyhow::ensure!(
        matches!(url.scheme(), "http" | "https") && url.has_host(),
        "{text:?} is no address of a gateway; it begins with http:// or https://"
    );
    // SDKs need `/v1` in the address; the routes of the commands begin with it.
    if let Some(base) = url.path().trim_end_matches('/').strip_suffix("/v1").map(str::to_owned) {
        url.set_path(&base);
    }
    Ok(url)
}

/// Returns whether the address is of this machine. A proxy from the environment could not reach it.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests;
