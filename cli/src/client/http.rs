//! The gateway, asked over HTTP.

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
    stream::Events,
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long to wait for a run to be cancelled: someone who pressed Ctrl-C waits no longer.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(3);

/// A gateway at an address, asked in someone's name.
#[derive(Debug)]
pub(super) struct Gateway {
    http: reqwest::Client,
    base: Url,
    token: Option<Secret>,
}

impl Gateway {
    pub(super) fn new(connection: &Connection) -> anyhow::Result<Self> {
        let base = parse_base(connection.url())?;
        let mut http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            // A redirected POST would arrive as a GET; the right address is better told than guessed.
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

    /// `GET` of the route whose path is `segments`, each of which may hold slashes.
    pub(super) async fn get<T: DeserializeOwned>(
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

    /// `POST` of a JSON body.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        segments: &[&str],
        body: &impl Serialize,
    ) -> anyhow::Result<T> {
        self.json(self.http.post(self.route(segments)?).json(body)).await
    }

    /// `PUT` of a JSON body; what is answered isn't looked at.
    pub(super) async fn put(&self, segments: &[&str], body: &impl Serialize) -> anyhow::Result<()> {
        self.send(self.http.put(self.route(segments)?).json(body)).await.map(drop)
    }

    /// `DELETE` with an answer.
    pub(super) async fn delete_json<T: DeserializeOwned>(&self, segments: &[&str]) -> anyhow::Result<T> {
        self.json(self.http.delete(self.route(segments)?)).await
    }

    /// The address, without a slash at its end.
    pub(super) fn address(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// Tells that the gateway is on this machine.
    pub(super) fn is_local(&self) -> bool {
        is_loopback(&self.base)
    }

    /// `DELETE`; what is answered isn't looked at.
    pub(super) async fn delete(&self, segments: &[&str]) -> anyhow::Result<()> {
        self.send(self.http.delete(self.route(segments)?)).await.map(drop)
    }

    /// `POST` of a JSON body that asks for a stream of events.
    pub(super) async fn stream(&self, segments: &[&str], body: &impl Serialize) -> anyhow::Result<Events> {
        let answer = self.send(self.http.post(self.route(segments)?).json(body)).await?;
        Ok(Events::new(answer))
    }

    /// Stops a run. That it can't be stopped is no news to someone who has turned away from it.
    pub(super) async fn cancel(&self, request_id: &str) {
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
        // An answer without a body reads as null.
        let body: &[u8] = if body.is_empty() { b"null" } else { &body };
        serde_json::from_slice(body).context("the gateway's answer can't be read; is it of another version?")
    }

    async fn send(&self, request: RequestBuilder) -> anyhow::Result<Response> {
        let request = match &self.token {
            Some(token) => request.bearer_auth(token.expose()),
            None => request,
        };
        let answer = request.send().await.map_err(|error| self.unreachable(&error))?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status();
        let request_id = request_id(&answer);
        let body = answer.bytes().await.unwrap_or_default();
        Err(GatewayError::from_answer(status, request_id.as_deref(), &body).into())
    }

    fn unreachable(&self, error: &reqwest::Error) -> anyhow::Error {
        let (url, cause) = (self.address(), root_cause(error));
        if error.is_connect() || error.is_timeout() {
            let hint = certificate_hint(&cause);
            if !hint.is_empty() {
                return anyhow::anyhow!("{url} can't be trusted: {cause}{hint}");
            }
            return anyhow::anyhow!(
                "no gateway answers at {url} ({cause}); start one with `hearth up`, \
                 or name another with --url or HEARTH_URL"
            );
        }
        anyhow::anyhow!("the request to {url} failed: {cause}{}", certificate_hint(&cause))
    }

    /// The base's own path is kept: an API behind a stage or a proxy has one.
    fn route(&self, segments: &[&str]) -> anyhow::Result<Url> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| anyhow::anyhow!("{} can't have a path", self.base))?
            .pop_if_empty()
            .extend(segments.iter().flat_map(|segment| segment.split('/')));
        Ok(url)
    }
}

/// The request's id, by which its run can be cancelled and found in logs.
pub(super) fn request_id(answer: &Response) -> Option<String> {
    answer.headers().get("x-request-id")?.to_str().ok().map(str::to_owned)
}

fn parse_base(text: &str) -> anyhow::Result<Url> {
    let invalid = || format!("{text:?} is no address; write one such as http://127.0.0.1:8080");
    let trimmed = text.trim();
    anyhow::ensure!(!trimmed.is_empty(), invalid());
    let mut url = if trimmed.contains("://") {
        Url::parse(trimmed).with_context(invalid)?
    } else {
        // Without TLS on this machine alone: the token goes along.
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
    // SDKs take the address with it, the commands' routes bring it along.
    if let Some(base) = url.path().trim_end_matches('/').strip_suffix("/v1").map(str::to_owned) {
        url.set_path(&base);
    }
    Ok(url)
}

/// Whether the address is of this machine. A proxy from the environment would look for it on its own.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests;
