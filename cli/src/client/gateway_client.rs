//! The HTTP client for the gateway.

use std::{sync::Once, time::Duration};

use anyhow::Context;
use hearth_domain::Secret;
use reqwest::{
    RequestBuilder, Response, StatusCode,
    header::{CONTENT_TYPE, LOCATION},
    redirect::Policy,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use url::Url;

use super::{
    base_url::{is_loopback, parse_base},
    connection::Connection,
    error::{GatewayError, certificate_hint, no_client, root_cause, scheme_hint},
    login_file::{LoginFile, UnusableLogin},
    stream::{Events, request_id},
    terminal,
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
    /// The login whose access token is sent, where there is no token.
    login: Option<LoginFile>,
    /// The token that is sent in place of a login that can't be used any more.
    fallback: Option<Secret>,
    /// Tells the user once that the fallback is used.
    fallback_note: Once,
    /// True where errors don't advise `--url`.
    is_address_fixed: bool,
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
        let login = if token.is_none() { connection.login.clone() } else { None };
        let fallback = connection.fallback.clone();
        let is_address_fixed = connection.is_address_fixed;
        Ok(Self { http, base, token, login, fallback, fallback_note: Once::new(), is_address_fixed })
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

    /// Sends `PATCH` with a JSON body, and parses the response.
    pub(crate) async fn patch<T: DeserializeOwned>(
        &self,
        segments: &[&str],
        body: &impl Serialize,
    ) -> anyhow::Result<T> {
        self.json(self.http.patch(self.route(segments)?).json(body)).await
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

    /// Sends `GET`, and returns the response as it is.
    pub(crate) async fn get_text(&self, segments: &[&str], query: &[(&str, &str)]) -> anyhow::Result<String> {
        let mut url = self.route(segments)?;
        url.query_pairs_mut().extend_pairs(query);
        self.send(self.http.get(url)).await?.text().await.context("the gateway's answer broke off")
    }

    /// Sends `POST` with a JSON text as it is, which may be a stream, and parses the response.
    pub(crate) async fn post_json_body<T: DeserializeOwned>(
        &self,
        segments: &[&str],
        body: reqwest::Body,
    ) -> anyhow::Result<T> {
        let request = self.http.post(self.route(segments)?).header(CONTENT_TYPE, "application/json");
        self.json(request.body(body)).await
    }

    /// Sends `PUT` without a body, with a query, and parses the response.
    pub(crate) async fn put_query<T: DeserializeOwned>(
        &self,
        segments: &[&str],
        query: &[(&str, &str)],
    ) -> anyhow::Result<T> {
        let mut url = self.route(segments)?;
        url.query_pairs_mut().extend_pairs(query);
        self.json(self.http.put(url)).await
    }

    /// Sends `DELETE` with a query, and parses the response.
    pub(crate) async fn delete_query<T: DeserializeOwned>(
        &self,
        segments: &[&str],
        query: &[(&str, &str)],
    ) -> anyhow::Result<T> {
        let mut url = self.route(segments)?;
        url.query_pairs_mut().extend_pairs(query);
        self.json(self.http.delete(url)).await
    }

    /// Sends `POST` without a body, with a query that requests a stream of events.
    pub(crate) async fn stream_query(
        &self,
        segments: &[&str],
        query: &[(&str, &str)],
    ) -> anyhow::Result<Events> {
        let mut url = self.route(segments)?;
        url.query_pairs_mut().extend_pairs(query);
        Ok(Events::new(self.send(self.http.post(url)).await?))
    }

    /// Returns a client for the same gateway that sends another token, or none.
    pub(crate) fn with_token(&self, token: Option<Secret>) -> Self {
        Self {
            http: self.http.clone(),
            base: self.base.clone(),
            token,
            login: None,
            fallback: None,
            fallback_note: Once::new(),
            is_address_fixed: self.is_address_fixed,
        }
    }

    /// Returns a client for the same gateway that uses a login and nothing else.
    pub(crate) fn with_login(&self, login: LoginFile) -> Self {
        Self { login: Some(login), ..self.with_token(None) }
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

    /// The client of other addresses, such as those of signed requests. It follows no redirect, and sends no token by itself.
    pub(crate) fn http(&self) -> &reqwest::Client {
        &self.http
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
        if let Some(error) = self.redirected(&response) {
            return Err(error);
        }
        let request_id = request_id(&response);
        let body = response.bytes().await.unwrap_or_default();
        let error = GatewayError::from_response(status, request_id.as_deref(), &body);
        Err(if self.token.is_some() { error.for_token() } else { error }.into())
    }

    async fn send_any(&self, request: RequestBuilder) -> anyhow::Result<Response> {
        let (None, Some(login)) = (&self.token, &self.login) else {
            let request = match &self.token {
                Some(token) => request.bearer_auth(token.expose()),
                None => request,
            };
            return request.send().await.map_err(|error| self.unreachable(&error));
        };
        let repeated = request.try_clone();
        let token = self.or_fallback(login.access_token(&self.http, &self.base).await)?;
        let response = request.bearer_auth(token.expose()).send().await;
        let response = response.map_err(|error| self.unreachable(&error))?;
        let Some(repeated) = repeated.filter(|_| response.status() == StatusCode::UNAUTHORIZED) else {
            return Ok(response);
        };
        // The token was refused before its end, as after its key was revoked: the login may go on all the same.
        let token = self.or_fallback(login.access_token_after(&self.http, &self.base, &token).await)?;
        repeated.bearer_auth(token.expose()).send().await.map_err(|error| self.unreachable(&error))
    }

    /// The token of the login, or that of this machine's commands if the login can't be used any more.
    fn or_fallback(&self, token: anyhow::Result<Secret>) -> anyhow::Result<Secret> {
        let error = match token {
            Err(error) if error.is::<UnusableLogin>() => error,
            token => return token,
        };
        let Some(fallback) = &self.fallback else { return Err(error) };
        self.fallback_note.call_once(|| {
            terminal::note(&format!(
                "note: {error}. Until then this command acts as the operator of this machine's gateway"
            ));
        });
        Ok(fallback.clone())
    }

    /// The error of a response that redirects to another address, which is named.
    fn redirected(&self, response: &Response) -> Option<anyhow::Error> {
        let location = response.headers().get(LOCATION).filter(|_| response.status().is_redirection())?;
        let target = self.base.join(location.to_str().ok()?).ok()?;
        let (origin, url) = (target.origin().ascii_serialization(), self.address());
        let how = if self.is_address_fixed { "" } else { " with --url or HEARTH_URL" };
        Some(anyhow::anyhow!("{url} redirects to {origin}; give that address{how}"))
    }

    fn unreachable(&self, error: &reqwest::Error) -> anyhow::Error {
        let (url, cause) = (self.address(), root_cause(error));
        let hint = scheme_hint(self.base.scheme(), &cause);
        if !hint.is_empty() {
            return anyhow::anyhow!("the request to {url} failed: {cause}{hint}");
        }
        if error.is_connect() || error.is_timeout() {
            let hint = certificate_hint(&cause);
            if !hint.is_empty() {
                return anyhow::anyhow!("{url} can't be trusted: {cause}{hint}");
            }
            if self.is_address_fixed {
                return anyhow::anyhow!(
                    "no gateway answers at {url} ({cause}); check the address, and that the gateway runs and can be reached \
                     from this machine"
                );
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

#[cfg(test)]
mod tests;
