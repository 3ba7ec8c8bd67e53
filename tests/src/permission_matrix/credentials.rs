//! Kinds of credentials, and the outcome that the table of permissions expects of each.

use hearth_auth::{AccessKey, ApiToken};
use hearth_domain::{Action, MemberRole, Scope, ScopeSet};

use super::Expected;

/// A credential of the matrix.
#[derive(Debug, Clone)]
pub struct Credential {
    /// The name of its kind, by which cells are counted.
    pub group: String,
    /// Its text; none for a request without one.
    pub text: Option<String>,
    /// Its permissions.
    pub kind: Kind,
}

/// Permissions of a credential.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// It isn't valid.
    Invalid,
    /// An access key of an owner.
    AccessKey,
    /// A token of a member.
    Token {
        /// The member's role.
        role: MemberRole,
        /// The organisation is that of the gateway's operator.
        is_operator: bool,
        /// The token's scopes.
        scopes: ScopeSet,
    },
}

impl Kind {
    /// The expected outcome of an operation with this action.
    #[must_use]
    pub fn expected(self, action: Option<Action>) -> Expected {
        let Some(permission) = action.map(Action::permission) else { return Expected::Open };
        let is_allowed = match self {
            Self::Invalid => return Expected::Unauthorized,
            Self::AccessKey => permission.is_for_access_keys,
            Self::Token { role, is_operator, scopes } => {
                scopes.contains(permission.scope) && permission.is_allowed(role, is_operator)
            }
        };
        if is_allowed { Expected::Allowed } else { Expected::Forbidden }
    }
}

/// Credentials that are not valid, and need no record.
#[must_use]
pub(super) fn invalid() -> Vec<Credential> {
    let mistyped = format!("hth_{}", "0".repeat(49));
    let (token, key) = (ApiToken::generate(), AccessKey::generate());
    let jwt = "eyJhbGciOiJFZERTQSIsImtpZCI6IngifQ.eyJzdWIiOiJ1c3IifQ.AAAA";
    [
        ("no credential", None),
        ("malformed", Some("wrong".to_owned())),
        ("malformed: another vendor's", Some("sk-0123456789".to_owned())),
        ("malformed: mistyped", Some(mistyped)),
        ("malformed: a JWT of nobody", Some(jwt.to_owned())),
        ("wrong token", Some(token.expose().to_owned())),
        ("wrong access key", Some(key.expose().to_owned())),
    ]
    .map(|(group, text)| Credential { group: group.to_owned(), text, kind: Kind::Invalid })
    .into()
}

/// Every scope but one.
pub(super) fn all_but(lacking: Scope) -> ScopeSet {
    Scope::ALL.into_iter().filter(|scope| *scope != lacking).collect()
}
