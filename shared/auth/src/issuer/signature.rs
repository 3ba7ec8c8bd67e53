//! Signatures by RSA and ECDSA for `jsonwebtoken`, verified by ring, which is in every program through rustls.

use ed25519_dalek::{SignatureError, Verifier};
use jsonwebtoken::{
    Algorithm, DecodingKey, DecodingKeyKind,
    crypto::JwtVerifier,
    errors::{Error, ErrorKind, new_error},
};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, EcdsaVerificationAlgorithm, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters, RsaPublicKeyComponents,
    UnparsedPublicKey,
};

/// Creates a verifier of RSA or ECDSA. RSA's keys have 2048 to 8192 bits.
pub(crate) fn create_verifier(
    algorithm: Algorithm,
    key: &DecodingKey,
) -> Result<Box<dyn JwtVerifier>, Error> {
    if algorithm_family(algorithm) != Some(key.family()) {
        return Err(new_error(ErrorKind::InvalidAlgorithm));
    }
    if let Some(parameters) = rsa(algorithm) {
        let DecodingKeyKind::RsaModulusExponent { n, e } = key.kind() else {
            return Err(new_error(ErrorKind::InvalidKeyFormat));
        };
        let key = RsaPublicKeyComponents { n: n.clone(), e: e.clone() };
        return Ok(Box::new(RsaVerifier { algorithm, parameters, key }));
    }
    let Some(curve) = ecdsa(algorithm) else { return Err(new_error(ErrorKind::InvalidAlgorithm)) };
    let key = UnparsedPublicKey::new(curve, key.try_get_as_bytes()?.to_vec());
    Ok(Box::new(EcdsaVerifier { algorithm, key }))
}

fn algorithm_family(algorithm: Algorithm) -> Option<jsonwebtoken::AlgorithmFamily> {
    use jsonwebtoken::AlgorithmFamily::{Ec, Rsa};
    [Rsa, Ec].into_iter().find(|family| family.algorithms().contains(&algorithm))
}

fn rsa(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    match algorithm {
        Algorithm::RS256 => Some(&RSA_PKCS1_2048_8192_SHA256),
        Algorithm::RS384 => Some(&RSA_PKCS1_2048_8192_SHA384),
        Algorithm::RS512 => Some(&RSA_PKCS1_2048_8192_SHA512),
        Algorithm::PS256 => Some(&RSA_PSS_2048_8192_SHA256),
        Algorithm::PS384 => Some(&RSA_PSS_2048_8192_SHA384),
        Algorithm::PS512 => Some(&RSA_PSS_2048_8192_SHA512),
        _ => None,
    }
}

fn ecdsa(algorithm: Algorithm) -> Option<&'static EcdsaVerificationAlgorithm> {
    match algorithm {
        Algorithm::ES256 => Some(&ECDSA_P256_SHA256_FIXED),
        Algorithm::ES384 => Some(&ECDSA_P384_SHA384_FIXED),
        _ => None,
    }
}

struct RsaVerifier {
    algorithm: Algorithm,
    parameters: &'static RsaParameters,
    key: RsaPublicKeyComponents<Vec<u8>>,
}

impl Verifier<Vec<u8>> for RsaVerifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), SignatureError> {
        self.key.verify(self.parameters, message, signature).map_err(|_| SignatureError::new())
    }
}

impl JwtVerifier for RsaVerifier {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

struct EcdsaVerifier {
    algorithm: Algorithm,
    key: UnparsedPublicKey<Vec<u8>>,
}

impl Verifier<Vec<u8>> for EcdsaVerifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), SignatureError> {
        self.key.verify(message, signature).map_err(|_| SignatureError::new())
    }
}

impl JwtVerifier for EcdsaVerifier {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}
