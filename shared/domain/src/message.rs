//! Messages of a conversation.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use serde_json::{Map, Value};

use crate::{
    Attachment, AttachmentContent, Document, Image, Opaque, PartExtra, PartPlace, PlacedImage, Reasoning,
    ToolCall,
};

/// Role of a message's author.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructions for the whole conversation.
    System,
    /// User.
    User,
    /// Model.
    Assistant,
    /// Tool; the message is the result of a call.
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

/// Message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Role of its author.
    pub role: Role,
    /// Text; may be empty.
    pub content: String,
    /// Images, ordered by position.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<PlacedImage>,
    /// Documents, ends of text parts, and parts that only the client's dialect can express, ordered by position.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
    /// Unknown fields of its pieces, in the client's dialect.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra: Vec<PartExtra>,
    /// Reasoning of the model before the text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasoning: Vec<Reasoning>,
    /// Tool calls of this turn.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// Id of the call that a tool's message answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
    /// True if the tool failed; its message has the reason.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub failed: bool,
    /// Name of the tool in a tool's message; else the author's name, if several authors share a role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl Message {
    /// Creates a message of `role` with `content`.
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Self {
            role,
            content: content.into(),
            images: Vec::new(),
            attachments: Vec::new(),
            extra: Vec::new(),
            reasoning: Vec::new(),
            tool_calls: Vec::new(),
            tool_call_id: None,
            failed: false,
            name: None,
        }
    }
}

/// Part of a message, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part<'a> {
    /// Text, never empty.
    Text(&'a str),
    /// An image.
    Image(&'a Image),
    /// A document.
    Document(&'a Document),
    /// Part that only the client's dialect can express.
    Opaque(&'a Opaque),
}

impl Message {
    /// Returns the parts in order. A position outside the text, or within a character, is moved to the next possible
    /// one.
    pub fn parts(&self) -> Vec<Part<'_>> {
        let (mut parts, mut done) = (Vec::new(), 0);
        let mut images = self.images.iter().enumerate().peekable();
        for attachment in &self.attachments {
            while let Some((_, placed)) = images.next_if(|(index, _)| *index < attachment.images_before) {
                self.text_until(placed.at, &mut done, &mut parts);
                parts.push(Part::Image(&placed.image));
            }
            self.text_until(attachment.at, &mut done, &mut parts);
            match &attachment.content {
                AttachmentContent::Document(document) => parts.push(Part::Document(document)),
                AttachmentContent::Opaque(opaque) => parts.push(Part::Opaque(opaque)),
                AttachmentContent::Break(gap) => done = self.boundary(done.saturating_add(*gap)),
            }
        }
        for (_, placed) in images {
            self.text_until(placed.at, &mut done, &mut parts);
            parts.push(Part::Image(&placed.image));
        }
        self.text_until(self.content.len(), &mut done, &mut parts);
        parts
    }

    /// Returns the parts in order, each with its unknown fields.
    pub fn parts_with_extra(&self) -> Vec<(Part<'_>, Option<&Map<String, Value>>)> {
        let parts = self.parts().into_iter().enumerate();
        parts.map(|(number, part)| (part, self.extra_of(PartPlace::Part(number)))).collect()
    }

    /// Returns the unknown fields of a piece.
    #[must_use]
    pub fn extra_of(&self, place: PartPlace) -> Option<&Map<String, Value>> {
        self.extra.iter().find(|extra| extra.of == place).map(|extra| &extra.fields)
    }

    /// Returns whether it has no images, documents or opaque parts.
    #[must_use]
    pub fn is_text_only(&self) -> bool {
        let is_break = |piece: &Attachment| matches!(piece.content, AttachmentContent::Break(_));
        self.images.is_empty() && self.attachments.iter().all(is_break)
    }

    /// Returns its documents.
    pub fn documents(&self) -> impl Iterator<Item = &Document> {
        self.attachments.iter().filter_map(|attachment| match &attachment.content {
            AttachmentContent::Document(document) => Some(document),
            _ => None,
        })
    }

    /// Returns the parts that only the client's dialect can express.
    pub fn opaque_parts(&self) -> impl Iterator<Item = &Opaque> {
        self.attachments.iter().filter_map(|attachment| match &attachment.content {
            AttachmentContent::Opaque(opaque) => Some(opaque),
            _ => None,
        })
    }

    /// Adds the text from `done` to `at`, unless it is empty.
    fn text_until<'a>(&'a self, at: usize, done: &mut usize, parts: &mut Vec<Part<'a>>) {
        let at = self.boundary(at).max(*done);
        let text = self.content.get(*done..at).filter(|text| !text.is_empty());
        parts.extend(text.map(Part::Text));
        *done = at;
    }

    /// Returns the first character boundary at or after `at`.
    fn boundary(&self, at: usize) -> usize {
        let place = (at..self.content.len()).find(|at| self.content.is_char_boundary(*at));
        place.unwrap_or(self.content.len())
    }
}

/// Sets the name of each tool's message to that of the tool whose call it answers, since chat templates read it.
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
    use crate::DocumentSource;

    #[test]
    fn parts_are_ordered_by_position() {
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
    fn text_parts_documents_and_images_keep_their_order_and_fields() {
        let file = Document { source: DocumentSource::Text("x".to_owned()), name: None };
        let attached = |at, images_before, content| Attachment { at, images_before, content };
        let image = Image::at("https://example.org/1.png");
        let fields = Map::from_iter([("cache_control".to_owned(), Value::from("here"))]);
        let message = Message {
            images: vec![PlacedImage { at: 3, image: image.clone() }],
            attachments: vec![
                attached(1, 0, AttachmentContent::Break(1)),
                attached(3, 0, AttachmentContent::Document(file.clone())),
                attached(3, 1, AttachmentContent::Document(file.clone())),
            ],
            extra: vec![PartExtra { of: PartPlace::Part(1), fields: fields.clone() }],
            ..Message::new(Role::User, "A\nBC")
        };
        let parts = [
            Part::Text("A"),
            Part::Text("B"),
            Part::Document(&file),
            Part::Image(&image),
            Part::Document(&file),
            Part::Text("C"),
        ];
        assert_eq!(message.parts(), parts);
        let marked: Vec<_> =
            message.parts_with_extra().into_iter().filter(|(_, extra)| extra.is_some()).collect();
        assert_eq!(marked, [(Part::Text("B"), Some(&fields))]);
        assert!(!message.is_text_only());
        // It is stored and sent to nodes as JSON.
        let text = serde_json::to_string(&message).unwrap();
        assert_eq!(serde_json::from_str::<Message>(&text).unwrap(), message);
    }

    #[test]
    fn a_result_is_named_after_the_last_call_with_its_id() {
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
