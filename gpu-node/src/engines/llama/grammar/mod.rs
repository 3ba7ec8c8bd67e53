//! Grammars that constrain an answer to JSON of a schema, or to tool calls.
//!
//! llguidance enforces a grammar token by token. [`hearth_schema`] relaxes a client's schema to what a grammar can
//! express; the schema of a tool is bounded in depth and size before it is walked.

mod cache;
mod compilation;
mod compile;
mod compile_semaphore;
mod constraint;
mod in_progress;
mod schema_check;

pub(super) use cache::{Grammars, param};
pub(super) use constraint::{Constraint, MaskState, SharedMatcher};
pub(super) use schema_check::SchemaCheck;

#[cfg(test)]
pub(super) mod tests;
