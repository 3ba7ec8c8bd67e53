//! Enforcement of an answer's JSON Schema, which each dialect returns as an extension, `structured`.

use hearth_domain::{Enforcement, Structured};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Enforcement of an answer's JSON Schema, and result of its validation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StructuredBody {
    /// `grammar`: a grammar allows matching answers alone. `grammar+validated`: a grammar enforces part of the
    /// schema, and the answer was validated. `provider+validated`: the provider was asked to enforce the schema, and
    /// the answer was validated. `requested+validated`: the model was asked to follow the schema, and the answer was
    /// validated.
    #[schema(value_type = String, example = "grammar+validated")]
    pub enforced: Enforcement,
    /// Keywords of the schema that the grammar enforces incompletely or not at all.
    pub relaxed: Vec<String>,
    /// True if the answer matches the whole schema.
    pub valid: bool,
    /// Number of answers generated until this one; a streamed answer is generated once.
    pub attempts: u32,
    /// First reasons why the answer doesn't match, each with its place in the answer.
    pub errors: Vec<String>,
}

impl From<&Structured> for StructuredBody {
    fn from(structured: &Structured) -> Self {
        let Structured { enforced, relaxed, valid, attempts, errors } = structured.clone();
        Self { enforced, relaxed, valid, attempts, errors }
    }
}
