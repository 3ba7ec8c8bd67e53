//! Sends requests to one endpoint, with its key, and records what the responses report of credit and limits.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures::StreamExt as _;
use hearth_domain::Timestamp;
use hearth_wire::{ApiError, ErrorCode};
use http::Request;
use serde_json::Value;

use super::{
    request_error::{timed_out, unreachable},
    target::Target,
};
use crate::{
    answer_error::unreadable,
    credits::{Billing, Ledger},
    decompress,
    endpoint::Endpoint,
    error_response,
    redact::Redactor,
    sigv4,
    transport::{HttpResponse, VendorClient},
    vendor::Auth,
};

/// Maximum size of a JSON document that is no answer of a model, such as a list of models.
const DOCUMENT_MAX_BYTES: usize = 16 << 20;

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
    pub(super) fn authorize(&self, request: &mut Request<Bytes>) -> Result<(), ApiError> {
        let Endpoint { name, vendor, key, .. } = &self.endpoint;
        let (Auth::Aws(service), Some(key)) = (vendor.auth, key) else { return Ok(()) };
        sigv4::authorize(request, key, service, SystemTime::now()).map_err(|error| {
            let message = format!("the request to the provider {name} can't be signed: {error}");
            ApiError::new(ErrorCode::ProviderAuth, message)
        })
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
        let mut request = self.target()?.get(path)?;
        self.authorize(&mut request)?;
        let response = self.execute(request, self.endpoint.timeouts.first_byte, Via::Reqwest).await?;
        if response.status.is_success() {
            return read_json(response).await;
        }
        let error = error_response::read(&self.endpoint, response).await;
        Err(self.redactor.redact_error(error))
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
        request: Request<Bytes>,
        timeout: Duration,
        via: Via,
    ) -> Result<HttpResponse, ApiError> {
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

/// Reads a response's body as JSON.
async fn read_json(response: HttpResponse) -> Result<Value, ApiError> {
    let (mut body, mut pieces) = (Vec::new(), decompress::body_of(response)?);
    while let Some(piece) = pieces.next().await {
        body.extend_from_slice(&piece.map_err(|_| unreadable("it broke off"))?);
        if body.len() > DOCUMENT_MAX_BYTES {
            return Err(unreadable(format!("it has more than {} MiB", DOCUMENT_MAX_BYTES >> 20)));
        }
    }
    serde_json::from_slice(&body).map_err(|_| unreadable("it isn't JSON"))
}
