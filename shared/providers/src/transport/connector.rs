//! Opens connections to vendors: TCP, and TLS with HTTP/2 where the server supports it.

use std::{
    error::Error,
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use http::Uri;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::{client::legacy::connect::HttpConnector, rt::TokioIo};
use tokio::net::TcpStream;
use tower::Service;

use super::AddressGuard;

/// Timeout for a connection, the TLS handshake included.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The cause of a request without a response. [`crate::transport_error`] describes it in words.
pub(crate) type SendError = Box<dyn Error + Send + Sync>;

/// Interval of TCP keepalive probes on a silent connection, which detect a dead one.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
const KEEPALIVE_MAX_COUNT: u32 = 3;

/// Opens connections within [`CONNECT_TIMEOUT`].
#[derive(Debug, Clone)]
pub(super) struct Connector {
    https: HttpsConnector<HttpConnector<AddressGuard>>,
    guard: AddressGuard,
}

impl Connector {
    pub(super) fn new(tls: rustls::ClientConfig, guard: AddressGuard) -> Self {
        let mut http = HttpConnector::new_with_resolver(guard.clone());
        http.enforce_http(false);
        // A token is small: don't delay packets to fill them (Nagle's algorithm).
        http.set_nodelay(true);
        http.set_keepalive(Some(KEEPALIVE_INTERVAL));
        http.set_keepalive_interval(Some(KEEPALIVE_INTERVAL));
        http.set_keepalive_retries(Some(KEEPALIVE_MAX_COUNT));
        Self { https: HttpsConnector::from((http, tls)), guard }
    }
}

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = SendError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, SendError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.https.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let checked = self.guard.check_host(uri.host().unwrap_or_default());
        let connecting = self.https.call(uri);
        Box::pin(async move {
            checked?;
            let connected = tokio::time::timeout(CONNECT_TIMEOUT, connecting).await;
            connected.map_err(|_| SendError::from(io::Error::from(io::ErrorKind::TimedOut)))?
        })
    }
}
