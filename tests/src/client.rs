//! A client of the HTTP API.

use std::{net::IpAddr, sync::OnceLock};

use bytes::Bytes;
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url, header::HeaderMap};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};

use crate::{DEADLINE, Events, openapi};

/// Where a gateway is, and the token to send.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    url: String,
    token: Option<String>,
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

/// TLS settings that trust no certificate authority. The tests' gateways serve without TLS, and without these settings
/// each client would read those of the system, which takes an unoptimised build longer than a request.
fn tls_config() -> ClientConfig {
    static CONFIG: OnceLock<ClientConfig> = OnceLock::new();
    let create = || {
        // The second client of a process finds the provider installed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        ClientConfig::builder().with_root_certificates(RootCertStore::empty()).with_no_client_auth()
    };
    CONFIG.get_or_init(create).clone()
}

impl Client {
    /// A client of the gateway at `url`.
    ///
    /// # Panics
    /// If there is no TLS for it.
    #[must_use]
    pub fn new(url: &str, token: Option<&str>) -> Self {
        Self::from_address(url, token, None)
    }

    /// [`Client::new`], whose connections come from `address`, such as 127.0.0.2.
    ///
    /// # Panics
    /// If there is no TLS for it.
    #[must_use]
    pub fn from_address(url: &str, token: Option<&str>, address: Option<IpAddr>) -> Self {
        let http = reqwest::Client::builder().no_proxy().timeout(DEADLINE).local_address(address);
        let http = http
            .tls_backend_preconfigured(tls_config())
            .build()
            .unwrap_or_else(|error| panic!("an HTTP client: {error}"));
        Self { http, url: url.trim_end_matches('/').to_owned(), token: token.map(str::to_owned) }
    }

    /// The same client with another token, or none.
    #[must_use]
    pub fn with_token(&self, token: Option<&str>) -> Self {
        Self { token: token.map(str::to_owned), ..self.clone() }
    }

    /// A request that can still be changed.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Sends a request and waits for the whole answer.
    ///
    /// # Panics
    /// If there is none.
    pub async fn send(&self, request: RequestBuilder) -> Answer {
        self.try_send(request).await.unwrap_or_else(|error| panic!("no answer: {error:?}"))
    }

    /// Sends a request and waits for the whole answer.
    ///
    /// # Errors
    /// If there is none.
    pub async fn try_send(&self, request: RequestBuilder) -> reqwest::Result<Answer> {
        let (method, path, answer) = self.execute(request).await?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = answer.bytes().await?;
        openapi::check(&method, &path, status, &headers, Some(&body));
        Ok(Answer { status, headers, body })
    }

    /// Sends a request; returns its method and its path at the gateway, too.
    async fn execute(&self, request: RequestBuilder) -> reqwest::Result<(Method, String, Response)> {
        let (http, request) = request.build_split();
        let request = request?;
        let base = Url::parse(&self.url).map(|url| url.path().trim_end_matches('/').to_owned());
        let path = request.url().path();
        let path = path.strip_prefix(&base.unwrap_or_default()).unwrap_or(path).to_owned();
        let method = request.method().clone();
        Ok((method, path, http.execute(request).await?))
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    /// `POST` of a JSON body.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    /// `DELETE`.
    pub async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path)).await
    }

    /// `POST` of a JSON body whose answer streams.
    ///
    /// # Panics
    /// If the answer is no stream.
    pub async fn stream(&self, path: &str, body: &Value) -> Events {
        self.events(self.request(Method::POST, path).json(body)).await
    }

    /// A request whose answer streams.
    ///
    /// # Panics
    /// If the answer is no stream.
    pub async fn events(&self, request: RequestBuilder) -> Events {
        let sent = self.execute(request).await;
        let (method, path, answer) = sent.unwrap_or_else(|error| panic!("no answer: {error:?}"));
        let status = answer.status();
        openapi::check(&method, &path, status, answer.headers(), None);
        let kind =
            answer.headers().get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if status.is_success() && kind.starts_with("text/event-stream") {
            return Events::new(answer);
        }
        if status.is_success() && kind == "application/x-ndjson" {
            return Events::of_lines(answer);
        }
        let kind = kind.to_owned();
        panic!("instead of a stream: {status}, {kind}, {}", answer.text().await.unwrap_or_default());
    }

    /// Asks a question of the native API and gives the answer's text.
    ///
    /// # Panics
    /// If it isn't answered.
    pub async fn ask(&self, prompt: &str) -> String {
        let body = json!({"input": {"prompt": prompt}, "parameters": {"temperature": 0}});
        let answer = self.post("/v1/generate", &body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["output"]["text"].as_str().map(str::to_owned).unwrap_or_default()
    }
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Panics
    /// If it isn't.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// A header's text; empty if it isn't there.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The error in the envelope that every route has, once status, code and request id are as they must be.
    ///
    /// # Panics
    /// If they aren't.
    pub fn error(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        let error = self.json()["error"].clone();
        assert_eq!(error["code"], code, "{self:?}");
        for field in ["type", "message", "request_id"] {
            assert!(error[field].as_str().is_some_and(|text| !text.is_empty()), "no {field}: {self:?}");
        }
        assert!(error["retryable"].is_boolean() && error["details"].is_object(), "{self:?}");
        assert!(error.get("param").is_some(), "{self:?}");
        assert_eq!(error["request_id"], self.header("x-request-id"), "{self:?}");
        error
    }
}
