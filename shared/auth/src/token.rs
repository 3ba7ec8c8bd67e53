//! API tokens: `hth_`, 43 random base62 characters (256 bits), and a CRC-32 in six more. By the checksum a secret scanner
//! can recognise a token without asking the gateway.

use std::{fmt, str::FromStr};

use crate::{base62, sha256_hex};

const PREFIX: &str = "hth_";
/// Characters of the random part.
const RANDOM_LEN: usize = 43;
/// Characters of the checksum.
const CHECKSUM_LEN: usize = 6;

/// An API token. Its text is shown once, when it is created; only its hash is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiToken(String);

/// A text that isn't an API token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an API token: one begins with hth_ and has 53 characters")]
pub struct InvalidToken;

impl ApiToken {
    /// Generates a new token from the system's randomness.
    #[must_use]
    pub fn generate() -> Self {
        let body = format!("{PREFIX}{}", base62::random::<RANDOM_LEN>(&mut rand::rng()));
        let checksum = base62::checksum(&body);
        Self(body + &checksum)
    }

    /// The token's text, to show once.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The hash that is stored instead of the text.
    #[must_use]
    pub fn hash(&self) -> String {
        sha256_hex(self.0.as_bytes())
    }

    /// The first characters of the text: enough to distinguish tokens, far too few to use one.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.0[..PREFIX.len() + 4]
    }
}

impl FromStr for ApiToken {
    type Err = InvalidToken;

    /// Checks shape and checksum, so that a mistyped token is refused without a read of the store.
    fn from_str(text: &str) -> Result<Self, InvalidToken> {
        let shaped = text.len() == PREFIX.len() + RANDOM_LEN + CHECKSUM_LEN
            && text.starts_with(PREFIX)
            && text.bytes().skip(PREFIX.len()).all(|b| b.is_ascii_alphanumeric());
        if !shaped {
            return Err(InvalidToken);
        }
        let (body, checksum) = text.split_at(text.len() - CHECKSUM_LEN);
        if base62::checksum(body) == checksum { Ok(Self(text.to_owned())) } else { Err(InvalidToken) }
    }
}

impl fmt::Debug for ApiToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiToken({}…)", self.prefix())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_is_parsed_and_a_changed_one_is_refused() {
        let token = ApiToken::generate();
        let text = token.expose().to_owned();
        assert_eq!(text.len(), 53);
        assert_eq!(text.parse(), Ok(token.clone()));
        let mut changed = text.clone().into_bytes();
        changed[20] = if changed[20] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        for bad in ["", "hth_", "sk-abc", &changed, &text[..52], &text.replace("hth_", "htx_"), "hth_ä"] {
            assert_eq!(bad.parse::<ApiToken>(), Err(InvalidToken), "{bad:?} was accepted");
        }
    }

    #[test]
    fn debug_shows_no_more_than_the_prefix() {
        let token = ApiToken::generate();
        assert!(!format!("{token:?}").contains(&token.expose()[8..]));
    }
}
