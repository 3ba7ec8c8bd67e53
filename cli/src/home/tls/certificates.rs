//! The certificates in use, one for requests and one for each challenge of an ACME server.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use anyhow::{Context as _, Result, anyhow};
use rustls::{
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use x509_parser::{extensions::GeneralName, parse_x509_certificate};

/// The protocol of an ACME server's check (RFC 8737, section 6.2).
pub(super) const ACME_PROTOCOL: &[u8] = b"acme-tls/1";

/// The certificates in use.
#[derive(Debug, Default)]
pub(super) struct Certificates {
    current: RwLock<Option<Arc<CertifiedKey>>>,
    /// By the name that an ACME server checks.
    challenges: Mutex<HashMap<String, Arc<CertifiedKey>>>,
}

impl Certificates {
    /// Uses a certificate for the handshakes from now on.
    pub(super) fn replace(&self, certificate: CertifiedKey) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(certificate));
    }

    /// Presents `certificate` when an ACME server checks `domain`.
    pub(super) fn present(&self, domain: String, certificate: CertifiedKey) {
        self.challenges.lock().unwrap_or_else(PoisonError::into_inner).insert(domain, Arc::new(certificate));
    }

    /// Ends all checks.
    pub(super) fn end_challenges(&self) {
        self.challenges.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // RFC 8737, section 3: the check offers this protocol alone.
        let mut protocols = hello.alpn().into_iter().flatten();
        if protocols.next() == Some(ACME_PROTOCOL) && protocols.next().is_none() {
            let challenges = self.challenges.lock().unwrap_or_else(PoisonError::into_inner);
            return challenges.get(hello.server_name()?).cloned();
        }
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A certificate with its chain, the server's own first, and its key, both as PEM.
///
/// # Errors
/// Either is malformed or missing, or they don't belong together. The error has nothing of the key.
pub(super) fn parse(certificate: &[u8], key: &[u8]) -> Result<CertifiedKey> {
    let chain = CertificateDer::pem_slice_iter(certificate)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| anyhow!("the certificate is no PEM"))?;
    anyhow::ensure!(!chain.is_empty(), "the certificate has no `BEGIN CERTIFICATE`");
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|_| anyhow!("the key is no PEM with an unencrypted `BEGIN PRIVATE KEY`"))?;
    CertifiedKey::from_der(chain, key, &ring::default_provider())
        .context("the certificate and the key can't be used together")
}

/// The certificate's names of hosts, in lower case, in its order, without wildcards.
///
/// # Errors
/// The certificate is malformed.
pub(super) fn host_names(certificate: &CertifiedKey) -> Result<Vec<String>> {
    let own = certificate.cert.first().context("the chain is empty")?;
    let (_, parsed) = parse_x509_certificate(own).map_err(|_| anyhow!("the certificate is malformed"))?;
    let names =
        parsed.subject_alternative_name().map_err(|_| anyhow!("the certificate's names are malformed"))?;
    let names = names.iter().flat_map(|names| &names.value.general_names).filter_map(|name| match name {
        GeneralName::DNSName(name) if !name.starts_with('*') => Some(name.to_ascii_lowercase()),
        _ => None,
    });
    Ok(names.collect())
}

/// The certificate's term of validity: its first and its last second, since 1970.
///
/// # Errors
/// The certificate is malformed.
pub(super) fn validity(certificate: &CertifiedKey) -> Result<(i64, i64)> {
    let own = certificate.cert.first().context("the chain is empty")?;
    let (_, parsed) = parse_x509_certificate(own).map_err(|_| anyhow!("the certificate is malformed"))?;
    Ok((parsed.validity().not_before.timestamp(), parsed.validity().not_after.timestamp()))
}
