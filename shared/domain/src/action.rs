//! Permissions: one table of actions, with the scope and the roles that each takes.

use MemberRole::{Admin, Auditor, Developer, Owner, Viewer};

use crate::{MemberRole, Scope};

/// The permission that an action takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permission {
    /// The action's name, as in the OpenAPI document and the audit log.
    pub name: &'static str,
    /// The purpose of the action, as in the documentation.
    pub purpose: &'static str,
    /// The scope that a token needs.
    pub scope: Scope,
    /// The roles that may take the action.
    pub roles: &'static [MemberRole],
    /// The organisation must be that of the gateway's operator.
    pub is_for_operators: bool,
    /// An access key may take the action.
    pub is_for_access_keys: bool,
}

const EVERY_ROLE: &[MemberRole] = &MemberRole::ALL;
const MEMBERS: &[MemberRole] = &[Owner, Admin, Developer, Viewer];
const DEVELOPERS: &[MemberRole] = &[Owner, Admin, Developer];
const ADMINS: &[MemberRole] = &[Owner, Admin];
const OWNERS: &[MemberRole] = &[Owner];
const AUDITORS: &[MemberRole] = &[Owner, Auditor];
const USAGE_READERS: &[MemberRole] = &[Owner, Admin, Auditor];

/// Declares the table: for each action its purpose, name, scope and roles.
macro_rules! actions {
    ($($(#[doc = $purpose:literal])+ $action:ident: $kind:ident($name:literal, $scope:expr $(, $roles:expr)?);)+) => {
        /// An action of a caller. Each route requires one. A caller may take it if their credential has its scope, and their
        /// role in the credential's organisation is one of its roles.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Action {
            $($(#[doc = $purpose])+ $action,)+
        }

        impl Action {
            /// Every action.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$action),+];

            /// The permission: a row of the table.
            #[must_use]
            pub const fn permission(self) -> Permission {
                match self {
                    $(Self::$action => {
                        $kind($name, concat!($($purpose),+), $scope $(, $roles)?)
                    })+
                }
            }
        }
    };
}

actions! {
    /// Generate, and read, follow and cancel one's own runs.
    Generate: keys("generate", Scope::Generate, DEVELOPERS);
    /// Upload, list, read and delete one's own files, list and delete one's own artifacts, and create, read and cancel one's own
    /// batches.
    ManageFiles: members("manage_files", Scope::Generate, DEVELOPERS);
    /// Create, read, change and close one's own sessions.
    ManageSessions: members("manage_sessions", Scope::Generate, DEVELOPERS);
    /// See the schemas and templates that one may use, and render templates.
    ReadDefinitions: members("read_definitions", Scope::Generate, MEMBERS);
    /// Create, change, label and delete one's own schemas and templates, and as an administrator those that are shared.
    ManageDefinitions: members("manage_definitions", Scope::Generate, DEVELOPERS);
    /// Submit, read, follow, change and retry one's own jobs.
    ManageJobs: members("manage_jobs", Scope::Generate, DEVELOPERS);
    /// Pause and resume a kind of the organisation's jobs.
    PauseJobs: members("pause_jobs", Scope::Organisation, ADMINS);
    /// Delete one's own requests, with their outputs.
    DeleteRequests: members("delete_requests", Scope::Generate, DEVELOPERS);
    /// Delete one's own cached answers.
    DeleteCached: members("delete_cached", Scope::Generate, DEVELOPERS);
    /// See models and their state.
    ReadModels: keys("read_models", Scope::ModelsRead, MEMBERS);
    /// See the providers and their state.
    ReadProviders: members("read_providers", Scope::ModelsRead, MEMBERS);
    /// Load and unload models of the organisation's nodes.
    LoadModels: members("load_models", Scope::ModelsWrite, DEVELOPERS);
    /// Remove files of models from the organisation's nodes.
    RemoveModels: members("remove_models", Scope::ModelsWrite, ADMINS);
    /// Register models, and change their entries and the schemas of their parameters.
    ManageModels: members("manage_models", Scope::ModelsWrite, ADMINS);
    /// Download models to the nodes that one manages, and search the hub.
    DownloadModels: members("download_models", Scope::ModelsWrite, ADMINS);
    /// See the nodes that one may use, and their state.
    ReadNodes: members("read_nodes", Scope::ModelsRead, MEMBERS);
    /// Enrol nodes, and rename, share, drain and revoke one's own.
    ManageNodes: members("manage_nodes", Scope::Nodes, DEVELOPERS);
    /// Read and change one's own profile, preferences and logins.
    ManageAccount: members("manage_account", Scope::Account, EVERY_ROLE);
    /// Create, list, change and revoke one's own tokens and access keys.
    ManageTokens: members("manage_tokens", Scope::Tokens, EVERY_ROLE);
    /// Create, list, change, test and delete webhooks; those of the whole organisation: as an owner or admin.
    ManageWebhooks: members("manage_webhooks", Scope::Account, DEVELOPERS);
    /// Store and remove one's own keys of providers.
    ManageKeys: members("manage_keys", Scope::Providers, DEVELOPERS);
    /// Store and remove the organisation's and its teams' keys of providers.
    ManageOrganisationKeys: members("manage_organisation_keys", Scope::Providers, ADMINS);
    /// See the organisation, its members and its teams.
    ReadOrganisation: members("read_organisation", Scope::Organisation, MEMBERS);
    /// Invite, change and remove members, manage teams, limits, and the members' tokens.
    ManageMembers: members("manage_members", Scope::Organisation, ADMINS);
    /// Change or delete the organisation.
    ManageOrganisation: members("manage_organisation", Scope::Organisation, OWNERS);
    /// Read one's own usage.
    ReadUsage: members("read_usage", Scope::Usage, EVERY_ROLE);
    /// Read the usage of all members.
    ReadOrganisationUsage: members("read_organisation_usage", Scope::Usage, USAGE_READERS);
    /// Read the audit log of the organisation.
    ReadAudit: members("read_audit", Scope::Audit, AUDITORS);
    /// Store the keys of the gateway's providers, and its configuration.
    ManageGateway: operators("manage_gateway", Scope::Providers);
    /// See readiness, metrics, and the cache's statistics.
    Operate: operators("operate", Scope::Ops);
    /// Manage all organisations and users.
    Administer: operators("administer", Scope::Admin);
}

impl Action {
    /// The action's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.permission().name
    }
}

impl Permission {
    /// True if the role allows the action; `is_operator`: the organisation is that of the gateway's operator.
    #[must_use]
    pub fn is_allowed(&self, role: MemberRole, is_operator: bool) -> bool {
        self.roles.contains(&role) && (is_operator || !self.is_for_operators)
    }
}

/// An action of members.
const fn members(
    name: &'static str,
    purpose: &'static str,
    scope: Scope,
    roles: &'static [MemberRole],
) -> Permission {
    Permission { name, purpose, scope, roles, is_for_operators: false, is_for_access_keys: false }
}

/// An action of members that an access key may take too.
const fn keys(
    name: &'static str,
    purpose: &'static str,
    scope: Scope,
    roles: &'static [MemberRole],
) -> Permission {
    Permission { is_for_access_keys: true, ..members(name, purpose, scope, roles) }
}

/// An action of the owners and admins of the operator's organisation.
const fn operators(name: &'static str, purpose: &'static str, scope: Scope) -> Permission {
    Permission { is_for_operators: true, ..members(name, purpose, scope, ADMINS) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn owner_takes_every_action_and_operators_actions_need_their_organisation() {
        for action in Action::ALL {
            let permission = action.permission();
            assert!(permission.is_allowed(Owner, true), "{action:?}");
            assert_eq!(permission.is_allowed(Owner, false), !permission.is_for_operators, "{action:?}");
        }
        assert!(!Action::Generate.permission().is_allowed(Viewer, true));
        assert!(!Action::ReadAudit.permission().is_allowed(Admin, true));
    }

    #[test]
    fn access_key_runs_and_lists_models_only() {
        let of_keys = Action::ALL.iter().filter(|action| action.permission().is_for_access_keys);
        assert_eq!(of_keys.copied().collect::<Vec<_>>(), [Action::Generate, Action::ReadModels]);
    }

    #[test]
    fn each_action_has_a_name_of_its_own_and_a_purpose() {
        let names: BTreeSet<_> = Action::ALL.iter().map(|action| action.as_str()).collect();
        assert_eq!(names.len(), Action::ALL.len());
        assert!(Action::ALL.iter().all(|action| action.permission().purpose.trim().ends_with('.')));
    }
}
