//! JSON Schemas of answers at providers.
//!
//! Each provider enforces a subset of JSON Schema ([`profile`]). [`rewrite()`] writes a client's schema in it, and [`AnswerForm`]
//! maps the answer back where that changes its form. A schema that can't be written in it becomes the parameters of a tool that
//! the model must call, or an instruction. [`crate::rules`] says which of them a vendor takes.

mod all_of;
mod document;
pub(crate) mod profile;
mod restore;
mod rewrite;
#[cfg(test)]
mod table;

use hearth_domain::StructuredHow;
use hearth_schema::normalise;
use serde_json::Value;

use profile::SchemaProfile;
pub(crate) use restore::AnswerForm;
use rewrite::{Rewritten, is_plain_object, rewrite, wrapped};

/// Name of the tool that the model must call with its answer, at a provider without schemas of answers.
pub(crate) const ANSWER_TOOL: &str = "return_answer";

/// The way in which a provider is asked for an answer with a schema.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum SchemaRequest {
    /// The schema as the client has sent it.
    AsSent,
    /// The same, without `strict`.
    Followed,
    /// The provider enforces this schema.
    Strict(Value),
    /// The model must call [`ANSWER_TOOL`] with these parameters.
    Tool(Value),
    /// The model is given the schema as an instruction.
    Instruction,
}

/// A request for an answer with a schema, and the way back from its answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SchemaPlan {
    pub(crate) request: SchemaRequest,
    pub(crate) form: AnswerForm,
}

impl SchemaPlan {
    pub(crate) fn as_sent() -> Self {
        Self { request: SchemaRequest::AsSent, form: AnswerForm::default() }
    }

    pub(crate) fn followed() -> Self {
        Self { request: SchemaRequest::Followed, form: AnswerForm::default() }
    }

    pub(crate) fn instruction() -> Self {
        Self { request: SchemaRequest::Instruction, form: AnswerForm::default() }
    }

    /// The provider enforces the schema in the subset of `profile`; `None` if the schema can't be written in it.
    /// `can_restore`: the answer's form may change, since the client gets it in one piece.
    pub(crate) fn strict(schema: &Value, profile: &SchemaProfile, can_restore: bool) -> Option<Self> {
        let normalised = normalise(schema).ok()?;
        let rewritten = rewrite(&normalised, profile);
        let rewritten = rewritten.inspect_err(|reason| {
            tracing::debug!(provider = profile.title, reason, "a schema can't be rewritten")
        });
        let Rewritten { schema, is_wrapped, has_nulls, .. } = rewritten.ok()?;
        let form = AnswerForm { is_wrapped, optional_as_null: has_nulls.then_some(normalised) };
        (can_restore || form.is_unchanged()).then_some(Self { request: SchemaRequest::Strict(schema), form })
    }

    /// The model must call a tool whose parameters have the schema; `None` if the schema can't be read.
    pub(crate) fn tool(schema: &Value, can_restore: bool) -> Option<Self> {
        let normalised = normalise(schema).ok()?;
        let is_wrapped = !is_plain_object(&normalised) || normalised.get("allOf").is_some();
        let parameters = if is_wrapped { wrapped(&normalised) } else { normalised };
        let form = AnswerForm { is_wrapped, optional_as_null: None };
        (can_restore || !is_wrapped).then_some(Self { request: SchemaRequest::Tool(parameters), form })
    }

    /// The means of enforcement. `is_enforced`: the body of the request asks the provider to enforce a schema.
    pub(crate) fn how(&self, is_enforced: bool) -> StructuredHow {
        match &self.request {
            SchemaRequest::Tool(_) => StructuredHow::Tool,
            SchemaRequest::AsSent | SchemaRequest::Strict(_) if is_enforced => StructuredHow::Strict,
            _ => StructuredHow::Asked,
        }
    }
}
