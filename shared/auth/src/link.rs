//! The node link's credentials: EdDSA JWTs (RFC 8037). The gateway signs one for each request: for one node, run, call and
//! body, and for a minute at most.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use ed25519_dalek::{SigningKey, pkcs8::EncodePrivateKey as _};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use crate::{eddsa, sha256_hex};

/// A credential expires this long after it was signed.
pub const CREDENTIAL_TTL: Duration = Duration::from_secs(60);
/// Accepted difference between the clocks of gateway and node.
const CLOCK_SKEW_LIMIT: Duration = Duration::from_secs(10);

/// The claims of a credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkClaims {
    /// The node that the call is for.
    pub aud: String,
    /// The run that the call is about; for other calls their subject.
    pub jti: String,
    /// The call: method and path, as in `POST /v1/runs`.
    pub call: String,
    /// SHA-256 of the request's body, hexadecimal.
    pub body: String,
    /// Seconds since 1970 at which it expires.
    pub exp: u64,
}

/// A reason why a credential is refused.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The signature, the audience or the time is wrong.
    #[error("the credential isn't valid for this node: {0}")]
    Invalid(#[from] jsonwebtoken::errors::Error),
    /// It was signed for another call or another body.
    #[error("the credential was signed for another request")]
    Request,
    /// The public key can't be read.
    #[error("the gateway's public key isn't 32 bytes in base64")]
    Key,
}

/// Signs the gateway's requests to nodes.
#[derive(Clone)]
pub struct LinkSigner {
    key: EncodingKey,
    public: [u8; 32],
}

impl LinkSigner {
    /// Creates a signer from an Ed25519 seed.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        eddsa::install();
        let key = SigningKey::from_bytes(seed);
        #[expect(clippy::expect_used, reason = "a fixed-size key always has a DER form")]
        let der = key.to_pkcs8_der().expect("an Ed25519 key in PKCS #8");
        Self { key: EncodingKey::from_ed_der(der.as_bytes()), public: key.verifying_key().to_bytes() }
    }

    /// The public key in base64, for the settings of a node.
    #[must_use]
    pub fn public_key(&self) -> String {
        BASE64_STANDARD.encode(self.public)
    }

    /// Signs a credential for `node`, about `jti`, for the call `call` (`POST /v1/runs`) with the body `body`.
    ///
    /// # Errors
    /// If signing fails, which a good key rules out.
    pub fn sign(&self, node: &str, jti: &str, call: &str, body: &[u8]) -> Result<String, LinkError> {
        let exp = unix_now() + CREDENTIAL_TTL.as_secs();
        let (aud, jti, call) = (node.to_owned(), jti.to_owned(), call.to_owned());
        let claims = LinkClaims { aud, jti, call, body: sha256_hex(body), exp };
        Ok(jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), &claims, &self.key)?)
    }
}

/// Verifies the gateway's requests on a node.
#[derive(Clone)]
pub struct LinkVerifier {
    key: DecodingKey,
    validation: Validation,
}

impl std::fmt::Debug for LinkVerifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LinkVerifier")
    }
}

impl LinkVerifier {
    /// Creates a verifier for the node `node`, which trusts the gateway with this [`LinkSigner::public_key`].
    ///
    /// # Errors
    /// If the key isn't 32 bytes in base64.
    pub fn new(node: &str, public_key: &str) -> Result<Self, LinkError> {
        eddsa::install();
        let raw = BASE64_STANDARD.decode(public_key.trim()).map_err(|_| LinkError::Key)?;
        let raw: [u8; 32] = raw.try_into().map_err(|_| LinkError::Key)?;
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_audience(&[node]);
        validation.set_required_spec_claims(&["exp", "aud"]);
        validation.leeway = CLOCK_SKEW_LIMIT.as_secs();
        Ok(Self { key: DecodingKey::from_ed_der(&raw), validation })
    }

    /// Returns the claims of a credential that is valid for this node, call and body.
    ///
    /// # Errors
    /// If it isn't valid.
    pub fn verify(&self, credential: &str, call: &str, body: &[u8]) -> Result<LinkClaims, LinkError> {
        let claims = jsonwebtoken::decode::<LinkClaims>(credential, &self.key, &self.validation)?.claims;
        let same = claims.body.as_bytes().ct_eq(sha256_hex(body).as_bytes());
        if claims.call == call && bool::from(same) { Ok(claims) } else { Err(LinkError::Request) }
    }
}

fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credential_is_valid_for_its_node_call_and_body_only() {
        let signer = LinkSigner::from_seed(&[7; 32]);
        let verifier = |node| LinkVerifier::new(node, &signer.public_key()).unwrap();
        let call = "POST /v1/runs";
        let credential = signer.sign("node_a", "req_1", call, b"body").unwrap();
        assert_eq!(verifier("node_a").verify(&credential, call, b"body").unwrap().jti, "req_1");
        assert!(matches!(verifier("node_a").verify(&credential, call, b"other"), Err(LinkError::Request)));
        assert!(matches!(
            verifier("node_a").verify(&credential, "GET /v1/status", b"body"),
            Err(LinkError::Request)
        ));
        assert!(matches!(verifier("node_b").verify(&credential, call, b"body"), Err(LinkError::Invalid(_))));
        let stranger = LinkSigner::from_seed(&[8; 32]).sign("node_a", "req_1", call, b"body").unwrap();
        assert!(matches!(verifier("node_a").verify(&stranger, call, b"body"), Err(LinkError::Invalid(_))));
        assert!(verifier("node_a").verify("", call, b"body").is_err());
        assert!(LinkVerifier::new("node_a", "AAAA").is_err());
    }
}
