//! Codes that are used once: invitations, the operator's first sign-in, new passwords. Each has a prefix for its kind, 43
//! random base62 characters (256 bits), and a checksum, as an API token has.

use std::fmt;

use hearth_domain::Secret;

use crate::{base62, sha256_hex};

/// Characters of the random part.
const RANDOM_LEN: usize = 43;
/// Characters of the checksum.
const CHECKSUM_LEN: usize = 6;

/// The kind of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeKind {
    /// Accepts an invitation.
    Invite,
    /// Gives the operator an address and a password.
    Bootstrap,
    /// Sets another password.
    PasswordReset,
    /// Enrols a node.
    NodeEnrollment,
}

impl CodeKind {
    fn prefix(self) -> &'static str {
        match self {
            Self::Invite => "hinv_",
            Self::Bootstrap => "hboot_",
            Self::PasswordReset => "hreset_",
            Self::NodeEnrollment => "hnode_",
        }
    }
}

/// A code. Its text is shown once, when it is created; only its hash is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct OneTimeCode(String);

impl OneTimeCode {
    /// Generates a code from the system's randomness.
    #[must_use]
    pub fn generate(kind: CodeKind) -> Self {
        let body = format!("{}{}", kind.prefix(), base62::random::<RANDOM_LEN>(&mut rand::rng()));
        let checksum = base62::checksum(&body);
        Self(body + &checksum)
    }

    /// Reads a code of this kind. Checks shape and checksum, so that a mistyped code is refused without a read of the store.
    #[must_use]
    pub fn parse(kind: CodeKind, text: &Secret) -> Option<Self> {
        let text = text.expose().trim();
        let rest = text.strip_prefix(kind.prefix())?;
        if rest.len() != RANDOM_LEN + CHECKSUM_LEN || !rest.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return None;
        }
        let (body, checksum) = text.split_at(text.len() - CHECKSUM_LEN);
        (base62::checksum(body) == checksum).then(|| Self(text.to_owned()))
    }

    /// The code's text, to show once.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The hash that is stored instead of the text.
    #[must_use]
    pub fn hash(&self) -> String {
        sha256_hex(self.0.as_bytes())
    }
}

impl fmt::Debug for OneTimeCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OneTimeCode(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_read_as_its_kind_only() {
        let code = OneTimeCode::generate(CodeKind::Invite);
        let text = Secret::new(format!(" {}\n", code.expose()));
        assert_eq!(OneTimeCode::parse(CodeKind::Invite, &text), Some(code.clone()));
        assert_eq!(OneTimeCode::parse(CodeKind::PasswordReset, &text), None);
        let changed = code.expose().replacen("hinv_", "hreset_", 1);
        for bad in ["", "hinv_", &code.expose()[..50], &changed, &format!("{}x", code.expose())] {
            assert_eq!(OneTimeCode::parse(CodeKind::Invite, &Secret::new(bad)), None, "{bad}");
        }
    }

    #[test]
    fn debug_hides_the_text() {
        let code = OneTimeCode::generate(CodeKind::Bootstrap);
        assert!(!format!("{code:?}").contains(&code.expose()[6..12]));
    }
}
