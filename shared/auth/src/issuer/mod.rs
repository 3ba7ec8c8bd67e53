//! Tokens of identity providers: JWTs (RFC 7519) that are verified by the keys of their issuer, and their claims.
//!
//! Nothing is fetched here: the gateway fetches the issuer's keys. Accepted are signatures by RSA, ECDSA and EdDSA; never
//! `none`, and never an HMAC, whose key would be the issuer's public text.

mod claims;
mod keys;
mod signature;
#[cfg(test)]
mod tests;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::eddsa;

pub use claims::IssuerClaims;
pub use keys::{InvalidKeySet, IssuerKeys};
pub(crate) use signature::create_verifier;

/// Bytes of a token. A token of a user in very many groups has some kilobytes.
pub const ISSUER_TOKEN_MAX_BYTES: usize = 16 << 10;
/// Accepted difference between the clocks of issuer and gateway, in seconds.
const CLOCK_SKEW_SECONDS: u64 = 60;

/// A use of a token, with the values that its claims must have.
#[derive(Debug, Clone, Copy)]
pub enum TokenUse<'a> {
    /// In place of an API token: one of these audiences is in `aud`. A token without `aud`, such as Cognito's access
    /// tokens, has its client in their place.
    Bearer(&'a [String]),
    /// Once, to sign in: an ID token for this client, with this nonce.
    SignIn {
        /// The client's id.
        client_id: &'a str,
        /// The nonce of the authorization request. A device flow has none.
        nonce: Option<&'a str>,
    },
}

/// A reason why a token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IssuerTokenError {
    /// It isn't a JWT.
    #[error("it isn't a JWT")]
    Malformed,
    /// It is signed by none of the accepted algorithms.
    #[error("it is signed by an algorithm that isn't accepted")]
    Algorithm,
    /// No key of the issuer has its key id.
    #[error("the issuer has no key with its key id")]
    UnknownKey,
    /// The signature is wrong.
    #[error("its signature is wrong")]
    Signature,
    /// It is of another issuer.
    #[error("it is of another issuer")]
    Issuer,
    /// It is meant for another client, or for another kind of use.
    #[error("it is meant for another audience")]
    Audience,
    /// It has expired.
    #[error("it has expired")]
    Expired,
    /// It isn't valid yet.
    #[error("it isn't valid yet")]
    NotYetValid,
    /// A claim is missing or malformed.
    #[error("one of the claims sub, exp, iat and nbf is missing or malformed")]
    Claims,
    /// It has another nonce than the sign-in.
    #[error("it is of another sign-in: its nonce is wrong")]
    Nonce,
}

/// A token whose signature hasn't been verified: enough to choose the issuer and the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnverifiedToken {
    /// The issuer that it names.
    pub issuer: String,
    header: Header,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    /// Extensions that a reader must understand; none is.
    crit: Option<Value>,
}

impl UnverifiedToken {
    /// Reads a token's header and issuer. `None`: it isn't a JWT.
    #[must_use]
    pub fn parse(token: &str) -> Option<Self> {
        if token.len() > ISSUER_TOKEN_MAX_BYTES {
            return None;
        }
        let mut parts = token.split('.');
        let (header, claims, _signature) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let header: Header = parse_part(header)?;
        let claims: Map<String, Value> = parse_part(claims)?;
        Some(Self { issuer: claims.get("iss")?.as_str()?.to_owned(), header })
    }

    /// True if one of the keys may verify the token: there is no need to fetch the keys again.
    #[must_use]
    pub fn has_key_in(&self, keys: &IssuerKeys) -> bool {
        self.algorithm()
            .is_ok_and(|algorithm| keys.of(self.header.kid.as_deref(), algorithm).next().is_some())
    }

    /// The algorithm, if it is an accepted one.
    ///
    /// # Errors
    /// `Algorithm` for `none`, an HMAC, and unknown algorithms.
    pub fn algorithm(&self) -> Result<Algorithm, IssuerTokenError> {
        match self.header.alg.as_str() {
            "RS256" => Ok(Algorithm::RS256),
            "RS384" => Ok(Algorithm::RS384),
            "RS512" => Ok(Algorithm::RS512),
            "PS256" => Ok(Algorithm::PS256),
            "PS384" => Ok(Algorithm::PS384),
            "PS512" => Ok(Algorithm::PS512),
            "ES256" => Ok(Algorithm::ES256),
            "ES384" => Ok(Algorithm::ES384),
            "EdDSA" => Ok(Algorithm::EdDSA),
            _ => Err(IssuerTokenError::Algorithm),
        }
    }

    /// True if the header names a kind of token that is accepted for the use. RFC 9068 names access tokens; other kinds,
    /// such as that of a logout, are refused.
    fn has_type_for(&self, token_use: TokenUse<'_>) -> bool {
        let Some(name) = &self.header.typ else { return true };
        let name = name.to_ascii_lowercase();
        match name.strip_prefix("application/").unwrap_or(&name) {
            "jwt" => true,
            "at+jwt" => matches!(token_use, TokenUse::Bearer(_)),
            _ => false,
        }
    }
}

/// Verifies a token of `issuer` by its keys, and returns its claims.
///
/// # Errors
/// The first check that fails.
pub fn verify(
    token: &str,
    issuer: &str,
    keys: &IssuerKeys,
    token_use: TokenUse<'_>,
) -> Result<IssuerClaims, IssuerTokenError> {
    eddsa::install();
    let unverified = UnverifiedToken::parse(token).ok_or(IssuerTokenError::Malformed)?;
    if unverified.issuer != issuer {
        return Err(IssuerTokenError::Issuer);
    }
    let algorithm = unverified.algorithm()?;
    if unverified.header.crit.is_some() {
        return Err(IssuerTokenError::Malformed);
    }
    if !unverified.has_type_for(token_use) {
        return Err(IssuerTokenError::Audience);
    }
    let candidates: Vec<&DecodingKey> = keys.of(unverified.header.kid.as_deref(), algorithm).collect();
    if candidates.is_empty() {
        return Err(IssuerTokenError::UnknownKey);
    }
    let validation = validation(algorithm, issuer);
    let mut refused = IssuerTokenError::Signature;
    for key in candidates {
        match jsonwebtoken::decode::<Map<String, Value>>(token, key, &validation) {
            Ok(data) => {
                let claims = IssuerClaims::new(data.claims).ok_or(IssuerTokenError::Claims)?;
                claims.check(token_use, CLOCK_SKEW_SECONDS)?;
                return Ok(claims);
            }
            Err(error) => refused = refusal(&error),
        }
    }
    Err(refused)
}

fn validation(algorithm: Algorithm, issuer: &str) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.leeway = CLOCK_SKEW_SECONDS;
    validation.validate_nbf = true;
    // The audience depends on the use of the token; `IssuerClaims::check` has the rule.
    validation.validate_aud = false;
    validation.set_issuer(&[issuer]);
    validation.set_required_spec_claims(&["exp", "iss", "sub"]);
    validation
}

fn refusal(error: &jsonwebtoken::errors::Error) -> IssuerTokenError {
    use jsonwebtoken::errors::ErrorKind;
    match error.kind() {
        ErrorKind::ExpiredSignature => IssuerTokenError::Expired,
        ErrorKind::ImmatureSignature => IssuerTokenError::NotYetValid,
        ErrorKind::InvalidIssuer => IssuerTokenError::Issuer,
        ErrorKind::MissingRequiredClaim(_) | ErrorKind::InvalidClaimFormat(_) => IssuerTokenError::Claims,
        ErrorKind::InvalidToken | ErrorKind::Json(_) | ErrorKind::Base64(_) => IssuerTokenError::Malformed,
        _ => IssuerTokenError::Signature,
    }
}

fn parse_part<T: serde::de::DeserializeOwned>(part: &str) -> Option<T> {
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}
