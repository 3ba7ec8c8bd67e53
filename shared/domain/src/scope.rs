//! Permissions of API tokens.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

/// One permission of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub enum Scope {
    /// Generate, and see and cancel one's own runs.
    #[serde(rename = "generate")]
    Generate,
    /// See the models.
    #[serde(rename = "models:read")]
    ModelsRead,
    /// Load and unload models.
    #[serde(rename = "models:write")]
    ModelsWrite,
    /// Make, list and revoke tokens.
    #[serde(rename = "tokens")]
    Tokens,
    /// Store and remove keys of providers, and the gateway's configuration.
    #[serde(rename = "providers")]
    Providers,
    /// See readiness, metrics, and the cache's statistics.
    #[serde(rename = "ops")]
    Ops,
    /// Read and change one's own profile and logins.
    #[serde(rename = "account")]
    Account,
    /// See and manage the organisation, its members and its teams.
    #[serde(rename = "organisation")]
    Organisation,
    /// Read the usage and its costs.
    #[serde(rename = "usage")]
    Usage,
    /// Read the audit log.
    #[serde(rename = "audit")]
    Audit,
    /// Manage all organisations and users.
    #[serde(rename = "admin")]
    Admin,
    /// Enrol and manage nodes.
    #[serde(rename = "nodes")]
    Nodes,
}

impl Scope {
    /// Every scope, as an owner's token has them.
    pub const ALL: [Self; 12] = [
        Self::Generate,
        Self::ModelsRead,
        Self::ModelsWrite,
        Self::Tokens,
        Self::Providers,
        Self::Ops,
        Self::Account,
        Self::Organisation,
        Self::Usage,
        Self::Audit,
        Self::Admin,
        Self::Nodes,
    ];

    /// Every scope that there was before there were accounts. A token of that time with all of them has the others too.
    pub const ALL_BEFORE_ACCOUNTS: [Self; 6] =
        [Self::Generate, Self::ModelsRead, Self::ModelsWrite, Self::Tokens, Self::Providers, Self::Ops];

    /// Every scope that there was before nodes could be enrolled. A token of that time with all of them has the others too.
    pub const ALL_BEFORE_NODES: [Self; 11] = [
        Self::Generate,
        Self::ModelsRead,
        Self::ModelsWrite,
        Self::Tokens,
        Self::Providers,
        Self::Ops,
        Self::Account,
        Self::Organisation,
        Self::Usage,
        Self::Audit,
        Self::Admin,
    ];

    /// Scopes of a token that is created without any: enough for an application.
    pub const DEFAULT: [Self; 2] = [Self::Generate, Self::ModelsRead];

    /// The name used in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Generate => "generate",
            Self::ModelsRead => "models:read",
            Self::ModelsWrite => "models:write",
            Self::Tokens => "tokens",
            Self::Providers => "providers",
            Self::Ops => "ops",
            Self::Account => "account",
            Self::Organisation => "organisation",
            Self::Usage => "usage",
            Self::Audit => "audit",
            Self::Admin => "admin",
            Self::Nodes => "nodes",
        }
    }
}

/// A set of scopes. In JSON it is a list, in the order of [`Scope::ALL`].
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct ScopeSet(u16);

impl ScopeSet {
    /// Every scope.
    pub const ALL: Self = Self::of(&Scope::ALL);

    /// The set of these scopes.
    #[must_use]
    pub const fn of(scopes: &[Scope]) -> Self {
        let (mut bits, mut index) = (0, 0);
        while index < scopes.len() {
            bits |= bit(scopes[index]);
            index += 1;
        }
        Self(bits)
    }

    /// True if the set has the scope.
    #[must_use]
    pub const fn contains(self, scope: Scope) -> bool {
        self.0 & bit(scope) != 0
    }

    /// True if the set has no scope.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The scopes of this set that `other` has too.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The scopes, in the order of [`Scope::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.contains(*scope))
    }
}

const fn bit(scope: Scope) -> u16 {
    1 << scope as u16
}

impl FromIterator<Scope> for ScopeSet {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | bit(scope)))
    }
}

impl fmt::Debug for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl Serialize for ScopeSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for ScopeSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<Scope>::deserialize(deserializer).map(|scopes| scopes.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn set_has_its_scopes_in_one_order() {
        let set: ScopeSet = [Scope::Tokens, Scope::Generate, Scope::Tokens].into_iter().collect();
        assert_eq!(set.iter().collect::<Vec<_>>(), [Scope::Generate, Scope::Tokens]);
        assert!(set.contains(Scope::Tokens) && !set.contains(Scope::Admin));
        assert_eq!(set.intersection(ScopeSet::of(&Scope::DEFAULT)), ScopeSet::of(&[Scope::Generate]));
        assert!(ScopeSet::default().is_empty() && !set.is_empty());
    }

    #[test]
    fn all_has_every_scope() {
        assert_eq!(ScopeSet::ALL.iter().count(), Scope::ALL.len());
        assert_eq!(ScopeSet::ALL, Scope::ALL.into_iter().collect());
    }
}
