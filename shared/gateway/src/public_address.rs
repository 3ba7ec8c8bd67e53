//! Addresses outside of the gateway's own network.

use hearth_domain::is_public_ip;
use url::{Host, Url};

/// Names that no public name server has, beside all names below them.
const PRIVATE_DOMAINS: [&str; 4] = ["localhost", "local", "internal", "home.arpa"];

/// True if the gateway may connect to an address that a user has named: none of its own network. The URL's parser has
/// turned other forms of an IPv4 address, such as `0x7f.1`, into four numbers.
pub(crate) fn is_public(url: &str) -> bool {
    has_public_host(url) && Url::parse(url).is_ok_and(|url| url.scheme() == "https")
}

/// True if the host of an address is outside of the gateway's own network.
pub(crate) fn has_public_host(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    match url.host() {
        Some(Host::Ipv4(ip)) => is_public_ip(ip.into()),
        Some(Host::Ipv6(ip)) => is_public_ip(ip.into()),
        Some(Host::Domain(name)) => is_public_name(name),
        None => false,
    }
}

fn is_public_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_below = |domain: &str| name.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
    name.contains('.') && !PRIVATE_DOMAINS.iter().any(|domain| name == *domain || is_below(domain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_https_addresses_pass() {
        for good in [
            "https://203.0.113.7:8443",
            "https://node.example.org",
            "https://node.example.org.",
            "https://mylocal.internal.example.org",
            "https://[2001:db8::1]",
            "https://[::ffff:203.0.113.7]",
        ] {
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
            "https://localhost.",
            "https://a.localhost",
            "https://box.local",
            "https://box.local.",
            "https://BOX.Local",
            "https://metadata.google.internal",
            "https://ip-10-0-0-1.ec2.internal.",
            "https://router.home.arpa",
            "https://internal",
            "https://2130706433",
            "https://0x7f.1",
            "https://0177.0.0.1",
            "https://127.0.0.1.",
            "https://0.0.0.0",
            "https://0.1.2.3",
            "https://255.255.255.255",
            "https://198.18.0.1",
            "https://[::]",
            "https://[::127.0.0.1]",
            "https://[::ffff:169.254.169.254]",
            "https://[64:ff9b::a9fe:a9fe]",
            "https://[2002:a00:1::]",
            "https://[fe80::1]",
            "https://[fd00:ec2::254]",
            "https://[fec0::1]",
            "https://100.64.0.1",
            "file:///etc",
            "x",
        ];
        for url in bad {
            assert!(!is_public(url), "{url} passed");
        }
    }
}
