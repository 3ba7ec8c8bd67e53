//! A certificate in files, read again when they change.

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use rustls::sign::CertifiedKey;

use super::certificates::{self, Certificates};

/// Interval between two reads of the files, which are small. A certificate is replaced weeks before it expires.
const READ_INTERVAL: Duration = Duration::from_secs(5);

/// The files of a certificate and its key.
#[derive(Debug)]
pub(super) struct CertificateFiles {
    certificate: PathBuf,
    key: PathBuf,
    /// SHA-256 of their contents as they were read last.
    digest: Option<String>,
}

impl CertificateFiles {
    pub(super) fn new(certificate: PathBuf, key: PathBuf) -> Self {
        Self { certificate, key, digest: None }
    }

    /// Reads both files.
    ///
    /// # Errors
    /// A file can't be read, is malformed, or they don't belong together.
    pub(super) fn read(&mut self) -> Result<CertifiedKey> {
        let (certificate, key) = self.contents()?;
        self.digest = Some(digest(&certificate, &key));
        self.parse(&certificate, &key)
    }

    /// Reads the files again and again, and uses a new certificate as soon as both are of it. A certificate that can't be used
    /// is logged once, and the one before stays in use.
    pub(super) async fn follow(mut self, certificates: Arc<Certificates>) {
        let mut logged = None;
        loop {
            tokio::time::sleep(READ_INTERVAL).await;
            let checked = tokio::task::spawn_blocking(move || {
                let changed = self.read_if_changed();
                (self, changed)
            });
            let Ok((files, changed)) = checked.await else { return };
            self = files;
            match changed {
                Ok(Some(certificate)) => {
                    certificates.replace(certificate);
                    logged = None;
                    tracing::info!(file = %self.certificate.display(), "a new certificate is in use");
                }
                Ok(None) => {}
                Err(error) => {
                    let error = format!("{error:#}");
                    if logged.as_ref() != Some(&error) {
                        tracing::error!(error, "the certificate stays as it was");
                        logged = Some(error);
                    }
                }
            }
        }
    }

    fn read_if_changed(&mut self) -> Result<Option<CertifiedKey>> {
        let (certificate, key) = self.contents()?;
        let digest = Some(digest(&certificate, &key));
        if digest == self.digest {
            return Ok(None);
        }
        self.digest = digest;
        self.parse(&certificate, &key).map(Some)
    }

    fn contents(&self) -> Result<(Vec<u8>, Vec<u8>)> {
        let read =
            |path: &PathBuf| fs::read(path).with_context(|| format!("{} can't be read", path.display()));
        Ok((read(&self.certificate)?, read(&self.key)?))
    }

    fn parse(&self, certificate: &[u8], key: &[u8]) -> Result<CertifiedKey> {
        certificates::parse(certificate, key)
            .with_context(|| format!("{} and {}", self.certificate.display(), self.key.display()))
    }
}

fn digest(certificate: &[u8], key: &[u8]) -> String {
    hearth_auth::sha256_hex(&[certificate, b"\0", key].concat())
}
