//! Bodies of `/v1/schemas` and `/v1/templates`.

use std::collections::BTreeMap;

use hearth_domain::{DefinitionKind, Role, SemanticVersion, TeamId, Timestamp, VersionChange, Visibility};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

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

/// Content of a template.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TemplateContent {
    /// Messages of the prompt, 1 to 20; at most 64 KiB together. System messages come first.
    pub messages: Vec<TemplateMessage>,
    /// JSON Schema of the variables, an object: `required`, `default` and the types of `properties` hold. Absent: each variable
    /// of the messages is required, and may have any value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub variables: Option<Value>,
    /// Schema of the answer: a name or an id, with a version or a label if need be. A request's own schema replaces it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "invoice")]
    pub schema_id: Option<String>,
    /// Model for requests that name none, or `auto`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Parameters for requests that don't have them.
    #[serde(default, skip_serializing_if = "TemplateParameters::is_empty")]
    pub parameters: TemplateParameters,
}

/// Message of a template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TemplateMessage {
    /// `system`, `user` or `assistant`.
    #[schema(example = "user")]
    pub role: Role,
    /// Text in Jinja: `{{ name }}` is replaced by the variable, `{% if %}` and `{% for %}` select and repeat.
    #[schema(example = "Summarise in {{ words }} words: {{ text }}")]
    pub content: String,
}

/// Default parameters of a template.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TemplateParameters {
    /// Temperature, 0 to 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = 0.0)]
    pub temperature: Option<f32>,
    /// Smallest set of likely tokens with this total probability, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f32>,
    /// Number of the likeliest tokens to choose from; 0 keeps all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_k: Option<u32>,
    /// Smallest probability of a token, relative to the likeliest; 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_p: Option<f32>,
    /// Factor by which recent tokens become less likely; above 0, at most 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat_penalty: Option<f32>,
    /// Penalty for tokens that have occurred, -2 to 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub presence_penalty: Option<f32>,
    /// Penalty for each occurrence of a token, -2 to 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frequency_penalty: Option<f32>,
    /// Seed for reproducible results.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u32>,
    /// Texts that end the answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
    /// Maximum number of tokens to generate, at least 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
}

impl TemplateParameters {
    /// True if none is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Schema or template in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DefinitionEntry {
    /// Id; of a built-in one its name.
    #[schema(example = "sch_01J9ZX5V2QH8N4T6W0C3M7K1RB")]
    pub id: String,
    /// `schema` or `template`.
    #[schema(value_type = String)]
    pub object: DefinitionKind,
    /// Name, by which requests refer to it too.
    #[schema(example = "receipt")]
    pub name: String,
    /// Purpose.
    pub description: Option<String>,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// `private`, `team`, `organisation` or `public`.
    #[schema(value_type = String)]
    pub visibility: Visibility,
    /// Team whose members may see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// True for one of the gateway's own, which can't be changed.
    pub built_in: bool,
    /// True if the caller may change it.
    pub may_change: bool,
    /// Latest version.
    #[schema(value_type = String, example = "1.2.0")]
    pub latest_version: SemanticVersion,
    /// Number of versions.
    pub version_count: u32,
    /// Versions by their labels.
    #[schema(value_type = Object, example = json!({"production": "1.1.0"}))]
    pub labels: BTreeMap<String, SemanticVersion>,
    /// Id of the user who has created it; null for a built-in one, and for one of another organisation.
    pub owner: Option<String>,
    /// Time of its creation, ISO 8601; null for a built-in one.
    #[schema(value_type = Option<String>)]
    pub created_at: Option<Timestamp>,
    /// Time of its latest change, ISO 8601.
    #[schema(value_type = Option<String>)]
    pub updated_at: Option<Timestamp>,
}

/// Version of a schema or a template, without its content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct VersionBody {
    /// Number.
    #[schema(value_type = String, example = "1.2.0")]
    pub version: SemanticVersion,
    /// Labels that point to it.
    pub labels: Vec<String>,
    /// Author's note.
    pub message: Option<String>,
    /// Id of the credential, or the user, that has stored it; null for a built-in one, and for one of another organisation.
    pub author: Option<String>,
    /// SHA-256 of the content.
    pub sha256: String,
    /// Time at which it was stored, ISO 8601.
    #[schema(value_type = Option<String>)]
    pub created_at: Option<Timestamp>,
}

/// Schema in one version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StoredSchemaBody {
    /// The schema without its versions.
    #[serde(flatten)]
    pub definition: DefinitionEntry,
    /// The version.
    #[serde(flatten)]
    pub version: VersionHead,
    /// JSON Schema of answers.
    #[schema(value_type = Object)]
    pub schema: Value,
}

/// Template in one version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StoredTemplateBody {
    /// The template without its versions.
    #[serde(flatten)]
    pub definition: DefinitionEntry,
    /// The version.
    #[serde(flatten)]
    pub version: VersionHead,
    /// The template. Its `variables` are those that hold, also where they were left out.
    pub template: TemplateContent,
}

/// Number and note of a version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct VersionHead {
    /// Number of the version.
    #[schema(value_type = String, example = "1.0.0")]
    pub version: SemanticVersion,
    /// Author's note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Page of schemas or templates.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DefinitionList {
    /// The caller's own first, then those of the caller's teams, of the organisation, the public ones of others, and the
    /// built-in ones; each by name.
    pub data: Vec<DefinitionEntry>,
    /// `cursor` of the next page; null on the last page.
    pub next_cursor: Option<String>,
}

/// Page of versions.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct VersionList {
    /// Versions, the latest first.
    pub data: Vec<VersionBody>,
    /// `cursor` of the next page; null on the last page.
    pub next_cursor: Option<String>,
}

/// Filter and page of schemas or templates.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct DefinitionQuery {
    /// Text in the name or the description, in any case.
    #[param(example = "invoice")]
    pub q: Option<String>,
    /// Tag that it must have; several, separated by commas, must all be there.
    pub tag: Option<String>,
    /// `private`, `team`, `organisation` or `public`.
    #[param(inline)]
    pub visibility: Option<Visibility>,
    /// True for built-in ones alone, false for others alone.
    pub built_in: Option<bool>,
    /// Maximum number of entries, 1 to 200; absent: 50.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// Version to read.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct VersionQuery {
    /// Version such as `1.2.0`, `1.2` or `1`, or a label. Absent: that of the path, or the latest.
    #[param(example = "1.0.0")]
    pub version: Option<String>,
}

/// Versions to compare.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct DiffQuery {
    /// Earlier version, or a label. Absent: the version before `to`.
    #[param(example = "1.0.0")]
    pub from: Option<String>,
    /// Later version, or a label. Absent: the latest.
    #[param(example = "1.0.0")]
    pub to: Option<String>,
}

/// Differences of two versions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DiffBody {
    /// Earlier version.
    #[schema(value_type = String)]
    pub from: SemanticVersion,
    /// Later version.
    #[schema(value_type = String)]
    pub to: SemanticVersion,
    /// Differences, at most 500.
    pub differences: Vec<Difference>,
    /// True if there are more.
    pub truncated: bool,
    /// Comparison of what the two accept.
    pub compatibility: CompatibilityBody,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Difference {
    /// JSON Pointer of the place, as in the earlier or the later content.
    #[schema(example = "/properties/total/type")]
    pub path: String,
    /// `added`, `removed` or `changed`.
    #[schema(value_type = String)]
    pub kind: DifferenceKind,
    /// Earlier value; absent if it was added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Value>)]
    pub from: Option<Value>,
    /// Later value; absent if it was removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Value>)]
    pub to: Option<Value>,
}

/// Kind of a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum DifferenceKind {
    /// Only the later content has the value.
    Added,
    /// Only the earlier content has the value.
    Removed,
    /// Both have a value.
    Changed,
}

/// Schema to compare with a stored version.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckSchema {
    /// JSON Schema of answers.
    #[schema(value_type = Object)]
    pub schema: Value,
}

/// Template to compare with a stored version.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckTemplate {
    /// Template.
    pub template: TemplateContent,
}

/// Comparison of what an earlier and a later content accept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CompatibilityBody {
    /// Version that is compared; absent in a diff, which names both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub version: Option<SemanticVersion>,
    /// True if each answer of the earlier schema fits the later one, or each set of variables of the earlier template.
    pub compatible: bool,
    /// Size of the change; null if the contents are equal.
    #[schema(value_type = Option<String>)]
    pub change: Option<VersionChange>,
    /// Number that a new version gets; absent in a diff.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub next_version: Option<SemanticVersion>,
    /// Changes that earlier answers or variables may not satisfy, at most 100.
    pub breaking: Vec<Finding>,
    /// Other changes that need attention, at most 100.
    pub warnings: Vec<Finding>,
}

/// A change with its consequence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Finding {
    /// JSON Pointer of the place in the later content.
    #[schema(example = "/properties/total")]
    pub path: String,
    /// The change and its consequence.
    #[schema(example = "\"total\" is required now: earlier answers may lack it")]
    pub problem: String,
}

/// Version that a label is to point to.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MoveLabel {
    /// Version.
    #[schema(value_type = String, example = "1.0.0")]
    pub version: SemanticVersion,
    /// Version that the label points to now; null if there is no such label. Another one is a conflict. Absent: any.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub expected: Option<Option<SemanticVersion>>,
}

/// A field that is there, whether it is null or not.
fn present<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<SemanticVersion>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// Condition of the removal of a label.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct RemoveLabelQuery {
    /// Version that the label points to now. Another one is a conflict. Absent: any.
    #[param(value_type = Option<String>)]
    pub expected: Option<SemanticVersion>,
}

/// Values for a template.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RenderTemplate {
    /// Values of the variables by their names.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub variables: Map<String, Value>,
    /// Version such as `1.2.0`, or a label. Absent: that of the path, or the latest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// Rendered template.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RenderedBody {
    /// Id of the template; of a built-in one its name.
    pub id: String,
    /// Name of the template.
    pub name: String,
    /// Version that was rendered.
    #[schema(value_type = String)]
    pub version: SemanticVersion,
    /// Messages.
    pub messages: Vec<RenderedMessage>,
    /// Schema of the answer, with the version that holds now.
    pub schema_id: Option<String>,
    /// Model for requests that name none.
    pub model: Option<String>,
    /// Parameters for requests that don't have them.
    pub parameters: TemplateParameters,
}

/// Message of a rendered template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RenderedMessage {
    /// `system`, `user` or `assistant`.
    pub role: Role,
    /// Text.
    pub content: String,
}

/// Removed schema or template.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DefinitionDeleted {
    /// Id.
    pub id: String,
    /// Always true.
    pub deleted: bool,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn expected_version_of_a_label_is_absent_null_or_a_version() {
        let read = |value: Value| serde_json::from_value::<MoveLabel>(value).unwrap().expected;
        assert_eq!(read(json!({"version": "1.0.0"})), None);
        assert_eq!(read(json!({"version": "1.0.0", "expected": null})), Some(None));
        let version = "1.2.0".parse().ok();
        assert_eq!(read(json!({"version": "1.0.0", "expected": "1.2.0"})), Some(version));
    }
}
