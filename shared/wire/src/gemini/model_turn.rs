//! Converts a turn of the model: reasoning, text and function calls.

use std::collections::HashSet;

use hearth_domain::{Message, PartPlace, Reasoning, Role, ToolCall};
use serde_json::{Value, json};

use super::{
    GeminiFunctionCall, GeminiPart,
    packed_reasoning::{self, ClientSignature},
    thought_signature::{self, SignedPart},
};
use crate::{ApiError, message_parts::MessageParts};

/// Builder of a message from a turn of the model.
#[derive(Debug, Default)]
pub(super) struct ModelTurn {
    parts: MessageParts,
    /// Length of the text so far.
    text_bytes: usize,
    reasoning: Vec<Reasoning>,
    /// Reasoning of other vendors, from signatures.
    packed: Vec<Reasoning>,
    calls: Vec<ToolCall>,
    ids: HashSet<String>,
}

impl ModelTurn {
    /// Adds a part. `param` is its field, for the error.
    ///
    /// # Errors
    /// `invalid_request` for a part that is not allowed here.
    pub(super) fn add(&mut self, mut part: GeminiPart, param: &str) -> Result<(), ApiError> {
        if let Some(call) = part.function_call.take() {
            let call = self.convert_call(call, param);
            self.add_signature(part.thought_signature.take(), SignedPart::Call(&call.id));
            let extra = std::mem::take(&mut part.extra);
            self.parts.add_extra(PartPlace::Call(self.calls.len()), extra);
            self.calls.push(call);
        } else if part.is_thought() {
            self.add_reasoning(part.text.unwrap_or_default(), part.thought_signature);
        } else if part.is_text()
            && let Some(text) = part.text.take()
        {
            let (from, to) = (self.text_bytes, self.text_bytes + text.len());
            self.text_bytes = to;
            self.parts.add_text(&text, "", std::mem::take(&mut part.extra));
            self.add_signature(part.thought_signature.take(), SignedPart::Text(from, to));
        } else if part.inline_data.is_some() || part.file_data.is_some() {
            // A file that the model made. Other providers accept files of users alone.
            self.parts.add_opaque(param, json!(part));
        } else {
            part.add_to(&mut self.parts, param, "")?;
        }
        Ok(())
    }

    fn convert_call(&mut self, call: GeminiFunctionCall, param: &str) -> ToolCall {
        // A call without an id gets one from its position, so that equal conversations stay equal.
        let numbers = param.split(|c: char| !c.is_ascii_digit()).filter(|number| !number.is_empty());
        let positional_id = || format!("call_{}", numbers.collect::<Vec<_>>().join("_"));
        let id = call.id.filter(|id| !id.is_empty() && self.ids.insert(id.clone()));
        let arguments = Value::Object(call.args.unwrap_or_default()).to_string();
        ToolCall { id: id.unwrap_or_else(positional_id), name: call.name, arguments }
    }

    /// Adds reasoning. Streamed reasoning comes in pieces, of which the last may have the signature.
    fn add_reasoning(&mut self, text: String, signature: Option<String>) {
        let last =
            self.reasoning.last_mut().filter(|last| last.signature.is_none() && last.encrypted.is_none());
        match last {
            Some(last) => last.text.push_str(&text),
            None => self.reasoning.push(Reasoning { text, ..Reasoning::default() }),
        }
        match signature.filter(|signature| !signature.is_empty()).map(packed_reasoning::parse) {
            Some(ClientSignature::Gemini(signature)) => {
                if let Some(last) = self.reasoning.last_mut() {
                    last.signature = Some(thought_signature::encode(SignedPart::Thought, &signature));
                }
            }
            Some(ClientSignature::Packed(blocks)) => self.packed.extend(blocks),
            None => {}
        }
    }

    fn add_signature(&mut self, signature: Option<String>, part: SignedPart<'_>) {
        match signature.filter(|signature| !signature.is_empty()).map(packed_reasoning::parse) {
            Some(ClientSignature::Gemini(signature)) => {
                let signature = Some(thought_signature::encode(part, &signature));
                self.reasoning.push(Reasoning { signature, ..Reasoning::default() });
            }
            Some(ClientSignature::Packed(blocks)) => self.packed.extend(blocks),
            None => {}
        }
    }

    /// Builds the message.
    pub(super) fn into_message(self) -> Message {
        // Packed reasoning is complete: reasoning parts beside it are the same text.
        let reasoning = if self.packed.is_empty() { self.reasoning } else { self.packed };
        Message { reasoning, tool_calls: self.calls, ..self.parts.into_message(Role::Assistant) }
    }
}
