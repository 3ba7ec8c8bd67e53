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
    /// Documents, ends of text parts, parts that only the client's dialect can express, and the places of reasoning and calls
    /// among them, ordered by position.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
    /// Unknown fields of its pieces, in the client's dialect.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra: Vec<PartExtra>,
    /// Reasoning of the model.
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

/// Part of a message's content.
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

/// Part, block of reasoning, or call of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Block of reasoning.
    Reasoning(&'a Reasoning),
    /// Part of the content, with its number among the parts.
    Part(usize, Part<'a>),
    /// Call, with its number among the calls.
    Call(usize, &'a ToolCall),
}

impl Message {
    /// Returns the parts in order. A position outside the text, or within a character, is moved to the next possible
    /// one.
    pub fn parts(&self) -> Vec<Part<'_>> {
        let pieces = self.pieces().into_iter().filter_map(|piece| match piece {
            Piece::Part(_, part) => Some(part),
            Piece::Reasoning(_) | Piece::Call(..) => None,
        });
        pieces.collect()
    }

    /// Returns the reasoning, the parts and the calls in order.
    pub fn pieces(&self) -> Vec<Piece<'_>> {
        let places = self.attachments.iter().filter(|piece| piece.content == AttachmentContent::Reasoning);
        let mut reasoning = self.reasoning.iter();
        let unplaced = self.reasoning.len().saturating_sub(places.count());
        let mut pieces: Vec<_> = reasoning.by_ref().take(unplaced).map(Piece::Reasoning).collect();
        let mut calls = self.tool_calls.iter().enumerate();
        let mut images = self.images.iter().enumerate().peekable();
        let mut texts = Texts { message: self, done: 0, parts: 0 };
        for attachment in &self.attachments {
            while let Some((_, placed)) = images.next_if(|(index, _)| *index < attachment.images_before) {
                texts.until(placed.at, &mut pieces);
                texts.push(Part::Image(&placed.image), &mut pieces);
            }
            texts.until(attachment.at, &mut pieces);
            match &attachment.content {
                AttachmentContent::Document(document) => texts.push(Part::Document(document), &mut pieces),
                AttachmentContent::Opaque(opaque) => texts.push(Part::Opaque(opaque), &mut pieces),
                AttachmentContent::Break(gap) => texts.skip(*gap),
                AttachmentContent::Reasoning => pieces.extend(reasoning.next().map(Piece::Reasoning)),
                AttachmentContent::Call => {
                    pieces.extend(calls.next().map(|(number, call)| Piece::Call(number, call)));
                }
            }
        }
        for (_, placed) in images {
            texts.until(placed.at, &mut pieces);
            texts.push(Part::Image(&placed.image), &mut pieces);
        }
        texts.until(self.content.len(), &mut pieces);
        pieces.extend(calls.map(|(number, call)| Piece::Call(number, call)));
        pieces
    }

    /// Returns the parts in order, each with its unknown fields.
    pub fn parts_with_extra(&self) -> Vec<(Part<'_>, Option<&Map<String, Value>>)> {
        let fields = self.extra_by_place();
        let parts = self.parts().into_iter().enumerate();
        parts.map(|(number, part)| (part, fields.get(&PartPlace::Part(number)).copied())).collect()
    }

    /// Returns the unknown fields of all pieces, each by its piece.
    #[must_use]
    pub fn extra_by_place(&self) -> HashMap<PartPlace, &Map<String, Value>> {
        // Of several entries of one piece the first one is valid.
        self.extra.iter().rev().map(|extra| (extra.of, &extra.fields)).collect()
    }

    /// Returns the unknown fields of a piece.
    #[must_use]
    pub fn extra_of(&self, place: PartPlace) -> Option<&Map<String, Value>> {
        self.extra.iter().find(|extra| extra.of == place).map(|extra| &extra.fields)
    }

    /// Returns the byte offset in the message's text of `part`, a text of its [`parts`](Self::parts).
    #[must_use]
    pub fn offset_of(&self, part: &str) -> usize {
        part.as_ptr().addr().saturating_sub(self.content.as_ptr().addr())
    }

    /// Returns whether it has no images, documents or opaque parts.
    #[must_use]
    pub fn is_text_only(&self) -> bool {
        let is_part = |piece: &Attachment| {
            matches!(piece.content, AttachmentContent::Document(_) | AttachmentContent::Opaque(_))
        };
        self.images.is_empty() && !self.attachments.iter().any(is_part)
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

    /// Returns the first character boundary at or after `at`.
    fn boundary(&self, at: usize) -> usize {
        let place = (at..self.content.len()).find(|at| self.content.is_char_boundary(*at));
        place.unwrap_or(self.content.len())
    }
}

/// The texts of a message between its other pieces.
struct Texts<'a> {
    message: &'a Message,
    /// Bytes of the text that are done.
    done: usize,
    /// Number of parts so far.
    parts: usize,
}

impl<'a> Texts<'a> {
    /// Adds the text up to `at`, unless it is empty.
    fn until(&mut self, at: usize, pieces: &mut Vec<Piece<'a>>) {
        let at = self.message.boundary(at).max(self.done);
        if let Some(text) = self.message.content.get(self.done..at).filter(|text| !text.is_empty()) {
            self.push(Part::Text(text), pieces);
        }
        self.done = at;
    }

    /// Leaves out the next bytes, this many.
    fn skip(&mut self, bytes: usize) {
        self.done = self.message.boundary(self.done.saturating_add(bytes));
    }

    fn push(&mut self, part: Part<'a>, pieces: &mut Vec<Piece<'a>>) {
        pieces.push(Piece::Part(self.parts, part));
        self.parts += 1;
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
    fn reasoning_and_calls_stand_at_their_places() {
        let block = |text: &str| Reasoning { text: text.to_owned(), ..Reasoning::default() };
        let call = |id: &str| ToolCall { id: id.into(), name: "look".into(), arguments: "{}".into() };
        let (a, b, first, second) = (block("a"), block("b"), call("1"), call("2"));
        let place = |at, content| Attachment { at, images_before: 0, content };
        let mut message = Message {
            reasoning: vec![a.clone(), b.clone()],
            tool_calls: vec![first.clone(), second.clone()],
            ..Message::new(Role::Assistant, "xy")
        };
        let (x, y) = (Piece::Part(0, Part::Text("x")), Piece::Part(1, Part::Text("y")));
        let whole = Piece::Part(0, Part::Text("xy"));
        let (a, b) = (Piece::Reasoning(&a), Piece::Reasoning(&b));
        let (first, second) = (Piece::Call(0, &first), Piece::Call(1, &second));
        assert_eq!(message.pieces(), [a, b, whole, first, second]);
        message.attachments = vec![place(1, AttachmentContent::Call), place(1, AttachmentContent::Reasoning)];
        assert!(message.is_text_only());
        assert_eq!(message.pieces(), [a, x, first, b, y, second]);
        assert_eq!(message.parts(), [Part::Text("x"), Part::Text("y")]);
        let offsets = message.parts().into_iter().map(|part| match part {
            Part::Text(text) => message.offset_of(text),
            other => panic!("{other:?}"),
        });
        assert_eq!(offsets.collect::<Vec<_>>(), [0, 1]);
        // Places without a block or a call don't matter.
        message.attachments.extend(std::iter::repeat_n(place(2, AttachmentContent::Call), 3));
        message.reasoning.clear();
        assert_eq!(message.pieces(), [x, first, y, second]);
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
