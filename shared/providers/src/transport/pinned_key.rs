//! TLS connections to servers that are identified by their public key, as a node at home with a certificate of its own.

use std::sync::Arc;

use ring::digest::{SHA256, digest};
use rustls::{
    ClientConfig, DigitallySignedStruct, Error, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring as ring_provider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
};

/// SHA-256 of a certificate's public key, in the form of its certificate (SPKI, RFC 7469).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PinnedKey([u8; 32]);

impl PinnedKey {
    /// Reads 64 hexadecimal digits, which colons may separate in pairs.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits: Vec<u32> = text
            .trim()
            .chars()
            .filter(|char| *char != ':')
            .map(|char| char.to_digit(16))
            .collect::<Option<_>>()?;
        let bytes = digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair.get(1)?).ok());
        let bytes: Vec<u8> = bytes.collect::<Option<_>>()?;
        bytes.try_into().ok().map(Self)
    }

    /// The key of a certificate.
    ///
    /// # Errors
    /// If the certificate can't be read.
    pub fn of_certificate(certificate: &CertificateDer<'_>) -> Result<Self, Error> {
        let key = ParsedCertificate::try_from(certificate)?.subject_public_key_info();
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, &key).as_ref());
        Ok(Self(hash))
    }
}

/// The TLS settings for a server with this key. The key alone identifies the server: neither the certificate's name, nor its time,
/// nor its issuer is checked.
pub(crate) fn pinned_tls_config(key: PinnedKey) -> ClientConfig {
    let provider = Arc::new(ring_provider::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_protocol_versions(rustls::DEFAULT_VERSIONS);
    #[expect(clippy::expect_used, reason = "ring's cipher suites serve TLS 1.2 and 1.3")]
    let builder = builder.expect("TLS 1.2 and 1.3");
    let verifier = Arc::new(PinnedKeyVerifier { key, provider });
    let mut config = builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
}

/// Accepts the certificates of one key. The server proves by its signature of the handshake that it has the private half.
#[derive(Debug)]
struct PinnedKeyVerifier {
    key: PinnedKey,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for PinnedKeyVerifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if PinnedKey::of_certificate(certificate)? == self.key {
            return Ok(ServerCertVerified::assertion());
        }
        Err(Error::General("the certificate has another key than the pinned one".to_owned()))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertifiedKey, generate_simple_self_signed};
    use rustls::{ServerConfig, pki_types::PrivateKeyDer};
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };
    use tokio_rustls::TlsAcceptor;

    use super::*;
    use crate::{AllowedAddresses, node::pinned_http_client};

    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";

    /// A server with a certificate of its own for another name; returns its address and its key.
    async fn server(versions: &[&'static rustls::SupportedProtocolVersion]) -> (String, PinnedKey) {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(vec!["box.example".to_owned()]).unwrap();
        let key = PinnedKey::of_certificate(cert.der()).unwrap();
        let private = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        let builder = ServerConfig::builder_with_provider(Arc::new(ring_provider::default_provider()));
        let builder = builder.with_protocol_versions(versions).unwrap();
        let config =
            builder.with_no_client_auth().with_single_cert(vec![cert.der().clone()], private).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = format!("https://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut bytes = [0; 1024];
                let _ = stream.read(&mut bytes).await;
                let _ = stream.write_all(ANSWER).await;
                let _ = stream.shutdown().await;
            }
        });
        (address, key)
    }

    #[tokio::test]
    async fn self_signed_certificate_of_the_pinned_key_is_accepted_and_no_other() {
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let (address, key) = server(&[version]).await;
            let (_, other) = server(&[version]).await;
            let client = |key| pinned_http_client(AllowedAddresses::All, key).unwrap();
            let answer = client(key).get(&address).send().await.unwrap();
            assert_eq!(answer.text().await.unwrap(), "ok");
            let refused = client(other).get(&address).send().await.unwrap_err();
            assert!(format!("{refused:?}").contains("another key than the pinned one"), "{refused:?}");
            // Without a pin no authority vouches for it.
            let unpinned = crate::http_client(AllowedAddresses::All).unwrap();
            assert!(unpinned.get(&address).send().await.is_err());
        }
    }

    #[test]
    fn key_is_64_hexadecimal_digits() {
        let digits = "0f".repeat(32);
        assert_eq!(PinnedKey::parse(&digits), Some(PinnedKey([15; 32])));
        assert_eq!(PinnedKey::parse(&vec!["0F"; 32].join(":")), Some(PinnedKey([15; 32])));
        for bad in ["", "0f", &digits[1..], &"0g".repeat(32), &"0f".repeat(33)] {
            assert_eq!(PinnedKey::parse(bad), None, "{bad}");
        }
    }
}
