//! Builds a message from the parts of a client's dialect.

use hearth_domain::{
    Attachment, AttachmentContent, Document, Image, Message, Opaque, PartExtra, PartPlace, PlacedImage, Role,
};
use serde_json::{Map, Value};

/// Builder of a message.
#[derive(Debug, Default)]
pub(crate) struct MessageParts {
    text: String,
    images: Vec<PlacedImage>,
    attachments: Vec<Attachment>,
    extra: Vec<PartExtra>,
    /// Number of parts.
    count: usize,
    /// True if the last piece is text: a separator goes before more text.
    after_text: bool,
    /// Number of calls at the end. They need no place as long as nothing follows.
    last_calls: usize,
    /// True if the next text begins an item of its own.
    begins_item: bool,
}

/// Separator of texts that are items of their own.
const ITEM_SEPARATOR: &str = "\n\n";

impl MessageParts {
    /// Adds a text, with `separator` between it and a text right before it. An empty text is not a part.
    /// `fields` are the part's unknown fields, for a provider of the client's dialect.
    pub(crate) fn add_text(
        &mut self,
        text: impl AsRef<str> + Into<String>,
        separator: &str,
        fields: Map<String, Value>,
    ) {
        if text.as_ref().is_empty() {
            return;
        }
        self.place_calls();
        let begins_item = std::mem::take(&mut self.begins_item) && !self.text.is_empty();
        if self.after_text || begins_item {
            let separator = if begins_item { ITEM_SEPARATOR } else { separator };
            self.attach(AttachmentContent::Break(separator.len()));
            self.text.push_str(separator);
        }
        match self.text.is_empty() {
            true => self.text = text.into(),
            false => self.text.push_str(text.as_ref()),
        }
        self.count_part(fields);
        self.after_text = true;
    }

    /// Begins a further item of the message: a blank line goes before its text, for dialects in which the message has one text.
    pub(crate) fn begin_item(&mut self) {
        self.begins_item = true;
    }

    /// Adds an image.
    pub(crate) fn add_image(&mut self, image: Image, fields: Map<String, Value>) {
        self.place_calls();
        self.images.push(PlacedImage { at: self.text.len(), image });
        self.count_part(fields);
    }

    /// Adds a document.
    pub(crate) fn add_document(&mut self, document: Document, fields: Map<String, Value>) {
        self.place_calls();
        self.attach(AttachmentContent::Document(document));
        self.count_part(fields);
    }

    /// Adds a part of a type that the gateway does not know. `param` is its field, for errors.
    pub(crate) fn add_opaque(&mut self, param: impl Into<String>, value: Value) {
        self.place_calls();
        self.attach(AttachmentContent::Opaque(Opaque { param: param.into(), value }));
        self.count_part(Map::new());
    }

    /// Adds the place of the next block of reasoning. Each block whose place matters has one, in order.
    pub(crate) fn add_reasoning_place(&mut self) {
        self.place_calls();
        // Blocks without a place come first.
        if self.count > 0 || !self.attachments.is_empty() {
            self.attach(AttachmentContent::Reasoning);
            self.after_text = false;
        }
    }

    /// Adds the place of the next call. Each call has one, in order.
    pub(crate) fn add_call_place(&mut self) {
        self.last_calls += 1;
    }

    /// Adds unknown fields of a piece of the message, if it has any.
    pub(crate) fn add_extra(&mut self, of: PartPlace, mut fields: Map<String, Value>) {
        fields.retain(|_, value| !value.is_null());
        if !fields.is_empty() {
            self.extra.push(PartExtra { of, fields });
        }
    }

    /// Returns the number of its parts.
    pub(crate) fn part_count(&self) -> usize {
        self.count
    }

    /// Builds the message.
    pub(crate) fn into_message(self, role: Role) -> Message {
        Message {
            images: self.images,
            attachments: self.attachments,
            extra: self.extra,
            ..Message::new(role, self.text)
        }
    }

    /// Marks the places of the calls so far, since a piece follows them.
    fn place_calls(&mut self) {
        for _ in 0..std::mem::take(&mut self.last_calls) {
            self.attach(AttachmentContent::Call);
            self.after_text = false;
        }
    }

    fn attach(&mut self, content: AttachmentContent) {
        let (at, images_before) = (self.text.len(), self.images.len());
        self.attachments.push(Attachment { at, images_before, content });
    }

    fn count_part(&mut self, fields: Map<String, Value>) {
        self.add_extra(PartPlace::Part(self.count), fields);
        self.count += 1;
        self.after_text = false;
    }
}

#[cfg(test)]
mod tests {
    use hearth_domain::{Part, Piece, Reasoning, ToolCall};

    use super::*;

    #[test]
    fn texts_are_separated_and_stay_parts() {
        let mut parts = MessageParts::default();
        let fields = Map::from_iter([("cache_control".to_owned(), Value::from(1))]);
        for (text, fields) in [("one", Map::new()), ("", fields.clone()), ("two", fields.clone())] {
            parts.add_text(text, "\n", fields);
        }
        parts.add_image(Image::at("https://example.org/a.png"), Map::new());
        parts.add_text("three", "\n", Map::new());
        let message = parts.into_message(Role::User);
        assert_eq!(message.content, "one\ntwothree");
        let texts = message.parts_with_extra().into_iter().filter_map(|(part, extra)| match part {
            Part::Text(text) => Some((text, extra)),
            _ => None,
        });
        assert_eq!(texts.collect::<Vec<_>>(), [("one", None), ("two", Some(&fields)), ("three", None)]);
    }

    /// Adds pieces and returns the message: a text, `R` for a block of reasoning, `C` for a call, `O` for an opaque part.
    fn built(pieces: &[&str]) -> Message {
        let mut parts = MessageParts::default();
        let (mut reasoning, mut tool_calls) = (Vec::new(), Vec::new());
        for piece in pieces {
            match *piece {
                "R" => {
                    parts.add_reasoning_place();
                    reasoning.push(Reasoning { text: reasoning.len().to_string(), ..Reasoning::default() });
                }
                "C" => {
                    parts.add_call_place();
                    let id = tool_calls.len().to_string();
                    tool_calls.push(ToolCall { id, name: "look".into(), arguments: "{}".into() });
                }
                "O" => parts.add_opaque("input[0]", Value::Null),
                text => parts.add_text(text, "", Map::new()),
            }
        }
        Message { reasoning, tool_calls, ..parts.into_message(Role::Assistant) }
    }

    #[test]
    fn reasoning_and_calls_keep_their_places_among_the_parts() {
        for pieces in [
            &["a", "C", "O", "b", "C"][..],
            &["R", "a", "C", "R", "b", "C"],
            &["R", "O", "R", "a"],
            &["C", "a"],
            &["C", "R", "C"],
            &["C", "C", "a", "C", "R"],
        ] {
            let message = built(pieces);
            let shape = message.pieces().into_iter().map(|piece| match piece {
                Piece::Reasoning(_) => "R",
                Piece::Call(..) => "C",
                Piece::Part(_, Part::Text(text)) => text,
                Piece::Part(..) => "O",
            });
            assert_eq!(shape.collect::<Vec<_>>(), pieces);
            let texts = pieces.iter().filter(|piece| piece.chars().all(char::is_lowercase));
            assert_eq!(message.content, texts.copied().collect::<String>());
        }
    }

    #[test]
    fn pieces_in_the_usual_order_have_no_marks() {
        for pieces in [&["R", "R", "a", "C", "C"][..], &["R", "C"], &["a", "C"], &["a"]] {
            assert_eq!(built(pieces).attachments, [], "{pieces:?}");
        }
    }
}
