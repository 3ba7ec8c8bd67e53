//! Address of the client: of the connection's peer at home, of API Gateway's request context in the cloud. A header that a
//! client can set decides nothing.

use std::{convert::Infallible, net::IpAddr};

use axum::extract::FromRequestParts;
use http::{HeaderMap, request::Parts};

/// Address of the client, if it is known. The server puts it into the request's extensions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClientAddress(pub Option<IpAddr>);

impl ClientAddress {
    /// Address of the client of a connection from `peer`. If the operator trusts the peer as a proxy, the address is the last
    /// one of `x-forwarded-for` that isn't of a trusted proxy: a proxy appends the address that it was called from, and what
    /// stands before it is the client's own text.
    #[must_use]
    pub fn of_connection(peer: IpAddr, headers: &HeaderMap, is_trusted: impl Fn(IpAddr) -> bool) -> Self {
        let peer = peer.to_canonical();
        if !is_trusted(peer) {
            return Self(Some(peer));
        }
        let mut nearest = peer;
        let lines: Vec<&str> =
            headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok()).collect();
        for text in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
            // After a text that is no address, nothing is trustworthy.
            let Ok(address) = text.trim().parse::<IpAddr>() else { break };
            nearest = address.to_canonical();
            if !is_trusted(nearest) {
                break;
            }
        }
        Self(Some(nearest))
    }

    /// Address as text, for records; none if it is unknown.
    #[must_use]
    pub fn text(self) -> Option<String> {
        self.0.map(|address| address.to_string())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ClientAddress {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().copied().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_counts_only_behind_a_trusted_proxy() {
        let trusted = |address: IpAddr| address.to_string().starts_with("10.");
        for (peer, header, expected) in [
            ("203.0.113.7", "", "203.0.113.7"),
            ("203.0.113.7", "198.51.100.1", "203.0.113.7"),
            ("::ffff:203.0.113.7", "", "203.0.113.7"),
            ("10.0.0.1", "", "10.0.0.1"),
            ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
            ("10.0.0.1", "192.0.2.9, 198.51.100.1", "198.51.100.1"),
            ("10.0.0.1", "192.0.2.9, 198.51.100.1, 10.0.0.2", "198.51.100.1"),
            ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
            ("10.0.0.1", "198.51.100.1, unknown", "10.0.0.1"),
            ("10.0.0.1", "2001:db8::1", "2001:db8::1"),
        ] {
            let mut headers = HeaderMap::new();
            if !header.is_empty() {
                headers.insert("x-forwarded-for", header.parse().unwrap());
            }
            let address = ClientAddress::of_connection(peer.parse().unwrap(), &headers, trusted);
            assert_eq!(address.text().as_deref(), Some(expected), "{peer} {header:?}");
        }
    }

    #[test]
    fn last_line_of_the_header_is_the_proxys() {
        let mut headers = HeaderMap::new();
        headers.append("x-forwarded-for", "192.0.2.9".parse().unwrap());
        headers.append("x-forwarded-for", "198.51.100.1".parse().unwrap());
        let trusted = |address: IpAddr| address.is_loopback();
        let address = ClientAddress::of_connection("127.0.0.1".parse().unwrap(), &headers, trusted);
        assert_eq!(address.text().as_deref(), Some("198.51.100.1"));
    }
}
