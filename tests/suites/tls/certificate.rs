//! Certificates of the tests' own, and clients that trust them.

use std::{fs, net::SocketAddr, path::Path};

use rcgen::{CertificateParams, KeyPair};
use reqwest::{Certificate, Client, ClientBuilder, redirect::Policy, tls::Version};

/// The host of the certificates. It resolves nowhere: clients are given the address.
pub(super) const HOST: &str = "home.example.org";

/// Writes a certificate for [`HOST`] and its key, PEM, and returns the certificate.
pub(super) fn write(certificate: &Path, key: &Path) -> String {
    let (pem, key_pem) = create(HOST);
    fs::write(certificate, &pem).unwrap();
    fs::write(key, key_pem).unwrap();
    pem
}

/// A certificate for `name` that signs itself, and its key, PEM.
pub(super) fn create(name: &str) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new([name.to_owned()]).unwrap().self_signed(&key).unwrap();
    (certificate.pem(), key.serialize_pem())
}

/// A builder of clients that trust the certificate `root` alone, and follow no redirect.
pub(super) fn client_builder(root: &str) -> ClientBuilder {
    // An error means that another test has installed it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let root = Certificate::from_pem(root.as_bytes()).unwrap();
    Client::builder().tls_certs_only([root]).redirect(Policy::none())
}

/// Such a client, which reaches [`HOST`] at `address`.
pub(super) fn client(root: &str, address: SocketAddr, newest: Version) -> Client {
    client_builder(root).resolve(HOST, address).max_tls_version(newest).build().unwrap()
}
