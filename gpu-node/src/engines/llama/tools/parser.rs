//! Finding calls in a model's output, as it comes.

use hearth_domain::Tool;
use rand::distr::{Alphanumeric, SampleString as _};

use super::{format::ToolFormat, harmony::HarmonyParser, marked::MarkedParser};

/// A piece of a model's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::engines::llama) enum Piece {
    /// Prose.
    Text(String),
    /// A call begins.
    Begin {
        /// Counts the turn's calls from 0.
        index: u32,
        /// The call's id.
        id: String,
        /// The tool's name.
        name: String,
    },
    /// A call's arguments go on.
    Arguments {
        /// The call that [`Piece::Begin`] gave this index.
        index: u32,
        /// Together these are a JSON text.
        json: String,
    },
}

/// Finds calls in one turn of a model.
#[derive(Debug)]
pub(in crate::engines::llama) struct ToolCallParser(Parser);

#[derive(Debug)]
enum Parser {
    Marked(MarkedParser),
    Harmony(HarmonyParser),
}

impl ToolCallParser {
    /// A parser for one turn of a model that may call `tools`.
    pub(in crate::engines::llama) fn new(format: ToolFormat, tools: &[Tool]) -> Self {
        Self(match format {
            ToolFormat::Harmony => Parser::Harmony(HarmonyParser::new()),
            _ => Parser::Marked(MarkedParser::new(format.markup(), tools)),
        })
    }

    /// Takes the next of the output, and gives what can go out. What may belong to a call's markup is
    /// held back until that is known, white space before it too.
    pub(in crate::engines::llama) fn push(&mut self, text: &str) -> Vec<Piece> {
        let mut out = Output::default();
        match &mut self.0 {
            Parser::Marked(parser) => parser.push(text, &mut out),
            Parser::Harmony(parser) => parser.push(text, &mut out),
        }
        out.0
    }

    /// What is left when the output has ended. A call that isn't whole then stays as it is.
    pub(in crate::engines::llama) fn finish(&mut self) -> Vec<Piece> {
        let mut out = Output::default();
        match &mut self.0 {
            Parser::Marked(parser) => parser.finish(&mut out),
            Parser::Harmony(parser) => parser.finish(&mut out),
        }
        out.0
    }
}

/// Pieces that go out together; none of them is empty.
#[derive(Debug, Default)]
pub(super) struct Output(Vec<Piece>);

impl Output {
    pub(super) fn text(&mut self, text: &str) {
        match self.0.last_mut() {
            _ if text.is_empty() => {}
            Some(Piece::Text(last)) => last.push_str(text),
            _ => self.0.push(Piece::Text(text.to_owned())),
        }
    }

    /// Begins a call, under an id that no other has.
    pub(super) fn begin(&mut self, index: u32, name: &str) {
        let id = format!("call_{}", Alphanumeric.sample_string(&mut rand::rng(), 24));
        self.0.push(Piece::Begin { index, id, name: name.to_owned() });
    }

    pub(super) fn arguments(&mut self, index: u32, json: &str) {
        if !json.is_empty() {
            self.0.push(Piece::Arguments { index, json: json.to_owned() });
        }
    }
}
