//! Proof Key for Code Exchange (RFC 7636): binds an authorization code to the client that has asked for it.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use hearth_domain::Secret;
use sha2::{Digest as _, Sha256};

use crate::base62;

/// Characters of a verifier. RFC 7636 asks for 43 at least.
const VERIFIER_LEN: usize = 64;

/// A verifier with its challenge, by the method S256.
#[derive(Debug)]
pub struct Pkce {
    /// The verifier, which is sent with the code.
    pub verifier: Secret,
    /// The challenge, which is sent with the authorization request.
    pub challenge: String,
}

impl Pkce {
    /// Generates a verifier from the system's randomness.
    #[must_use]
    pub fn generate() -> Self {
        let verifier = base62::random::<VERIFIER_LEN>(&mut rand::rng());
        let challenge = challenge(&verifier);
        Self { verifier: Secret::new(verifier), challenge }
    }
}

/// A random text that nobody can guess, such as for the state and the nonce of an authorization request.
#[must_use]
pub fn random_text() -> String {
    base62::random::<32>(&mut rand::rng())
}

fn challenge(verifier: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenge_is_that_of_the_standard() {
        // RFC 7636, appendix B.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert_eq!(challenge(verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        let (one, two) = (Pkce::generate(), Pkce::generate());
        assert_eq!(one.challenge, challenge(one.verifier.expose()));
        assert!(one.verifier != two.verifier && random_text() != random_text());
    }
}
