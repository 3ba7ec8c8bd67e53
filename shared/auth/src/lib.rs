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

/// The SHA-256 of `bytes` in lower-case hexadecimal.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    use std::fmt::Write as _;
    sha2::Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Writing to a String can't fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
