//! Converts an answer to parts.

use hearth_domain::{ClientDialect, Reasoning};

use super::{
    GeminiFunctionCall, GeminiPart, packed_reasoning,
    thought_signature::{self, SignedPart},
};
use crate::{answer::Answer, extension::Extension};

/// Returns the parts of a whole answer.
pub(super) fn answer_parts(answer: &Answer, shows_thoughts: bool) -> Vec<GeminiPart> {
    let mut parts = Vec::new();
    if shows_thoughts {
        parts.extend(answer.reasoning.iter().filter_map(|block| {
            let signed = block.signature.as_deref().and_then(thought_signature::decode);
            let signature = signed.filter(|(part, _)| *part == SignedPart::Thought);
            let signature = signature.map(|(_, signature)| signature.to_owned());
            let is_empty = block.text.is_empty() && signature.is_none();
            (!is_empty).then(|| GeminiPart::thought(&block.text).with_signature(signature))
        }));
    }
    parts.extend(text_parts(answer, shows_thoughts));
    let mut packed = 0;
    parts.extend((0..answer.tool_calls.len()).map(|number| call_part(answer, number, &mut packed)));
    parts
}

/// Returns the text, split where signatures begin and end, and the provider's parts in it. A signature that matches no piece
/// follows on an empty part.
fn text_parts(answer: &Answer, shows_thoughts: bool) -> Vec<GeminiPart> {
    let text = answer.text_with_refusal();
    let items = answer.extensions_in(ClientDialect::Gemini).filter_map(|placed| match &placed.extension {
        Extension::Item(item) => {
            let part = GeminiPart::of_provider(item).filter(|part| shows_thoughts || !part.is_thought())?;
            Some((placed.at, part))
        }
        _ => None,
    });
    let (mut items, mut parts, mut unmatched) = (items.peekable(), Vec::new(), Vec::new());
    let mut end = 0;
    let mut add_unsigned = |end: &mut usize, to: usize, parts: &mut Vec<GeminiPart>| {
        while let Some((at, item)) = items.next_if(|(at, _)| *at <= to) {
            parts.extend(text.get(*end..at).filter(|before| !before.is_empty()).map(GeminiPart::text));
            parts.push(item);
            *end = at.max(*end);
        }
        parts.extend(text.get(*end..to).filter(|before| !before.is_empty()).map(GeminiPart::text));
        *end = to.max(*end);
    };
    for (part, signature) in signatures(answer) {
        let SignedPart::Text(from, to) = part else { continue };
        let signature = Some(signature.to_owned());
        match text.get(end..from).and(text.get(from..to)) {
            Some(signed) => {
                add_unsigned(&mut end, from, &mut parts);
                parts.push(GeminiPart::text(signed).with_signature(signature));
                end = to;
            }
            None => unmatched.push(GeminiPart::text("").with_signature(signature)),
        }
    }
    add_unsigned(&mut end, text.len(), &mut parts);
    parts.extend(unmatched);
    parts
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
