//! What is said in a conversation.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::{Image, PlacedImage, Reasoning, ToolCall};

/// Who says a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructions that hold for the whole conversation.
    System,
    /// The person or program that asks.
    User,
    /// The model.
    Assistant,
    /// A tool, with the result of a call.
    Tool,
}

impl Role {
    /// The name used in JSON and in chat templates.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
        }
    }
}

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Who says it.
    pub role: Role,
    /// What is said; may be empty.
    pub content: String,
    /// What is shown, in the order of the places.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<PlacedImage>,
    /// What the model thought before it said this.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasoning: Vec<Reasoning>,
    /// The tools that the model called in this turn.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// In a tool's message, the call that it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
    /// In a tool's message: the tool failed, and says why.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub failed: bool,
    /// In a tool's message, the tool's name; else who speaks, where several share a role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl Message {
    /// A message of `role` with `content`.
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Self {
            role,
            content: content.into(),
            images: Vec::new(),
            reasoning: Vec::new(),
            tool_calls: Vec::new(),
            tool_call_id: None,
            failed: false,
            name: None,
        }
    }
}

/// A part of a message, as it is written in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part<'a> {
    /// Some of the text, never empty.
    Text(&'a str),
    /// An image.
    Image(&'a Image),
}

impl Message {
    /// Text and images in order. A place outside of the text, or within a character, counts as the next
    /// one that can be.
    pub fn parts(&self) -> Vec<Part<'_>> {
        let (mut parts, mut done) = (Vec::new(), 0);
        let text = |from, to| self.content.get(from..to).filter(|text| !text.is_empty()).map(Part::Text);
        for PlacedImage { at, image } in &self.images {
            let at = (*at..self.content.len()).find(|at| self.content.is_char_boundary(*at));
            let at = at.unwrap_or(self.content.len()).max(done);
            parts.extend(text(done, at));
            parts.push(Part::Image(image));
            done = at;
        }
        parts.extend(text(done, self.content.len()));
        parts
    }
}

/// Gives each tool's message the name of the tool whose call it answers, as chat templates ask for it.
pub fn name_results(messages: &mut [Message]) {
    let mut names: HashMap<String, String> = HashMap::new();
    for message in messages {
        names.extend(message.tool_calls.iter().map(|call| (call.id.clone(), call.name.clone())));
        if message.role == Role::Tool {
            message.name = message.tool_call_id.as_ref().and_then(|id| names.get(id).cloned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_in_order_wherever_the_images_are() {
        let image = |n: u32| Image::at(format!("https://example.org/{n}.png"));
        let (first, second) = (image(1), image(2));
        let cases = [
            ("", &[0, 0][..], vec![Part::Image(&first), Part::Image(&second)]),
            ("abc", &[0, 3], vec![Part::Image(&first), Part::Text("abc"), Part::Image(&second)]),
            (
                "aéc",
                &[2, 99],
                vec![Part::Text("aé"), Part::Image(&first), Part::Text("c"), Part::Image(&second)],
            ),
            (
                "abc",
                &[2, 1],
                vec![Part::Text("ab"), Part::Image(&first), Part::Image(&second), Part::Text("c")],
            ),
        ];
        for (text, places, parts) in cases {
            let images = places.iter().zip([&first, &second]);
            let images = images.map(|(at, image)| PlacedImage { at: *at, image: image.clone() }).collect();
            let message = Message { images, ..Message::new(Role::User, text) };
            assert_eq!(message.parts(), parts, "{text:?} {places:?}");
        }
    }

    #[test]
    fn a_result_has_the_name_of_the_tool_that_was_called_last_under_its_id() {
        let call = |name: &str| Message {
            tool_calls: vec![ToolCall { id: "1".into(), name: name.into(), arguments: "{}".into() }],
            ..Message::new(Role::Assistant, "")
        };
        let result = Message { tool_call_id: Some("1".into()), ..Message::new(Role::Tool, "") };
        let lost = Message { tool_call_id: Some("2".into()), ..result.clone() };
        let user = Message { name: Some("ada".into()), ..Message::new(Role::User, "") };
        let mut messages = [user, call("look"), result.clone(), call("listen"), result, lost];
        name_results(&mut messages);
        let names = messages.map(|message| message.name);
        assert_eq!(
            names.each_ref().map(Option::as_deref),
            [Some("ada"), None, Some("look"), None, Some("listen"), None]
        );
    }
}
