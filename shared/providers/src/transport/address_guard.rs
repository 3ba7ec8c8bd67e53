//! The addresses that a client connects to.
//!
//! A name is resolved once for each connection, its addresses are checked, and the connection is made to one of those:
//! a name that resolves to a private address later, or to several, gains nothing. Clients follow no redirects, so that
//! no answer names a further address. Through a proxy, the proxy decides.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    task::{Context, Poll},
    vec,
};

use futures::{FutureExt as _, future::BoxFuture};
use hearth_domain::is_public_ip;
use hyper_util::client::legacy::connect::dns::Name as HyperName;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tower::Service;

/// The addresses that a client may connect to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AllowedAddresses {
    /// All.
    #[default]
    All,
    /// Addresses of the public internet: none of a private network, of this machine, or of a cloud's metadata.
    Public,
}

/// The system's resolver, with the addresses that are allowed.
#[derive(Clone)]
pub(crate) struct AddressGuard {
    allowed: AllowedAddresses,
    /// The addresses of names in a test.
    #[cfg(test)]
    names: Option<fn(&str) -> Vec<IpAddr>>,
}

impl AddressGuard {
    pub(crate) fn new(allowed: AllowedAddresses) -> Self {
        Self {
            allowed,
            #[cfg(test)]
            names: None,
        }
    }

    /// A guard with the names of a test.
    #[cfg(test)]
    pub(crate) fn with_names(self, names: fn(&str) -> Vec<IpAddr>) -> Self {
        Self { names: Some(names), ..self }
    }

    /// Checks a host that may be an address. Connectors resolve only names.
    pub(crate) fn check_host(&self, host: &str) -> io::Result<()> {
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        match host.parse::<IpAddr>() {
            Ok(ip) if !self.allows(ip) => Err(io::Error::other(format!("{ip} is no public address"))),
            _ => Ok(()),
        }
    }

    async fn resolve_name(self, name: String) -> io::Result<vec::IntoIter<SocketAddr>> {
        let addresses = self.look_up(&name).await?;
        let allowed: Vec<SocketAddr> =
            addresses.into_iter().filter(|address| self.allows(address.ip())).collect();
        if allowed.is_empty() {
            return Err(io::Error::other("the name has no public address"));
        }
        Ok(allowed.into_iter())
    }

    async fn look_up(&self, name: &str) -> io::Result<Vec<SocketAddr>> {
        #[cfg(test)]
        if let Some(names) = self.names {
            return Ok(names(name).into_iter().map(|ip| (ip, 0).into()).collect());
        }
        // The port of the URL replaces this one.
        Ok(tokio::net::lookup_host((name, 0)).await?.collect())
    }

    fn allows(&self, ip: IpAddr) -> bool {
        self.allowed == AllowedAddresses::All || is_public_ip(ip)
    }
}

impl fmt::Debug for AddressGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AddressGuard").field("allowed", &self.allowed).finish_non_exhaustive()
    }
}

/// The resolver of reqwest's clients.
impl Resolve for AddressGuard {
    fn resolve(&self, name: Name) -> Resolving {
        let resolved = self.clone().resolve_name(name.as_str().to_owned());
        Box::pin(async move { Ok(Box::new(resolved.await?) as Addrs) })
    }
}

/// The resolver of hyper's client.
impl Service<HyperName> for AddressGuard {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: HyperName) -> Self::Future {
        self.clone().resolve_name(name.as_str().to_owned()).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::VendorClient;

    fn names(name: &str) -> Vec<IpAddr> {
        let addresses: &[&str] = match name {
            "public.example" => &["203.0.113.7", "2606:4700::1"],
            "mixed.example" => &["10.0.0.1", "203.0.113.7", "::1", "169.254.169.254"],
            "metadata.example" => &["169.254.169.254"],
            "loopback.example" => &["127.0.0.1", "::1"],
            "mapped.example" => &["::ffff:10.0.0.1", "::ffff:0:127.0.0.1"],
            "nat64.example" => &["64:ff9b::a9fe:a9fe", "64:ff9b:1::1"],
            "teredo.example" => &["2001:0:1::1", "2002:7f00:1::"],
            "multicast.example" => &["224.0.0.1", "ff02::1"],
            "local.example" => &["fe80::1", "fd00:ec2::254", "100.64.0.1", "0.0.0.0"],
            _ => &[],
        };
        addresses.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[tokio::test]
    async fn name_keeps_its_public_addresses_only() {
        for (name, expected) in [
            ("public.example", "203.0.113.7 2606:4700::1"),
            ("mixed.example", "203.0.113.7"),
            ("metadata.example", ""),
            ("loopback.example", ""),
            ("mapped.example", ""),
            ("nat64.example", ""),
            ("teredo.example", ""),
            ("multicast.example", ""),
            ("local.example", ""),
            ("unknown.example", ""),
        ] {
            let guard = AddressGuard { names: Some(names), ..AddressGuard::new(AllowedAddresses::Public) };
            let resolved = guard.resolve_name(name.to_owned()).await;
            let texts: Vec<String> =
                resolved.into_iter().flatten().map(|address| address.ip().to_string()).collect();
            assert_eq!(texts.join(" "), expected, "{name}");
            let guard = AddressGuard { names: Some(names), ..AddressGuard::new(AllowedAddresses::All) };
            let count = guard.resolve_name(name.to_owned()).await.map_or(0, Iterator::count);
            assert_eq!(count, names(name).len(), "{name}");
        }
    }

    #[test]
    fn literal_address_is_checked_too() {
        let guard = AddressGuard::new(AllowedAddresses::Public);
        for host in ["203.0.113.7", "[2606:4700::1]", "name.example", "127.0.0.1.example"] {
            assert!(guard.check_host(host).is_ok(), "{host}");
        }
        for host in ["127.0.0.1", "[::1]", "169.254.169.254", "[::ffff:10.0.0.1]", "0.0.0.0"] {
            assert!(guard.check_host(host).is_err(), "{host}");
            assert!(AddressGuard::new(AllowedAddresses::All).check_host(host).is_ok(), "{host}");
        }
    }

    #[tokio::test]
    async fn neither_name_nor_address_of_this_machine_is_connected_to() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let client = VendorClient::public_only().unwrap();
        for host in ["localhost", "127.0.0.1"] {
            let request = || {
                let request = http::Request::get(format!("http://{host}:{port}/"));
                request.body(bytes::Bytes::new()).unwrap()
            };
            for error in [client.send(request()).await.err(), client.send_direct(request()).await.err()] {
                let text = format!("{:?}", error.unwrap());
                assert!(text.contains("no public address"), "{host}: {text}");
            }
        }
    }
}
