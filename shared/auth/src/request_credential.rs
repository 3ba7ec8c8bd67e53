//! Credentials for one request each: EdDSA JWTs (RFC 8037) whose claims have its call and the hash of its body, valid for a minute.
//! The gateway signs them for a node ([`crate::link`]), and a node for its gateway ([`crate::node_key`]).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use ed25519_dalek::{SigningKey, pkcs8::EncodePrivateKey as _};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, errors::Error};
use serde::{Serialize, de::DeserializeOwned};
use subtle::ConstantTimeEq as _;

use crate::{eddsa, link::LinkError, sha256_hex};

/// A credential expires this long after it was signed.
pub(crate) const CREDENTIAL_TTL: Duration = Duration::from_secs(60);
/// Accepted difference between the clocks of gateway and node.
pub(crate) const CLOCK_SKEW_LIMIT: Duration = Duration::from_secs(10);

/// A private key that signs credentials.
#[derive(Clone)]
pub(crate) struct CredentialSigner {
    key: EncodingKey,
    public: [u8; 32],
}

impl CredentialSigner {
    /// Creates a signer from an Ed25519 seed.
    pub(crate) fn from_seed(seed: &[u8; 32]) -> Self {
        eddsa::install();
        let key = SigningKey::from_bytes(seed);
        #[expect(clippy::expect_used, reason = "a fixed-size key always has a DER form")]
        let der = key.to_pkcs8_der().expect("an Ed25519 key in PKCS #8");
        Self { key: EncodingKey::from_ed_der(der.as_bytes()), public: key.verifying_key().to_bytes() }
    }

    /// The public key in base64.
    pub(crate) fn public_key(&self) -> String {
        BASE64_STANDARD.encode(self.public)
    }

    pub(crate) fn sign(&self, claims: &impl Serialize) -> Result<String, Error> {
        jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), claims, &self.key)
    }
}

/// A public key that verifies credentials.
#[derive(Clone)]
pub(crate) struct CredentialVerifier {
    key: DecodingKey,
    validation: Validation,
}

impl CredentialVerifier {
    /// Creates a verifier of credentials for `audience`, and by `issuer` if they name one. `public_key`: 32 bytes in base64.
    pub(crate) fn new(public_key: &str, audience: &str, issuer: Option<&str>) -> Result<Self, LinkError> {
        eddsa::install();
        let raw = BASE64_STANDARD.decode(public_key.trim()).map_err(|_| LinkError::Key)?;
        let raw: [u8; 32] = raw.try_into().map_err(|_| LinkError::Key)?;
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_audience(&[audience]);
        let mut required = vec!["exp", "aud"];
        if let Some(issuer) = issuer {
            validation.set_issuer(&[issuer]);
            required.push("iss");
        }
        validation.set_required_spec_claims(&required);
        validation.leeway = CLOCK_SKEW_LIMIT.as_secs();
        Ok(Self { key: DecodingKey::from_ed_der(&raw), validation })
    }

    /// The claims of a credential whose signature, audience, issuer and time are right.
    pub(crate) fn claims<T: DeserializeOwned + Clone>(&self, credential: &str) -> Result<T, LinkError> {
        Ok(jsonwebtoken::decode::<T>(credential, &self.key, &self.validation)?.claims)
    }
}

/// Checks that a credential with the claims `claimed`, call and hash of the body, is for this request.
pub(crate) fn check_request(claimed: (&str, &str), call: &str, body: &[u8]) -> Result<(), LinkError> {
    let is_same_body = claimed.1.as_bytes().ct_eq(sha256_hex(body).as_bytes());
    if claimed.0 == call && bool::from(is_same_body) { Ok(()) } else { Err(LinkError::Request) }
}

/// Seconds from 1970 to `time`.
pub(crate) fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
