//! The message that a next request has of a stored answer.

use std::collections::HashSet;

use hearth_domain::{Message, Role};

use super::{ItemLayout, item_layout::AnswerPart, text_fields::text_fields};
use crate::message_parts::MessageParts;

/// Converts a stored answer to the message that a next request has of it. Its items stay apart, in the order of `layout`: in a
/// dialect in which a message has one text, a blank line is between them. A message without a layout stays as it is.
#[must_use]
pub fn sent_answer(answer: Message, layout: &ItemLayout) -> Message {
    if layout.is_empty() {
        return answer;
    }
    let (mut parts, mut reasoning, mut tool_calls) = (MessageParts::default(), Vec::new(), Vec::new());
    // A block of reasoning in several pieces is several items, each with its whole text.
    let mut seen = HashSet::new();
    for item in layout.items(&answer) {
        match item.part {
            AnswerPart::Text | AnswerPart::Refusal => {
                parts.begin_item();
                parts.add_text(item.text, "", text_fields(item.annotations, item.phase));
            }
            AnswerPart::Reasoning(number) if seen.insert(number) => {
                parts.add_reasoning_place();
                reasoning.extend(answer.reasoning.get(number as usize).cloned());
            }
            AnswerPart::Call(number) => {
                parts.add_call_place();
                tool_calls.extend(answer.tool_calls.get(number as usize).cloned());
            }
            AnswerPart::Item(number) => {
                if let Some(opaque) = answer.opaque_parts().nth(number as usize) {
                    parts.add_opaque(opaque.param.clone(), opaque.value.clone());
                }
            }
            AnswerPart::Reasoning(_) | AnswerPart::Omitted => {}
        }
    }
    Message { reasoning, tool_calls, name: answer.name, ..parts.into_message(Role::Assistant) }
}

#[cfg(test)]
mod tests {
    use hearth_domain::{ClientDialect, Part, Piece, Reasoning, RunId};
    use serde_json::json;

    use super::*;
    use crate::{RunEventBody, answer::Answers, extension::Extension, openai::responses::stored_answer};

    #[test]
    fn items_stay_apart_and_in_order() {
        let thought = |index, text: &str| RunEventBody::Reasoning {
            choice: 0,
            index,
            added: Reasoning { text: text.into(), ..Reasoning::default() },
        };
        let extension = |extension| RunEventBody::extension(ClientDialect::OpenAiResponses, extension);
        let events = [
            thought(0, "A"),
            RunEventBody::text("Let me look."),
            extension(Extension::TextBlock),
            RunEventBody::text("Wait."),
            extension(Extension::Item(json!({"type": "web_search_call", "id": "ws_1"}))),
            thought(1, "B"),
            RunEventBody::text("Found it."),
        ];
        let (mut layout, mut answers) = (ItemLayout::default(), Answers::default());
        for event in &events {
            layout.add_event(event);
            answers.apply(event);
        }
        let stored = stored_answer(&answers.all()[0], &layout, RunId::new());
        assert_eq!(stored.content, "Let me look.Wait.Found it.");
        let sent = sent_answer(stored.clone(), &layout);
        assert_eq!(sent.content, "Let me look.\n\nWait.\n\nFound it.");
        let pieces = sent.pieces().into_iter().map(|piece| match piece {
            Piece::Reasoning(block) => block.text.as_str(),
            Piece::Part(_, Part::Text(text)) => text,
            Piece::Part(..) => "item",
            Piece::Call(..) => "call",
        });
        let pieces: Vec<_> = pieces.collect();
        assert_eq!(pieces, ["A", "Let me look.", "Wait.", "item", "B", "Found it."]);
        // An answer of an earlier version has no places: the layout has its order.
        let mut earlier = stored.clone();
        earlier
            .attachments
            .retain(|piece| matches!(piece.content, hearth_domain::AttachmentContent::Opaque(_)));
        assert_eq!(sent_answer(earlier, &layout), sent);
        assert_eq!(sent_answer(stored.clone(), &ItemLayout::default()), stored);
    }
}
