//! Documents in messages, and message parts that only the client's dialect can express.

use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

/// Piece of a message at its position in the message's text.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "StoredAttachment<AttachmentContent>")]
pub struct Attachment {
    /// Byte offset in the message's text at which it stands.
    pub at: usize,
    /// Number of the message's images that stand before it.
    pub images_before: usize,
    /// The piece.
    pub content: AttachmentContent,
}

/// Content of an attachment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttachmentContent {
    /// File to read, usually a PDF.
    Document(Document),
    /// Part that the gateway doesn't understand. Only a provider of the client's dialect gets it.
    Opaque(Opaque),
    /// End of a text part. The next bytes, this many, only separate it from the next part.
    Break(usize),
    /// Place of the next block of reasoning. Blocks without a place come before the parts.
    #[serde(skip)]
    Reasoning,
    /// Place of the next tool call. Calls without a place come after the parts.
    #[serde(skip)]
    Call,
}

/// An attachment as it is stored and sent to nodes.
#[derive(Serialize, Deserialize)]
struct StoredAttachment<C> {
    at: usize,
    #[serde(default)]
    images_before: usize,
    content: C,
    /// The piece whose place it is. Its content is the end of a text part then, as which programs read it that don't know this
    /// field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    place: Option<PlacedPiece>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum PlacedPiece {
    Reasoning,
    Call,
}

impl From<StoredAttachment<Self>> for AttachmentContent {
    fn from(stored: StoredAttachment<Self>) -> Self {
        match stored.place {
            Some(PlacedPiece::Reasoning) => Self::Reasoning,
            Some(PlacedPiece::Call) => Self::Call,
            None => stored.content,
        }
    }
}

impl From<StoredAttachment<AttachmentContent>> for Attachment {
    fn from(stored: StoredAttachment<AttachmentContent>) -> Self {
        Self { at: stored.at, images_before: stored.images_before, content: stored.into() }
    }
}

impl Serialize for Attachment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        const END: AttachmentContent = AttachmentContent::Break(0);
        let (content, place) = match &self.content {
            AttachmentContent::Reasoning => (&END, Some(PlacedPiece::Reasoning)),
            AttachmentContent::Call => (&END, Some(PlacedPiece::Call)),
            content => (content, None),
        };
        StoredAttachment { at: self.at, images_before: self.images_before, content, place }
            .serialize(serializer)
    }
}

/// A file that a model reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// Location of the content.
    pub source: DocumentSource,
    /// The file's name or title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Location of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DocumentSource {
    /// URL, which the provider fetches.
    Url(String),
    /// Content in the message itself.
    Data {
        /// Media type, such as `application/pdf`.
        media_type: String,
        /// Content of the file, in base64 with padding.
        data: String,
    },
    /// Plain text.
    Text(String),
}

/// Part, or a whole item, of a conversation as the client wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opaque {
    /// Its path in the request, for errors.
    pub param: String,
    /// The part, unchanged.
    pub value: Value,
}

impl Opaque {
    /// Returns whether it is an item of a conversation rather than a part of a message's content.
    #[must_use]
    pub fn is_item(&self) -> bool {
        !self.param.contains(".content")
    }
}

/// Unknown fields of a piece of a message, in the client's dialect. A provider of the same dialect gets them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartExtra {
    /// Piece that has the fields.
    pub of: PartPlace,
    /// The fields, such as `cache_control`.
    pub fields: Map<String, Value>,
}

/// A piece of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartPlace {
    /// The message itself; in a tool's message the result.
    Message,
    /// The part of this number among its parts, as [`Message::parts`](crate::Message::parts) lists them.
    Part(usize),
    /// The call of this number among its calls.
    Call(usize),
}

impl Document {
    /// Returns the text of a plain-text document, after its name; `None` for any other document.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        match (&self.source, &self.name) {
            (DocumentSource::Text(text), Some(name)) => Some(format!("{name}:\n{text}")),
            (DocumentSource::Text(text), None) => Some(text.clone()),
            _ => None,
        }
    }
}

impl DocumentSource {
    /// Parses a URL. The content of a data URL is decoded into [`Self::Data`].
    #[must_use]
    pub fn at(url: impl Into<String>) -> Self {
        let url = url.into();
        match crate::image::data_of(&url) {
            Some((media_type, data)) => Self::Data { media_type, data: data.to_owned() },
            None => Self::Url(url),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_place_is_the_end_of_a_text_for_earlier_programs() {
        let place = |content| Attachment { at: 2, images_before: 1, content };
        for (content, name) in
            [(AttachmentContent::Call, "call"), (AttachmentContent::Reasoning, "reasoning")]
        {
            let stored = serde_json::to_value(place(content.clone())).unwrap();
            assert_eq!(stored, json!({"at": 2, "images_before": 1, "content": {"break": 0}, "place": name}));
            assert_eq!(serde_json::from_value::<Attachment>(stored).unwrap(), place(content));
        }
        let end = json!({"at": 2, "content": {"break": 1}});
        let read: Attachment = serde_json::from_value(end).unwrap();
        assert_eq!((read.images_before, read.content), (0, AttachmentContent::Break(1)));
    }
}
