//! The caller of a request, and the check of permissions.

use std::{fmt, sync::Arc};

use hearth_domain::{
    AccessKeyId, Action, LoginId, MemberRole, ModelLimits, OrganisationId, Owner, Scope, ScopeSet, TeamId,
    Timestamp, TokenId, UserId,
};
use hearth_wire::{ApiError, ErrorCode};
use serde::{Deserialize, Serialize};

/// The credential of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Credential {
    /// An API token.
    Token(TokenId),
    /// An access key.
    AccessKey(AccessKeyId),
    /// An access token of a login.
    Login(LoginId),
    /// A token of an identity provider.
    Issuer,
}

/// The id, as it is logged.
impl fmt::Display for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(id) => id.fmt(f),
            Self::AccessKey(id) => id.fmt(f),
            Self::Login(id) => id.fmt(f),
            Self::Issuer => f.write_str("issuer"),
        }
    }
}

/// The caller of a request, and their permissions. A clone allocates nothing: each request has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The user who owns the credential.
    pub user: UserId,
    /// The organisation in which the user acts by the credential.
    pub organisation: OrganisationId,
    /// The user's role in the organisation.
    pub role: MemberRole,
    /// The user's teams.
    pub teams: Arc<[TeamId]>,
    /// The organisation is that of the gateway's operator.
    pub is_operator: bool,
    /// The regions in which the organisation's requests may be processed. Empty: in all.
    pub regions: Arc<[String]>,
    /// The credential.
    pub credential: Credential,
    /// The credential's scopes.
    pub scopes: ScopeSet,
    /// The models that the credential may use; none for all.
    pub models: Option<Arc<ModelLimits>>,
    /// The hash under which the credential's record is stored, if it has one: that of an API token or an access key.
    pub record_hash: Option<Arc<str>>,
    /// The time at which the credential ends.
    pub expires_at: Option<Timestamp>,
}

impl Caller {
    /// Checks a permission.
    ///
    /// # Errors
    /// `forbidden`, naming the scope or the roles.
    pub fn require(&self, action: Action) -> Result<(), ApiError> {
        let permission = action.permission();
        if matches!(self.credential, Credential::AccessKey(_)) && !permission.is_for_access_keys {
            let message =
                format!("an access key runs its models only, and doesn't allow {:?}", permission.name);
            return Err(ApiError::new(ErrorCode::Forbidden, message).with("action", permission.name));
        }
        self.require_scope(permission.scope).map_err(|error| error.with("action", permission.name))?;
        if permission.is_allowed(self.role, self.is_operator) {
            return Ok(());
        }
        let roles: Vec<&str> = permission.roles.iter().map(|role| role.as_str()).collect();
        let of = if permission.is_for_operators {
            "the gateway operator's organisation"
        } else {
            "the organisation"
        };
        let message = format!(
            "the role {:?} doesn't allow {:?}; it takes one of these roles in {of}: {}",
            self.role.as_str(),
            permission.name,
            roles.join(", ")
        );
        Err(ApiError::new(ErrorCode::Forbidden, message).with("action", permission.name))
    }

    /// Checks a scope.
    ///
    /// # Errors
    /// `forbidden`, naming the scope.
    pub fn require_scope(&self, scope: Scope) -> Result<(), ApiError> {
        if self.scopes.contains(scope) {
            return Ok(());
        }
        let message = format!("this token lacks the scope {:?}; make one that has it", scope.as_str());
        Err(ApiError::new(ErrorCode::Forbidden, message).with("scope", scope.as_str()))
    }

    /// Checks that the credential may use a model. `provider`: its provider's name, or `local` for a model of a node.
    ///
    /// # Errors
    /// `forbidden`, naming the models that it may use.
    pub fn require_model(&self, provider: &str, model: &str) -> Result<(), ApiError> {
        let Some(limits) = self.models.as_ref().filter(|limits| !limits.allow(provider, model)) else {
            return Ok(());
        };
        let message = format!(
            "this credential may not use the model {provider}:{model}; it may use: {}",
            limits.patterns().join(", ")
        );
        Err(ApiError::new(ErrorCode::Forbidden, message).at("model").with("models", limits.patterns()))
    }

    /// True if the credential may use a model.
    #[must_use]
    pub fn may_use_model(&self, provider: &str, model: &str) -> bool {
        self.models.as_ref().is_none_or(|limits| limits.allow(provider, model))
    }

    /// The owner of what the caller creates.
    #[must_use]
    pub fn owner(&self) -> Owner {
        Owner { user: self.user, organisation: self.organisation }
    }

    /// The API token, if the credential is one.
    #[must_use]
    pub fn token(&self) -> Option<TokenId> {
        match self.credential {
            Credential::Token(token) => Some(token),
            _ => None,
        }
    }

    /// The id of the credential, or of the user if it has none.
    #[must_use]
    pub fn credential_id(&self) -> String {
        match self.credential {
            Credential::Issuer => self.user.to_string(),
            credential => credential.to_string(),
        }
    }

    /// A member of an organisation with every scope, for tests.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn example() -> Self {
        let user = UserId::new();
        Self {
            user,
            organisation: OrganisationId::of_operator(user),
            role: MemberRole::Owner,
            teams: Arc::default(),
            is_operator: true,
            regions: Arc::default(),
            credential: Credential::Token(TokenId::new()),
            scopes: ScopeSet::ALL,
            models: None,
            record_hash: None,
            expires_at: None,
        }
    }
}
