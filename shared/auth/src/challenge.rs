//! Signed challenges, by which the gateway checks that a node answers at an address: the node signs the gateway's nonce with its
//! own key. Unlike a credential the signature has no time, so a node whose clock is wrong passes.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

use crate::{NodeKey, link::LinkError};

/// The beginning of each signed text: it is no beginning of a JWT, which the same key signs.
const CONTEXT: &str = "hearth node challenge\n";

impl NodeKey {
    /// Signs the gateway's nonce for the node `node`; the signature is in base64.
    #[must_use]
    pub fn sign_challenge(&self, node: &str, nonce: &str) -> String {
        let key = SigningKey::from_bytes(self.expose_seed());
        BASE64_STANDARD.encode(key.sign(text(node, nonce).as_bytes()).to_bytes())
    }
}

/// Verifies the signature of the nonce by the node `node`, which has this [`NodeKey::public_key`].
///
/// # Errors
/// If the key isn't 32 bytes in base64, or the signature is another one.
pub fn verify_challenge(node: &str, public_key: &str, nonce: &str, signature: &str) -> Result<(), LinkError> {
    let decode = |text: &str| BASE64_STANDARD.decode(text.trim()).ok();
    let key: Option<[u8; 32]> = decode(public_key).and_then(|raw| raw.try_into().ok());
    let key = VerifyingKey::from_bytes(&key.ok_or(LinkError::Key)?).map_err(|_| LinkError::Key)?;
    let signature: Option<[u8; 64]> = decode(signature).and_then(|raw| raw.try_into().ok());
    let signature = Signature::from_bytes(&signature.ok_or(LinkError::Request)?);
    key.verify_strict(text(node, nonce).as_bytes(), &signature).map_err(|_| LinkError::Request)
}

fn text(node: &str, nonce: &str) -> String {
    format!("{CONTEXT}{node}\n{nonce}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signature_is_of_one_node_nonce_and_key() {
        let key = NodeKey::from_seed(&[7; 32]);
        let signature = key.sign_challenge("node_a", "nonce");
        let verify = |node: &str, key: &NodeKey, nonce: &str, signature: &str| {
            verify_challenge(node, &key.public_key(), nonce, signature).is_ok()
        };
        assert!(verify("node_a", &key, "nonce", &signature));
        assert!(!verify("node_b", &key, "nonce", &signature));
        assert!(!verify("node_a", &key, "other", &signature));
        assert!(!verify("node_a", &NodeKey::generate(), "nonce", &signature));
        assert!(!verify("node_a", &key, "nonce", "c2hvcnQ="));
        assert!(verify_challenge("node_a", "c2hvcnQ=", "nonce", &signature).is_err());
    }
}
