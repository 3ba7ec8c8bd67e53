//! Converts an answer to parts.

use hearth_domain::{ClientDialect, Reasoning};

use super::{
    GeminiFunctionCall, GeminiPart, packed_reasoning,
    thought_signature::{self, SignedPart, TextSignature},
};
use crate::{
    answer::{Answer, AnswerPiece},
    extension::{DialectExtension, Extension},
};

/// Returns the parts of a whole answer, in the order of its events.
pub(super) fn answer_parts(answer: &Answer, shows_thoughts: bool) -> Vec<GeminiPart> {
    let mut content =
        Content { shows_thoughts, parts: Vec::new(), text: String::new(), start: 0, signatures: Vec::new() };
    let mut packed = 0;
    for piece in &answer.pieces {
        match piece {
            AnswerPiece::Text(bytes) => {
                content.add_text(answer.text.get(bytes.clone()).unwrap_or_default(), bytes.start);
            }
            AnswerPiece::Refusal(bytes) => {
                let refusal = answer.refusal.get(bytes.clone()).unwrap_or_default();
                content.add_text(refusal, answer.text.len() + bytes.start);
            }
            AnswerPiece::Reasoning(number) => {
                if let Some(block) = answer.reasoning.get(*number) {
                    content.add_reasoning(block);
                }
            }
            AnswerPiece::Call(number) => content.add(call_part(answer, *number, &mut packed)),
            AnswerPiece::Extension(number) => {
                if let Some(placed) = answer.extensions.get(*number) {
                    content.add_extension(placed);
                }
            }
        }
    }
    content.end_text();
    content.parts
}

/// The content of an answer, piece by piece.
struct Content<'a> {
    shows_thoughts: bool,
    parts: Vec<GeminiPart>,
    /// Text that is no part yet, since it may continue.
    text: String,
    /// First byte of this text in the answer's text.
    start: usize,
    /// Signatures of this text.
    signatures: Vec<TextSignature<'a>>,
}

impl<'a> Content<'a> {
    /// Adds a part behind the text.
    fn add(&mut self, part: GeminiPart) {
        self.end_text();
        self.parts.push(part);
    }

    fn add_text(&mut self, text: &str, start: usize) {
        if self.text.is_empty() {
            self.start = start;
        }
        self.text.push_str(text);
    }

    /// Ends the text, split where signatures begin and end.
    fn end_text(&mut self) {
        let pieces = thought_signature::split_text(&self.text, self.start, &self.signatures);
        let parts = pieces
            .into_iter()
            .map(|(text, signature)| GeminiPart::text(text).with_signature(signature.map(str::to_owned)));
        self.parts.extend(parts);
        self.text.clear();
        self.signatures.clear();
    }

    /// Adds reasoning, if the client asked for it, or the signature of a text. Signatures of calls are added with their calls.
    fn add_reasoning(&mut self, block: &'a Reasoning) {
        match block.signature.as_deref().and_then(thought_signature::decode) {
            Some((SignedPart::Text(from, to), signature)) if self.has_text(from, to) => {
                self.signatures.push(TextSignature { from, to, signature });
            }
            Some((SignedPart::Text(..), signature)) => {
                self.add(GeminiPart::text("").with_signature(Some(signature.to_owned())));
            }
            Some((SignedPart::Thought, signature)) if self.shows_thoughts => {
                self.add(GeminiPart::thought(&block.text).with_signature(Some(signature.to_owned())));
            }
            _ if self.shows_thoughts && !block.text.is_empty() => self.add(GeminiPart::thought(&block.text)),
            _ => {}
        }
    }

    /// Returns whether these bytes of the answer's text are in the text that is no part yet.
    fn has_text(&self, from: usize, to: usize) -> bool {
        from < to && self.start <= from && to <= self.start + self.text.len()
    }

    fn add_extension(&mut self, placed: &DialectExtension) {
        match &placed.extension {
            _ if placed.dialect != ClientDialect::Gemini => {}
            Extension::TextBlock => self.end_text(),
            Extension::Item(item) => {
                let part = GeminiPart::of_provider(item);
                if let Some(part) = part.filter(|part| self.shows_thoughts || !part.is_thought()) {
                    self.add(part);
                }
            }
            Extension::Phase(_) | Extension::Annotation(_) | Extension::Fields(_) => {}
        }
    }
}

/// Returns Gemini's signatures of an answer.
fn signatures(answer: &Answer) -> impl Iterator<Item = (SignedPart<'_>, &str)> {
    let encoded = answer.reasoning.iter().filter_map(|block| block.signature.as_deref());
    encoded.filter_map(thought_signature::decode)
}

/// Returns the call with this number. Its signature is Gemini's own, or the reasoning of another vendor that is not
/// `packed` yet.
pub(super) fn call_part(answer: &Answer, number: usize, packed: &mut usize) -> GeminiPart {
    let Some(call) = answer.tool_calls.get(number) else { return GeminiPart::default() };
    let own = signatures(answer).find(|(part, _)| *part == SignedPart::Call(&call.id));
    let signature = own.map(|(_, signature)| signature.to_owned()).or_else(|| pack_reasoning(answer, packed));
    let function_call = GeminiFunctionCall {
        id: Some(call.id.clone()),
        name: call.name.clone(),
        // Clients require an object, even if the arguments are invalid.
        args: Some(serde_json::from_str(&call.arguments).unwrap_or_default()),
        ..GeminiFunctionCall::default()
    };
    GeminiPart { function_call: Some(function_call), ..GeminiPart::default() }.with_signature(signature)
}

/// Packs the reasoning blocks from the number `packed` on. Gemini's own reasoning has signatures instead.
pub(super) fn pack_reasoning(answer: &Answer, packed: &mut usize) -> Option<String> {
    let is_gemini = |block: &Reasoning| block.signature.as_deref().is_some_and(thought_signature::is_gemini);
    if answer.reasoning.iter().any(is_gemini) {
        return None;
    }
    let blocks = answer.reasoning.get(*packed..).unwrap_or_default();
    *packed = answer.reasoning.len();
    packed_reasoning::pack(blocks)
}
