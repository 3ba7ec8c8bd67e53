//! Bodies that create and change schemas and templates.

use hearth_domain::{SemanticVersion, TeamId, VersionChange, Visibility};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::TemplateContent;

/// Declares the body that creates a definition, and the body that adds a version. `flatten` would hide the names of fields in
/// errors.
macro_rules! definition_requests {
    (
        $(#[doc = $create_doc:literal])* $create:ident,
        $(#[doc = $update_doc:literal])* $update:ident,
        $(#[$attribute:meta])* $content:ident: $type:ty, $example:tt
    ) => {
        $(#[doc = $create_doc])*
        #[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $create {
            /// Name, in lower case: letters, digits, and between them `-`, `_` and `.`; at most 64 characters. It never changes.
            #[schema(example = $example)]
            pub name: String,
            $(#[$attribute])*
            pub $content: $type,
            /// Purpose, at most 1,000 characters.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub description: Option<String>,
            /// Words to find it by, at most 16.
            #[serde(default, skip_serializing_if = "Vec::is_empty")]
            #[schema(example = json!(["finance"]))]
            pub tags: Vec<String>,
            /// `private` (the default), `team`, `organisation` or `public`. Only an owner or an admin of the organisation may
            /// publish.
            #[serde(default)]
            #[schema(value_type = String, example = "private")]
            pub visibility: Visibility,
            /// With `visibility: team`: the team.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schema(value_type = Option<String>)]
            pub team: Option<TeamId>,
            /// Number of the first version; absent: 1.0.0.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schema(value_type = Option<String>, example = "1.0.0")]
            pub version: Option<SemanticVersion>,
            /// Note on this version, at most 1,000 characters.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub message: Option<String>,
        }

        $(#[doc = $update_doc])*
        #[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $update {
            $(#[$attribute])*
            pub $content: $type,
            /// Size of the change: `patch`, `minor` or `major`. Absent: it follows from the comparison with the latest version. A
            /// size that is too small for the change is refused.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schema(value_type = Option<String>, example = "minor")]
            pub change: Option<VersionChange>,
            /// Number of the version, in place of `change`; later than the latest one.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schema(value_type = Option<String>)]
            pub version: Option<SemanticVersion>,
            /// Latest version that the change follows on: another one is a conflict. Absent: any.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schema(value_type = Option<String>)]
            pub expected_version: Option<SemanticVersion>,
            /// True to take a `change` or `version` that is too small for the change.
            #[serde(default, skip_serializing_if = "std::ops::Not::not")]
            pub force: bool,
            /// Note on this version, at most 1,000 characters.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub message: Option<String>,
        }

        impl $create {
            /// The content, and the fields that schemas and templates share.
            #[must_use]
            pub fn into_parts(self) -> ($type, NewDefinition) {
                let Self { name, $content, description, tags, visibility, team, version, message } = self;
                let definition = NewDefinition { name, description, tags, visibility, team, version, message };
                ($content, definition)
            }
        }

        impl $update {
            /// The content, and the fields that schemas and templates share.
            #[must_use]
            pub fn into_parts(self) -> ($type, NewVersion) {
                let Self { $content, change, version, expected_version, force, message } = self;
                ($content, NewVersion { change, version, expected_version, force, message })
            }
        }
    };
}

definition_requests!(
    /// Schema to create.
    CreateSchema,
    /// New version of a schema.
    UpdateSchema,
    /// JSON Schema of answers, of draft 4 to 2020-12; at most 128 KiB.
    #[schema(value_type = Object)]
    schema: Value, "receipt"
);

definition_requests!(
    /// Template to create.
    CreateTemplate,
    /// New version of a template.
    UpdateTemplate,
    /// Template.
    template: TemplateContent, "summary"
);

/// Fields of a new schema or template.
#[derive(Debug, Clone)]
pub struct NewDefinition {
    /// Name.
    pub name: String,
    /// Purpose.
    pub description: Option<String>,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// Users who may see it.
    pub visibility: Visibility,
    /// Team whose members may see it.
    pub team: Option<TeamId>,
    /// Number of the first version.
    pub version: Option<SemanticVersion>,
    /// Note on this version.
    pub message: Option<String>,
}

/// Fields of a new version of a schema or template.
#[derive(Debug, Clone, Default)]
pub struct NewVersion {
    /// Size of the change.
    pub change: Option<VersionChange>,
    /// Number of the version.
    pub version: Option<SemanticVersion>,
    /// Latest version that the change follows on.
    pub expected_version: Option<SemanticVersion>,
    /// True to take a number that is too small for the change.
    pub force: bool,
    /// Note on this version.
    pub message: Option<String>,
}

/// Change of the fields of a schema or template that have no versions. Absent fields stay.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeDefinition {
    /// Purpose; an empty text removes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Words to find it by, in place of the earlier ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// `private`, `team`, `organisation` or `public`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "organisation")]
    pub visibility: Option<Visibility>,
    /// With `visibility: team`: the team.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub team: Option<TeamId>,
}
