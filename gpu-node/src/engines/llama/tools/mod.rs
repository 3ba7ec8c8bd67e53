//! Tool calls: how each family of models writes them, parsers of answers, and grammars that enforce calls.
//!
//! [`markup`] is the table of all formats, which the writer ([`call_writer`]), the parsers ([`parser`]) and the
//! grammars ([`grammar`]) share.

mod arguments;
mod call_reader;
mod call_writer;
mod cursor;
mod format;
mod grammar;
mod harmony_parser;
mod json_scanner;
mod marked_parser;
mod markup;
mod output;
mod parser;
mod python_arguments;
pub(super) mod python_json;
mod tagged_arguments;

#[cfg(test)]
mod tests;

pub(super) use format::{ToolFormat, uses_tools_variable};
pub(super) use grammar::call_grammar;
pub(super) use output::OutputPiece;
pub(super) use parser::ToolCallParser;
