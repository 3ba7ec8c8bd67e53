//! Images to change, which come as a form.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hearth_domain::{
    Generation, Image, ImageFormat, ImageSource, OnDisconnect, SelectionMode, artifact::media_type_of,
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::{ImageRequest, ResponseFormat, Shown};
use crate::{ApiError, form::FormField};

/// A request to change images, read from a form.
#[derive(Debug, Clone)]
pub struct ImageEdit {
    request: ImageRequest,
    images: Vec<Image>,
    mask: Option<Image>,
}

/// What the form has. Whatever else a request for images may say is a field too.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "for the documentation")]
pub struct ImageEditForm {
    /// The image to change; several as `image[]`. PNG, JPEG, WebP, GIF or AVIF, 16 at most.
    #[schema(value_type = String, format = Binary)]
    image: Vec<u8>,
    /// What the images are to show.
    #[schema(example = "The same fox in the rain")]
    prompt: String,
    /// Where the first image may be changed: an image of the same size that is transparent there.
    #[schema(value_type = Option<String>, format = Binary)]
    mask: Option<Vec<u8>>,
    /// A model's id. Absent, or `auto`: the first model of a provider that makes images.
    #[schema(example = "openai:gpt-image-1")]
    model: Option<String>,
    /// How many, 1 to 10.
    n: Option<u32>,
    /// Width and height in pixels, such as `1024x1024`, or `auto`.
    size: Option<String>,
    /// How well, in the provider's words.
    quality: Option<String>,
    /// `b64_json`, or `url` for a link that ends.
    response_format: Option<String>,
    /// `png`, `jpeg` or `webp`.
    output_format: Option<String>,
    /// `transparent`, `opaque` or `auto`.
    background: Option<String>,
    /// Whether to answer with server-sent events: one for each image, when it is there.
    stream: Option<bool>,
}

impl ImageEdit {
    /// Reads a form.
    ///
    /// # Errors
    /// `invalid_request`, naming the field.
    pub fn read(form: Vec<FormField>) -> Result<Self, ApiError> {
        let (mut fields, mut images, mut mask) = (Map::new(), Vec::new(), None);
        for FormField { name, is_file, bytes } in form {
            match name.as_str() {
                "mask" => mask = Some(image("mask", &bytes)?),
                name if is_image(name) => images.push(image("image", &bytes)?),
                _ if is_file => {
                    let message = format!("{} can't be a file: image and mask are", shown(&name));
                    return Err(ApiError::new(crate::ErrorCode::InvalidRequest, message));
                }
                _ => {
                    let value = value(&name, bytes)?;
                    fields.insert(name, value);
                }
            }
        }
        if images.is_empty() {
            let message =
                "image is missing: send the image to change, or ask /v1/images/generations for a new one";
            return Err(ApiError::invalid("image", message));
        }
        if !fields.contains_key("prompt") {
            return Err(ApiError::invalid("prompt", "prompt is missing"));
        }
        is_a::<ResponseFormat>(&fields, "response_format")?;
        is_a::<ImageFormat>(&fields, "output_format")?;
        is_a::<OnDisconnect>(&fields, "on_disconnect")?;
        is_a::<SelectionMode>(&fields, "selection_mode")?;
        let request = serde_json::from_value(Value::Object(fields));
        let request =
            request.map_err(|error| ApiError::new(crate::ErrorCode::InvalidRequest, error.to_string()))?;
        Ok(Self { request, images, mask })
    }

    /// What the answer needs of the request.
    #[must_use]
    pub fn shown(&self) -> Shown {
        Shown { edits: true, ..self.request.shown() }
    }

    /// The request without its dialect.
    ///
    /// # Errors
    /// `invalid_request`, naming the field.
    pub fn into_generation(self) -> Result<Generation, ApiError> {
        self.request.generation_from(self.images, self.mask)
    }
}

/// Clients number the images of a list, or don't.
fn is_image(name: &str) -> bool {
    let number = name.strip_prefix("image[").and_then(|rest| rest.strip_suffix(']'));
    name == "image" || number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
}

fn image(field: &str, bytes: &[u8]) -> Result<Image, ApiError> {
    let media_type = media_type_of(bytes).filter(|media_type| media_type.starts_with("image/"));
    let media_type = media_type.ok_or_else(|| {
        ApiError::invalid(field, format!("{field} is neither PNG, JPEG, WebP, GIF nor AVIF"))
    })?;
    let source = ImageSource::Data { media_type: media_type.to_owned(), data: STANDARD.encode(bytes) };
    Ok(Image { source, detail: None })
}

/// What a field says. All come as text.
fn value(name: &str, bytes: Vec<u8>) -> Result<Value, ApiError> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '[' | ']');
    if name.is_empty() || name.len() > 64 || !name.chars().all(is_name) {
        let message = format!("{} is no field: names are letters, digits and underscores", shown(name));
        return Err(ApiError::new(crate::ErrorCode::InvalidRequest, message));
    }
    let text = String::from_utf8(bytes)
        .map_err(|_| ApiError::invalid(name, format!("{name} must be text in UTF-8")))?;
    let wrong = |what: &str| ApiError::invalid(name, format!("{name} must be {what}"));
    match name {
        "n" | "partial_images" | "seed" => {
            text.parse::<u32>().map(Value::from).map_err(|_| wrong("a whole number"))
        }
        "stream" => text.parse::<bool>().map(Value::from).map_err(|_| wrong("true or false")),
        "fallback" => serde_json::from_str(&text).map_err(|_| wrong("false, or {\"models\": [...]}")),
        _ => Ok(json!(text)),
    }
}

fn is_a<T: DeserializeOwned>(fields: &Map<String, Value>, name: &str) -> Result<(), ApiError> {
    let Some(value) = fields.get(name) else { return Ok(()) };
    let read = serde_json::from_value::<T>(value.clone());
    read.map(drop).map_err(|error| ApiError::invalid(name, format!("{name}: {error}")))
}

fn shown(name: &str) -> String {
    format!("{:?}", name.chars().take(64).collect::<String>())
}
