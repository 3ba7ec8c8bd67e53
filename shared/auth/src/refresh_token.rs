//! Refresh tokens of logins: `hrt_`, the login's id, 43 characters of base62 (256 bits), a tag of 11, and a CRC-32 in six more. A
//! login has one valid refresh token, which is replaced each time it is used.
//!
//! The tag is a MAC under a key of the login. It tells an old token, whose reuse ends the login, from a text that somebody made
//! who knows no more than the login's id.

use std::{fmt, str::FromStr};

use hearth_domain::LoginId;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use crate::{access_token::random_text, base62, sha256_hex};

const PREFIX: &str = "hrt_";
/// Characters of a ULID.
const ID_LEN: usize = 26;
/// Characters of the secret part: 62^43 is above 2^256.
const SECRET_LEN: usize = 43;
/// Characters of the tag: 65 bits.
const TAG_LEN: usize = 11;
/// Characters of the checksum.
const CHECKSUM_LEN: usize = 6;

/// A refresh token. Its text is in the response that creates it; only its hash is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct RefreshToken {
    text: String,
    login: LoginId,
}

/// A text that isn't a refresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a refresh token: one begins with hrt_")]
pub struct InvalidRefreshToken;

impl RefreshToken {
    /// Generates the first token of a login.
    #[must_use]
    pub fn generate(login: LoginId, login_key: &str) -> Self {
        Self::of(login, &random_text(), login_key)
    }

    /// The token that replaces this one. It follows from this token's text and a random `nonce`, which is stored: a client
    /// that has lost the response gets the same token again, though only its hash is stored. The nonce alone reveals
    /// nothing.
    #[must_use]
    pub fn successor(&self, nonce: &str, login_key: &str) -> Self {
        Self::of(self.login, &mac(&self.text, "hearth/refresh/1", nonce), login_key)
    }

    fn of(login: LoginId, secret: &str, login_key: &str) -> Self {
        let login_text = login.to_string();
        let id = login_text.strip_prefix(LoginId::PREFIX).unwrap_or_default();
        let body = format!("{PREFIX}{id}{secret}{}", tag(login_key, secret));
        let checksum = base62::checksum(&body);
        Self { text: body + &checksum, login }
    }

    /// Returns whether it was made with the login's key: it is, or was, a token of the login.
    #[must_use]
    pub fn is_genuine(&self, login_key: &str) -> bool {
        let start = PREFIX.len() + ID_LEN;
        let (secret, rest) = self.text[start..].split_at(SECRET_LEN);
        tag(login_key, secret).as_bytes().ct_eq(&rest.as_bytes()[..TAG_LEN]).into()
    }

    /// The token's text, for its client.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// The login that it belongs to.
    #[must_use]
    pub fn login(&self) -> LoginId {
        self.login
    }

    /// The hash that is stored instead of the text.
    #[must_use]
    pub fn hash(&self) -> String {
        sha256_hex(self.text.as_bytes())
    }
}

/// Returns a new random text, as a nonce for [`RefreshToken::successor`] or as a login's key.
#[must_use]
pub fn new_nonce() -> String {
    random_text()
}

fn tag(login_key: &str, secret: &str) -> String {
    mac(login_key, "hearth/refresh-tag/1", secret)[..TAG_LEN].to_owned()
}

/// HMAC-SHA256 of a text under a label, in base62, the least significant digits first: all of these are equally likely.
fn mac(key: &str, label: &str, text: &str) -> String {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("any key");
    mac.update(label.as_bytes());
    mac.update(&[0]);
    mac.update(text.as_bytes());
    let digits = base62::of_256_bits(&mac.finalize().into_bytes().into());
    digits.chars().rev().collect()
}

impl FromStr for RefreshToken {
    type Err = InvalidRefreshToken;

    /// Checks shape and checksum, so that a mistyped token is refused without a read of the store.
    fn from_str(text: &str) -> Result<Self, InvalidRefreshToken> {
        let is_shaped = text.len() == PREFIX.len() + ID_LEN + SECRET_LEN + TAG_LEN + CHECKSUM_LEN
            && text.starts_with(PREFIX)
            && text.bytes().skip(PREFIX.len()).all(|byte| byte.is_ascii_alphanumeric());
        if !is_shaped {
            return Err(InvalidRefreshToken);
        }
        let id = &text[PREFIX.len()..PREFIX.len() + ID_LEN];
        let login = format!("{}{id}", LoginId::PREFIX).parse().map_err(|_| InvalidRefreshToken)?;
        let (body, checksum) = text.split_at(text.len() - CHECKSUM_LEN);
        if base62::checksum(body) == checksum {
            Ok(Self { text: text.to_owned(), login })
        } else {
            Err(InvalidRefreshToken)
        }
    }
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RefreshToken({})", self.login)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_is_parsed_and_a_changed_one_is_refused() {
        let login = LoginId::new();
        let token = RefreshToken::generate(login, "key");
        let text = token.expose().to_owned();
        assert_eq!(text.parse::<RefreshToken>(), Ok(token.clone()));
        assert_eq!(token.login(), login);
        let mut changed = text.clone().into_bytes();
        changed[40] = if changed[40] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        for bad in ["", "hrt_", &changed, &text[..70], &text.replace("hrt_", "hth_"), "hrt_ä"] {
            assert_eq!(bad.parse::<RefreshToken>(), Err(InvalidRefreshToken), "{bad:?} was accepted");
        }
        assert!(!format!("{token:?}").contains(&text[34..]));
    }

    #[test]
    fn successor_follows_from_token_and_nonce() {
        let token = RefreshToken::generate(LoginId::new(), "key");
        let (nonce, other) = (new_nonce(), new_nonce());
        let successor = |token: &RefreshToken, nonce: &str| token.successor(nonce, "key");
        let next = successor(&token, &nonce);
        assert_eq!(next, successor(&token, &nonce));
        assert_eq!(next.expose().parse::<RefreshToken>().as_ref(), Ok(&next));
        assert_eq!(next.login(), token.login());
        assert!(next != successor(&token, &other) && next != token && successor(&next, &nonce) != next);
        assert_ne!(next, successor(&RefreshToken::generate(token.login(), "key"), &nonce));
    }

    #[test]
    fn token_of_another_key_is_not_genuine() {
        let token = RefreshToken::generate(LoginId::new(), "key");
        assert!(token.is_genuine("key") && token.successor("nonce", "key").is_genuine("key"));
        assert!(!token.is_genuine("other") && !token.successor("nonce", "other").is_genuine("key"));
    }
}
