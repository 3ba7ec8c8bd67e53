//! The HTTP clients of downloads: one for the addresses of the operator's settings, one for those that callers name.
//!
//! A caller's address is followed on the public internet only: a name is resolved once for each connection, and a private address
//! is refused, also in a redirection. So a download reads nothing of the node's own network.

use std::{io, net::IpAddr, time::Duration};

use hearth_domain::is_public_ip;
use reqwest::{
    Client, ClientBuilder, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect::Policy,
};
use rustls::crypto::ring;

use super::error::{DownloadError, root_cause};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for which a source may be silent in the middle of a file.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
/// Redirections that are followed.
const REDIRECTS_MAX_COUNT: usize = 10;

/// The HTTP clients.
#[derive(Debug, Clone)]
pub(super) struct Clients {
    /// For addresses of the settings, and where these send it.
    operators: Result<Client, DownloadError>,
    callers: Result<Client, DownloadError>,
    allows_private: bool,
}

impl Clients {
    /// The clients, for a hub at `hub`. One that can't be built is an error where it is needed.
    pub(super) fn new(hub: &Url, allows_private: bool) -> Self {
        // Ring is the provider of the whole program; the first one that is installed stays.
        let _ = ring::default_provider().install_default();
        let mut operators = builder();
        if hub.scheme() == "http" {
            // Without TLS no roots are needed.
            operators = operators.tls_certs_only([]);
        }
        if is_loopback(hub) {
            operators = operators.no_proxy();
        }
        let mut callers = builder();
        if !allows_private {
            let check = Policy::custom(|attempt| {
                if attempt.previous().len() >= REDIRECTS_MAX_COUNT {
                    return attempt.error("too many redirections");
                }
                match check_address(attempt.url()) {
                    Ok(()) => attempt.follow(),
                    Err(problem) => attempt.error(problem),
                }
            });
            // A proxy would resolve the names itself.
            callers = callers.dns_resolver(PublicAddresses).redirect(check).no_proxy();
        }
        let build = |builder: ClientBuilder| builder.build().map_err(|error| no_client(&error));
        Self { operators: build(operators), callers: build(callers), allows_private }
    }

    /// The client for addresses of the settings.
    pub(super) fn operators(&self) -> Result<Client, DownloadError> {
        self.operators.clone()
    }

    /// The client for addresses that callers name.
    pub(super) fn callers(&self) -> Result<Client, DownloadError> {
        self.callers.clone()
    }

    /// Checks an address that a caller names.
    ///
    /// # Errors
    /// It isn't one of the public internet by TLS, and the settings don't allow others.
    pub(super) fn check(&self, url: &Url) -> Result<(), DownloadError> {
        if self.allows_private {
            return Ok(());
        }
        check_address(url).map_err(|problem| {
            let advice = "the setting `downloads.private_addresses` allows others";
            DownloadError::invalid_source(format!("{}: {problem}; {advice}", address_without_query(url)))
        })
    }
}

/// The address without its query, which may be a credential.
pub(super) fn address_without_query(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    let _ = url.set_password(None);
    let _ = url.set_username("");
    url.to_string()
}

fn no_client(error: &reqwest::Error) -> DownloadError {
    let cause = root_cause(error);
    DownloadError::unreachable(match cause.contains("CA certificates") {
        true => {
            "this system has no CA certificates, so no server can be trusted over HTTPS; install the package \
                 ca-certificates, or name a file of them in SSL_CERT_FILE"
                .to_owned()
        }
        false => format!("the HTTP client can't be built: {cause}"),
    })
}

fn builder() -> ClientBuilder {
    Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .redirect(Policy::limited(REDIRECTS_MAX_COUNT))
        .user_agent(concat!("hearth-node/", env!("CARGO_PKG_VERSION")))
}

fn check_address(url: &Url) -> Result<(), &'static str> {
    if url.scheme() != "https" {
        return Err("files are downloaded by https");
    }
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    match host.parse::<IpAddr>() {
        Ok(ip) if !is_public_ip(ip) => Err("it is no public address"),
        Ok(_) => Ok(()),
        Err(_) if host.is_empty() || host == "localhost" || host.ends_with(".localhost") => {
            Err("it is no public address")
        }
        Err(_) => Ok(()),
    }
}

/// True for an address of a private network by its number, or of this machine.
pub(super) fn is_private(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| !is_public_ip(ip))
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The system's resolver, without private addresses.
#[derive(Debug)]
struct PublicAddresses;

impl Resolve for PublicAddresses {
    fn resolve(&self, name: Name) -> Resolving {
        let name = name.as_str().to_owned();
        Box::pin(async move {
            // The port of the URL replaces this one.
            let resolved = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let mut addresses: Vec<_> = resolved.collect();
            addresses.retain(|address| is_public_ip(address.ip()));
            if addresses.is_empty() {
                return Err(io::Error::other("the name has no public address").into());
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn private_addresses_are_refused_unless_allowed() {
        let hub = Url::parse("https://hub.example").unwrap();
        let (strict, open) = (Clients::new(&hub, false), Clients::new(&hub, true));
        for bad in [
            "http://203.0.113.7/m.gguf",
            "https://127.0.0.1/m.gguf",
            "https://[::1]/m.gguf",
            "https://169.254.169.254/latest/meta-data",
            "https://[::ffff:10.0.0.1]/m.gguf",
            "https://0x7f.1/m.gguf",
            "https://localhost/m.gguf",
            "https://a.localhost/m.gguf",
            "file:///etc/passwd",
        ] {
            let url = Url::parse(bad).unwrap();
            assert!(strict.check(&url).is_err(), "{bad} passed");
            assert!(open.check(&url).is_ok(), "{bad} was refused");
        }
        for good in ["https://203.0.113.7/m.gguf", "https://models.example/m.gguf?sig=1"] {
            assert!(strict.check(&Url::parse(good).unwrap()).is_ok(), "{good} was refused");
        }
        // A name that resolves to this machine.
        let error = strict.callers().unwrap().get("https://localhost:1/").send().await.unwrap_err();
        assert!(format!("{error:?}").contains("no public address"), "{error:?}");
    }
}
