//! Hardware addresses of network cards, and the packets that wake a machine by them.

use std::fmt;

/// Repetitions of the address in a wake-up packet.
const REPETITION_COUNT: usize = 16;

/// Hardware address of a network card. As text it is such as `00:11:22:33:44:55`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MacAddress([u8; 6]);

impl MacAddress {
    /// Reads six bytes in hexadecimal with `:` or `-` between them; none for another text, and for the addresses of all zeros
    /// and of all ones, which no card has.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let separator = if text.contains('-') { '-' } else { ':' };
        let mut bytes = [0; 6];
        let mut parts = text.split(separator);
        for byte in &mut bytes {
            let part = parts.next().filter(|part| part.len() == 2 && !part.starts_with('+'))?;
            *byte = u8::from_str_radix(part, 16).ok()?;
        }
        let is_card = bytes != [0; 6] && bytes != [u8::MAX; 6];
        (parts.next().is_none() && is_card).then_some(Self(bytes))
    }

    /// Returns the packet that wakes the machine with this card: six bytes of ones, and the address 16 times
    /// (AMD, "Magic Packet Technology", 1995).
    #[must_use]
    pub fn wake_packet(self) -> Vec<u8> {
        let mut packet = vec![u8::MAX; 6];
        packet.extend(self.0.repeat(REPETITION_COUNT));
        packet
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_has_six_bytes_and_is_repeated_in_the_packet() {
        let address = MacAddress::parse("00-1A-2b-3c-4d-5E").unwrap();
        assert_eq!(address.to_string(), "00:1a:2b:3c:4d:5e");
        assert_eq!(MacAddress::parse(&address.to_string()), Some(address));
        let packet = address.wake_packet();
        assert_eq!((packet.len(), &packet[..8]), (102, &[255, 255, 255, 255, 255, 255, 0, 0x1a][..]));
        assert_eq!(packet[96..], [0, 0x1a, 0x2b, 0x3c, 0x4d, 0x5e]);
        for bad in [
            "",
            "00:11:22:33:44",
            "00:11:22:33:44:55:66",
            "00:11:22:33:44:5",
            "00:11:22:33:44:gg",
            "+0:11:22:33:44:55",
            "00:00:00:00:00:00",
            "ff:ff:ff:ff:ff:ff",
            "00:11-22:33:44:55",
        ] {
            assert_eq!(MacAddress::parse(bad), None, "{bad}");
        }
    }
}
