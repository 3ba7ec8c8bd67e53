//! Differences of two versions, and the comparison of what they accept.

use hearth_domain::{SemanticVersion, VersionChange};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::TemplateContent;

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
