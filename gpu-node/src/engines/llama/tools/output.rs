//! The output of a tool call parser.

use rand::distr::{Alphanumeric, SampleString as _};

/// A piece of a parsed answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::engines::llama) enum OutputPiece {
    /// Prose.
    Text(String),
    /// The beginning of a call. Calls are numbered from 0.
    Begin { index: u32, id: String, name: String },
    /// A part of the JSON text of a call's arguments.
    Arguments { index: u32, json: String },
}

/// A list of pieces, none of them empty.
#[derive(Debug, Default)]
pub(super) struct ParserOutput(Vec<OutputPiece>);

impl ParserOutput {
    pub(super) fn push_text(&mut self, text: &str) {
        match self.0.last_mut() {
            _ if text.is_empty() => {}
            Some(OutputPiece::Text(last)) => last.push_str(text),
            _ => self.0.push(OutputPiece::Text(text.to_owned())),
        }
    }

    /// Begins a call with a new random id.
    pub(super) fn begin_call(&mut self, index: u32, name: &str) {
        let id = format!("call_{}", Alphanumeric.sample_string(&mut rand::rng(), 24));
        self.0.push(OutputPiece::Begin { index, id, name: name.to_owned() });
    }

    pub(super) fn push_arguments(&mut self, index: u32, json: &str) {
        if !json.is_empty() {
            self.0.push(OutputPiece::Arguments { index, json: json.to_owned() });
        }
    }

    pub(super) fn into_pieces(self) -> Vec<OutputPiece> {
        self.0
    }
}
