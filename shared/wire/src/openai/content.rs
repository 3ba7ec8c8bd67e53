//! A message's content: a text, or parts.

use hearth_domain::{Image, PlacedImage};
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
    /// `text`, or `image_url` for a model that sees.
    #[serde(rename = "type")]
    #[schema(example = "text")]
    pub kind: String,
    /// A text part's text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// An image part's image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_url: Option<ImageUrl>,
    /// A refusal part's text: what the model said instead of an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
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

impl Content {
    /// The text, parts joined, and the images in it. `param` is where the content stood, for the error.
    ///
    /// # Errors
    /// `invalid_request` for a part that is neither.
    pub fn into_domain(self, param: &str) -> Result<(String, Vec<PlacedImage>), ApiError> {
        let parts = match self {
            Self::Text(text) => return Ok((text, Vec::new())),
            Self::Parts(parts) => parts,
        };
        let (mut text, mut images) = (String::new(), Vec::new());
        for (index, part) in parts.into_iter().enumerate() {
            let param = format!("{param}[{index}]");
            let missing = |field: &str| {
                let message = format!("a part of type {field} needs a {field}");
                ApiError::invalid(format!("{param}.{field}"), message)
            };
            match part.kind.as_str() {
                "text" => text.push_str(&part.text.ok_or_else(|| missing("text"))?),
                "refusal" => text.push_str(&part.refusal.ok_or_else(|| missing("refusal"))?),
                "image_url" => {
                    let ImageUrl { url, detail } = part.image_url.ok_or_else(|| missing("image_url"))?;
                    images.push(PlacedImage { at: text.len(), image: Image { detail, ..Image::at(url) } });
                }
                other => {
                    let message =
                        format!("a part of type {other:?} was given; a model takes text and image_url");
                    return Err(ApiError::invalid(format!("{param}.type"), message));
                }
            }
        }
        Ok((text, images))
    }
}
