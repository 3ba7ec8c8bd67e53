//! A message's content: a text, or parts.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ApiError;

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
    /// `text`; others need a model that takes them.
    #[serde(rename = "type")]
    #[schema(example = "text")]
    pub kind: String,
    /// The part's text.
    pub text: Option<String>,
}

impl Content {
    /// The text, parts joined. `param` is where the content stood, for the error.
    ///
    /// # Errors
    /// `invalid_request` for a part that isn't text.
    pub fn into_text(self, param: &str) -> Result<String, ApiError> {
        let parts = match self {
            Self::Text(text) => return Ok(text),
            Self::Parts(parts) => parts,
        };
        let mut text = String::new();
        for (index, part) in parts.into_iter().enumerate() {
            let param = format!("{param}[{index}]");
            match (part.kind.as_str(), part.text) {
                ("text", Some(piece)) => text.push_str(&piece),
                ("text", None) => {
                    return Err(ApiError::invalid(format!("{param}.text"), "a text part needs a text"));
                }
                (other, _) => {
                    let message =
                        format!("a part of type {other:?} was given, but the local models take text only");
                    return Err(ApiError::invalid(format!("{param}.type"), message));
                }
            }
        }
        Ok(text)
    }
}
