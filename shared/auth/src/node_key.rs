//! A node's own Ed25519 key, by which it signs its requests to the gateway: one EdDSA JWT (RFC 8037) for each request, for this
//! call and body, and for a minute at most. The gateway has the public half since the node was enrolled.

use std::time::SystemTime;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use crate::{
    link::LinkError,
    request_credential::{
        CLOCK_SKEW_LIMIT, CREDENTIAL_TTL, CredentialSigner, CredentialVerifier, check_request, unix_seconds,
    },
    sha256_hex,
};

/// The audience of a node's credentials.
const AUDIENCE: &str = "hearth-gateway";

/// The claims of a node's credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeClaims {
    /// The node.
    pub iss: String,
    /// The gateway.
    pub aud: String,
    /// The call: method and path with its query, as in `POST /v1/node/report`, without the path that the gateway's address has.
    pub call: String,
    /// SHA-256 of the request's body, hexadecimal.
    pub body: String,
    /// Seconds since 1970 at which it expires.
    pub exp: u64,
}

/// A node's private key.
#[derive(Clone)]
pub struct NodeKey {
    signer: CredentialSigner,
    seed: zeroize::Zeroizing<[u8; 32]>,
}

impl std::fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NodeKey(hidden)")
    }
}

impl NodeKey {
    /// Generates a key from the system's randomness.
    #[must_use]
    pub fn generate() -> Self {
        Self::from_seed(&rand::random())
    }

    /// The key of a seed.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self { signer: CredentialSigner::from_seed(seed), seed: zeroize::Zeroizing::new(*seed) }
    }

    /// The seed, to store in a file that its owner alone can read.
    #[must_use]
    pub fn expose_seed(&self) -> &[u8; 32] {
        &self.seed
    }

    /// The public key in base64.
    #[must_use]
    pub fn public_key(&self) -> String {
        self.signer.public_key()
    }

    /// Signs a credential of `node` for the call `call` (`POST /v1/node/report`) with the body `body`, at `now` by the gateway's
    /// clock.
    ///
    /// # Errors
    /// If signing fails, which a good key rules out.
    pub fn sign(&self, node: &str, call: &str, body: &[u8], now: SystemTime) -> Result<String, LinkError> {
        let exp = unix_seconds(now) + CREDENTIAL_TTL.as_secs();
        let (iss, aud) = (node.to_owned(), AUDIENCE.to_owned());
        Ok(self.signer.sign(&NodeClaims { iss, aud, call: call.to_owned(), body: sha256_hex(body), exp })?)
    }
}

/// A node's public key, by which the gateway verifies its requests.
#[derive(Clone)]
pub struct NodeVerifier(CredentialVerifier);

impl std::fmt::Debug for NodeVerifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NodeVerifier")
    }
}

impl NodeVerifier {
    /// Creates a verifier for the node `node` with this [`NodeKey::public_key`].
    ///
    /// # Errors
    /// If the key isn't 32 bytes in base64.
    pub fn new(node: &str, public_key: &str) -> Result<Self, LinkError> {
        CredentialVerifier::new(public_key, AUDIENCE, Some(node)).map(Self)
    }

    /// Checks that a credential is the node's, and is for this call and body.
    ///
    /// # Errors
    /// If it isn't valid, which a wrong clock of the node may cause too.
    pub fn verify(&self, credential: &str, call: &str, body: &[u8]) -> Result<(), LinkError> {
        let claims: NodeClaims = self.0.claims(credential)?;
        // A credential that is valid for longer was signed by a clock that is ahead.
        if claims.exp > unix_seconds(SystemTime::now() + CREDENTIAL_TTL + CLOCK_SKEW_LIMIT) {
            return Err(LinkError::Invalid(jsonwebtoken::errors::ErrorKind::ExpiredSignature.into()));
        }
        check_request((&claims.call, &claims.body), call, body)
    }
}

/// The node that a credential claims to be from, before it is verified.
#[must_use]
pub fn claimed_node(credential: &str) -> Option<String> {
    let payload = credential.split('.').nth(1)?;
    let payload = BASE64_URL_SAFE_NO_PAD.decode(payload).ok()?;
    serde_json::from_slice::<NodeClaims>(&payload).ok().map(|claims| claims.iss)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const CALL: &str = "POST /v1/node/report";

    #[test]
    fn credential_is_valid_for_its_node_call_and_body_only() {
        let key = NodeKey::from_seed(&[7; 32]);
        let verifier = |node| NodeVerifier::new(node, &key.public_key()).unwrap();
        let credential = key.sign("node_a", CALL, b"body", SystemTime::now()).unwrap();
        assert_eq!(claimed_node(&credential).as_deref(), Some("node_a"));
        verifier("node_a").verify(&credential, CALL, b"body").unwrap();
        assert!(matches!(verifier("node_a").verify(&credential, CALL, b"other"), Err(LinkError::Request)));
        let other_call = verifier("node_a").verify(&credential, "GET /v1/node/orders", b"body");
        assert!(matches!(other_call, Err(LinkError::Request)));
        assert!(matches!(verifier("node_b").verify(&credential, CALL, b"body"), Err(LinkError::Invalid(_))));
        let stranger = NodeKey::generate().sign("node_a", CALL, b"body", SystemTime::now()).unwrap();
        assert!(matches!(verifier("node_a").verify(&stranger, CALL, b"body"), Err(LinkError::Invalid(_))));
    }

    #[test]
    fn credential_of_a_clock_that_is_minutes_off_is_refused() {
        let key = NodeKey::from_seed(&[7; 32]);
        let verifier = NodeVerifier::new("node_a", &key.public_key()).unwrap();
        let skew = Duration::from_secs(300);
        for now in [SystemTime::now() - skew, SystemTime::now() + skew] {
            let credential = key.sign("node_a", CALL, b"", now).unwrap();
            assert!(verifier.verify(&credential, CALL, b"").unwrap_err().is_of_time());
        }
    }

    #[test]
    fn debug_hides_the_key() {
        assert_eq!(format!("{:?}", NodeKey::generate()), "NodeKey(hidden)");
    }
}
