//! The keys of an issuer: a JSON Web Key Set (RFC 7517).

use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

/// Keys of a set. Issuers have two or three, and large ones about ten.
const KEYS_MAX_COUNT: usize = 100;

/// A text that isn't a set of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it isn't a JSON Web Key Set of at most {KEYS_MAX_COUNT} keys")]
pub struct InvalidKeySet;

/// The keys of an issuer that can verify its signatures.
#[derive(Debug, Clone, Default)]
pub struct IssuerKeys(Vec<IssuerKey>);

#[derive(Debug, Clone)]
struct IssuerKey {
    id: Option<String>,
    /// The one algorithm that the key is for, if the issuer says so.
    algorithm: Option<String>,
    kind: KeyKind,
    key: DecodingKey,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeyKind {
    Rsa,
    P256,
    P384,
    Ed25519,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl IssuerKeys {
    /// Reads a set. Keys for encryption, and of kinds that aren't accepted, are left out.
    ///
    /// # Errors
    /// If it is no set, or has too many keys.
    pub fn parse(json: &[u8]) -> Result<Self, InvalidKeySet> {
        let set: KeySet = serde_json::from_slice(json).map_err(|_| InvalidKeySet)?;
        if set.keys.len() > KEYS_MAX_COUNT {
            return Err(InvalidKeySet);
        }
        let keys = set.keys.into_iter().filter_map(|key| {
            let jwk: Jwk = serde_json::from_value(key).ok()?;
            jwk.usage.as_deref().is_none_or(|usage| usage == "sig").then(|| jwk.into_key())?
        });
        Ok(Self(keys.collect()))
    }

    /// The number of keys.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The keys for an algorithm: that of the id, or all if the token names none.
    pub(super) fn of(&self, id: Option<&str>, algorithm: Algorithm) -> impl Iterator<Item = &DecodingKey> {
        let keys = self.0.iter().filter(move |key| {
            let has_id = id.is_none() || key.id.as_deref() == id;
            has_id && key.kind.verifies(algorithm) && key.is_for(algorithm)
        });
        keys.map(|key| &key.key)
    }
}

impl IssuerKey {
    fn is_for(&self, algorithm: Algorithm) -> bool {
        self.algorithm.as_ref().is_none_or(|name| *name == format!("{algorithm:?}"))
    }
}

impl KeyKind {
    fn verifies(self, algorithm: Algorithm) -> bool {
        match self {
            Self::Rsa => AlgorithmFamily::Rsa.algorithms().contains(&algorithm),
            Self::P256 => algorithm == Algorithm::ES256,
            Self::P384 => algorithm == Algorithm::ES384,
            Self::Ed25519 => algorithm == Algorithm::EdDSA,
        }
    }
}

impl Jwk {
    fn into_key(self) -> Option<IssuerKey> {
        let (kind, key) = match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => (KeyKind::Rsa, DecodingKey::from_rsa_components(&self.n?, &self.e?)),
            ("EC", Some("P-256")) => (KeyKind::P256, DecodingKey::from_ec_components(&self.x?, &self.y?)),
            ("EC", Some("P-384")) => (KeyKind::P384, DecodingKey::from_ec_components(&self.x?, &self.y?)),
            ("OKP", Some("Ed25519")) => (KeyKind::Ed25519, DecodingKey::from_ed_components(&self.x?)),
            _ => return None,
        };
        Some(IssuerKey { id: self.kid, algorithm: self.alg, kind, key: key.ok()? })
    }
}
