//! Sends requests to one endpoint, with its key, and records what the responses report of credit and limits.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use hearth_domain::Timestamp;
use hearth_wire::{ApiError, ErrorCode};
use http::Request;
use serde_json::Value;

use super::{
    request_error::{timed_out, unreachable},
    target::Target,
};
use crate::{
    credits::{Billing, Ledger},
    endpoint::Endpoint,
    error_response, json_document,
    redact::Redactor,
    sigv4,
    transport::{HttpResponse, VendorClient},
    vendor::Auth,
};

/// Maximum size of a JSON document that is no answer of a model, such as a list of models.
const DOCUMENT_MAX_BYTES: usize = 16 << 20;

/// The problem of a provider with `credentials: process` elsewhere than on Lambda.
const NO_PROCESS_CREDENTIALS: &str = "this gateway has no AWS credentials of its own, only a Lambda function has; set a key instead of `credentials`";

/// The connection to one endpoint.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) endpoint: Endpoint,
    client: VendorClient,
    target: Result<Target, ApiError>,
    pub(super) ledger: Ledger,
    /// Finds the key in the provider's texts.
    pub(super) redactor: Redactor,
}

/// The HTTP client that sends a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Via {
    Hyper,
    Reqwest,
}

impl Connection {
    pub(super) fn new(endpoint: Endpoint, client: VendorClient) -> Self {
        let redactor = Redactor::new(endpoint.key.as_ref(), &[&endpoint.name, endpoint.vendor.kind]);
        let target = Target::new(&endpoint, &client);
        Self { endpoint, client, target, ledger: Ledger::default(), redactor }
    }

    pub(super) fn target(&self) -> Result<&Target, ApiError> {
        self.target.as_ref().map_err(Clone::clone)
    }

    /// Signs a request, if the vendor requires that.
    async fn authorize(&self, request: &mut Request<Bytes>) -> Result<(), ApiError> {
        let Endpoint { name, auth, key, signs_as_process, .. } = &self.endpoint;
        let Auth::Aws(service) = *auth else { return Ok(()) };
        let now = SystemTime::now();
        let failed = |error: &dyn std::fmt::Display| {
            let message = format!("the request to the provider {name} can't be signed: {error}");
            ApiError::new(ErrorCode::ProviderAuth, message)
        };
        if *signs_as_process {
            let identity = self.client.identity().ok_or_else(|| failed(&NO_PROCESS_CREDENTIALS))?;
            let credentials = identity.credentials(now).await.map_err(|error| failed(&error))?;
            return sigv4::sign(request, credentials, service, now).map_err(|error| failed(&error));
        }
        match key {
            Some(key) => sigv4::authorize(request, key, service, now).map_err(|error| failed(&error)),
            None => Ok(()),
        }
    }

    /// Sends a request for text, and waits up to `timeout` for the response's head.
    ///
    /// # Errors
    /// The provider's error; `provider_timeout` or `provider_error` if there is no response.
    pub(super) async fn send_text(
        &self,
        request: Request<Bytes>,
        timeout: Duration,
        billing: Billing,
    ) -> Result<HttpResponse, ApiError> {
        let via = if self.target()?.is_direct { Via::Hyper } else { Via::Reqwest };
        self.check(self.execute(request, timeout, via).await?, billing).await
    }

    /// Sends a request for vectors, images or meshes, as [`Self::send_text`].
    pub(super) async fn send_media(
        &self,
        request: Request<Bytes>,
        timeout: Duration,
    ) -> Result<HttpResponse, ApiError> {
        self.check(self.execute(request, timeout, Via::Reqwest).await?, Billing::Paid).await
    }

    /// Requests a JSON document at `path` below the base URL.
    ///
    /// # Errors
    /// As for a generation, with the key hidden.
    pub(super) async fn get_json(&self, path: &str) -> Result<Value, ApiError> {
        let request = self.target()?.get(path)?;
        let response = self.execute(request, self.endpoint.timeouts.first_byte, Via::Reqwest).await?;
        let document = if response.status.is_success() {
            let body = json_document::read_body(response, DOCUMENT_MAX_BYTES).await;
            body.and_then(|body| json_document::parse_json(&body))
        } else {
            Err(error_response::read(&self.endpoint, response).await)
        };
        document.map_err(|error| self.redactor.redact_error(error))
    }

    /// Records what a response reports of credit and limits. Returns it, or the error that it states.
    async fn check(&self, response: HttpResponse, billing: Billing) -> Result<HttpResponse, ApiError> {
        if response.status.is_success() {
            self.ledger.record_success(&response.headers, billing, Timestamp::now());
            return Ok(response);
        }
        let headers = response.headers.clone();
        let error = error_response::read(&self.endpoint, response).await;
        self.ledger.record_error(&error, Some(&headers), Timestamp::now());
        Err(error)
    }

    /// Sends a request, and waits up to `timeout` for the response's head.
    async fn execute(
        &self,
        mut request: Request<Bytes>,
        timeout: Duration,
        via: Via,
    ) -> Result<HttpResponse, ApiError> {
        self.authorize(&mut request).await?;
        let name = &self.endpoint.name;
        let response = async {
            match via {
                Via::Hyper => self.client.send_direct(request).await,
                Via::Reqwest => self.client.send(request).await,
            }
        };
        match tokio::time::timeout(timeout, response).await {
            Ok(response) => response.map_err(|error| unreachable(name, &error)),
            Err(_) => Err(timed_out(name, &format!("didn't begin to answer within {} s", timeout.as_secs()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
    use hearth_settings::ProviderSettings;
    use http::HeaderMap;

    use super::*;

    /// The headers of a signed request to Bedrock with `credentials: process`.
    async fn signed_by(credentials: Option<Credentials>) -> Result<HeaderMap, ApiError> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let settings: ProviderSettings = serde_json::from_str(
            r#"{"base_url": "https://bedrock-runtime.eu-west-1.amazonaws.com", "credentials": "process"}"#,
        )
        .unwrap();
        let endpoint = Endpoint::new("bedrock", &settings, None).unwrap();
        let client = VendorClient::from(reqwest::Client::new())
            .with_process_credentials(credentials.map(SharedCredentialsProvider::new));
        let mut request = Request::post("https://bedrock-runtime.eu-west-1.amazonaws.com/model/a/converse")
            .body(Bytes::from_static(b"{}"))
            .unwrap();
        Connection::new(endpoint, client).authorize(&mut request).await?;
        Ok(request.headers().clone())
    }

    #[tokio::test]
    async fn request_is_signed_with_the_credentials_of_the_process() {
        let credentials = Credentials::new("AKID", "secret", Some("token".to_owned()), None, "test");
        let headers = signed_by(Some(credentials)).await.unwrap();
        assert_eq!(headers["x-amz-security-token"], "token");
        let authorization = headers["authorization"].to_str().unwrap();
        assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKID/"), "{authorization}");
        assert!(authorization.contains("/eu-west-1/bedrock/aws4_request"), "{authorization}");
    }

    #[tokio::test]
    async fn process_without_credentials_says_what_to_set() {
        let error = signed_by(None).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::ProviderAuth);
        assert!(error.message.contains("set a key"), "{}", error.message);
    }
}
