//! Credentials: API tokens, the keys derived from the gateway's secret, and the node link's JWTs.

#![warn(missing_docs)]

mod base62;
mod eddsa;
pub mod keys;
pub mod link;
pub mod token;

pub use keys::Keys;
pub use link::{LinkClaims, LinkError, LinkSigner, LinkVerifier};
pub use token::ApiToken;

/// Returns the SHA-256 of `bytes` in lower-case hexadecimal.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    hearth_domain::hex(sha2::Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    #[test]
    fn hash_of_abc_is_that_of_the_standard() {
        // FIPS 180-2, appendix B.1.
        let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(super::sha256_hex(b"abc"), hash);
    }
}
