//! The order of a response's items. A stored answer has its text, reasoning and calls in separate fields; the layout
//! records their order in the output, so that the index in an item's id still leads to the item.

use hearth_domain::Message;
use serde::{Deserialize, Serialize};

use crate::RunEventBody;

/// The part of an answer that an item contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum AnswerPart {
    /// A piece of the text.
    Text,
    /// A piece of the refusal.
    Refusal,
    /// The reasoning block with this number.
    #[serde(rename = "thoughts")]
    Reasoning(u32),
    /// The call with this number.
    Call(u32),
}

/// The items of one response, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ItemLayout(Vec<Item>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Item {
    part: AnswerPart,
    /// Length of its piece of the text or of the refusal.
    #[serde(default, skip_serializing_if = "is_zero")]
    bytes: usize,
    /// True while later events may extend it.
    #[serde(skip)]
    open: bool,
}

/// An item of a stored answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StoredItem<'a> {
    pub(super) part: AnswerPart,
    /// Its piece of the text or of the refusal.
    pub(super) text: &'a str,
}

impl ItemLayout {
    /// Returns whether the order is unknown.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a run's next event, by the renderer's rules: a text, a refusal and a reasoning block end when another item
    /// begins, calls don't.
    pub fn add_event(&mut self, event: &RunEventBody) {
        match event {
            RunEventBody::Delta { choice: 0, text, logprobs } if !text.is_empty() || !logprobs.is_empty() => {
                self.extend_message(AnswerPart::Text, text.len());
            }
            RunEventBody::Refusal { choice: 0, text } if !text.is_empty() => {
                self.extend_message(AnswerPart::Refusal, text.len());
            }
            RunEventBody::Reasoning { choice: 0, index, added } => {
                let part = AnswerPart::Reasoning(*index);
                let continues = |item: &Item| item.part == part && (item.open || added.text.is_empty());
                if !self.0.iter().any(continues) {
                    self.begin(part);
                }
            }
            RunEventBody::ToolCall { choice: 0, index, begins, .. } => {
                let part = AnswerPart::Call(*index);
                if begins.is_some() && self.0.iter().all(|item| item.part != part) {
                    self.begin(part);
                }
            }
            _ => {}
        }
    }

    fn extend_message(&mut self, part: AnswerPart, bytes: usize) {
        if !self.0.iter().any(|item| item.open && item.part == part) {
            self.begin(part);
        }
        if let Some(item) = self.0.iter_mut().rfind(|item| item.open && item.part == part) {
            item.bytes += bytes;
        }
    }

    fn begin(&mut self, part: AnswerPart) {
        for item in &mut self.0 {
            item.open &= matches!(item.part, AnswerPart::Call(_));
        }
        self.0.push(Item { part, bytes: 0, open: true });
    }

    /// Returns the items of `answer` in order. Without a layout the order is reasoning, text, calls.
    pub(super) fn items<'a>(&self, answer: &'a Message) -> Vec<StoredItem<'a>> {
        if self.is_empty() {
            return default_order(answer);
        }
        // The stored text is the whole text followed by the whole refusal.
        let text_bytes =
            self.0.iter().filter(|item| item.part == AnswerPart::Text).map(|item| item.bytes).sum();
        let (mut text_at, mut refusal_at) = (0, text_bytes);
        let stored = |item: &Item| {
            let at = match item.part {
                AnswerPart::Text => &mut text_at,
                AnswerPart::Refusal => &mut refusal_at,
                AnswerPart::Reasoning(_) | AnswerPart::Call(_) => {
                    return StoredItem { part: item.part, text: "" };
                }
            };
            let from = std::mem::replace(at, *at + item.bytes);
            StoredItem { part: item.part, text: answer.content.get(from..*at).unwrap_or_default() }
        };
        self.0.iter().map(stored).collect()
    }
}

fn default_order(answer: &Message) -> Vec<StoredItem<'_>> {
    let without_text = |part| StoredItem { part, text: "" };
    let reasoning = (0..).zip(&answer.reasoning);
    let mut items: Vec<_> =
        reasoning.map(|(number, _)| without_text(AnswerPart::Reasoning(number))).collect();
    // An empty message is an item if it is the only one.
    if !answer.content.is_empty() || (items.is_empty() && answer.tool_calls.is_empty()) {
        items.push(StoredItem { part: AnswerPart::Text, text: &answer.content });
    }
    items.extend((0..).zip(&answer.tool_calls).map(|(number, _)| without_text(AnswerPart::Call(number))));
    items
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(bytes: &usize) -> bool {
    *bytes == 0
}

#[cfg(test)]
mod tests {
    use hearth_domain::{FinishReason, Reasoning, Role, RunId, ToolCall};
    use proptest::prelude::*;

    use super::*;
    use crate::{
        RunEvent,
        answer::Answers,
        event::ToolCallBegin,
        openai::responses::{OutputItem, RenderOptions, RequestEcho, ResponsesRenderer},
        stream::Render as _,
    };

    fn event() -> impl Strategy<Value = RunEventBody> {
        let text = "[ab]{0,2}";
        prop_oneof![
            text.prop_map(RunEventBody::text),
            text.prop_map(|text| RunEventBody::Refusal { choice: 0, text }),
            (0..3_u32, text, any::<bool>()).prop_map(|(index, text, signed)| {
                let added = Reasoning { text, signature: signed.then(|| "s".into()), ..Reasoning::default() };
                RunEventBody::Reasoning { choice: 0, index, added }
            }),
            (0..3_u32, any::<bool>()).prop_map(|(index, begins)| {
                let begins = begins.then(|| ToolCallBegin { id: format!("c{index}"), name: "look".into() });
                RunEventBody::ToolCall { choice: 0, index, begins, arguments: String::new() }
            }),
        ]
    }

    /// The kind of an item, and its text if it is a message.
    fn kind_and_text(item: &OutputItem) -> (&'static str, String) {
        match item {
            OutputItem::Message { content, .. } => {
                let part = serde_json::to_value(&content[0]).unwrap();
                let text = part["text"].as_str().or(part["refusal"].as_str()).unwrap().to_owned();
                ("message", text)
            }
            OutputItem::Reasoning { .. } => ("reasoning", String::new()),
            _ => ("call", String::new()),
        }
    }

    proptest! {
        #[test]
        fn layout_equals_the_order_of_rendered_items(bodies in prop::collection::vec(event(), 0..12)) {
            let (mut layout, mut answers) = (ItemLayout::default(), Answers::default());
            for body in &bodies {
                layout.add_event(body);
                answers.apply(body);
            }
            let answer = answers.all()[0].clone();
            let message = Message {
                reasoning: answer.reasoning.clone(), tool_calls: answer.tool_calls.clone(),
                ..Message::new(Role::Assistant, answer.text_with_refusal())
            };
            let done = RunEventBody::Done { finish_reason: FinishReason::Stop };
            let events: Vec<_> =
                (1..).zip(bodies).chain([(99, done)]).map(|(seq, body)| RunEvent { seq, body }).collect();
            let renderer = ResponsesRenderer::new(RunId::new(), RequestEcho::default(), RenderOptions::default());
            let response = renderer.into_answer(&events).unwrap();
            let expected: Vec<_> = response.output.iter().map(kind_and_text).collect();
            let stored: ItemLayout = serde_json::from_value(serde_json::to_value(&layout).unwrap()).unwrap();
            let items: Vec<_> = stored.items(&message).into_iter().map(|item| match item.part {
                AnswerPart::Text | AnswerPart::Refusal => ("message", item.text.to_owned()),
                AnswerPart::Reasoning(_) => ("reasoning", String::new()),
                AnswerPart::Call(_) => ("call", String::new()),
            }).collect();
            prop_assert_eq!(items, expected);
        }
    }

    #[test]
    fn answer_without_layout_has_reasoning_text_and_calls() {
        let answer = Message {
            reasoning: vec![Reasoning::default()],
            tool_calls: vec![ToolCall { id: "c".into(), name: "look".into(), arguments: "{}".into() }],
            ..Message::new(Role::Assistant, "I look.")
        };
        let parts: Vec<_> = ItemLayout::default().items(&answer).into_iter().map(|item| item.part).collect();
        assert_eq!(parts, [AnswerPart::Reasoning(0), AnswerPart::Text, AnswerPart::Call(0)]);
    }
}
