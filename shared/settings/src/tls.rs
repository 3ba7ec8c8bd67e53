//! Settings of TLS at home.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::bounds::InvalidSetting;

/// The directory of Let's Encrypt.
const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";
/// Names in a certificate: Let's Encrypt's limit.
const DOMAIN_MAX_COUNT: usize = 100;

/// The table `tls` of the settings: a certificate in files, or one that an ACME server issues for `domains`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsSettings {
    /// File with the certificate and its chain, PEM.
    pub certificate: Option<PathBuf>,
    /// File with the certificate's private key, PEM.
    pub key: Option<PathBuf>,
    /// Names of this machine on the internet, for which the ACME server issues a certificate.
    pub domains: Vec<String>,
    /// Address of e-mail that the ACME server may write to.
    pub contact: Option<String>,
    /// Address of the ACME server's directory.
    pub directory: String,
    /// File with the root certificate of a private ACME server, PEM.
    pub directory_root: Option<PathBuf>,
    /// Port whose requests are redirected to https; absent: none.
    pub redirect_port: Option<u16>,
}

impl Default for TlsSettings {
    fn default() -> Self {
        Self {
            certificate: None,
            key: None,
            domains: Vec::new(),
            contact: None,
            directory: LETS_ENCRYPT.to_owned(),
            directory_root: None,
            redirect_port: None,
        }
    }
}

impl TlsSettings {
    /// True if the gateway serves https.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.certificate.is_some() || !self.domains.is_empty()
    }

    pub(crate) fn validate(&self) -> Result<(), InvalidSetting> {
        let invalid = |message: &str| Err(InvalidSetting::new(message.to_owned()));
        if self.certificate.is_some() != self.key.is_some() {
            return invalid("tls.certificate and tls.key belong together: set both, or none");
        }
        if self.certificate.is_some() && !self.domains.is_empty() {
            return invalid(
                "tls.domains asks an ACME server for a certificate: set it, or tls.certificate, and not both",
            );
        }
        if self.domains.len() > DOMAIN_MAX_COUNT {
            return invalid(&format!("tls.domains may have {DOMAIN_MAX_COUNT} names"));
        }
        if let Some(domain) = self.domains.iter().find(|domain| !is_host_name(domain)) {
            return invalid(&format!(
                "tls.domains: {domain:?} is no name of a host, such as home.example.org; a certificate for an address or a \
                 wildcard must come from tls.certificate"
            ));
        }
        if self.contact.as_ref().is_some_and(|contact| !contact.contains('@') || contact.contains(':')) {
            return invalid("tls.contact must be an address of e-mail, such as me@example.org");
        }
        if !self.directory.starts_with("https://") {
            return invalid("tls.directory must be the https address of an ACME server's directory");
        }
        if self.redirect_port.is_some() && !self.is_enabled() {
            return invalid("tls.redirect_port needs https: set tls.certificate and tls.key, or tls.domains");
        }
        Ok(())
    }
}

/// True for a name with a dot and without a wildcard (RFC 1123, section 2.1).
fn is_host_name(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last_has_letter =
        name.rsplit('.').next().is_some_and(|last| last.bytes().any(|byte| byte.is_ascii_alphabetic()));
    name.len() <= 253 && name.contains('.') && name.split('.').all(is_label) && last_has_letter
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn combinations_that_fit_are_accepted() {
        let file = || Some(PathBuf::from("x.pem"));
        let domains = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let accepted = |settings: TlsSettings| settings.validate().is_ok();
        let none = TlsSettings::default;
        assert!(accepted(none()));
        assert!(accepted(TlsSettings {
            certificate: file(),
            key: file(),
            redirect_port: Some(80),
            ..none()
        }));
        assert!(accepted(TlsSettings { domains: domains(&["a.example.org", "b-1.example"]), ..none() }));
        assert!(!accepted(TlsSettings { certificate: file(), ..none() }));
        assert!(!accepted(TlsSettings {
            certificate: file(),
            key: file(),
            domains: domains(&["a.b"]),
            ..none()
        }));
        assert!(!accepted(TlsSettings { redirect_port: Some(80), ..none() }));
        for name in [
            "localhost",
            "10.0.0.1",
            "*.example.org",
            "a_b.example",
            "-a.example",
            "a..b",
            "[::1]",
            "https://a.b",
        ] {
            assert!(!accepted(TlsSettings { domains: domains(&[name]), ..none() }), "{name}");
        }
    }
}
