//! Converts a turn of the model: reasoning, text and function calls.

use std::collections::HashSet;

use hearth_domain::{Attachment, AttachmentContent, Message, PartPlace, Reasoning, Role, ToolCall};
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
    /// True if the last piece is reasoning that a next part may continue.
    is_thinking: bool,
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
            self.parts.add_call_place();
            self.calls.push(call);
            self.is_thinking = false;
        } else if part.is_text() && (part.text.is_some() || part.has_no_content()) {
            let text = part.text.take().unwrap_or_default();
            match part.is_thought() {
                true => self.add_reasoning(text, part.thought_signature),
                false => self.add_text(text, part),
            }
        } else {
            self.is_thinking = false;
            if part.inline_data.is_some() || part.file_data.is_some() {
                // A file that the model made. Other providers accept files of users alone.
                self.parts.add_opaque(param, json!(part));
            } else {
                part.add_to(&mut self.parts, param, "")?;
            }
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

    /// Adds a text, with the signature and the unknown fields of `part`.
    fn add_text(&mut self, text: String, part: GeminiPart) {
        let from = self.text_bytes;
        self.text_bytes += text.len();
        self.is_thinking &= text.is_empty();
        self.parts.add_text(text, "", part.extra);
        self.add_signature(part.thought_signature, SignedPart::Text(from, self.text_bytes));
    }

    /// Adds reasoning. Streamed reasoning comes in pieces, of which the last may have the signature.
    fn add_reasoning(&mut self, text: String, signature: Option<String>) {
        let signature = signature.filter(|signature| !signature.is_empty());
        if text.is_empty() && signature.is_none() {
            return;
        }
        match self.reasoning.last_mut().filter(|_| self.is_thinking) {
            Some(last) => last.text.push_str(&text),
            None => self.add_block(Reasoning { text, ..Reasoning::default() }),
        }
        self.is_thinking = signature.is_none();
        match signature.map(packed_reasoning::parse) {
            Some(ClientSignature::Gemini(signature)) => {
                if let Some(last) = self.reasoning.last_mut() {
                    last.signature = Some(thought_signature::encode(SignedPart::Thought, &signature));
                }
            }
            Some(ClientSignature::Packed(blocks)) => self.packed.extend(blocks),
            None => {}
        }
    }

    /// Adds the signature of a text or a call as a block of reasoning of its own.
    fn add_signature(&mut self, signature: Option<String>, part: SignedPart<'_>) {
        match signature.filter(|signature| !signature.is_empty()).map(packed_reasoning::parse) {
            Some(ClientSignature::Gemini(signature)) => {
                self.is_thinking = false;
                let signature = Some(thought_signature::encode(part, &signature));
                self.add_block(Reasoning { signature, ..Reasoning::default() });
            }
            Some(ClientSignature::Packed(blocks)) => self.packed.extend(blocks),
            None => {}
        }
    }

    fn add_block(&mut self, block: Reasoning) {
        self.parts.add_reasoning_place();
        self.reasoning.push(block);
    }

    /// Builds the message.
    pub(super) fn into_message(self) -> Message {
        let message = Message { tool_calls: self.calls, ..self.parts.into_message(Role::Assistant) };
        if self.packed.is_empty() {
            return Message { reasoning: self.reasoning, ..message };
        }
        // Packed reasoning is complete: reasoning parts beside it are the same text, and have its places.
        let is_place = |piece: &Attachment| piece.content == AttachmentContent::Reasoning;
        let places = message.attachments.iter().filter(|piece| is_place(piece)).count();
        let counts = packed_reasoning::blocks_of_thoughts(&self.packed, &self.reasoning);
        let mut counts = counts.into_iter().skip(self.reasoning.len().saturating_sub(places));
        let attachments = message.attachments.into_iter().flat_map(|piece| {
            let count = if is_place(&piece) { counts.next().unwrap_or_default() } else { 1 };
            std::iter::repeat_n(piece, count)
        });
        Message { reasoning: self.packed, attachments: attachments.collect(), ..message }
    }
}
