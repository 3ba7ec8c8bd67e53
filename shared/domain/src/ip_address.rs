//! Addresses of the public internet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// True for an address that is reachable from everywhere: none of a private network, of the machine itself, or of a
/// cloud's metadata.
#[must_use]
pub fn is_public_ip(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

/// The ranges are those of IANA's registry that aren't reachable from everywhere; those for documentation harm nobody.
fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let is_carrier_grade_nat = a == 100 && (64..128).contains(&b);
    let is_benchmark = a == 198 && matches!(b, 18 | 19);
    let is_protocol_assignment = (a, b, c) == (192, 0, 0);
    !(ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || a == 0
        || a >= 224
        || is_carrier_grade_nat
        || is_benchmark
        || is_protocol_assignment)
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let segments = ip.segments();
    // Addresses with an IPv4 address in them: mapped, translated and compatible ones with loopback and unspecified,
    // NAT64, 6to4.
    let [.., a, b] = segments;
    let [a1, a2, b1, b2] = [a >> 8, a & 0xff, b >> 8, b & 0xff].map(|byte| byte as u8);
    let last = Ipv4Addr::new(a1, a2, b1, b2);
    match segments {
        [0, 0, 0, 0, 0, 0 | 0xffff, ..] | [0, 0, 0, 0, 0xffff, 0, ..] => is_public_v4(last),
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => is_public_v4(last),
        [0x2002, a, b, ..] => is_public_v4(Ipv4Addr::from(u32::from(a) << 16 | u32::from(b))),
        // Protocol assignments, with Teredo's tunnels.
        [0x2001, second, ..] if second < 0x200 => false,
        // The addresses that are assigned to networks. Outside of them are multicast, link-local and private ones,
        // and NAT64 prefixes of a network's own.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_in_any_form_are_not_public() {
        for (text, is_public) in [
            ("203.0.113.7", true),
            ("2001:db8::1", true),
            ("::ffff:203.0.113.7", true),
            ("10.0.0.1", false),
            ("169.254.169.254", false),
            ("100.64.0.1", false),
            ("::1", false),
            ("::ffff:10.0.0.1", false),
            ("64:ff9b::a9fe:a9fe", false),
            ("fd00:ec2::254", false),
            ("::ffff:0:127.0.0.1", false),
            ("64:ff9b:1::1", false),
            ("2001:0:1::1", false),
            ("2002:7f00:1::", false),
            ("fe80::1", false),
            ("fec0::1", false),
            ("ff02::1", false),
            ("100::1", false),
            ("2606:4700::1111", true),
        ] {
            assert_eq!(is_public_ip(text.parse().unwrap()), is_public, "{text}");
        }
    }
}
