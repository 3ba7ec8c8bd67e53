//! How an answer's JSON Schema was enforced, as each dialect shows it: an extension under the name `structured`.

use hearth_domain::{Enforcement, Structured};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How an answer's JSON Schema was enforced, and whether the answer fits it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StructuredBody {
    /// `grammar`: no other answer could be generated. `grammar+validated`: a grammar enforces a part of the schema,
    /// and the answer was checked against the whole. `provider+validated`: a provider was asked to enforce it.
    /// `requested+validated`: a provider's model was only asked to keep to it.
    #[schema(value_type = String, example = "grammar+validated")]
    pub enforced: Enforcement,
    /// The schema's keywords that the grammar doesn't enforce, wholly or at some place.
    pub relaxed: Vec<String>,
    /// Whether the answer fits the whole schema.
    pub valid: bool,
    /// How many answers were generated until this one; a streamed answer is generated once.
    pub attempts: u32,
    /// The first reasons why the answer doesn't fit, each with its place in the answer.
    pub errors: Vec<String>,
}

impl From<&Structured> for StructuredBody {
    fn from(structured: &Structured) -> Self {
        let Structured { enforced, relaxed, valid, attempts, errors } = structured.clone();
        Self { enforced, relaxed, valid, attempts, errors }
    }
}
