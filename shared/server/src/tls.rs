//! TLS handshakes of a listener's connections.

use std::{fmt, sync::Arc, time::Duration};

use axum::{Router, middleware, response::Response};
use http::{HeaderValue, header::STRICT_TRANSPORT_SECURITY};
use rustls::ServerConfig;
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// One year: browsers use https for the host's name until then.
const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// TLS of a listener.
pub struct Tls {
    acceptor: TlsAcceptor,
    check_protocol: &'static [u8],
    _renewal: Box<dyn Send + Sync>,
}

impl Tls {
    /// TLS by `config`. A handshake that agrees on `check_protocol` ends its connection: an ACME server checks this machine by
    /// it. `renewal` is dropped with the listener; it replaces the certificate until then.
    pub fn new(
        config: ServerConfig,
        check_protocol: &'static [u8],
        renewal: impl Send + Sync + 'static,
    ) -> Self {
        Self { acceptor: TlsAcceptor::from(Arc::new(config)), check_protocol, _renewal: Box::new(renewal) }
    }

    /// The connection on `socket` after its handshake, within `timeout`. None if the handshake fails, which is logged at `debug`:
    /// strangers cause it; and for a check's handshake.
    pub(crate) async fn accept(
        &self,
        socket: TcpStream,
        timeout: Duration,
    ) -> Option<Box<TlsStream<TcpStream>>> {
        match tokio::time::timeout(timeout, self.acceptor.accept(socket)).await {
            Ok(Ok(stream)) if stream.get_ref().1.alpn_protocol() == Some(self.check_protocol) => None,
            Ok(Ok(stream)) => Some(Box::new(stream)),
            Ok(Err(error)) => {
                tracing::debug!(%error, "a TLS handshake failed");
                None
            }
            Err(_) => {
                tracing::debug!("a TLS handshake took too long");
                None
            }
        }
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

/// The router of https requests: `router`, with `Strict-Transport-Security` in every response.
pub(crate) fn secure_router(router: Router) -> Router {
    router.layer(middleware::map_response(async |mut response: Response| {
        response.headers_mut().insert(STRICT_TRANSPORT_SECURITY, HSTS);
        response
    }))
}
