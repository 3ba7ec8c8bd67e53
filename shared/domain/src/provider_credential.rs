//! Stored credentials of providers: their kinds, their owners, and the payer of a run.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{OrganisationId, TeamId, UserId};

/// The kind of a stored credential of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CredentialKind {
    /// A vendor's API key.
    ApiKey,
    /// The address of a server, and its key.
    EndpointKey,
    /// An OAuth access token, which is refreshed when it ends.
    OauthToken,
    /// The key of a service account of Google, which is exchanged for access tokens.
    ServiceAccount,
}

impl CredentialKind {
    /// The kind's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ApiKey => "api_key",
            Self::EndpointKey => "endpoint_key",
            Self::OauthToken => "oauth_token",
            Self::ServiceAccount => "service_account",
        }
    }
}

/// The owner of a stored credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "type", content = "id", rename_all = "snake_case")]
pub enum CredentialOwner {
    /// A user, within one organisation.
    User(UserId),
    /// A team.
    Team(TeamId),
    /// An organisation.
    Organisation(OrganisationId),
}

impl CredentialOwner {
    /// The payer of a run that uses the owner's credential.
    #[must_use]
    pub const fn payer(self) -> Payer {
        match self {
            Self::User(_) => Payer::User,
            Self::Team(_) => Payer::Team,
            Self::Organisation(_) => Payer::Organisation,
        }
    }
}

/// The owner's id.
impl fmt::Display for CredentialOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => id.fmt(f),
            Self::Team(id) => id.fmt(f),
            Self::Organisation(id) => id.fmt(f),
        }
    }
}

/// The owner of the key by which a provider was called: the account at the provider that the run is charged to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Payer {
    /// The user.
    User,
    /// A team of the user.
    Team,
    /// The user's organisation.
    Organisation,
    /// The operator of the gateway.
    Operator,
}

impl Payer {
    /// The payer's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Team => "team",
            Self::Organisation => "organisation",
            Self::Operator => "operator",
        }
    }
}
