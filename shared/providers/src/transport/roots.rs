//! TLS settings with the system's certificate authorities.

use std::sync::{Arc, OnceLock};

use rustls::{
    ClientConfig, DigitallySignedStruct, Error, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::ring,
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use rustls_platform_verifier::Verifier;

/// Error of every TLS connection on a system without certificate authorities.
const NO_ROOTS: &str = "this system has no CA certificates; install the package ca-certificates, or name a file of \
                        them in SSL_CERT_FILE, and start again";

/// Returns the TLS settings, with the certificate authorities that the system had at the first call. On a system without
/// any only TLS connections fail, with an error that names the missing package: local models and servers without TLS
/// work.
pub(crate) fn tls_config() -> ClientConfig {
    static CONFIG: OnceLock<ClientConfig> = OnceLock::new();
    CONFIG.get_or_init(|| config(Verifier::new(Arc::new(ring::default_provider())))).clone()
}

fn config(roots: Result<Verifier, Error>) -> ClientConfig {
    let verifier: Arc<dyn ServerCertVerifier> = match roots {
        Ok(verifier) => Arc::new(verifier),
        Err(error) => {
            tracing::warn!(%error, "{NO_ROOTS}");
            Arc::new(NoRoots)
        }
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_protocol_versions(rustls::DEFAULT_VERSIONS);
    #[expect(clippy::expect_used, reason = "ring's cipher suites serve TLS 1.2 and 1.3")]
    let builder = builder.expect("TLS 1.2 and 1.3");
    let mut config = builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
}

/// Rejects every certificate with [`NO_ROOTS`].
#[derive(Debug)]
struct NoRoots;

impl ServerCertVerifier for NoRoots {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Err(Error::General(NO_ROOTS.to_owned()))
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General(NO_ROOTS.to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General(NO_ROOTS.to_owned()))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::pki_types::ServerName;

    #[test]
    fn missing_roots_error_names_the_package_to_install() {
        let config = config(Err(Error::General("No CA certificates were loaded from the system".to_owned())));
        assert_eq!(config.alpn_protocols.len(), 2);
        let name = ServerName::try_from("example.org").unwrap();
        let refused = NoRoots.verify_server_cert(&[].as_slice().into(), &[], &name, &[], UnixTime::now());
        let message = refused.unwrap_err().to_string();
        assert!(message.contains("install the package ca-certificates"), "{message}");
        assert!(message.len() < 200, "too long to be shown: {message}");
    }
}
