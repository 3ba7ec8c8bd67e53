//! Definitions: named schemas of answers and templates of prompts, in immutable versions with semantic numbers.

mod reference;
mod version;

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::{Map, Value};
use utoipa::ToSchema;

pub use reference::{
    DEFINITION_NAME_MAX_CHARS, DefinitionReference, DefinitionSubject, InvalidReference, LABEL_MAX_CHARS,
    LATEST, VersionSelector, is_definition_name, is_label,
};
pub use version::{InvalidVersion, SemanticVersion, VersionChange};

use crate::{InvalidId, SchemaId, TemplateId};

/// Kind of a definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DefinitionKind {
    /// A JSON Schema of answers.
    Schema,
    /// A template of a prompt.
    Template,
}

impl DefinitionKind {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::Schema, Self::Template];

    /// The name used in JSON, keys and messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Schema => "schema",
            Self::Template => "template",
        }
    }

    /// The field of a request that refers to a definition of this kind.
    #[must_use]
    pub fn field(self) -> &'static str {
        match self {
            Self::Schema => "schema_id",
            Self::Template => "template_id",
        }
    }
}

/// Id of a definition. Its prefix tells its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DefinitionId {
    /// Id of a schema.
    Schema(SchemaId),
    /// Id of a template.
    Template(TemplateId),
}

impl DefinitionId {
    /// Creates an id of this kind.
    #[must_use]
    pub fn new(kind: DefinitionKind) -> Self {
        match kind {
            DefinitionKind::Schema => Self::Schema(SchemaId::new()),
            DefinitionKind::Template => Self::Template(TemplateId::new()),
        }
    }

    /// The kind of the definition.
    #[must_use]
    pub fn kind(self) -> DefinitionKind {
        match self {
            Self::Schema(_) => DefinitionKind::Schema,
            Self::Template(_) => DefinitionKind::Template,
        }
    }
}

impl fmt::Display for DefinitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Schema(id) => id.fmt(f),
            Self::Template(id) => id.fmt(f),
        }
    }
}

impl FromStr for DefinitionId {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        match text.parse::<TemplateId>() {
            Ok(id) => Ok(Self::Template(id)),
            Err(_) => text.parse().map(Self::Schema),
        }
    }
}

impl Serialize for DefinitionId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DefinitionId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// Users who may see and use a definition.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    /// Its owner.
    #[default]
    Private,
    /// The members of one team.
    Team,
    /// The members of the organisation.
    Organisation,
    /// The members of every organisation of the gateway.
    Public,
}

impl Visibility {
    /// The name used in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Team => "team",
            Self::Organisation => "organisation",
            Self::Public => "public",
        }
    }
}

/// Definitions that a request refers to, before they are applied to it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DefinitionOptions {
    /// Reference to the schema of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// Reference to the template of the prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// Values of the template's variables.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub variables: Map<String, Value>,
}

/// The version of a definition that a request was carried out with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AppliedDefinition {
    /// Id of the definition; of a built-in one its name.
    #[schema(example = "sch_01J9ZX5V2QH8N4T6W0C3M7K1RB")]
    pub id: String,
    /// Name of the definition.
    #[schema(example = "invoice")]
    pub name: String,
    /// Version, as `major.minor.patch`.
    #[schema(value_type = String, example = "1.0.0")]
    pub version: SemanticVersion,
}

impl fmt::Display for AppliedDefinition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.version)
    }
}

/// The definitions that a request was carried out with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AppliedDefinitions {
    /// The schema of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<AppliedDefinition>,
    /// The template of the prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<AppliedDefinition>,
}

impl AppliedDefinitions {
    /// True if there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.schema.is_none() && self.template.is_none()
    }
}
