//! Documents in messages, and message parts that only the client's dialect can express.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Piece of a message at its position in the message's text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// Byte offset in the message's text at which it stands.
    pub at: usize,
    /// Number of the message's images that stand before it.
    #[serde(default)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
