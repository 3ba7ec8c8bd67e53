//! TLS of the server: a certificate from files or from an ACME server, replaced while connections are served.

mod acme;
mod certificates;
mod files;
mod redirect;

use std::{path::Path, sync::Arc};

use anyhow::{Context as _, Result};
use hearth_server::Tls;
use hearth_settings::TlsSettings;
use rustls::{ServerConfig, crypto::ring, version::TLS13};
use tokio_util::task::AbortOnDropHandle;

pub(crate) use redirect::redirect_router;

use acme::Acme;
use certificates::{ACME_PROTOCOL, Certificates};
use files::CertificateFiles;

/// TLS of a listener, and a name of its certificate.
#[derive(Debug)]
pub(crate) struct HostTls {
    /// Renews the certificate until it is dropped.
    pub(crate) tls: Tls,
    /// None, if the certificate has only wildcards.
    pub(crate) host: Option<String>,
}

impl HostTls {
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
        let tls = Tls::new(config, ACME_PROTOCOL, AbortOnDropHandle::new(renewal));
        Ok(Self { tls, host })
    }
}
