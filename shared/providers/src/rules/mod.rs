//! Restrictions of vendors and model families, as data ([`vendors`], [`families`]), and their application to a request
//! before it is sent.
//!
//! Every request for text goes through [`prepare`], also a request to a fallback. A request is rewritten where nothing is
//! lost by it, and [`Restore`] undoes that in the answer. Otherwise it is refused with the name that the client's dialect
//! has for the field. Translation into a dialect is in [`crate::dialect`].

mod call_ids;
mod draft;
mod families;
mod foreign;
mod limits;
mod messages;
mod restore;
mod rule;
mod sampling;
mod schema;
mod stops;
#[cfg(test)]
mod tests;
mod tool_names;
pub(crate) mod vendors;

use std::borrow::Cow;

use hearth_domain::{Delivery, Field, Generation, TextTask};
use hearth_wire::{ApiError, field_name};

use crate::{
    answer_schema::{SchemaPlan, SchemaRequest},
    dialect::Dialect,
    provider::Call,
};

use draft::Draft;
use families::rules_of_model;
pub(crate) use foreign::local_task;
pub(crate) use restore::Restore;
use restore::leaves_out_tool_blocks;
pub(crate) use rule::Rules;
use schema::SchemaPlace;

/// A request that conforms to its provider's rules.
#[derive(Debug)]
pub(crate) struct Prepared<'a> {
    pub(crate) task: Cow<'a, TextTask>,
    /// Undoes the changes in the answer's events.
    pub(crate) restore: Restore,
    /// The way in which the answer's schema is requested, if it has one.
    pub(crate) schema: Option<SchemaPlan>,
}

/// The choice of the way to request an answer with a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SchemaChoice {
    /// The best that the provider has.
    Best,
    /// An instruction: the provider has refused the schema.
    Instruction,
}

/// Makes the task of `call` conform to the rules of the provider `name`. `rules` and `kind` are its vendor's.
///
/// # Errors
/// `invalid_request`, with the client's name of the field, for a refused field that can't be rewritten.
pub(crate) fn prepare<'a>(
    name: &'a str,
    rules: &Rules,
    kind: &str,
    dialect: Dialect,
    call: &'a Call,
    task: &'a TextTask,
    choice: SchemaChoice,
) -> Result<Prepared<'a>, ApiError> {
    let rules = rules_of_model(rules, kind, dialect, call.model.as_str());
    let mut draft = Draft::new(name, &call.generation, task);
    foreign::apply(dialect.is_spoken_by(draft.client()), &rules, &mut draft)?;
    sampling::drop_optional_logprobs(&rules, &mut draft);
    limits::apply(&rules, &draft)?;
    messages::apply(&rules, &mut draft)?;
    let place = SchemaPlace {
        has_strict: matches!(dialect, Dialect::OpenAiChat(_) | Dialect::OpenAiResponses),
        has_description: !matches!(dialect, Dialect::Anthropic | Dialect::Gemini),
        is_whole: call.delivery == Delivery::Whole,
        by_instruction: choice == SchemaChoice::Instruction,
    };
    let schema = schema::apply(&rules, place, &mut draft)?;
    sampling::apply(&rules, &mut draft);
    call_ids::apply(&rules, &mut draft);
    let stops = stops::apply(&rules, &mut draft);
    let names = tool_names::apply(&rules, &mut draft);
    let has_answer_tool = schema.as_ref().is_some_and(|plan| matches!(plan.request, SchemaRequest::Tool(_)));
    let restore = Restore::new(names, stops, has_answer_tool)
        .without_tool_blocks(leaves_out_tool_blocks(&call.generation.extra, task));
    Ok(Prepared { task: draft.into_task(), restore, schema })
}

/// Replaces the field's name in a dialect's error by the client's: dialects name fields as chat completions do.
pub(crate) fn with_client_field_name(error: ApiError, generation: &Generation) -> ApiError {
    let field = match error.param.as_deref() {
        Some("messages") => Field::Messages,
        Some("max_tokens") => Field::Sampling("max_tokens"),
        Some("tools") => Field::Tools,
        _ => return error,
    };
    let param = field_name(generation.extra.dialect, field);
    error.at(param)
}
