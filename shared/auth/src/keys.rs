//! The gateway's keys. Each is derived from the gateway's secret with HKDF-SHA256 (RFC 5869) under its own label, so that
//! the operator stores one secret.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use hearth_domain::Secret;
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::link::LinkSigner;

/// Minimum length of the secret, in bytes.
pub const SECRET_MIN_BYTES: usize = 32;

/// The secret is too short to derive keys from.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the gateway's secret must have at least {SECRET_MIN_BYTES} characters")]
pub struct SecretTooShort;

/// Every key that the gateway uses.
#[derive(Clone)]
pub struct Keys {
    link: LinkSigner,
    cursor: [u8; 32],
    fingerprint: [u8; 32],
    artifact: [u8; 32],
    audit: [u8; 32],
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(hidden)")
    }
}

impl Keys {
    /// Derives every key.
    ///
    /// # Errors
    /// If the secret is shorter than [`SECRET_MIN_BYTES`].
    pub fn derive(secret: &Secret) -> Result<Self, SecretTooShort> {
        if secret.expose().len() < SECRET_MIN_BYTES {
            return Err(SecretTooShort);
        }
        let hkdf = Hkdf::<Sha256>::new(None, secret.expose().as_bytes());
        let key = |label: &str| {
            let mut key = [0; 32];
            // 32 bytes is far below HKDF-SHA256's limit of 255 blocks.
            hkdf.expand(label.as_bytes(), &mut key).map(|()| key).map_err(|_| SecretTooShort)
        };
        Ok(Self {
            link: LinkSigner::from_seed(&key("hearth/node-link/ed25519/1")?),
            cursor: key("hearth/cursor/hmac/1")?,
            fingerprint: key("hearth/fingerprint/hmac/1")?,
            artifact: key("hearth/artifact/hmac/1")?,
            audit: key("hearth/audit/hmac/1")?,
        })
    }

    /// Generates a new secret from the system's randomness.
    #[must_use]
    pub fn generate_secret() -> Secret {
        Secret::new(crate::base62::random::<64>(&mut rand::rng()))
    }

    /// The signer of the gateway's requests to nodes.
    #[must_use]
    pub fn link(&self) -> &LinkSigner {
        &self.link
    }

    /// Encodes and authenticates a position in a list. The cursor is valid for the same `context` (caller and filter) only.
    #[must_use]
    pub fn seal_cursor(&self, context: &str, position: &str) -> String {
        let mut sealed = self.cursor_mac(context, position).finalize().into_bytes()[..16].to_vec();
        sealed.extend_from_slice(position.as_bytes());
        BASE64_URL_SAFE_NO_PAD.encode(sealed)
    }

    /// Decodes a cursor; `None` if it was not made with these keys for this `context`.
    #[must_use]
    pub fn open_cursor(&self, context: &str, cursor: &str) -> Option<String> {
        let sealed = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (tag, position) = sealed.split_at_checked(16)?;
        let position = std::str::from_utf8(position).ok()?;
        self.cursor_mac(context, position).verify_truncated_left(tag).ok()?;
        Some(position.to_owned())
    }

    /// Returns a keyed hash of a secret text, in 22 characters: equal texts have equal ones, and it doesn't reveal the text.
    #[must_use]
    pub fn fingerprint(&self, text: &str) -> String {
        let mut mac = mac(&self.fingerprint);
        mac.update(text.as_bytes());
        BASE64_URL_SAFE_NO_PAD.encode(&mac.finalize().into_bytes()[..16])
    }

    fn cursor_mac(&self, context: &str, position: &str) -> Hmac<Sha256> {
        let mut mac = mac(&self.cursor);
        mac.update(&(context.len() as u64).to_be_bytes());
        mac.update(context.as_bytes());
        mac.update(position.as_bytes());
        mac
    }

    /// Signs a link to the artifact `id` that expires at `expires`, in seconds since 1970.
    #[must_use]
    pub fn sign_artifact(&self, id: &str, expires: i64) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.artifact_mac(id, expires).finalize().into_bytes())
    }

    /// Returns whether a link was signed with these keys for this artifact and expiry. The caller checks whether it has
    /// expired.
    #[must_use]
    pub fn verify_artifact(&self, id: &str, expires: i64, signature: &str) -> bool {
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature);
        signature.is_ok_and(|tag| self.artifact_mac(id, expires).verify_slice(&tag).is_ok())
    }

    /// Signs a hash of the audit log.
    #[must_use]
    pub fn sign_audit(&self, hash: &str) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.audit_mac(hash).finalize().into_bytes())
    }

    /// Returns whether a hash of the audit log was signed with these keys.
    #[must_use]
    pub fn verify_audit(&self, hash: &str, signature: &str) -> bool {
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature);
        signature.is_ok_and(|tag| self.audit_mac(hash).verify_slice(&tag).is_ok())
    }

    fn audit_mac(&self, hash: &str) -> Hmac<Sha256> {
        let mut mac = mac(&self.audit);
        mac.update(hash.as_bytes());
        mac
    }

    fn artifact_mac(&self, id: &str, expires: i64) -> Hmac<Sha256> {
        let mut mac = mac(&self.artifact);
        mac.update(&expires.to_be_bytes());
        mac.update(id.as_bytes());
        mac
    }
}

fn mac(key: &[u8; 32]) -> Hmac<Sha256> {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    Hmac::<Sha256>::new_from_slice(key).expect("any key")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursor_is_valid_in_its_own_context_only() {
        let keys = Keys::derive(&Keys::generate_secret()).unwrap();
        let other = Keys::derive(&Keys::generate_secret()).unwrap();
        let cursor = keys.seal_cursor("usr_1|models|text", "tiny-chat");
        assert_eq!(keys.open_cursor("usr_1|models|text", &cursor).as_deref(), Some("tiny-chat"));
        assert_eq!(keys.open_cursor("usr_2|models|text", &cursor), None);
        assert_eq!(other.open_cursor("usr_1|models|text", &cursor), None);
        for forged in ["", "AAAA", "!!", &cursor[1..], &format!("{cursor}AA")] {
            assert_eq!(keys.open_cursor("usr_1|models|text", forged), None, "{forged:?} opened");
        }
    }

    #[test]
    fn fingerprint_depends_on_text_and_secret() {
        let (keys, other) = (Keys::generate_secret(), Keys::generate_secret());
        let of = |secret: &Secret, text: &str| Keys::derive(secret).unwrap().fingerprint(text);
        assert_eq!(of(&keys, "sk-1"), of(&keys, "sk-1"));
        assert_eq!(of(&keys, "sk-1").len(), 22);
        assert!(of(&keys, "sk-1") != of(&keys, "sk-2") && of(&keys, "sk-1") != of(&other, "sk-1"));
    }

    #[test]
    fn signature_is_valid_for_one_artifact_and_expiry() {
        let keys = Keys::derive(&Keys::generate_secret()).unwrap();
        let other = Keys::derive(&Keys::generate_secret()).unwrap();
        let signature = keys.sign_artifact("art_1", 100);
        assert!(keys.verify_artifact("art_1", 100, &signature));
        assert!(!keys.verify_artifact("art_2", 100, &signature));
        assert!(!keys.verify_artifact("art_1", 101, &signature));
        assert!(!other.verify_artifact("art_1", 100, &signature));
        for forged in ["", "AAAA", "!!", &signature[..20], &format!("{signature}AA")] {
            assert!(!keys.verify_artifact("art_1", 100, forged), "{forged:?} opened");
        }
    }

    #[test]
    fn short_secret_is_refused() {
        assert!(Keys::derive(&Secret::new("short")).is_err());
    }
}
