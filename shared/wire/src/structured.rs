//! Enforcement of an answer's JSON Schema, which each dialect returns as an extension, `structured`.

use hearth_domain::{Enforcement, SchemaViolation, Structured, StructuredHow, StructuredStatus};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Enforcement of an answer's JSON Schema, and result of its validation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StructuredBody {
    /// `passed`: the answer matches the whole schema. `relaxed`: it matches the relaxed schema only, which the request
    /// allows. `failed`: it doesn't match. `bypassed`: it was not validated, since the request bypasses the validation.
    #[schema(value_type = String, example = "passed")]
    pub status: StructuredStatus,
    /// `grammar`: a grammar of a node. `strict`: the provider's structured outputs. `tool`: a tool that the model had to
    /// call. `asked`: an instruction.
    #[schema(value_type = String, example = "grammar")]
    pub how: StructuredHow,
    /// `how`, with the validation. `grammar`: a grammar allows matching answers alone. `grammar+validated`: a grammar
    /// enforces part of the schema, and the answer was validated. `provider+validated`, `tool+validated` and
    /// `requested+validated`: as `strict`, `tool` and `asked`.
    #[schema(value_type = String, example = "grammar+validated")]
    pub enforced: Enforcement,
    /// Keywords of the schema that the grammar enforces incompletely or not at all.
    pub relaxed: Vec<String>,
    /// True if the answer matches the whole schema; that is, if `status` is `passed`.
    pub valid: bool,
    /// True if the model's text was not JSON, and was repaired: a code fence or prose around it, a comment, a trailing comma.
    #[serde(default)]
    pub repaired: bool,
    /// Number of answers generated until this one; a streamed answer is generated once.
    pub attempts: u32,
    /// First reasons why the answer doesn't match, each with its place in the answer.
    pub errors: Vec<String>,
    /// The same reasons, with their places apart.
    #[serde(default)]
    pub violations: Vec<ViolationBody>,
}

/// A place of an answer that doesn't match its schema.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ViolationBody {
    /// JSON pointer to the place; empty for the whole answer.
    #[schema(example = "/items/0/price")]
    pub path: String,
    /// The reason.
    #[schema(example = "-1 is less than the minimum of 0")]
    pub reason: String,
}

impl From<&Structured> for StructuredBody {
    fn from(structured: &Structured) -> Self {
        let Structured { enforced, relaxed, valid, concession: _, repaired, attempts, errors } = structured;
        let violation = |SchemaViolation { path, reason }: &SchemaViolation| ViolationBody {
            path: path.clone(),
            reason: reason.clone(),
        };
        Self {
            status: structured.status(),
            how: enforced.how(),
            enforced: *enforced,
            relaxed: relaxed.clone(),
            valid: *valid,
            repaired: *repaired,
            attempts: *attempts,
            errors: errors.iter().map(ToString::to_string).collect(),
            violations: errors.iter().map(violation).collect(),
        }
    }
}
