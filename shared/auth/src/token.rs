//! API tokens and access keys: a prefix of four characters, 43 random base62 characters (256 bits), and a CRC-32 in six more. By the
//! checksum a secret scanner can recognise one without asking the gateway.

use std::{fmt, str::FromStr};

use crate::{base62, sha256_hex};

/// Characters of a prefix.
const PREFIX_LEN: usize = 4;
/// Characters of the random part.
const RANDOM_LEN: usize = 43;
/// Characters of the checksum.
const CHECKSUM_LEN: usize = 6;

/// A text that is neither an API token nor an access key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a credential of this kind: an API token begins with hth_, an access key with hak_, and both have 53 characters"
)]
pub struct InvalidToken;

/// Declares a kind of random credential.
macro_rules! random_credential {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq)]
        pub struct $name(String);

        impl $name {
            /// Generates a new one from the system's randomness.
            #[must_use]
            pub fn generate() -> Self {
                Self(generate($prefix))
            }

            /// Its text, to show once.
            #[must_use]
            pub fn expose(&self) -> &str {
                &self.0
            }

            /// The hash that is stored instead of the text.
            #[must_use]
            pub fn hash(&self) -> String {
                sha256_hex(self.0.as_bytes())
            }

            /// The first characters of the text: enough to distinguish several, far too few to use one.
            #[must_use]
            pub fn prefix(&self) -> &str {
                &self.0[..PREFIX_LEN + 4]
            }
        }

        impl FromStr for $name {
            type Err = InvalidToken;

            /// Checks shape and checksum, so that a mistyped text is refused without a read of the store.
            fn from_str(text: &str) -> Result<Self, InvalidToken> {
                if is_valid(text, $prefix) { Ok(Self(text.to_owned())) } else { Err(InvalidToken) }
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({}…)", stringify!($name), self.prefix())
            }
        }
    };
}

random_credential! {
    /// An API token. Its text is shown once, when it is created; only its hash is stored.
    ApiToken, "hth_"
}

random_credential! {
    /// An access key, which runs named local models. Its text is shown once, when it is created; only its hash is stored.
    AccessKey, "hak_"
}

fn generate(prefix: &str) -> String {
    let body = format!("{prefix}{}", base62::random::<RANDOM_LEN>(&mut rand::rng()));
    let checksum = base62::checksum(&body);
    body + &checksum
}

fn is_valid(text: &str, prefix: &str) -> bool {
    let is_shaped = text.len() == PREFIX_LEN + RANDOM_LEN + CHECKSUM_LEN
        && text.starts_with(prefix)
        && text.bytes().skip(PREFIX_LEN).all(|b| b.is_ascii_alphanumeric());
    is_shaped && {
        let (body, checksum) = text.split_at(text.len() - CHECKSUM_LEN);
        base62::checksum(body) == checksum
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
    fn token_is_no_access_key() {
        let (token, key) = (ApiToken::generate(), AccessKey::generate());
        assert!(key.expose().starts_with("hak_") && key.expose().len() == 53);
        assert_eq!(key.expose().parse(), Ok(key.clone()));
        assert_eq!(token.expose().parse::<AccessKey>(), Err(InvalidToken));
        assert_eq!(key.expose().parse::<ApiToken>(), Err(InvalidToken));
    }

    #[test]
    fn debug_shows_no_more_than_the_prefix() {
        let token = ApiToken::generate();
        assert!(!format!("{token:?}").contains(&token.expose()[8..]));
    }
}
