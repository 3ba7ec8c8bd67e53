//! Keys of the OpenID provider, and the tokens that they sign.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::{
    rand::SystemRandom,
    rsa,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair},
};
use serde_json::{Value, json};

/// Keys of RSA, which take seconds to generate. They sign in tests alone.
const RSA_KEY: &[u8] = include_bytes!("../../../shared/auth/src/issuer/test-rsa-1.pk8");

/// A key pair with an id.
pub(super) struct SigningKey {
    id: String,
    pair: Pair,
}

enum Pair {
    Rsa(Box<RsaKeyPair>),
    Ec(Box<EcdsaKeyPair>),
}

impl SigningKey {
    /// A key of RSA, for RS256.
    pub(super) fn rsa(id: &str) -> Self {
        let pair = RsaKeyPair::from_pkcs8(RSA_KEY).unwrap_or_else(|error| panic!("a key of RSA: {error}"));
        Self { id: id.to_owned(), pair: Pair::Rsa(Box::new(pair)) }
    }

    /// A new key of the curve P-256, for ES256.
    pub(super) fn ec(id: &str) -> Self {
        let (random, algorithm) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
        let key = EcdsaKeyPair::generate_pkcs8(algorithm, &random);
        let key = key.unwrap_or_else(|error| panic!("a key of P-256: {error}"));
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, key.as_ref(), &random);
        let pair = pair.unwrap_or_else(|error| panic!("a key of P-256: {error}"));
        Self { id: id.to_owned(), pair: Pair::Ec(Box::new(pair)) }
    }

    /// The header of its tokens.
    pub(super) fn header(&self) -> Value {
        let algorithm = match self.pair {
            Pair::Rsa(_) => "RS256",
            Pair::Ec(_) => "ES256",
        };
        json!({"alg": algorithm, "kid": self.id, "typ": "JWT"})
    }

    /// The public key.
    pub(super) fn jwk(&self) -> Value {
        match &self.pair {
            Pair::Rsa(pair) => {
                let public = rsa::PublicKeyComponents::<Vec<u8>>::from(pair.public());
                json!({"kty": "RSA", "kid": self.id, "use": "sig", "alg": "RS256",
                       "n": encode(public.n), "e": encode(public.e)})
            }
            Pair::Ec(pair) => {
                let point = pair.public_key().as_ref();
                json!({"kty": "EC", "kid": self.id, "use": "sig", "crv": "P-256",
                       "x": encode(&point[1..33]), "y": encode(&point[33..65])})
            }
        }
    }

    /// A token with this header and these claims.
    pub(super) fn token(&self, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
        format!("{message}.{}", encode(self.sign(message.as_bytes())))
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                let signed = pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature);
                signed.unwrap_or_else(|error| panic!("a signature: {error}"));
                signature
            }
            Pair::Ec(pair) => {
                let signature = pair.sign(&random, message);
                signature.unwrap_or_else(|error| panic!("a signature: {error}")).as_ref().to_vec()
            }
        }
    }
}

pub(super) fn encode(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}
