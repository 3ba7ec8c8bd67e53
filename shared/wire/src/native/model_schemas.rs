//! `/v1/models/{id}/schema` and `/v1/schema`: the schemas of models' parameters, and their versions.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

/// Query of a schema.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct SchemaQuery {
    /// Id of the model. Absent: the parameters of every model.
    pub model: Option<String>,
    /// Version of its edited schema. Absent: the current one.
    pub version: Option<u32>,
}

/// Schema of a model's parameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SchemaBody {
    /// Id of the model; null for the parameters of every model.
    pub model: Option<String>,
    /// Version of the edited schema; 0 for one that is built from the model's metadata.
    pub version: u32,
    /// `built` from the metadata, or `edited` by an admin.
    #[schema(example = "built")]
    pub origin: SchemaOrigin,
    /// JSON Schema (2020-12) of `parameters` of `POST /v1/generate`, with descriptions, defaults and examples.
    #[schema(value_type = Object)]
    pub schema: Value,
    /// Guidance on the use of the model and its parameters.
    pub guidance: Vec<String>,
    /// An example of a request with some of the parameters.
    #[schema(value_type = Object)]
    pub example: Value,
    /// Author's note on this version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Time of this version; null for a built one.
    pub created_at: Option<String>,
}

/// Origin of a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SchemaOrigin {
    /// Built from the model's metadata.
    Built,
    /// Edited by an admin.
    Edited,
}

/// Next version of a model's schema.
#[derive(Debug, Clone, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutSchema {
    /// JSON Schema (2020-12) of `parameters`, an object with `properties`, of at most 32 KiB. Null: the schema that is built
    /// from the metadata applies again.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub schema: Option<Value>,
    /// Guidance for users, at most 16 texts.
    #[serde(default)]
    pub guidance: Vec<String>,
    /// Number of the version that this one follows, 0 for the first; with another current version the request is refused
    /// with 409. Absent: whatever the current version is.
    #[serde(default)]
    pub version: Option<u32>,
    /// Note on the change.
    #[serde(default)]
    pub message: Option<String>,
}

/// Versions of a model's schema.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SchemaHistory {
    /// Id of the model.
    pub model: String,
    /// Number of the current version; 0 without an edited schema.
    pub current: u32,
    /// Versions, the newest first.
    pub versions: Vec<SchemaVersionBody>,
}

/// Version of a model's schema.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SchemaVersionBody {
    /// Number, from 1.
    pub version: u32,
    /// Id of the credential, or the user, that stored it.
    pub author: String,
    /// Time at which it was stored.
    pub created_at: String,
    /// Note on the change.
    pub message: Option<String>,
    /// True if the schema that is built from the metadata applies again since this version.
    pub built: bool,
}
