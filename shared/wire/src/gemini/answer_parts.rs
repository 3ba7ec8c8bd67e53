//! Converts an answer to parts.

use hearth_domain::Reasoning;

use super::{
    GeminiFunctionCall, GeminiPart, packed_reasoning,
    thought_signature::{self, SignedPart},
};
use crate::answer::Answer;

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
    parts.extend(text_parts(answer));
    let mut packed = 0;
    parts.extend((0..answer.tool_calls.len()).map(|number| call_part(answer, number, &mut packed)));
    parts
}

/// Returns the text, split where signatures begin and end. A signature that matches no piece follows on an empty part.
fn text_parts(answer: &Answer) -> Vec<GeminiPart> {
    let text = answer.text_with_refusal();
    let (mut parts, mut unmatched, mut end) = (Vec::new(), Vec::new(), 0);
    for (part, signature) in signatures(answer) {
        let SignedPart::Text(from, to) = part else { continue };
        let signature = Some(signature.to_owned());
        match text.get(end..from).zip(text.get(from..to)) {
            Some((before, signed)) => {
                parts.extend((!before.is_empty()).then(|| GeminiPart::text(before)));
                parts.push(GeminiPart::text(signed).with_signature(signature));
                end = to;
            }
            None => unmatched.push(GeminiPart::text("").with_signature(signature)),
        }
    }
    parts.extend(text.get(end..).filter(|after| !after.is_empty()).map(GeminiPart::text));
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
