//! The message that is stored of an answer, and the messages that a next request has of it.

use std::collections::HashSet;

use hearth_domain::{ClientDialect, Message, Role, RunId};
use serde_json::{Map, Value};

use super::{
    ItemLayout,
    item_id::provider_item,
    item_layout::{AnswerPart, StoredItem},
};
use crate::{answer::Answer, extension::Extension, message_parts::MessageParts};

/// Converts the answer of the run `run` to the message that is stored of it: the text followed by the refusal, with the
/// provider's items in this dialect, which have the ids that the client got. `layout` has the citations.
#[must_use]
pub fn stored_answer(answer: &Answer, layout: &ItemLayout, run: RunId) -> Message {
    let run = run.to_string();
    let mut indices = layout.provider_items();
    let (mut parts, mut end) = (MessageParts::default(), 0);
    for placed in answer.extensions_in(ClientDialect::OpenAiResponses) {
        if let Extension::Item(Value::Object(item)) = &placed.extension
            && placed.extension.is_stored()
        {
            parts.add_text(answer.text.get(end..placed.at).unwrap_or_default(), "", Map::new());
            let item = indices.next().map_or_else(|| item.clone(), |index| provider_item(item, &run, index));
            parts.add_opaque("output", item.into());
            end = placed.at;
        }
    }
    let mut text = answer.text.get(end..).unwrap_or_default().to_owned();
    text.push_str(&answer.refusal);
    parts.add_text(text, "", Map::new());
    let (reasoning, tool_calls) = (answer.reasoning.clone(), answer.tool_calls.clone());
    Message { reasoning, tool_calls, ..parts.into_message(Role::Assistant) }
}

/// Splits a stored answer where reasoning follows a text or an item of the provider, since a message has its reasoning before its
/// text. What follows the first call stays in one message with it.
#[must_use]
pub fn split_answer(answer: Message, layout: &ItemLayout) -> Vec<Message> {
    let mut seen = HashSet::new();
    let mut items = layout.items(&answer);
    // A block of reasoning in several pieces is several items, each with its whole text.
    items.retain(|item| match item.part {
        AnswerPart::Reasoning(number) => seen.insert(number),
        _ => true,
    });
    let is_reasoning = |item: &StoredItem<'_>| matches!(item.part, AnswerPart::Reasoning(_));
    let before_calls = items.iter().take_while(|item| !matches!(item.part, AnswerPart::Call(_)));
    let pairs = before_calls.clone().zip(before_calls.skip(1));
    if !pairs.into_iter().any(|(before, item)| !is_reasoning(before) && is_reasoning(item)) {
        return vec![answer];
    }
    let mut messages: Vec<Message> = Vec::new();
    let mut parts = MessageParts::default();
    let mut message = Message::new(Role::Assistant, "");
    for item in items {
        match item.part {
            AnswerPart::Reasoning(number) => {
                if parts.has_parts() && message.tool_calls.is_empty() {
                    messages.push(with_parts(&mut message, &mut parts));
                }
                message.reasoning.extend(answer.reasoning.get(number as usize).cloned());
            }
            AnswerPart::Text | AnswerPart::Refusal => parts.add_text(item.text, "", Map::new()),
            AnswerPart::Call(number) => {
                message.tool_calls.extend(answer.tool_calls.get(number as usize).cloned());
            }
            AnswerPart::Item(number) => {
                if let Some(opaque) = answer.opaque_parts().nth(number as usize) {
                    parts.add_opaque(opaque.param.clone(), opaque.value.clone());
                }
            }
            AnswerPart::Omitted => {}
        }
    }
    messages.push(with_parts(&mut message, &mut parts));
    messages
}

/// Takes a message, with these parts.
fn with_parts(message: &mut Message, parts: &mut MessageParts) -> Message {
    let Message { reasoning, tool_calls, .. } = std::mem::replace(message, Message::new(Role::Assistant, ""));
    Message { reasoning, tool_calls, ..std::mem::take(parts).into_message(Role::Assistant) }
}

#[cfg(test)]
mod tests {
    use hearth_domain::Reasoning;
    use serde_json::json;

    use super::*;
    use crate::{RunEventBody, answer::Answers};

    #[test]
    fn reasoning_stays_before_the_item_that_it_led_to() {
        let reasoning = |text: &str| Reasoning { text: text.into(), ..Reasoning::default() };
        let thought = |index, text| RunEventBody::Reasoning { choice: 0, index, added: reasoning(text) };
        let search = || Extension::Item(json!({"type": "web_search_call", "id": "ws_1"}));
        let events = [
            thought(0, "A"),
            RunEventBody::extension(ClientDialect::OpenAiResponses, search()),
            thought(1, "B"),
            RunEventBody::text("Found."),
        ];
        let (mut layout, mut answers) = (ItemLayout::default(), Answers::default());
        for event in &events {
            layout.add_event(event);
            answers.apply(event);
        }
        let stored = stored_answer(&answers.all()[0], &layout, RunId::new());
        let turns = split_answer(stored, &layout);
        let shape: Vec<_> = turns
            .iter()
            .map(|turn| (turn.reasoning.clone(), turn.content.as_str(), turn.opaque_parts().count()))
            .collect();
        assert_eq!(shape, [(vec![reasoning("A")], "", 1), (vec![reasoning("B")], "Found.", 0)]);
        let plain = Message { reasoning: vec![reasoning("A")], ..Message::new(Role::Assistant, "Hi") };
        assert_eq!(split_answer(plain.clone(), &ItemLayout::default()), [plain]);
    }
}
