//! Proxies whose word the server takes for its clients' addresses.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// Addresses and networks of proxies: a text such as `127.0.0.1, 10.0.0.0/8`. Empty: none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TrustedProxies(Vec<IpNet>);

/// A text that is neither an address nor a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither an address nor a network; write such as \"127.0.0.1, 10.0.0.0/8\"")]
pub struct InvalidProxy(String);

impl TrustedProxies {
    /// Returns whether the address is one of a trusted proxy.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

impl TryFrom<String> for TrustedProxies {
    type Error = InvalidProxy;

    fn try_from(text: String) -> Result<Self, InvalidProxy> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let network = |part: &str| {
            let network = part.parse::<IpNet>().or_else(|_| part.parse::<IpAddr>().map(IpNet::from));
            network.map_err(|_| InvalidProxy(part.to_owned()))
        };
        parts.map(network).collect::<Result<_, _>>().map(Self)
    }
}

impl From<TrustedProxies> for String {
    fn from(proxies: TrustedProxies) -> Self {
        proxies.0.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_lists_addresses_and_networks() {
        let proxies = TrustedProxies::try_from("127.0.0.1, 10.0.0.0/8,fd00::/8 ,".to_owned()).unwrap();
        let contains = |address: &str| proxies.contains(address.parse().unwrap());
        assert!(contains("127.0.0.1") && contains("10.200.0.1") && contains("fd12::1"));
        assert!(!contains("127.0.0.2") && !contains("11.0.0.1") && !contains("::1"));
        assert_eq!(String::from(proxies), "127.0.0.1/32, 10.0.0.0/8, fd00::/8");
        assert!(!TrustedProxies::default().contains("127.0.0.1".parse().unwrap()));
        for bad in ["localhost", "10.0.0.0/33", "10.0.0"] {
            assert!(TrustedProxies::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
