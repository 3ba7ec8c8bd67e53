//! Bytes as text.

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Returns `bytes` in lower-case hexadecimal. By a table: formatting each byte costs more than a hash of them does.
#[must_use]
pub fn hex(bytes: impl AsRef<[u8]>) -> String {
    let bytes = bytes.as_ref();
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn each_byte_is_two_lower_case_digits() {
        assert_eq!(super::hex([0, 9, 10, 0x5f, 255]), "00090a5fff");
        assert_eq!(super::hex([]), "");
    }
}
