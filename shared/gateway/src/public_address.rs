//! Addresses outside of the gateway's own network.

use std::net::IpAddr;

use url::{Host, Url};

/// True if the gateway may connect to an address that a user has named: none of its own network.
pub(crate) fn is_public(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    let ip = match url.host() {
        Some(Host::Ipv4(ip)) => IpAddr::V4(ip),
        Some(Host::Ipv6(ip)) => ip.to_ipv4_mapped().map_or(IpAddr::V6(ip), IpAddr::V4),
        Some(Host::Domain(name)) => {
            return url.scheme() == "https" && name.contains('.') && !name.ends_with(".local");
        }
        None => return false,
    };
    let private = match ip {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            ip.is_private()
                || ip.is_loopback()
                || ip.is_link_local()
                || ip.is_unspecified()
                || ip.is_broadcast()
                || ip.is_multicast()
                || (a == 100 && (64..128).contains(&b))
        }
        IpAddr::V6(ip) => {
            ip.is_loopback()
                || ip.is_unspecified()
                || ip.is_multicast()
                || ip.is_unique_local()
                || ip.is_unicast_link_local()
        }
    };
    url.scheme() == "https" && !private
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_https_addresses_pass() {
        for good in ["https://203.0.113.7:8443", "https://node.example.org", "https://[2001:db8::1]"] {
            assert!(is_public(good), "{good} was refused");
        }
        let bad = [
            "http://203.0.113.7",
            "https://127.0.0.1",
            "https://10.1.2.3",
            "https://169.254.169.254",
            "https://[::1]",
            "https://[::ffff:10.0.0.1]",
            "https://localhost",
            "https://box.local",
            "https://100.64.0.1",
            "file:///etc",
            "x",
        ];
        for url in bad {
            assert!(!is_public(url), "{url} passed");
        }
    }
}
