//! Converts a turn of the model: thoughts, text, other parts and calls, in order.

use std::collections::{BTreeMap, HashMap};

use hearth_domain::{Message, Part, PartPlace, Piece, Reasoning, ToolCall};
use hearth_wire::ApiError;
use serde_json::{Map, Value};

use super::{
    contents::converted_part,
    model_name::family,
    thought_signature::{self, SignedPart, TextSignature},
    unknown_fields,
};
use crate::{
    dialect::body::PassThrough,
    json_tree::{Json, Object, object},
};

/// The signature that Google accepts for a call of another vendor's model
/// (<https://ai.google.dev/gemini-api/docs/thought-signatures>).
const NO_SIGNATURE: &str = "skip_thought_signature_validator";

/// Converts a message of the model.
pub(super) fn model_parts<'a>(
    model: &str,
    message: &'a Message,
    pass: PassThrough,
) -> Result<Vec<Json<'a>>, ApiError> {
    let pieces = message.pieces();
    let mut texts = SignedTexts::new(message, &pieces);
    let mut of_calls = HashMap::new();
    let mut is_signed = false;
    for block in &message.reasoning {
        let Some((place, signature)) = block.signature.as_deref().and_then(thought_signature::decode) else {
            continue;
        };
        is_signed = true;
        match place {
            SignedPart::Text(from, to) => texts.add_of_text(TextSignature { from, to, signature }),
            SignedPart::Call(id) => _ = of_calls.entry(id).or_insert(signature),
            SignedPart::Thought => {}
        }
    }
    let (mut parts, fields) = (Vec::new(), message.extra_by_place());
    for piece in pieces {
        match piece {
            // Thoughts without a signature are useless to Google, or another vendor's.
            Piece::Reasoning(_) if !is_signed => {}
            Piece::Reasoning(block) => parts.extend(reasoning_part(block, &mut texts)),
            Piece::Part(number, Part::Text(text)) => {
                let extra =
                    fields.get(&PartPlace::Part(number)).copied().filter(|_| pass == PassThrough::All);
                parts.extend(texts.text(text).into_iter().map(|part| with_fields(part, extra)));
            }
            Piece::Part(number, part) => {
                parts.extend(converted_part(part, fields.get(&PartPlace::Part(number)).copied(), pass)?);
            }
            Piece::Call(number, call) => {
                parts.extend(texts.lost());
                // Only the first of parallel calls has a signature.
                let missing = number == 0 && family(model).is_some_and(|family| family >= 3);
                let signature = of_calls.get(call.id.as_str()).copied();
                let part = function_call(call, signature.or(missing.then_some(NO_SIGNATURE)))?;
                let extra =
                    fields.get(&PartPlace::Call(number)).copied().filter(|_| pass == PassThrough::All);
                parts.push(with_fields(part, extra));
            }
        }
    }
    parts.extend(texts.lost());
    Ok(parts)
}

/// Converts a block of reasoning: thoughts, or the signature of a text. Signatures of calls are on their calls.
fn reasoning_part<'a>(block: &'a Reasoning, texts: &mut SignedTexts<'a>) -> Option<Json<'a>> {
    let Some(signature) = block.signature.as_deref() else {
        return (!block.text.is_empty()).then(|| thought(block, None));
    };
    match thought_signature::decode(signature)? {
        (SignedPart::Thought, signature) => Some(thought(block, Some(signature))),
        (SignedPart::Text(from, to), signature) => {
            texts.signature(TextSignature { from, to, signature }).map(Json::from)
        }
        (SignedPart::Call(_), _) => None,
    }
}

fn thought<'a>(block: &'a Reasoning, signature: Option<&'a str>) -> Json<'a> {
    let mut part = object! {"text": &block.text, "thought": true};
    part.set_some("thoughtSignature", signature);
    part.into()
}

fn with_fields<'a>(mut part: Object<'a>, extra: Option<&'a Map<String, Value>>) -> Json<'a> {
    if let Some(extra) = extra {
        unknown_fields::merge(extra, &mut part);
    }
    part.into()
}

fn text_part<'a>(text: &'a str, signature: Option<&'a str>) -> Object<'a> {
    let mut part = object! {"text": text};
    part.set_some("thoughtSignature", signature);
    part
}

/// The signatures of a message's texts. They come back where the client has them, or at the bytes that they sign, if the client's
/// dialect doesn't keep the places of reasoning. A signature without such a place is on an empty text, as in the last frame of Google's
/// streams.
struct SignedTexts<'a> {
    message: &'a Message,
    /// The texts, each with its first byte.
    texts: Vec<(usize, &'a str)>,
    /// Signatures of texts to come, by the first byte and the end of what they sign.
    next: BTreeMap<(usize, usize), Vec<&'a str>>,
    /// Signatures without a place.
    lost: Vec<&'a str>,
    /// Bytes of the message's text so far.
    end: usize,
}

impl<'a> SignedTexts<'a> {
    fn new(message: &'a Message, pieces: &[Piece<'a>]) -> Self {
        let texts = pieces.iter().filter_map(|piece| match piece {
            Piece::Part(_, Part::Text(text)) => Some((message.offset_of(text), *text)),
            _ => None,
        });
        Self { message, texts: texts.collect(), next: BTreeMap::new(), lost: Vec::new(), end: 0 }
    }

    /// Adds a signature before the first piece, if it is of a text that isn't empty.
    fn add_of_text(&mut self, signature: TextSignature<'a>) {
        if self.is_in_text(signature) {
            self.add_next(signature);
        }
    }

    fn add_next(&mut self, TextSignature { from, to, signature }: TextSignature<'a>) {
        self.next.entry((from, to)).or_default().push(signature);
    }

    /// Returns whether the signature is of bytes of one text.
    fn is_in_text(&self, TextSignature { from, to, .. }: TextSignature<'_>) -> bool {
        let behind = self.texts.partition_point(|(start, _)| *start <= from);
        let text = behind.checked_sub(1).and_then(|index| self.texts.get(index));
        from < to && text.is_some_and(|(start, text)| text.get(from - start..to - start).is_some())
    }

    /// Returns the part for a signature at its place among the pieces, unless it belongs elsewhere.
    fn signature(&mut self, signature: TextSignature<'a>) -> Option<Object<'a>> {
        if self.is_in_text(signature) {
            return None;
        }
        if signature.from <= self.end {
            return Some(text_part("", Some(signature.signature)));
        }
        match signature.from == signature.to && signature.from <= self.message.content.len() {
            true => self.add_next(signature),
            false => self.lost.push(signature.signature),
        }
        None
    }

    /// Splits the next text where signatures begin and end.
    fn text(&mut self, text: &'a str) -> Vec<Object<'a>> {
        let start = self.message.offset_of(text);
        self.end = start + text.len();
        let mut signatures = Vec::new();
        while let Some(entry) = self.next.first_entry().filter(|entry| entry.key().1 <= self.end) {
            let ((from, to), here) = entry.remove_entry();
            signatures.extend(here.into_iter().map(|signature| TextSignature { from, to, signature }));
        }
        let pieces = thought_signature::split_text(text, start, &signatures);
        pieces.into_iter().map(|(text, signature)| text_part(text, signature)).collect()
    }

    /// Takes the signatures without a place.
    fn lost(&mut self) -> impl Iterator<Item = Json<'a>> + use<'a> {
        let lost = std::mem::take(&mut self.lost).into_iter();
        lost.map(|signature| text_part("", Some(signature)).into())
    }
}

fn function_call<'a>(call: &'a ToolCall, signature: Option<&'a str>) -> Result<Object<'a>, ApiError> {
    let arguments = match call.arguments.trim() {
        "" => Value::Object(Map::new()),
        text => serde_json::from_str(text).ok().filter(Value::is_object).ok_or_else(|| {
            let message = format!("the arguments of the call {} must be a JSON object", call.id);
            ApiError::invalid("messages", message)
        })?,
    };
    let function = object! {"id": &call.id, "name": &call.name, "args": arguments};
    let mut part = object! {"functionCall": function};
    part.set_some("thoughtSignature", signature);
    Ok(part)
}
