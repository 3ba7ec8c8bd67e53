//! Credentials: API tokens, passwords, tokens of logins and of identity providers, the keys derived from the gateway's
//! secret, and the node link's JWTs in
//! both directions.

#![warn(missing_docs)]

pub mod access_token;
mod base62;
pub mod challenge;
mod eddsa;
pub mod issuer;
pub mod keys;
pub mod link;
pub mod node_key;
pub mod one_time_code;
pub mod password;
pub mod pkce;
pub mod refresh_token;
mod request_credential;
pub mod token;
pub mod webhook_signature;

pub use access_token::{AccessClaims, AccessTokenError, AccessTokenSigner, AccessTokenVerifier};
pub use challenge::verify_challenge;
pub use issuer::{IssuerClaims, IssuerKeys, IssuerTokenError, TokenUse, UnverifiedToken};
pub use keys::Keys;
pub use link::{LinkClaims, LinkError, LinkSigner, LinkVerifier};
pub use node_key::{NodeClaims, NodeKey, NodeVerifier};
pub use one_time_code::{CodeKind, OneTimeCode};
pub use refresh_token::RefreshToken;
pub use token::{AccessKey, ApiToken};

/// Returns the SHA-256 of `bytes` in lower-case hexadecimal.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    hearth_domain::hex(sha256(bytes))
}

/// Returns the SHA-256 of `bytes`.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).into()
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
