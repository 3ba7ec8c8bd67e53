//! Tool calls: how a family of models writes them, reading them out of its output, and the grammars
//! that make it write them.

mod arguments;
mod dumps;
mod format;
mod grammar;
mod harmony;
mod json;
mod marked;
mod markup;
mod parser;
mod python;
mod tagged;
mod write;

#[cfg(test)]
mod tests;

pub(super) use dumps::dumps;
pub(super) use format::{ToolFormat, knows_tools};
pub(super) use grammar::call_grammar;
pub(super) use parser::{Piece, ToolCallParser};
pub(super) use tagged::longest_beginning;
