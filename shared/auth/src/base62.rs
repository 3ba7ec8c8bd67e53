//! Base 62: digits, then upper case, then lower case. A double click selects such a text whole.

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// `N` random characters, each of the 62 equally likely.
pub(crate) fn random<const N: usize>(rng: &mut impl rand::Rng) -> String {
    use rand::RngExt as _;
    (0..N).map(|_| char::from(ALPHABET[rng.random_range(0..ALPHABET.len())])).collect()
}

/// A checksum in six characters, the most significant first: 62^6 is above 2^32.
pub(crate) fn checksum(text: &str) -> String {
    let mut rest = crc32fast::hash(text.as_bytes()) as usize;
    let mut digits = [b'0'; 6];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[rest % ALPHABET.len()];
        rest /= ALPHABET.len();
    }
    digits.iter().copied().map(char::from).collect()
}

/// 256 bits in 43 characters, the most significant first: 62^43 is above 2^256.
pub(crate) fn of_256_bits(bytes: &[u8; 32]) -> String {
    let mut rest = *bytes;
    let mut digits = [b'0'; 43];
    for digit in digits.iter_mut().rev() {
        // Long division of the number by 62: the remainder is the next digit.
        let mut remainder = 0_usize;
        for byte in &mut rest {
            let value = remainder << 8 | usize::from(*byte);
            *byte = u8::try_from(value / ALPHABET.len()).unwrap_or_default();
            remainder = value % ALPHABET.len();
        }
        *digit = ALPHABET[remainder];
    }
    digits.iter().copied().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_is_written_in_base_62() {
        let mut bytes = [0; 32];
        assert_eq!(of_256_bits(&bytes), "0".repeat(43));
        bytes[31] = 63;
        assert_eq!(of_256_bits(&bytes), format!("{}11", "0".repeat(41)));
        bytes[30] = 1;
        // 319 = 5 * 62 + 9.
        assert_eq!(of_256_bits(&bytes), format!("{}59", "0".repeat(41)));
        assert_eq!(of_256_bits(&[255; 32]).len(), 43);
        assert_ne!(of_256_bits(&[255; 32]), of_256_bits(&[254; 32]));
    }
}
