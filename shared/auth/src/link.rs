//! The node link's credentials: EdDSA JWTs (RFC 8037). The gateway signs one for each request: for one node, run, call and
//! body, and for a minute at most.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::{
    request_credential::{CREDENTIAL_TTL, CredentialSigner, CredentialVerifier, check_request, unix_seconds},
    sha256_hex,
};

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

impl LinkError {
    /// True if the time is wrong: the clocks differ, or the request took too long. The signature is right.
    #[must_use]
    pub fn is_of_time(&self) -> bool {
        let Self::Invalid(error) = self else { return false };
        matches!(error.kind(), jsonwebtoken::errors::ErrorKind::ExpiredSignature)
    }
}

/// Signs the gateway's requests to nodes.
#[derive(Clone)]
pub struct LinkSigner(CredentialSigner);

impl LinkSigner {
    /// Creates a signer from an Ed25519 seed.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(CredentialSigner::from_seed(seed))
    }

    /// The public key in base64, for the settings of a node.
    #[must_use]
    pub fn public_key(&self) -> String {
        self.0.public_key()
    }

    /// Signs a credential for `node`, about `jti`, for the call `call` (`POST /v1/runs`) with the body `body`.
    ///
    /// # Errors
    /// If signing fails, which a good key rules out.
    pub fn sign(&self, node: &str, jti: &str, call: &str, body: &[u8]) -> Result<String, LinkError> {
        let exp = unix_seconds(SystemTime::now()) + CREDENTIAL_TTL.as_secs();
        let (aud, jti, call) = (node.to_owned(), jti.to_owned(), call.to_owned());
        Ok(self.0.sign(&LinkClaims { aud, jti, call, body: sha256_hex(body), exp })?)
    }
}

/// Verifies the gateway's requests on a node.
#[derive(Clone)]
pub struct LinkVerifier(CredentialVerifier);

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
        CredentialVerifier::new(public_key, node, None).map(Self)
    }

    /// Returns the claims of a credential that is valid for this node, call and body.
    ///
    /// # Errors
    /// If it isn't valid.
    pub fn verify(&self, credential: &str, call: &str, body: &[u8]) -> Result<LinkClaims, LinkError> {
        let claims: LinkClaims = self.0.claims(credential)?;
        check_request((&claims.call, &claims.body), call, body)?;
        Ok(claims)
    }
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
