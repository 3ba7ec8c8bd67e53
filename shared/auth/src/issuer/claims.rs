//! Claims of a verified token.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};

use super::{IssuerTokenError, TokenUse};

/// Characters of a subject: OpenID Connect's limit.
const SUBJECT_MAX_CHARS: usize = 255;
/// Characters of a name or an address.
const TEXT_MAX_CHARS: usize = 200;
/// Largest number of seconds that a time can have: in the year 9987.
const TIME_MAX_SECONDS: u64 = 253_000_000_000;

/// The claims of a token whose signature, issuer, audience and times are valid.
#[derive(Clone, PartialEq, Eq)]
pub struct IssuerClaims {
    subject: String,
    expires_at: u64,
    claims: Map<String, Value>,
}

impl std::fmt::Debug for IssuerClaims {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Claims are data about a person.
        f.debug_struct("IssuerClaims").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

impl IssuerClaims {
    pub(super) fn new(claims: Map<String, Value>) -> Option<Self> {
        let subject = claims.get("sub")?.as_str()?.to_owned();
        let is_valid = !subject.is_empty() && subject.chars().count() <= SUBJECT_MAX_CHARS;
        let expires_at = seconds(claims.get("exp")?)?;
        is_valid.then_some(Self { subject, expires_at, claims })
    }

    /// Checks the claims that depend on the token's use.
    pub(super) fn check(&self, token_use: TokenUse<'_>, skew_seconds: u64) -> Result<(), IssuerTokenError> {
        let issued_at = match self.claims.get("iat") {
            Some(value) => Some(seconds(value).ok_or(IssuerTokenError::Claims)?),
            None => None,
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        if issued_at.is_some_and(|at| at > now + skew_seconds) {
            return Err(IssuerTokenError::NotYetValid);
        }
        match token_use {
            TokenUse::Bearer(audiences) => self.check_audiences(audiences),
            TokenUse::SignIn { client_id, nonce } => {
                issued_at.ok_or(IssuerTokenError::Claims)?;
                self.check_client(client_id)?;
                // A nonce on one side alone is of another request too.
                if self.claims.get("nonce").and_then(Value::as_str) == nonce {
                    Ok(())
                } else {
                    Err(IssuerTokenError::Nonce)
                }
            }
        }
    }

    fn check_audiences(&self, accepted: &[String]) -> Result<(), IssuerTokenError> {
        let is_accepted = |text: &String| accepted.contains(text);
        let valid = if self.claims.contains_key("aud") {
            self.values("aud").iter().any(is_accepted)
        } else {
            let client = self.text("azp").or_else(|| self.text("client_id"));
            client.is_some_and(|client| is_accepted(&client))
        };
        if valid { Ok(()) } else { Err(IssuerTokenError::Audience) }
    }

    /// OpenID Connect Core 3.1.3.7: the client is an audience, and the authorized party where there is one; a token with
    /// several audiences has one.
    fn check_client(&self, client_id: &str) -> Result<(), IssuerTokenError> {
        let audiences = self.values("aud");
        let party = self.claims.get("azp").map(|party| party.as_str() == Some(client_id));
        let is_party = party.unwrap_or(audiences.len() == 1);
        // Cognito's access tokens are of the same keys; a sign-in takes an ID token.
        let is_other_kind = self.claims.get("token_use").is_some_and(|kind| kind.as_str() != Some("id"));
        if audiences.iter().any(|audience| audience == client_id) && is_party && !is_other_kind {
            Ok(())
        } else {
            Err(IssuerTokenError::Audience)
        }
    }

    /// The user's id at the issuer.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The end of the token, in seconds since 1970.
    #[must_use]
    pub fn expires_at(&self) -> u64 {
        self.expires_at
    }

    /// A name to show for the user: from the claims for it, or else the subject.
    #[must_use]
    pub fn name(&self) -> String {
        let names = ["name", "preferred_username", "email", "cognito:username"];
        names.iter().find_map(|name| self.text(name)).unwrap_or_else(|| shortened(&self.subject))
    }

    /// The user's address, if the issuer says that it has verified it.
    #[must_use]
    pub fn verified_email(&self) -> Option<String> {
        let is_verified = match self.claims.get("email_verified")? {
            Value::Bool(verified) => *verified,
            // Cognito's user info has a text.
            Value::String(text) => text == "true",
            _ => false,
        };
        self.text("email").filter(|_| is_verified)
    }

    /// The texts of a claim: its one, or those of its list. Dots in a name lead into objects, unless a claim has the name.
    #[must_use]
    pub fn values(&self, claim: &str) -> Vec<String> {
        match self.find(claim) {
            Some(Value::String(text)) => vec![text.clone()],
            Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            Some(value @ (Value::Bool(_) | Value::Number(_))) => vec![value.to_string()],
            _ => Vec::new(),
        }
    }

    fn find(&self, claim: &str) -> Option<&Value> {
        if let Some(value) = self.claims.get(claim) {
            return Some(value);
        }
        let mut segments = claim.split('.');
        let mut value = self.claims.get(segments.next()?)?;
        for segment in segments {
            value = value.get(segment)?;
        }
        Some(value)
    }

    fn text(&self, claim: &str) -> Option<String> {
        let text = self.claims.get(claim)?.as_str()?.trim();
        (!text.is_empty()).then(|| shortened(text))
    }
}

/// The text without control characters, and not longer than a name.
fn shortened(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(TEXT_MAX_CHARS).collect()
}

/// A time in seconds since 1970. Some issuers write fractions.
fn seconds(value: &Value) -> Option<u64> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is checked before")]
    let whole = |number: f64| (number >= 0.0 && number <= TIME_MAX_SECONDS as f64).then_some(number as u64);
    value.as_u64().or_else(|| value.as_f64().and_then(whole)).filter(|seconds| *seconds <= TIME_MAX_SECONDS)
}
