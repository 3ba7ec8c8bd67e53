//! The message that is stored of an answer.

use std::{collections::VecDeque, ops::Range};

use hearth_domain::{ClientDialect, Message, Role, RunId};
use serde_json::{Map, Value};

use super::{ItemLayout, item_id::provider_item};
use crate::{
    answer::{Answer, AnswerPiece},
    extension::Extension,
    message_parts::MessageParts,
};

/// Converts the answer of the run `run` to the message that is stored of it: the text followed by the refusal, with the
/// provider's items in this dialect, which have the ids that the client got, and the places of reasoning and calls. `layout` has
/// the indices of the items, and the citations.
#[must_use]
pub fn stored_answer(answer: &Answer, layout: &ItemLayout, run: RunId) -> Message {
    let run = run.to_string();
    let text = answer.text_with_refusal();
    let mut indices = layout.provider_items();
    let mut parts = MessageParts::default();
    let mut texts = Texts::new(&text, layout);
    // Bytes of the text before the next piece.
    let mut end = 0;
    for piece in &answer.pieces {
        match piece {
            AnswerPiece::Text(bytes) => end = bytes.end,
            // A text may come after the refusal, and is stored before it.
            AnswerPiece::Refusal(bytes) if end >= answer.text.len() => end = answer.text.len() + bytes.end,
            AnswerPiece::Refusal(_) => {}
            AnswerPiece::Reasoning(_) => {
                texts.add_until(end, &mut parts);
                parts.add_reasoning_place();
            }
            AnswerPiece::Call(_) => {
                texts.add_until(end, &mut parts);
                parts.add_call_place();
            }
            AnswerPiece::Extension(number) => {
                if let Some(item) = provider_item_of(answer, *number) {
                    texts.add_until(end, &mut parts);
                    let index = indices.next();
                    let item = index.map_or_else(|| item.clone(), |index| provider_item(item, &run, index));
                    parts.add_opaque("output", item.into());
                }
            }
        }
    }
    texts.add_until(text.len(), &mut parts);
    let (reasoning, tool_calls) = (answer.reasoning.clone(), answer.tool_calls.clone());
    Message { reasoning, tool_calls, ..parts.into_message(Role::Assistant) }
}

/// The text of an answer, and the fields of its pieces.
struct Texts<'a> {
    text: &'a str,
    /// Bytes that are added already.
    added: usize,
    /// Pieces that have fields, each by its bytes, in order.
    fields: VecDeque<(Range<usize>, Map<String, Value>)>,
}

impl<'a> Texts<'a> {
    fn new(text: &'a str, layout: &ItemLayout) -> Self {
        let mut start = 0;
        let pieces = layout.texts().map(|(bytes, fields)| {
            let end = start + bytes;
            (std::mem::replace(&mut start, end)..end, fields)
        });
        Self { text, added: 0, fields: pieces.filter(|(_, fields)| !fields.is_empty()).collect() }
    }

    /// Adds the text up to `end`. A piece with fields is a part of its own.
    fn add_until(&mut self, end: usize, parts: &mut MessageParts) {
        while self.added < end {
            while self.fields.front().is_some_and(|(bytes, _)| bytes.end <= self.added) {
                self.fields.pop_front();
            }
            let (until, fields) = match self.fields.front() {
                Some((bytes, fields)) if bytes.start <= self.added => (bytes.end, fields.clone()),
                Some((bytes, _)) => (bytes.start, Map::new()),
                None => (end, Map::new()),
            };
            let from = std::mem::replace(&mut self.added, until.min(end));
            parts.add_text(self.text.get(from..self.added).unwrap_or_default(), "", fields);
        }
    }
}

/// The extension with this number, if it is an item in this dialect that records contain.
fn provider_item_of(answer: &Answer, number: usize) -> Option<&Map<String, Value>> {
    let placed = answer.extensions.get(number)?;
    let is_stored = placed.dialect == ClientDialect::OpenAiResponses && placed.extension.is_stored();
    match &placed.extension {
        Extension::Item(Value::Object(item)) if is_stored => Some(item),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use hearth_domain::{Part, Piece, Reasoning};
    use serde_json::json;

    use super::*;
    use crate::{RunEventBody, answer::Answers, event::ToolCallBegin};

    fn thought(index: u32) -> RunEventBody {
        let added = Reasoning { text: index.to_string(), ..Reasoning::default() };
        RunEventBody::Reasoning { choice: 0, index, added }
    }

    fn search() -> RunEventBody {
        let item = json!({"type": "web_search_call", "id": "ws_1"});
        RunEventBody::extension(ClientDialect::OpenAiResponses, Extension::Item(item))
    }

    fn call(index: u32) -> RunEventBody {
        let begins = Some(ToolCallBegin { id: index.to_string(), name: "look".into() });
        RunEventBody::ToolCall { choice: 0, index, begins, arguments: "{}".into() }
    }

    fn stored(events: &[RunEventBody]) -> Message {
        let (mut layout, mut answers) = (ItemLayout::default(), Answers::default());
        for event in events {
            layout.add_event(event);
            answers.apply(event);
        }
        stored_answer(&answers.all()[0], &layout, RunId::new())
    }

    fn shape(message: &Message) -> Vec<String> {
        let pieces = message.pieces().into_iter().map(|piece| match piece {
            Piece::Reasoning(block) => format!("reasoning {}", block.text),
            Piece::Call(_, call) => format!("call {}", call.id),
            Piece::Part(_, Part::Text(text)) => text.to_owned(),
            Piece::Part(_, Part::Opaque(_)) => "item".to_owned(),
            Piece::Part(_, part) => panic!("{part:?}"),
        });
        pieces.collect()
    }

    #[test]
    fn pieces_of_an_answer_stay_in_order() {
        let text = RunEventBody::text;
        let refusal = |text: &str| RunEventBody::Refusal { choice: 0, text: text.to_owned() };
        let cases = [
            (
                vec![thought(0), search(), thought(1), text("Found.")],
                vec!["reasoning 0", "item", "reasoning 1", "Found."],
            ),
            (
                vec![text("a"), call(0), search(), text("b"), call(1)],
                vec!["a", "call 0", "item", "b", "call 1"],
            ),
            // A block in two pieces stands at its first.
            (vec![thought(0), text("a"), thought(0), text("b")], vec!["reasoning 00", "ab"]),
            // The whole text comes before the whole refusal.
            (vec![text("a"), refusal("no"), call(0), text("b")], vec!["a", "call 0", "bno"]),
            (vec![text("a"), refusal("no"), search()], vec!["ano", "item"]),
        ];
        for (events, expected) in cases {
            assert_eq!(shape(&stored(&events)), expected);
        }
        let usual = stored(&[thought(0), text("a"), refusal("no"), call(0), call(1)]);
        assert_eq!((usual.content.as_str(), usual.attachments.len()), ("ano", 0));
    }
}
