//! What each vendor and model family refuses, as [data](table), and its application to a request before it is sent.
//!
//! [`prepare`] is the one place: every provider's request goes through it, also that of a stand-in. A request is
//! rewritten where nothing is lost by it; what was rewritten is put back in the answer by [`Restore`]. Otherwise it is
//! refused with the name that the client's dialect has for the field. What a dialect has no words for is its own
//! folder's to translate ([`crate::dialect`]).

mod call_ids;
mod draft;
mod foreign;
mod messages;
mod names;
mod refuse;
mod restore;
mod sampling;
mod schema;
mod stops;
mod table;
#[cfg(test)]
mod tests;
mod vendors;

use std::borrow::Cow;

use hearth_domain::{Field, Generation, TextTask};
use hearth_wire::{ApiError, field_name};

use crate::{Call, dialect::Dialect};

use draft::Draft;
pub(crate) use foreign::local_task;
pub(crate) use restore::Restore;
pub(crate) use schema::{close_for_claude, made_strict};
pub(crate) use table::Rules;

/// A value, and the page of the vendor's documentation, or the report, that states it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rule<T> {
    pub(crate) is: T,
    pub(crate) source: &'static str,
}

/// Something that is refused: the page that states it. `None`: it is taken.
pub(crate) type Refused = Option<&'static str>;

/// A request that keeps to its provider's rules.
#[derive(Debug)]
pub(crate) struct Prepared<'a> {
    /// What is asked, as the provider takes it.
    pub(crate) task: Cow<'a, TextTask>,
    /// What puts the client's words back into the answer.
    pub(crate) restore: Restore,
}

/// Makes the task of `call` keep to the rules of the provider `name`, a vendor of `kind` that is spoken to in
/// `dialect`.
///
/// # Errors
/// `invalid_request`, with the client's name of the field, for what the provider refuses and what can't be rewritten.
pub(crate) fn prepare<'a>(
    name: &'a str,
    kind: &str,
    dialect: Dialect,
    call: &'a Call,
    task: &'a TextTask,
) -> Result<Prepared<'a>, ApiError> {
    let rules = Rules::of(kind, dialect, call.model.as_str());
    let mut draft = Draft::new(name, &call.generation, task);
    foreign::apply(dialect.is_spoken_by(draft.client()), &rules, &mut draft)?;
    refuse::apply(&rules, &draft)?;
    messages::apply(&rules, &mut draft)?;
    schema::apply(&rules, &mut draft)?;
    sampling::apply(&rules, &mut draft);
    call_ids::apply(&rules, &mut draft);
    let stops = stops::apply(&rules, &mut draft);
    let names = names::apply(&rules, &mut draft);
    Ok(Prepared { task: draft.into_task(), restore: Restore::new(names, stops) })
}

/// An error of a dialect's, with the client's name of the field: a dialect names fields as chat completions do.
pub(crate) fn in_clients_words(error: ApiError, generation: &Generation) -> ApiError {
    let field = match error.param.as_deref() {
        Some("messages") => Field::Messages,
        Some("max_tokens") => Field::Sampling("max_tokens"),
        Some("tools") => Field::Tools,
        _ => return error,
    };
    let param = field_name(generation.extra.dialect, field);
    error.at(param)
}
