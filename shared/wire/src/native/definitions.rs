//! Bodies of `/v1/schemas` and `/v1/templates`.

mod comparison;
mod requests;
mod template;

use std::collections::BTreeMap;

use hearth_domain::{DefinitionKind, SemanticVersion, Timestamp, Visibility};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

pub use comparison::{
    CheckSchema, CheckTemplate, CompatibilityBody, DiffBody, DiffQuery, Difference, DifferenceKind, Finding,
};
pub use requests::{
    ChangeDefinition, CreateSchema, CreateTemplate, NewDefinition, NewVersion, UpdateSchema, UpdateTemplate,
};
pub use template::{
    RenderTemplate, RenderedBody, RenderedMessage, TemplateContent, TemplateMessage, TemplateParameters,
};

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
