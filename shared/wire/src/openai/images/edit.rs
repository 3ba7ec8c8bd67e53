//! The form of `POST /v1/images/edits`.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hearth_domain::{Generation, Image, ImageFormat, ImageSource, artifact::media_type_of};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::{ImageAnswerOptions, ImageRequest, ImageResponseFormat};
use crate::{
    ApiError, ErrorCode,
    form_field::{FormField, repeated_field, shortened_name},
    json_body::parse_json,
    plain_reason,
    required::missing,
};

/// A request to edit images.
#[derive(Debug, Clone)]
pub struct ImageEdit {
    request: ImageRequest,
    images: Vec<Image>,
    mask: Option<Image>,
}

/// The form's fields. The other fields of an image request are allowed too.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "the OpenAPI document describes it")]
pub struct ImageEditForm {
    /// The image to edit; several as `image[]`. PNG, JPEG, WebP, GIF or AVIF, at most 16.
    #[schema(value_type = String, format = Binary)]
    image: Vec<u8>,
    /// Description of the edited images.
    #[schema(example = "The same fox in the rain")]
    prompt: String,
    /// Mask of the first image: an image of the same size that is transparent where the first image may be edited.
    #[schema(value_type = Option<String>, format = Binary)]
    mask: Option<Vec<u8>>,
    /// A model's id. Absent, or `auto`: the first model of a provider that makes images.
    #[schema(example = "openai:gpt-image-1")]
    model: Option<String>,
    /// Number of images, 1 to 10.
    n: Option<u32>,
    /// Width and height in pixels, such as `1024x1024`, or `auto`.
    size: Option<String>,
    /// Quality, by the provider's name.
    quality: Option<String>,
    /// `b64_json`, or `url` for a link that expires.
    response_format: Option<String>,
    /// Format of the files: `png`, `jpeg` or `webp`.
    output_format: Option<String>,
    /// Background: `transparent`, `opaque` or `auto`.
    background: Option<String>,
    /// If true, the answer is streamed as server-sent events, one for each finished image.
    stream: Option<bool>,
}

impl ImageEdit {
    /// Parses a form.
    ///
    /// # Errors
    /// `invalid_request`, naming the field.
    pub fn parse(form: Vec<FormField>) -> Result<Self, ApiError> {
        let (mut fields, mut images, mut mask) = (Map::new(), Vec::new(), None);
        for FormField { name, is_file, bytes } in form {
            match name.as_str() {
                "mask" if mask.is_some() => return Err(repeated_field(&name)),
                "mask" => mask = Some(parse_image("mask", &bytes)?),
                name if is_image(name) => images.push(parse_image("image", &bytes)?),
                _ if is_file => {
                    let message = format!("{} can't be a file: only image and mask can", quoted(&name));
                    return Err(ApiError::new(ErrorCode::InvalidRequest, message));
                }
                _ if fields.contains_key(&name) => return Err(repeated_field(&name)),
                _ => {
                    let value = field_value(&name, bytes)?;
                    fields.insert(name, value);
                }
            }
        }
        if images.is_empty() {
            let message =
                "image is missing; send the image to edit, or use /v1/images/generations for a new one";
            return Err(ApiError::invalid("image", message));
        }
        if !fields.contains_key("prompt") {
            return Err(missing("prompt".to_owned()));
        }
        check_type::<ImageResponseFormat>(&fields, "response_format")?;
        check_type::<ImageFormat>(&fields, "output_format")?;
        let request = parse_json(Value::Object(fields).to_string().as_bytes())?;
        Ok(Self { request, images, mask })
    }

    /// The parts of the request that the answer depends on.
    #[must_use]
    pub fn answer_options(&self) -> ImageAnswerOptions {
        ImageAnswerOptions { is_edit: true, ..self.request.answer_options() }
    }

    /// Converts the request.
    ///
    /// # Errors
    /// `invalid_request`, naming the field.
    pub fn into_generation(self) -> Result<Generation, ApiError> {
        self.request.into_edit(self.images, self.mask)
    }
}

/// Returns whether a field is an image: `image`, `image[]`, or `image[0]` from clients that number their images.
fn is_image(name: &str) -> bool {
    let number = name.strip_prefix("image[").and_then(|rest| rest.strip_suffix(']'));
    name == "image" || number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
}

fn parse_image(field: &str, bytes: &[u8]) -> Result<Image, ApiError> {
    let media_type = media_type_of(bytes).filter(|media_type| media_type.starts_with("image/"));
    let media_type = media_type.ok_or_else(|| {
        ApiError::invalid(field, format!("{field} must be a PNG, JPEG, WebP, GIF or AVIF image"))
    })?;
    let source = ImageSource::Data { media_type: media_type.to_owned(), data: STANDARD.encode(bytes) };
    Ok(Image { source, detail: None })
}

/// Parses a field's value. In a form every value is a text.
fn field_value(name: &str, bytes: Vec<u8>) -> Result<Value, ApiError> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '[' | ']');
    if name.is_empty() || name.len() > 64 || !name.chars().all(is_name) {
        let message = format!("{} is not a field; names have letters, digits and underscores", quoted(name));
        return Err(ApiError::new(ErrorCode::InvalidRequest, message));
    }
    let text = String::from_utf8(bytes)
        .map_err(|_| ApiError::invalid(name, format!("{name} must be text in UTF-8")))?;
    let must_be = |expected: &str| ApiError::invalid(name, format!("{name} must be {expected}"));
    match name {
        "n" | "partial_images" | "seed" => {
            text.parse::<u32>().map(Value::from).map_err(|_| must_be("a whole number"))
        }
        "stream" | "resume" => text.parse::<bool>().map(Value::from).map_err(|_| must_be("true or false")),
        "fallback" => serde_json::from_str(&text).map_err(|_| must_be("false, or {\"models\": [...]}")),
        "deadline" => Ok(text.parse::<f64>().map_or_else(|_| json!(text), Value::from)),
        _ => Ok(json!(text)),
    }
}

fn check_type<T: DeserializeOwned>(fields: &Map<String, Value>, name: &str) -> Result<(), ApiError> {
    let Some(value) = fields.get(name) else { return Ok(()) };
    let read = serde_json::from_value::<T>(value.clone());
    read.map(drop)
        .map_err(|error| ApiError::invalid(name, format!("{name}: {}", plain_reason(&error.to_string()))))
}

/// Quotes a client's name, shortened.
fn quoted(name: &str) -> String {
    format!("{:?}", shortened_name(name))
}
