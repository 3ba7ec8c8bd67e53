//! TLS of the server: a certificate from files or from an ACME server, replaced while connections are served.

mod acme;
mod certificates;
mod files;
mod redirect;

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use axum::{Router, middleware, response::Response};
use hearth_settings::TlsSettings;
use http::{HeaderValue, header::STRICT_TRANSPORT_SECURITY};
use rustls::{ServerConfig, crypto::ring, version::TLS13};
use tokio::{net::TcpStream, task::JoinHandle};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

pub(crate) use redirect::redirect_router;

use acme::Acme;
use certificates::{ACME_PROTOCOL, Certificates};
use files::CertificateFiles;

/// One year: browsers use https for the host's name until then.
const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// TLS of a listener. Renews its certificate until it is dropped.
#[derive(Debug)]
pub(crate) struct Tls {
    acceptor: TlsAcceptorDebug,
    /// A name of the certificate.
    host: Option<String>,
    renewal: JoinHandle<()>,
}

/// The acceptor, which has no `Debug`.
struct TlsAcceptorDebug(TlsAcceptor);

impl std::fmt::Debug for TlsAcceptorDebug {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TlsAcceptor")
    }
}

impl Tls {
    /// TLS by `settings`, which are enabled. A certificate from files is read now, and again when they change. One from an ACME
    /// server is stored below `data`; without a valid one there, it is requested as soon as the listener accepts connections,
    /// and handshakes fail until it is issued.
    ///
    /// # Errors
    /// A file can't be read, is no certificate or key, or the two don't belong together.
    pub(crate) fn start(settings: &TlsSettings, data: &Path) -> Result<Self> {
        let certificates = Arc::new(Certificates::default());
        let (host, renewal) = match (&settings.certificate, &settings.key) {
            (Some(certificate), Some(key)) => {
                let mut files = CertificateFiles::new(certificate.clone(), key.clone());
                let certificate = files.read()?;
                let host = certificates::host_names(&certificate)?.into_iter().next();
                certificates.replace(certificate);
                (host, tokio::spawn(files.follow(Arc::clone(&certificates))))
            }
            _ => {
                let acme = Acme::new(settings, &data.join("tls"))?;
                (settings.domains.first().cloned(), tokio::spawn(acme.renew(Arc::clone(&certificates))))
            }
        };
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&TLS13])
            .context("TLS can't be set up")?
            .with_no_client_auth();
        let mut config = config.with_cert_resolver(certificates);
        config.alpn_protocols = vec![b"http/1.1".to_vec(), ACME_PROTOCOL.to_vec()];
        Ok(Self { acceptor: TlsAcceptorDebug(TlsAcceptor::from(Arc::new(config))), host, renewal })
    }

    /// A name of the certificate, if it has one that isn't a wildcard.
    pub(crate) fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// The connection on `socket` after its handshake, within `timeout`. None if the handshake fails, which is logged at `debug`:
    /// strangers cause it; and for the handshake by which an ACME server checks this machine, which ends there.
    pub(super) async fn accept(
        &self,
        socket: TcpStream,
        timeout: Duration,
    ) -> Option<Box<TlsStream<TcpStream>>> {
        match tokio::time::timeout(timeout, self.acceptor.0.accept(socket)).await {
            Ok(Ok(stream)) if stream.get_ref().1.alpn_protocol() == Some(ACME_PROTOCOL) => None,
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

impl Drop for Tls {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}

/// The router of https requests: `router`, with `Strict-Transport-Security` in every response.
pub(crate) fn secure_router(router: Router) -> Router {
    router.layer(middleware::map_response(async |mut response: Response| {
        response.headers_mut().insert(STRICT_TRANSPORT_SECURITY, HSTS);
        response
    }))
}
