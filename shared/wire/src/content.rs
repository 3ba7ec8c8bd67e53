//! A message's content in OpenAI's chat format, which the native dialect uses too: a text, or a list of parts.

use std::fmt;

use hearth_domain::{ArtifactId, Document, DocumentSource, FileId, Image, Message, Role};
use serde::{Deserialize, Deserializer, Serialize, de::SeqAccess};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::{
    ApiError,
    forms::{self, Forms},
    message_parts::MessageParts,
    required::{missing, required},
};

/// A text, or a list of parts.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(untagged)]
pub enum MessageContent {
    /// The whole text.
    Text(String),
    /// Parts, in order.
    Parts(Vec<ContentPart>),
}

impl<'de> Forms<'de> for MessageContent {
    const EXPECTED: &'static str = "a string or a list of content parts";

    fn from_text(text: String) -> Result<Self, String> {
        Ok(Self::Text(text))
    }

    fn from_list<A: SeqAccess<'de>>(parts: A) -> Result<Self, A::Error> {
        forms::items(parts).map(Self::Parts)
    }
}

impl<'de> Deserialize<'de> for MessageContent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        forms::deserialize(deserializer)
    }
}

/// One part of a message.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ContentPart {
    /// `text`, `image_url` for a model with vision, or `file` for a model that reads documents. A part of another type is
    /// passed on to a provider of this dialect, and refused elsewhere.
    #[serde(rename = "type")]
    #[schema(example = "text")]
    pub kind: String,
    /// Of `text`: the text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Of `image_url`: the image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_url: Option<ImageUrl>,
    /// Of `file`: the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<FileData>,
    /// Of `refusal`: the model's refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// Unknown fields, for a provider of this dialect.
    #[serde(flatten)]
    #[schema(ignore)]
    pub extra: Map<String, Value>,
}

/// An image.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ImageUrl {
    /// URL of the image, or `data:image/png;base64,...`.
    pub url: String,
    /// Detail level: `auto`, `low` or `high`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// A document.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct FileData {
    /// The file: `data:application/pdf;base64,...`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_data: Option<String>,
    /// Name of the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
    /// Id of a file or an artifact of the gateway, or of a file at a provider of this dialect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_id: Option<String>,
}

impl MessageContent {
    /// Converts the content to a message of `role`. `param` is the content's field, for the error: it is formatted only then.
    ///
    /// # Errors
    /// `invalid_request`, naming the field that a part lacks.
    pub fn into_message(self, role: Role, param: fmt::Arguments<'_>) -> Result<Message, ApiError> {
        let parts = match self {
            Self::Text(text) => return Ok(Message::new(role, text)),
            Self::Parts(parts) => parts,
        };
        // Parts of a model's message continue each other.
        let separator = if role == Role::Assistant { "" } else { "\n" };
        let mut message = MessageParts::default();
        for (index, part) in parts.into_iter().enumerate() {
            let param = format_args!("{param}[{index}]");
            match part.kind.as_str() {
                "text" => {
                    message.add_text(required(part.text, param, "text")?, separator, part.extra);
                }
                "refusal" => {
                    message.add_text(required(part.refusal, param, "refusal")?, separator, part.extra);
                }
                "image_url" => {
                    let ImageUrl { url, detail } = required(part.image_url, param, "image_url")?;
                    message.add_image(Image { detail, ..Image::at(url) }, part.extra);
                }
                "file" => match required(part.file.clone(), param, "file")? {
                    FileData { file_data: Some(data), filename, .. } => {
                        let source = document_source(data, &format!("{param}.file.file_data"))?;
                        message.add_document(Document { source, name: filename }, part.extra);
                    }
                    FileData { file_id: Some(id), filename, .. } if is_stored(&id) => {
                        let source = DocumentSource::Url(id);
                        message.add_document(Document { source, name: filename }, part.extra);
                    }
                    FileData { file_id: Some(_), .. } => message.add_opaque(param.to_string(), json!(part)),
                    FileData { .. } => return Err(missing(format!("{param}.file.file_data"))),
                },
                _ => message.add_opaque(param.to_string(), json!(part)),
            }
        }
        Ok(message.into_message(role))
    }
}

/// True if the text is the id of a file or an artifact of the gateway. Ids of OpenAI's files have another length.
pub(crate) fn is_stored(id: &str) -> bool {
    id.parse::<FileId>().is_ok() || id.parse::<ArtifactId>().is_ok()
}

/// Parses a data URL or an address of a document.
///
/// # Errors
/// `invalid_request` for any other text.
pub(crate) fn document_source(data: String, param: &str) -> Result<DocumentSource, ApiError> {
    match DocumentSource::at(data) {
        DocumentSource::Url(url) if !url.starts_with("https://") && !url.starts_with("http://") => {
            let message = format!("{param} must be data:application/pdf;base64,..., or an address");
            Err(ApiError::invalid(param, message))
        }
        source => Ok(source),
    }
}
