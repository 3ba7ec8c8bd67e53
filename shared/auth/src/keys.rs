//! The gateway's keys, each derived from its one secret with HKDF-SHA256 (RFC 5869) under a label of
//! its own, so that one secret is all that an operator keeps.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use hearth_domain::Secret;
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::link::LinkSigner;

/// The least length of the secret, in bytes.
pub const MIN_SECRET_LEN: usize = 32;

/// The secret is too short to derive keys from.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the gateway's secret must have at least {MIN_SECRET_LEN} characters")]
pub struct SecretTooShort;

/// Every key that the gateway uses.
#[derive(Clone)]
pub struct Keys {
    link: LinkSigner,
    cursor: [u8; 32],
    fingerprint: [u8; 32],
    artifact: [u8; 32],
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
    /// If the secret is shorter than [`MIN_SECRET_LEN`].
    pub fn derive(secret: &Secret) -> Result<Self, SecretTooShort> {
        if secret.expose().len() < MIN_SECRET_LEN {
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
        })
    }

    /// A new secret, from the system's randomness.
    #[must_use]
    pub fn generate_secret() -> Secret {
        Secret::new(crate::base62::random::<64>(&mut rand::rng()))
    }

    /// Signs what the gateway says to nodes.
    #[must_use]
    pub fn link(&self) -> &LinkSigner {
        &self.link
    }

    /// Wraps a list's position so that only the same `context` (caller and filter) can use it.
    #[must_use]
    pub fn seal_cursor(&self, context: &str, position: &str) -> String {
        let mut sealed = self.cursor_mac(context, position).finalize().into_bytes()[..16].to_vec();
        sealed.extend_from_slice(position.as_bytes());
        BASE64_URL_SAFE_NO_PAD.encode(sealed)
    }

    /// The position in a cursor, if it was sealed here for this `context`.
    #[must_use]
    pub fn open_cursor(&self, context: &str, cursor: &str) -> Option<String> {
        let sealed = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (tag, position) = sealed.split_at_checked(16)?;
        let position = std::str::from_utf8(position).ok()?;
        self.cursor_mac(context, position).verify_truncated_left(tag).ok()?;
        Some(position.to_owned())
    }

    /// What tells a secret text from another one, and doesn't tell the text: 22 characters.
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

    /// Signs a link to the artifact `id` that ends at `expires`, in seconds since 1970.
    #[must_use]
    pub fn sign_artifact(&self, id: &str, expires: i64) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.artifact_mac(id, expires).finalize().into_bytes())
    }

    /// Whether a link was signed here for this artifact and this end. Whether it has ended is for the caller to
    /// see.
    #[must_use]
    pub fn verify_artifact(&self, id: &str, expires: i64, signature: &str) -> bool {
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature);
        signature.is_ok_and(|tag| self.artifact_mac(id, expires).verify_slice(&tag).is_ok())
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
    fn a_cursor_opens_only_in_its_own_context() {
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
    fn a_fingerprint_is_of_one_text_and_one_secret() {
        let (keys, other) = (Keys::generate_secret(), Keys::generate_secret());
        let of = |secret: &Secret, text: &str| Keys::derive(secret).unwrap().fingerprint(text);
        assert_eq!(of(&keys, "sk-1"), of(&keys, "sk-1"));
        assert_eq!(of(&keys, "sk-1").len(), 22);
        assert!(of(&keys, "sk-1") != of(&keys, "sk-2") && of(&keys, "sk-1") != of(&other, "sk-1"));
    }

    #[test]
    fn a_link_opens_one_artifact_until_one_moment() {
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
    fn a_short_secret_is_refused() {
        assert!(Keys::derive(&Secret::new("short")).is_err());
    }
}
