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
