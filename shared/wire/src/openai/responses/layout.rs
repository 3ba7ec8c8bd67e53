//! The order of a response's items. A stored conversation has an answer's text, thoughts and calls apart; the layout
//! says how they followed each other, so that an item's id, which has the item's place, still finds it later.

use hearth_domain::Message;
use serde::{Deserialize, Serialize};

use crate::RunEventBody;

/// What an item is of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Part {
    /// A piece of the text.
    Text,
    /// A piece of the refusal.
    Refusal,
    /// The block of thoughts of this number.
    Thoughts(u32),
    /// The call of this number.
    Call(u32),
}

/// The items of one response, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Layout(Vec<Item>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Item {
    part: Part,
    /// How many bytes of the text, or of the refusal, it has.
    #[serde(default, skip_serializing_if = "is_zero")]
    bytes: usize,
    /// Whether more may be added to it.
    #[serde(skip)]
    open: bool,
}

/// An item of a stored answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Placed<'a> {
    pub(super) part: Part,
    /// The piece of the text, or of the refusal, that it is.
    pub(super) text: &'a str,
}

impl Layout {
    /// Whether nothing is known of the order.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes a run's next event. The rules are the renderer's: a text, a refusal and thoughts end when something else
    /// begins, calls don't.
    pub fn note(&mut self, event: &RunEventBody) {
        match event {
            RunEventBody::Delta { choice: 0, text, logprobs } if !text.is_empty() || !logprobs.is_empty() => {
                self.says(Part::Text, text.len());
            }
            RunEventBody::Refusal { choice: 0, text } if !text.is_empty() => {
                self.says(Part::Refusal, text.len());
            }
            RunEventBody::Reasoning { choice: 0, index, added } => {
                let part = Part::Thoughts(*index);
                let goes_on = |item: &Item| item.part == part && (item.open || added.text.is_empty());
                if !self.0.iter().any(goes_on) {
                    self.begin(part);
                }
            }
            RunEventBody::ToolCall { choice: 0, index, begins, .. } => {
                let part = Part::Call(*index);
                if begins.is_some() && self.0.iter().all(|item| item.part != part) {
                    self.begin(part);
                }
            }
            _ => {}
        }
    }

    fn says(&mut self, part: Part, bytes: usize) {
        if !self.0.iter().any(|item| item.open && item.part == part) {
            self.begin(part);
        }
        if let Some(item) = self.0.iter_mut().rfind(|item| item.open && item.part == part) {
            item.bytes += bytes;
        }
    }

    fn begin(&mut self, part: Part) {
        for item in &mut self.0 {
            item.open &= matches!(item.part, Part::Call(_));
        }
        self.0.push(Item { part, bytes: 0, open: true });
    }

    /// The items of `answer` in order. An answer that was stored without its layout is told as thoughts, text, calls.
    pub(super) fn items<'a>(&self, answer: &'a Message) -> Vec<Placed<'a>> {
        if self.is_empty() {
            return without_layout(answer);
        }
        // The stored text is the whole text, and behind it the whole refusal.
        let of_text = self.0.iter().filter(|item| item.part == Part::Text).map(|item| item.bytes).sum();
        let (mut text, mut refusal) = (0, of_text);
        let piece = |item: &Item| {
            let at = match item.part {
                Part::Text => &mut text,
                Part::Refusal => &mut refusal,
                Part::Thoughts(_) | Part::Call(_) => return Placed { part: item.part, text: "" },
            };
            let from = std::mem::replace(at, *at + item.bytes);
            Placed { part: item.part, text: answer.content.get(from..*at).unwrap_or_default() }
        };
        self.0.iter().map(piece).collect()
    }
}

fn without_layout(answer: &Message) -> Vec<Placed<'_>> {
    let nothing = |part| Placed { part, text: "" };
    let mut items: Vec<_> =
        (0..).zip(&answer.reasoning).map(|(number, _)| nothing(Part::Thoughts(number))).collect();
    // A message that says nothing is one, if there is nothing else.
    if !answer.content.is_empty() || (items.is_empty() && answer.tool_calls.is_empty()) {
        items.push(Placed { part: Part::Text, text: &answer.content });
    }
    items.extend((0..).zip(&answer.tool_calls).map(|(number, _)| nothing(Part::Call(number))));
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
        openai::responses::{Asked, OutputItem, Renderer, offer::ClientNames},
        stream::Render as _,
    };

    fn event() -> impl Strategy<Value = RunEventBody> {
        let text = "[ab]{0,2}";
        prop_oneof![
            text.prop_map(RunEventBody::text),
            text.prop_map(|text| RunEventBody::Refusal { choice: 0, text }),
            (0..3_u32, text, any::<bool>()).prop_map(|(index, text, seal)| {
                let added = Reasoning { text, signature: seal.then(|| "s".into()), ..Reasoning::default() };
                RunEventBody::Reasoning { choice: 0, index, added }
            }),
            (0..3_u32, any::<bool>()).prop_map(|(index, begins)| {
                let begins = begins.then(|| ToolCallBegin { id: format!("c{index}"), name: "look".into() });
                RunEventBody::ToolCall { choice: 0, index, begins, arguments: String::new() }
            }),
        ]
    }

    /// The kind of an item, and its text if it is a message.
    fn told(item: &OutputItem) -> (&'static str, String) {
        match item {
            OutputItem::Message { content, .. } => {
                let part = serde_json::to_value(&content[0]).unwrap();
                let text = part["text"].as_str().or(part["refusal"].as_str()).unwrap().to_owned();
                ("message", text)
            }
            OutputItem::Reasoning { .. } => ("thoughts", String::new()),
            _ => ("call", String::new()),
        }
    }

    proptest! {
        #[test]
        fn layout_follows_the_renderer(bodies in prop::collection::vec(event(), 0..12)) {
            let (mut layout, mut answers) = (Layout::default(), Answers::default());
            for body in &bodies {
                layout.note(body);
                answers.take(body);
            }
            let answer = answers.all()[0].clone();
            let message = Message {
                reasoning: answer.reasoning.clone(), tool_calls: answer.tool_calls.clone(),
                ..Message::new(Role::Assistant, answer.said())
            };
            let done = RunEventBody::Done { finish_reason: FinishReason::Stop };
            let events: Vec<_> =
                (1..).zip(bodies).chain([(99, done)]).map(|(seq, body)| RunEvent { seq, body }).collect();
            let response = Renderer::new(RunId::new(), Asked::default(), false, ClientNames::default()).collected(&events).unwrap();
            let expected: Vec<_> = response.output.iter().map(told).collect();
            // What the store keeps.
            let layout: Layout = serde_json::from_value(serde_json::to_value(&layout).unwrap()).unwrap();
            let items: Vec<_> = layout.items(&message).into_iter().map(|item| match item.part {
                Part::Text | Part::Refusal => ("message", item.text.to_owned()),
                Part::Thoughts(_) => ("thoughts", String::new()),
                Part::Call(_) => ("call", String::new()),
            }).collect();
            prop_assert_eq!(items, expected);
        }
    }

    #[test]
    fn an_answer_without_layout_has_thoughts_text_and_calls() {
        let answer = Message {
            reasoning: vec![Reasoning::default()],
            tool_calls: vec![ToolCall { id: "c".into(), name: "look".into(), arguments: "{}".into() }],
            ..Message::new(Role::Assistant, "I look.")
        };
        let parts: Vec<_> = Layout::default().items(&answer).into_iter().map(|item| item.part).collect();
        assert_eq!(parts, [Part::Thoughts(0), Part::Text, Part::Call(0)]);
    }
}
