//! `/v1/users`: users, their profiles, passwords and consents, and their erasure.

use hearth_domain::{MemberRole, Preferences, Secret};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// User to register.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterUser {
    /// Code of an invitation, or of `hearth user bootstrap`. Needed unless the operator has opened the registration.
    #[schema(value_type = Option<String>, example = "hinv_...")]
    pub code: Option<Secret>,
    /// Address to sign in with.
    #[schema(example = "ada@example.org", max_length = 254)]
    pub email: String,
    /// Name, 1 to 100 characters.
    #[schema(example = "Ada Lovelace", min_length = 1, max_length = 100)]
    pub name: String,
    /// Password, at least 12 characters.
    #[schema(value_type = String, format = Password, min_length = 12, max_length = 512)]
    pub password: Secret,
}

/// Member to create, with a sign-in.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateUser {
    /// Address to sign in with.
    #[schema(example = "ada@example.org", max_length = 254)]
    pub email: String,
    /// Name, 1 to 100 characters.
    #[schema(example = "Ada Lovelace", min_length = 1, max_length = 100)]
    pub name: String,
    /// Password, at least 12 characters.
    #[schema(value_type = String, format = Password, min_length = 12, max_length = 512)]
    pub password: Secret,
    /// Role in the caller's organisation; at most the caller's own.
    pub role: MemberRole,
    /// Ids of teams of the organisation.
    #[serde(default)]
    pub teams: Vec<String>,
}

/// Address and password of a user who has neither.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetSignIn {
    /// Address to sign in with.
    #[schema(example = "ada@example.org", max_length = 254)]
    pub email: String,
    /// Name, 1 to 100 characters.
    #[schema(example = "Ada Lovelace", min_length = 1, max_length = 100)]
    pub name: String,
    /// Password, at least 12 characters.
    #[schema(value_type = String, format = Password, min_length = 12, max_length = 512)]
    pub password: Secret,
}

/// Change of the caller's profile. Absent fields stay.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeUser {
    /// Name, 1 to 100 characters.
    #[schema(min_length = 1, max_length = 100)]
    pub name: Option<String>,
    /// Preferences, in place of the earlier ones.
    pub preferences: Option<Preferences>,
    /// Address to sign in with. Needs `password`.
    #[schema(max_length = 254)]
    pub email: Option<String>,
    /// Present password, for a change of the address.
    #[schema(value_type = Option<String>, format = Password, max_length = 512)]
    pub password: Option<Secret>,
}

/// Change of the caller's password.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangePassword {
    /// Present password. Absent: the user has none, and signed in a few minutes ago.
    #[schema(value_type = Option<String>, format = Password, max_length = 512)]
    pub current_password: Option<Secret>,
    /// New password, at least 12 characters.
    #[schema(value_type = String, format = Password, min_length = 12, max_length = 512)]
    pub new_password: Secret,
}

/// New password for the user who has the code.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResetPassword {
    /// Code that an admin has made.
    #[schema(value_type = String, example = "hreset_...")]
    pub code: Secret,
    /// New password, at least 12 characters.
    #[schema(value_type = String, format = Password, min_length = 12, max_length = 512)]
    pub password: Secret,
}

/// Code that is used once. Its text is returned only once.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CreatedCode {
    /// The code.
    pub code: String,
    /// Its expiry, ISO 8601.
    pub expires_at: String,
}

/// A user, as they see themselves.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct UserBody {
    /// Id.
    pub id: String,
    /// Address; absent: the user has no sign-in with a password.
    pub email: Option<String>,
    /// Name.
    pub name: String,
    /// True if the user can sign in with a password.
    pub has_password: bool,
    /// Preferences.
    pub preferences: Preferences,
    /// Memberships of organisations.
    pub memberships: Vec<MembershipBody>,
    /// Time of creation, ISO 8601; absent for an operator without a profile.
    pub created_at: Option<String>,
    /// Time at which an operator disabled the user, ISO 8601.
    pub disabled_at: Option<String>,
}

/// A user's membership of an organisation.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct MembershipBody {
    /// Id of the organisation.
    pub organisation: String,
    /// Role.
    pub role: MemberRole,
    /// Ids of the teams.
    pub teams: Vec<String>,
}

/// Consent to give.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GiveConsent {
    /// Name of the document: lower-case letters, digits, `-` and `_`.
    #[schema(example = "terms", min_length = 1, max_length = 100)]
    pub document: String,
    /// Version of the document, as its publisher writes it.
    #[schema(example = "2026-01", min_length = 1, max_length = 100)]
    pub version: String,
}

/// A consent. It is never changed.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ConsentBody {
    /// Name of the document.
    pub document: String,
    /// Version of the document.
    pub version: String,
    /// Time of the consent, ISO 8601.
    pub given_at: String,
}

/// Consents of the caller, oldest first.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ConsentList {
    /// Consents.
    pub consents: Vec<ConsentBody>,
}

/// Confirmation of an erasure.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EraseUser {
    /// Present password. Absent: the user has none, and signed in a few minutes ago.
    #[schema(value_type = Option<String>, format = Password, max_length = 512)]
    pub password: Option<Secret>,
}

/// State of an erasure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErasureStatus {
    /// It goes on, also after a restart of the gateway.
    InProgress,
    /// Everything is deleted.
    Completed,
}

/// Report of an erasure.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ErasureBody {
    /// Id: `GET /v1/users/erasures/{id}` shows the report without a credential. Keep it: the user's credentials have ended.
    pub id: String,
    /// State.
    pub status: ErasureStatus,
    /// Time of the request, ISO 8601.
    pub requested_at: String,
    /// Time at which everything was deleted, ISO 8601.
    pub completed_at: Option<String>,
    /// Numbers of the deleted things so far.
    pub deleted: ErasedBody,
    /// Data that stays under the user's id, from which nothing leads to a person any more.
    pub kept: Vec<String>,
}

/// Numbers of deleted things.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
pub struct ErasedBody {
    /// Runs, with their events, texts and conversations.
    pub runs: u64,
    /// Artifacts with their files.
    pub artifacts: u64,
    /// Uploaded files.
    #[serde(default)]
    pub files: u64,
    /// Sessions with their messages.
    #[serde(default)]
    pub sessions: u64,
    /// Private schemas and templates with their versions.
    #[serde(default)]
    pub definitions: u64,
    /// Cached answers.
    pub cached_answers: u64,
    /// API tokens.
    pub tokens: u64,
    /// Other credentials: access keys, logins, provider keys, identities.
    pub credentials: u64,
    /// Nodes.
    #[serde(default)]
    pub nodes: u64,
    /// Webhooks.
    #[serde(default)]
    pub webhooks: u64,
    /// Memberships of organisations.
    pub memberships: u64,
    /// Organisations whose only member the user was.
    pub organisations: u64,
    /// Consents and other items of the profile.
    pub profile_items: u64,
}
