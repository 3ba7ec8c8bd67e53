//! A message's content: a text, or parts.

use hearth_domain::{Document, DocumentSource, Image, Message, Role};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::{ApiError, parts::MessageParts};

/// A text, or a list of parts.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(untagged, expecting = "expected a string or a list of content parts")]
pub enum Content {
    /// The whole text.
    Text(String),
    /// Parts of it, in order.
    Parts(Vec<ContentPart>),
}

/// One part of a message.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ContentPart {
    /// `text`, `image_url` for a model that sees, or `file` for one that reads documents. A part of another type is for
    /// a provider of this dialect alone.
    #[serde(rename = "type")]
    #[schema(example = "text")]
    pub kind: String,
    /// A text part's text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// An image part's image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_url: Option<ImageUrl>,
    /// A file part's file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<FileData>,
    /// A refusal part's text: what the model said instead of an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// What a provider of this dialect may know.
    #[serde(flatten)]
    #[schema(ignore)]
    pub extra: Map<String, Value>,
}

/// Where an image is.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ImageUrl {
    /// Its address, or `data:image/png;base64,...`.
    pub url: String,
    /// How closely to look: `auto`, `low` or `high`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// A document.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct FileData {
    /// `data:application/pdf;base64,...`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_data: Option<String>,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
    /// A file that a provider of this dialect keeps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_id: Option<String>,
}

impl Content {
    /// The message of `role` that says it. `param` is where the content stood, for the error.
    ///
    /// # Errors
    /// `invalid_request` for a part without its content.
    pub fn into_message(self, role: Role, param: &str) -> Result<Message, ApiError> {
        let parts = match self {
            Self::Text(text) => return Ok(Message::new(role, text)),
            Self::Parts(parts) => parts,
        };
        // What the model said in several parts it said in one go.
        let between = if role == Role::Assistant { "" } else { "\n" };
        let mut message = MessageParts::default();
        for (index, part) in parts.into_iter().enumerate() {
            let param = format!("{param}[{index}]");
            let missing = |field: &str| {
                let message = format!("a part of type {field} needs a {field}");
                ApiError::invalid(format!("{param}.{field}"), message)
            };
            match part.kind.as_str() {
                "text" => {
                    message.add_text(&part.text.ok_or_else(|| missing("text"))?, between, part.extra);
                }
                "refusal" => {
                    message.add_text(&part.refusal.ok_or_else(|| missing("refusal"))?, between, part.extra);
                }
                "image_url" => {
                    let ImageUrl { url, detail } = part.image_url.ok_or_else(|| missing("image_url"))?;
                    message.add_image(Image { detail, ..Image::at(url) }, part.extra);
                }
                "file" => match part.file.clone().ok_or_else(|| missing("file"))? {
                    FileData { file_data: Some(data), filename, .. } => {
                        let source = document_source(data, &format!("{param}.file.file_data"))?;
                        message.add_document(Document { source, name: filename }, part.extra);
                    }
                    FileData { file_id: Some(_), .. } => message.add_opaque(param, json!(part)),
                    FileData { .. } => {
                        let param = format!("{param}.file.file_data");
                        return Err(ApiError::invalid(&param, format!("{param} is missing")));
                    }
                },
                _ => message.add_opaque(param, json!(part)),
            }
        }
        Ok(message.into_message(role))
    }
}

/// The source that a data URL, or an address, names.
///
/// # Errors
/// `invalid_request` for what is neither.
pub(crate) fn document_source(data: String, param: &str) -> Result<DocumentSource, ApiError> {
    match DocumentSource::at(data) {
        DocumentSource::Url(url) if !url.starts_with("https://") && !url.starts_with("http://") => {
            let message = format!("{param} must be data:application/pdf;base64,..., or an address");
            Err(ApiError::invalid(param, message))
        }
        source => Ok(source),
    }
}
