//! Ed25519 signatures for `jsonwebtoken`.
//!
//! The crate's own provider of RustCrypto also brings RSA and the NIST curves: 40 packages for algorithms that no
//! credential of Hearth uses. This one signs and verifies EdDSA (RFC 8037) by `ed25519-dalek`. Signatures of identity
//! providers, by RSA and ECDSA, are verified by ring ([`crate::issuer`]). Any other algorithm is refused.

use ed25519_dalek::{
    Signature, SignatureError, Signer, SigningKey, Verifier, VerifyingKey, pkcs8::DecodePrivateKey as _,
};
use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey, EncodingKey,
    crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils},
    errors::{Error, ErrorKind, new_error},
};

use crate::issuer;

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: create_signer,
    verifier_factory: create_verifier,
    key_utils: KeyUtils::new_unimplemented(),
};

/// Registers EdDSA with `jsonwebtoken`. Call it before the first signature or verification. Later calls do nothing.
pub(crate) fn install() {
    // An error says that a provider is installed already.
    let _already_installed = PROVIDER.install_default();
}

fn create_signer(algorithm: &Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>, Error> {
    require_eddsa(*algorithm, key.family())?;
    let key =
        SigningKey::from_pkcs8_der(key.as_bytes()).map_err(|_| new_error(ErrorKind::InvalidEddsaKey))?;
    Ok(Box::new(EdDsaSigner(key)))
}

fn create_verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>, Error> {
    if matches!(key.family(), AlgorithmFamily::Rsa | AlgorithmFamily::Ec) {
        return issuer::create_verifier(*algorithm, key);
    }
    require_eddsa(*algorithm, key.family())?;
    let key = VerifyingKey::try_from(key.try_get_as_bytes()?);
    Ok(Box::new(EdDsaVerifier(key.map_err(|_| new_error(ErrorKind::InvalidEddsaKey))?)))
}

fn require_eddsa(algorithm: Algorithm, family: AlgorithmFamily) -> Result<(), Error> {
    if algorithm == Algorithm::EdDSA && family == AlgorithmFamily::Ed {
        Ok(())
    } else {
        Err(new_error(ErrorKind::InvalidAlgorithm))
    }
}

struct EdDsaSigner(SigningKey);

impl Signer<Vec<u8>> for EdDsaSigner {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, SignatureError> {
        let signature: Signature = self.0.try_sign(message)?;
        Ok(signature.to_vec())
    }
}

impl JwtSigner for EdDsaSigner {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDSA
    }
}

struct EdDsaVerifier(VerifyingKey);

impl Verifier<Vec<u8>> for EdDsaVerifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), SignatureError> {
        self.0.verify_strict(message, &Signature::from_slice(signature)?)
    }
}

impl JwtVerifier for EdDsaVerifier {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDSA
    }
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{Header, Validation};
    use serde_json::{Value, json};

    use super::*;

    /// The key, header and signature of RFC 8037, appendix A.4.
    #[test]
    fn signature_matches_rfc_8037() {
        install();
        let public = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        let token = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.\
                     hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
        let (message, signature) = token.rsplit_once('.').unwrap();
        let key = DecodingKey::from_ed_components(public).unwrap();
        let verify = |message: &str| {
            jsonwebtoken::crypto::verify(signature, message.as_bytes(), &key, Algorithm::EdDSA).unwrap()
        };
        assert!(verify(message));
        assert!(!verify("eyJhbGciOiJFZERTQSJ9.RXhhbXBsZQ"));
    }

    #[test]
    fn other_algorithms_are_refused() {
        install();
        let secret = EncodingKey::from_secret(b"secret");
        let error = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &json!({}), &secret).unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::InvalidAlgorithm);
        let token = "eyJhbGciOiJIUzI1NiJ9.e30.AAAA";
        let validation = Validation::new(Algorithm::HS256);
        let key = DecodingKey::from_secret(b"secret");
        assert!(jsonwebtoken::decode::<Value>(token, &key, &validation).is_err());
    }
}
