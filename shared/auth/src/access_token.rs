//! Access tokens of logins: EdDSA JWTs (RFC 8037) that are valid for a quarter of an hour. The header names the key (`kid`)
//! that signed a token, so that tokens of an earlier key stay valid while a new one signs.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ed25519_dalek::{SigningKey, pkcs8::EncodePrivateKey as _};
use hearth_domain::{LoginId, OrganisationId, Secret, UserId};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use rand::Rng as _;
use serde::{Deserialize, Serialize};

use crate::{base62, eddsa, sha256_hex};

/// An access token expires this long after it was signed.
pub const ACCESS_TOKEN_TTL: Duration = Duration::from_secs(15 * 60);
/// Issuer and audience of access tokens: this gateway. Other gateways have other keys.
pub const ISSUER: &str = "hearth";
/// Accepted difference between the clocks of two processes of the gateway.
pub const CLOCK_SKEW_LIMIT: Duration = Duration::from_secs(10);
/// Characters of a key's id.
const KEY_ID_LEN: usize = 12;
/// Longest token that is read. Ours have about 500 characters.
const TOKEN_MAX_BYTES: usize = 4096;

/// Claims of an access token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessClaims {
    /// The issuer.
    pub iss: String,
    /// The audience.
    pub aud: String,
    /// The user.
    pub sub: UserId,
    /// The organisation in which the user acts.
    pub org: OrganisationId,
    /// The login.
    pub sid: LoginId,
    /// Seconds since 1970 at which it was signed.
    pub iat: i64,
    /// Seconds since 1970 at which it expires.
    pub exp: i64,
}

impl AccessClaims {
    /// The claims of a token that is signed at `now`, in seconds since 1970.
    #[must_use]
    pub fn new(user: UserId, organisation: OrganisationId, login: LoginId, now: i64) -> Self {
        let (iss, aud) = (ISSUER.to_owned(), ISSUER.to_owned());
        let exp = now.saturating_add_unsigned(ACCESS_TOKEN_TTL.as_secs());
        Self { iss, aud, sub: user, org: organisation, sid: login, iat: now, exp }
    }
}

/// A reason why a token is refused.
#[derive(Debug, thiserror::Error)]
pub enum AccessTokenError {
    /// The signature, a claim or the time is wrong.
    #[error("the access token isn't valid: {0}")]
    Invalid(#[from] jsonwebtoken::errors::Error),
    /// It is longer than any access token.
    #[error("the access token is too long")]
    TooLong,
    /// A key can't be read.
    #[error("the signing key can't be read")]
    Key,
}

/// A private key that signs access tokens.
#[derive(Clone)]
pub struct AccessTokenSigner {
    kid: String,
    key: EncodingKey,
    public: [u8; 32],
}

impl std::fmt::Debug for AccessTokenSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessTokenSigner").field("kid", &self.kid).finish_non_exhaustive()
    }
}

impl AccessTokenSigner {
    /// Generates a key from the system's randomness; returns it with the text to store.
    ///
    /// # Errors
    /// Never with the system's randomness: as of [`Self::from_stored`].
    pub fn generate() -> Result<(Self, Secret), AccessTokenError> {
        let mut seed = [0; 32];
        rand::rng().fill_bytes(&mut seed);
        let stored = Secret::new(BASE64_URL_SAFE_NO_PAD.encode(seed));
        Ok((Self::from_stored(&stored)?, stored))
    }

    /// The key of a stored text.
    ///
    /// # Errors
    /// If it isn't 32 bytes in base64.
    pub fn from_stored(stored: &Secret) -> Result<Self, AccessTokenError> {
        eddsa::install();
        let seed = BASE64_URL_SAFE_NO_PAD.decode(stored.expose()).map_err(|_| AccessTokenError::Key)?;
        let seed: [u8; 32] = seed.try_into().map_err(|_| AccessTokenError::Key)?;
        let key = SigningKey::from_bytes(&seed);
        let der = key.to_pkcs8_der().map_err(|_| AccessTokenError::Key)?;
        let public = key.verifying_key().to_bytes();
        // The id follows from the key, so it names this key and no other.
        let kid = sha256_hex(&public)[..KEY_ID_LEN].to_owned();
        Ok(Self { kid, key: EncodingKey::from_ed_der(der.as_bytes()), public })
    }

    /// The key's id.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The public key, base64url: the member `x` of a JWK (RFC 8037).
    #[must_use]
    pub fn public_key(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.public)
    }

    /// Signs a token.
    ///
    /// # Errors
    /// If signing fails, which a good key rules out.
    pub fn sign(&self, claims: &AccessClaims) -> Result<Secret, AccessTokenError> {
        let header = Header { kid: Some(self.kid.clone()), ..Header::new(Algorithm::EdDSA) };
        Ok(Secret::new(jsonwebtoken::encode(&header, claims, &self.key)?))
    }
}

/// A public key that verifies access tokens.
#[derive(Clone)]
pub struct AccessTokenVerifier(DecodingKey);

impl std::fmt::Debug for AccessTokenVerifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AccessTokenVerifier")
    }
}

impl AccessTokenVerifier {
    /// The verifier with an [`AccessTokenSigner::public_key`].
    ///
    /// # Errors
    /// If the key isn't 32 bytes in base64.
    pub fn new(public_key: &str) -> Result<Self, AccessTokenError> {
        eddsa::install();
        let raw = BASE64_URL_SAFE_NO_PAD.decode(public_key).map_err(|_| AccessTokenError::Key)?;
        let raw: [u8; 32] = raw.try_into().map_err(|_| AccessTokenError::Key)?;
        Ok(Self(DecodingKey::from_ed_der(&raw)))
    }

    /// Returns the claims of a valid token.
    ///
    /// # Errors
    /// If its signature, issuer, audience or time is wrong.
    pub fn verify(&self, token: &str) -> Result<AccessClaims, AccessTokenError> {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[ISSUER]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.leeway = CLOCK_SKEW_LIMIT.as_secs();
        Ok(jsonwebtoken::decode::<AccessClaims>(token, &self.0, &validation)?.claims)
    }
}

/// Reads the id of a token's key from its header, before its signature is verified: it only selects the key.
///
/// # Errors
/// If the text isn't a JWT of EdDSA with such an id, or is longer than any access token.
pub fn read_key_id(token: &str) -> Result<String, AccessTokenError> {
    if token.len() > TOKEN_MAX_BYTES {
        return Err(AccessTokenError::TooLong);
    }
    let header = jsonwebtoken::decode_header(token)?;
    header.kid.filter(|_| header.alg == Algorithm::EdDSA).ok_or(AccessTokenError::Key)
}

/// Returns a new random text of 256 bits in base62.
pub(crate) fn random_text() -> String {
    base62::random::<43>(&mut rand::rng())
}

#[cfg(test)]
mod tests;
