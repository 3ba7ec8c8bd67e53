//! What a message has beside text and images: documents, and what only the client's dialect has words for.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A piece of a message at its place in the message's text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// Before which byte of the message's text it stands.
    pub at: usize,
    /// How many of the message's images stand before it.
    #[serde(default)]
    pub images_before: usize,
    /// The piece.
    pub content: AttachmentContent,
}

/// What is attached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttachmentContent {
    /// A file to read, as a rule a PDF.
    Document(Document),
    /// A part that the gateway does not know. Only a provider of the client's dialect is sent it.
    Opaque(Opaque),
    /// A text part ends here, and this many bytes of the text follow that only set the next part off.
    Break(usize),
}

/// A file that a model reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// Where it is.
    pub source: DocumentSource,
    /// The file's name or title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Where a document is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DocumentSource {
    /// At this address, which the provider fetches.
    Url(String),
    /// Here.
    Data {
        /// Such as `application/pdf`.
        media_type: String,
        /// The file, in base64 with padding.
        data: String,
    },
    /// Plain text.
    Text(String),
}

/// A part, or a whole item, of a conversation as the client wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opaque {
    /// Where it stood in the request, for errors.
    pub param: String,
    /// The part, unchanged.
    pub value: Value,
}

/// Further fields of a piece of a message, in the client's dialect. A provider of the same dialect is sent them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartExtra {
    /// Which piece has them.
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
    /// A document of plain text, its name before it; none of another.
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
    /// The source that an address names. The content of a data URL is taken out of it.
    #[must_use]
    pub fn at(url: impl Into<String>) -> Self {
        let url = url.into();
        match crate::image::data_of(&url) {
            Some((media_type, data)) => Self::Data { media_type, data: data.to_owned() },
            None => Self::Url(url),
        }
    }
}
