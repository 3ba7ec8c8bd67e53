//! Parses tool calls from a model's streamed output.

use hearth_domain::Tool;

use super::{
    format::ToolFormat,
    harmony_parser::HarmonyParser,
    marked_parser::MarkedParser,
    output::{OutputPiece, ParserOutput},
};

/// Parser of one answer.
#[derive(Debug)]
pub(in crate::engines::llama) struct ToolCallParser(Parser);

#[derive(Debug)]
enum Parser {
    Marked(MarkedParser),
    Harmony(HarmonyParser),
}

impl ToolCallParser {
    /// A parser for an answer of a model that may call `tools`.
    pub(in crate::engines::llama) fn new(format: ToolFormat, tools: &[Tool]) -> Self {
        Self(match format {
            ToolFormat::Harmony => Parser::Harmony(HarmonyParser::new()),
            _ => Parser::Marked(MarkedParser::new(format.markup(), tools)),
        })
    }

    /// Adds text and returns the pieces that can go out. Text that may belong to a call's markup is held back,
    /// together with white space before it.
    pub(in crate::engines::llama) fn push(&mut self, text: &str) -> Vec<OutputPiece> {
        let mut out = ParserOutput::default();
        match &mut self.0 {
            Parser::Marked(parser) => parser.push(text, &mut out),
            Parser::Harmony(parser) => parser.push(text, &mut out),
        }
        out.into_pieces()
    }

    /// Returns the last pieces, when the answer has ended. An incomplete call stays incomplete.
    pub(in crate::engines::llama) fn finish(&mut self) -> Vec<OutputPiece> {
        let mut out = ParserOutput::default();
        match &mut self.0 {
            Parser::Marked(parser) => parser.finish(&mut out),
            Parser::Harmony(parser) => parser.finish(&mut out),
        }
        out.into_pieces()
    }
}
